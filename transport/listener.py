"""The accept loop: who gets a connection, and for how long.

Law: a connection reaches the protocol above only after its handshake, under the allowlist of that
very moment; taking a fingerprint off the list ends its connections before `swap` returns. Every
refusal is counted under one reason. Handshakes and connections are bounded in number, per address
and in total, and a handshake in time, so that strangers cost a bounded amount of everything.
"""

import asyncio
import errno
import socket
import ssl
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transport.certificate import fingerprint
from transport.gate import Gate
from transport.pins import admits
from transport.refusals import Refusal, classify
from transport.sockets import open_sockets
from transport.tls import peer_certificate

__all__ = ["Listener", "ListenerLimits", "ListenerTls"]

# accept(2): failures of the one connection that stood in the queue, not of the listening socket.
_GONE = frozenset(
    {
        errno.ECONNABORTED,
        errno.EPROTO,
        errno.ENOPROTOOPT,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.EOPNOTSUPP,
        errno.EPERM,
    }
)
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_EXHAUSTED_PAUSE_S = 0.1
# What a turn of the event loop begins: a few milliseconds of it, and of handshakes fewer, for
# each costs about half a millisecond of cryptography in a turn soon after.
_ACCEPTS_PER_TURN = 16
_HANDSHAKES_PER_TURN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerLimits:
    """Bounds of one listener; times in seconds."""

    handshake_s: float = 5.0
    shutdown_s: float = 1.0
    handshakes_max: int = 256
    handshakes_per_address_max: int = 64
    connections_max: int = 4096
    connections_per_address_max: int = 2048
    connections_per_peer_max: int = 64
    backlog: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerTls:
    """The TLS side of a listener; replaced as a whole when the allowlist changes.

    Attributes:
        context: of the handshakes.
        allowed: pins of certificates and keys.
        on_certificate: told the DER of a certificate that was let in by its key and is not known.
    """

    context: ssl.SSLContext
    allowed: frozenset[str]
    on_certificate: Callable[[bytes], None] | None = None


def _unheard(_refusal: Refusal, _address: str) -> None:
    return


