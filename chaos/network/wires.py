"""A proxy for every ordered pair of nodes, and the faults that can be put on them.

Law: a node reaches a peer only through its own proxy, so what happens to one pair happens to no
other. The proxy copies bytes and knows nothing of them: TLS stays between the nodes. Nothing is
broken until it is told to be, and `heal` makes all of it a wire again.
"""

import contextlib
import random
import socket
import ssl
import struct
from collections.abc import Iterable
from typing import Final

import trio

from chaos.network.flow import EndOfFlowError, Flow
from chaos.network.places import Place, free_ports

_PROBE_S: Final = 0.4
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: no FIN, a reset


class Wires:
    """All proxies of a mesh.

    Args:
        places: where the nodes stand.
        rng: draws jitter.

    Attributes:
        flows: (from, to) -> what happens to bytes on that way.
        refused: (who dials, whom) -> new connections are reset at once.
        accepted: (who dials, whom) -> how many connections there were.
    """

    def __init__(self, places: list[Place], rng: random.Random) -> None:
        pairs = [(a, b) for a in range(len(places)) for b in range(len(places)) if a != b]
        self._places = places
        self._ports = dict(zip(pairs, free_ports(len(pairs)), strict=True))
        self.flows = {pair: Flow(rng=random.Random(rng.random())) for pair in pairs}
        self.refused: set[tuple[int, int]] = set()
        self.accepted = dict.fromkeys(pairs, 0)
        self._open: dict[tuple[int, int], set[_Connection]] = {pair: set() for pair in pairs}

    def reach(self, source: int) -> list[str]:
        """For `--reach` of a node: the told address of each peer, and the proxy's."""
        return [
            f"{self._places[b].url}=https://127.0.0.1:{port}"
            for (a, b), port in self._ports.items()
            if a == source
        ]

    def peers(self, source: int) -> list[str]:
        """For `--quorum-peers` of a node."""
        return [place.url for at, place in enumerate(self._places) if at != source]

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and carry until cancelled."""
        async with trio.open_nursery() as nursery:
            for pair, port in self._ports.items():
                with self._places[pair[0]].entered():
                    listener = socket.create_server(("127.0.0.1", port), backlog=64)
                listener.setblocking(False)
                wrapped = trio.SocketListener(trio.socket.from_stdlib_socket(listener))
                nursery.start_soon(self._serve, pair, wrapped)
            task_status.started()

    # --- faults ---------------------------------------------------------------------

    def cut(self, source: int, target: int) -> None:
        """Hold back all bytes from one node to another."""
        self.flows[source, target].cut()

    def split(self, side: Iterable[int], other: Iterable[int]) -> None:
        """Hold back all bytes between two sides, both ways."""
        others = list(other)
        for a in side:
            for b in others:
                self.cut(a, b)
                self.cut(b, a)

    def reset(self, one: int, other: int) -> int:
        """Reset the connections of a pair, whoever dialled; returns how many."""
        return self._end(one, other, half=False)

    def half_open(self, one: int, other: int) -> int:
        """Reset the far side of each connection of a pair; the near one is left thinking."""
        return self._end(one, other, half=True)

    def refuse(self, source: int, target: int) -> None:
        """Reset new connections that a node makes to another."""
        self.refused.add((source, target))

    def heal(self) -> None:
        """Let everything pass."""
        self.refused.clear()
        for flow in self.flows.values():
            flow.heal()
        for connections in self._open.values():
            for connection in list(connections):
                connection.end_if_half()

    # --- proof ----------------------------------------------------------------------

    async def probe(self, source: int, target: int) -> bool:
        """Whether a first TLS message from one node's place is answered by the other node."""
        with trio.move_on_after(_PROBE_S):
            try:
                async with self._dialled(source, self._ports[source, target]) as stream:
                    await stream.send_all(client_hello())
                    return bool(await stream.receive_some(1))
            except (OSError, trio.BrokenResourceError):
                return False
        return False

    def _dialled(self, source: int, port: int) -> "_Dialling":
        return _Dialling(self._places[source], "127.0.0.1", port)

    # --- carrying -------------------------------------------------------------------

    async def _serve(self, pair: tuple[int, int], listener: trio.SocketListener) -> None:
        async with listener, trio.open_nursery() as nursery:
            while True:
                near = await listener.accept()
                self.accepted[pair] += 1
                if pair in self.refused:
                    _reset(near)
                else:
                    nursery.start_soon(self._carry, pair, near)

    async def _carry(self, pair: tuple[int, int], near: trio.SocketStream) -> None:
        source, target = pair
        there = self._places[target]
        try:
            async with _Dialling(self._places[source], there.host, there.port) as far:
                connection = _Connection(near, far)
                self._open[pair].add(connection)
                try:
                    await connection.carry(self.flows[source, target], self.flows[target, source])
                finally:
                    self._open[pair].discard(connection)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            _reset(near)

    def _end(self, one: int, other: int, *, half: bool) -> int:
        ended = 0
        for pair in ((one, other), (other, one)):
            for connection in list(self._open[pair]):
                connection.end(half=half)
                ended += 1
        return ended


class _Connection:
    """One connection through a proxy: the dialling node's side is near, the other one far."""

    def __init__(self, near: trio.SocketStream, far: trio.SocketStream) -> None:
        self._near, self._far = near, far
        self._scope = trio.CancelScope()
        self._half = False
        self._over = trio.Event()

    async def carry(self, up: Flow, down: Flow) -> None:
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._one_way, up, self._near, self._far)
                    nursery.start_soon(self._one_way, down, self._far, self._near)
            if (
                not self._scope.cancelled_caught
            ):  # both have said all: their last bytes may be on the way
                self._far.socket.close()
                self._near.socket.close()
        finally:
            _reset(self._far)
        if self._half:
            await self._swallow()

    def end(self, *, half: bool) -> None:
        self._half = half
        self._scope.cancel()

    def end_if_half(self) -> None:
        self._over.set()

    async def _one_way(
        self, flow: Flow, source: trio.SocketStream, sink: trio.SocketStream
    ) -> None:
        try:
            await flow.carry(source, sink)
        except* (EndOfFlowError, OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._scope.cancel()

    async def _swallow(self) -> None:
        """Read what the near side says and answer nothing, until it gives up or all is healed."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._until_over, nursery.cancel_scope)
            try:
                while await self._near.receive_some(4096):
                    pass
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            nursery.cancel_scope.cancel()

    async def _until_over(self, scope: trio.CancelScope) -> None:
        await self._over.wait()
        scope.cancel()


class _Dialling:
    """A connection made from a place."""

    def __init__(self, place: Place, host: str, port: int) -> None:
        self._place, self._to = place, (host, port)

    async def __aenter__(self) -> trio.SocketStream:
        made = trio.socket.from_stdlib_socket(self._place.socket())
        try:
            await made.connect(self._to)
        except BaseException:
            made.close()
            raise
        self._stream = trio.SocketStream(made)
        return self._stream

    async def __aexit__(self, *_error: object) -> None:
        self._stream.socket.close()


def _reset(stream: trio.SocketStream) -> None:
    """Close so that the other side sees a reset, at once."""
    if stream.socket.fileno() >= 0:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        stream.socket.close()


def client_hello() -> bytes:
    """The first message of a TLS client that shows no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), out)
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return out.read()