class Listener:
    """Accepts connections on a set of addresses and hands them to a protocol.

    `bind()` first, then `run()` in a task of the caller's group; cancelling that task ends every
    connection. Without `tls` it speaks plain HTTP, and only on loopback, unless the protocol has
    nothing to tell that anybody may not know (`for_anybody`).
    """

    def __init__(
        self,
        protocol_factory: Callable[[], asyncio.Protocol],
        addresses: Sequence[tuple[str, int]],
        *,
        tls: ListenerTls | None,
        limits: ListenerLimits | None = None,
        on_refused: Callable[[Refusal, str], None] = _unheard,
        for_anybody: bool = False,
    ) -> None:
        self._protocol_factory = protocol_factory
        self._wanted = tuple(addresses)
        self._tls = tls
        self._limits = limits or ListenerLimits()
        self._on_refused = on_refused
        self._loopback_only = tls is None and not for_anybody
        self._sockets: list[socket.socket] = []
        self._addresses: list[tuple[str, int]] = []
        self._handshakes: Counter[str] = Counter()
        self._by_address: Counter[str] = Counter()
        self._by_peer: defaultdict[str, set[Gate]] = defaultdict(set)
        self._gates: dict[asyncio.BaseTransport, Gate] = {}
        self._unstarted: set[socket.socket] = set()
        self._group: asyncio.TaskGroup | None = None
        self._over: asyncio.Future[None] | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each socket that was bound."""
        return list(self._addresses)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._gates)

    @property
    def handshakes(self) -> int:
        """How many handshakes are under way."""
        return self._handshakes.total()

    @property
    def peers(self) -> dict[str, int]:
        """Fingerprint -> open connections, for those that have a certificate."""
        return {peer: len(gates) for peer, gates in self._by_peer.items()}

    async def bind(self) -> list[tuple[str, int]]:
        """Bind every address and return host and port of each socket.

        Raises:
            ListenError: an address cannot be used; none is bound then.
        """
        self._sockets = await open_sockets(
            self._wanted, backlog=self._limits.backlog, loopback_only=self._loopback_only
        )
        self._addresses = [sock.getsockname()[:2] for sock in self._sockets]
        return self.addresses

    async def run(self) -> None:
        """Accept, and keep connections, until cancelled; every connection is aborted then."""
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    for listening in self._sockets:
                        loop.add_reader(listening, self._accept, listening)
                    await self._over
                finally:
                    self.stop_accepting()
        finally:
            self._group = None
            for gate in list(self._gates.values()):
                gate.abort()
            for sock in self._unstarted:
                sock.close()

    def stop_accepting(self) -> None:
        """Close the listening sockets; open connections, and handshakes under way, go on."""
        for sock in self._sockets:
            if self._group is not None:
                asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets = []

    def swap(self, tls: ListenerTls) -> int:
        """Use another context and allowlist from now on.

        Returns:
            How many open connections were aborted because their peer is no longer allowed.
        """
        self._tls = tls
        gone = [peer for peer in self._by_peer if peer not in tls.allowed]
        return sum(self.abort_where(peer) for peer in gone)

    def abort_where(self, fingerprint: str) -> int:
        """Abort every connection of a peer and return how many there were."""
        gates = list(self._by_peer.get(fingerprint, ()))
        for gate in gates:
            gate.abort()
        return len(gates)

    def peer_of(self, transport: asyncio.BaseTransport | None) -> str | None:
        """Return the fingerprint behind an open connection; cheaper than asking TLS again."""
        gate = self._gates.get(transport) if transport is not None else None
        return gate.peer if gate is not None else None

    def _accept(self, listening: socket.socket) -> None:
        # Called when connections wait; accepting in the callback itself means that no cancelled
        # task can lose one between the kernel and us.
        for _ in range(_ACCEPTS_PER_TURN if self._tls is None else _HANDSHAKES_PER_TURN):
            try:
                sock, address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _GONE:
                    continue
                self._failed(listening, error)
                return
            self._accepted(sock, str(address[0]))

    def _accepted(self, sock: socket.socket, host: str) -> None:
        refusal = self._full(host)
        if refusal is not None or self._group is None:
            sock.close()
            self._on_refused(refusal or Refusal.CLOSED, host)
            return
        sock.setblocking(False)
        self._handshakes[host] += 1
        self._unstarted.add(sock)
        self._group.create_task(self._shake(sock, host))

    def _failed(self, listening: socket.socket, error: OSError) -> None:
        if error.errno not in _EXHAUSTED:
            if self._over is not None and not self._over.done():
                self._over.set_exception(error)
            return
        # Retrying at once would spin: the connection is still in the queue.
        self._on_refused(Refusal.DESCRIPTORS_FULL, "")
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_EXHAUSTED_PAUSE_S, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _full(self, host: str) -> Refusal | None:
        limits = self._limits
        if len(self._gates) + self._handshakes.total() >= limits.connections_max:
            return Refusal.CONNECTIONS_FULL
        if self._by_address[host] + self._handshakes[host] >= limits.connections_per_address_max:
            return Refusal.ADDRESS_FULL
        if (
            self._handshakes.total() >= limits.handshakes_max
            or self._handshakes[host] >= limits.handshakes_per_address_max
        ):
            return Refusal.HANDSHAKES_FULL
        return None

    async def _shake(self, sock: socket.socket, host: str) -> None:
        self._unstarted.discard(sock)
        loop = asyncio.get_running_loop()
        gate = Gate(host, self._protocol_factory, self._enter, self._leave)
        tls, limits = self._tls, self._limits
        try:
            if tls is None:
                await loop.connect_accepted_socket(lambda: gate, sock)
            else:
                await loop.connect_accepted_socket(
                    lambda: gate,
                    sock,
                    ssl=tls.context,
                    ssl_handshake_timeout=limits.handshake_s,
                    ssl_shutdown_timeout=limits.shutdown_s,
                )
            if not gate.asked:  # it hung up at the last step, which raises nothing
                self._on_refused(Refusal.CLOSED, host)
        except OSError as error:
            self._on_refused(classify(error), host)
        except asyncio.CancelledError:
            # uvloop closes such a connection without a word to its protocol, or announces it late.
            gate.shut()
            raise
        finally:
            if not isinstance(loop, asyncio.BaseEventLoop):
                # The handle of uvloop owns the descriptor now, alone: an object of Python's that
                # is collected later would close it again, by then another connection's.
                sock.detach()
            self._handshakes[host] -= 1
            if not self._handshakes[host]:
                del self._handshakes[host]

    def _enter(self, gate: Gate, transport: asyncio.Transport) -> bool:
        der = peer_certificate(transport)
        peer = fingerprint(der) if der is not None else None
        refusal = self._unwelcome(peer, der)
        if refusal is not None:
            self._on_refused(refusal, gate.host)
            return False
        gate.peer = peer
        self._gates[transport] = gate
        self._by_address[gate.host] += 1
        if peer is not None:
            self._by_peer[peer].add(gate)
        return True

    def _unwelcome(self, peer: str | None, der: bytes | None) -> Refusal | None:
        # The context said yes, but it may be one from before the last change of the allowlist.
        tls = self._tls
        if peer is None or der is None:
            demanded = tls is not None and tls.context.verify_mode is ssl.CERT_REQUIRED
            return Refusal.NO_CERTIFICATE if demanded else None
        if tls is None or not admits(tls.allowed, der):
            return Refusal.NOT_ALLOWLISTED
        if peer not in tls.allowed and tls.on_certificate is not None:
            tls.on_certificate(der)
        if len(self._by_peer.get(peer, ())) >= self._limits.connections_per_peer_max:
            return Refusal.PEER_FULL
        return None

    def _leave(self, gate: Gate, transport: asyncio.BaseTransport) -> None:
        self._gates.pop(transport, None)
        self._by_address[gate.host] -= 1
        if not self._by_address[gate.host]:
            del self._by_address[gate.host]
        if gate.peer is not None:
            gates = self._by_peer[gate.peer]
            gates.discard(gate)
            if not gates:
                del self._by_peer[gate.peer]
