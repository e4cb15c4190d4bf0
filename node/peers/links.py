"""All links of this node: greeting, one link a pair, a sender and a receiver each.

Law: one link per peer. Of two links between the same processes the one dialled by the smaller
node id stays; a restarted peer's link ends the old one; a second process that answers under a
node id whose first link is alive is a twin: refused, alarm. What is put into an outbox leaves in
the same step of the loop as one frame, or, while the peer is slow to read, as soon as it takes
more; a receiver stops reading while the disk is behind.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from crdt.messages import MessageError
from crdt.peer import Outbox
from node import failpoints
from node.logs import EventLog
from node.peers.given import ops_given
from node.peers.greeting import (
    Greeting,
    GreetingRefused,
    check_same_mesh,
    encode_greeting,
    read_greeting,
)
from node.peers.refusals import Refusals, reason_of
from node.replication.engine import Engine
from node.replication.observer import forget_stranger
from transport.frames import FrameError
from transport.link import Link, LinkClosed


class OnLink(Protocol):
    """Told when a link to a peer is up, and by whom it was dialled, or down (None)."""

    def __call__(self, greeting: Greeting, *, dialled: bool | None) -> None:
        """Take note."""
        ...


_GREETING_SECONDS: Final = 5.0
_PROBE_SECONDS: Final = 1.5
_PROBE_STEP_SECONDS: Final = 0.05


@dataclass(slots=True)
class Connection:
    """One live link and what runs on it.

    Attributes:
        stirred: its outbox was put something into and not looked at since.
        slow: wakes the sender, which waits while the peer is slow to read.
        waiting: the sender has a frame that waits; nothing may overtake it.
        overfull: more waits for it than may, and its link was ended.
    """

    number: int
    link: Link
    greeting: Greeting
    dialled: bool
    outbox: Outbox = field(default_factory=Outbox)
    stirred: bool = False
    slow: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: bool = False
    overfull: bool = False


class PeerLinks:
    """Runs links over an engine.

    Args:
        engine: what the messages are for.
        greet: this node's greeting, made anew for each link.
        sign: by the node's key.
        frame_bytes_max: most bytes of messages in one frame.
        backlog_bytes_max: bytes waiting for the disk above which peers are not read.
        outbox_bytes_max: bytes waiting for a peer above which it loses its link.
        log: writes events.
        names: kept up to date: what people call the peer of a link.
        on_link: told when a link to a peer is up (greeting, dialled) or down (greeting, None).
        on_other_mesh: told when a peer belongs to a mesh and this empty store to none.
    """

    def __init__(  # noqa: PLR0913 - it is composed once, of exactly these parts
        self,
        *,
        engine: Engine,
        greet: Callable[[], Greeting],
        sign: Callable[[bytes], bytes],
        frame_bytes_max: int,
        backlog_bytes_max: int,
        outbox_bytes_max: int,
        log: EventLog,
        names: dict[int, str],
        on_link: OnLink,
        on_other_mesh: Callable[[Greeting], None],
    ) -> None:
        self._engine = engine
        self._greet = greet
        self._sign = sign
        self._frame_bytes_max = frame_bytes_max
        self._backlog_bytes_max = backlog_bytes_max
        self._outbox_bytes_max = outbox_bytes_max
        self._log = log
        self._names = names
        self._on_link = on_link
        self._on_other_mesh = on_other_mesh
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._stirred: list[Connection] = []
        self._live: dict[int, Connection] = {}
        self._shown: dict[bytes, str] = {}
        self.failures: dict[str, int] = {}
        self.refusals = Refusals(engine.metrics, log, self._loop.time)

    @property
    def connections(self) -> list[Connection]:
        """The live ones."""
        return list(self._live.values())

    def fingerprints(self) -> dict[bytes, str]:
        """Node id -> SHA-256 of the certificate that it showed last, to this process."""
        return dict(self._shown)

    def close(self, number: int, reason: str) -> None:
        """End a link; its tasks notice."""
        held = self._live.get(number)
        if held is not None:
            held.link.abort(reason)

    def close_all(self, reason: str) -> None:
        """End all links."""
        for number in list(self._live):
            self.close(number, reason)

    # --- one link ----------------------------------------------------------------

    async def run(self, link: Link, *, dialled: bool) -> float:
        """Use a link until it ends.

        Returns:
            Seconds to wait at least before dialling again.
        """
        try:
            if failpoints.armed is not None:
                await failpoints.armed.reached("link.greeting")
            greeting = await self._exchange_greetings(link)
            await self._make_room(greeting, dialled=dialled)
        except GreetingRefused as refused:
            pause = self.refusals.refuse(refused)
            await link.close(f"{refused.reason}: {refused.detail}"[:120])
            return pause
        except TimeoutError:
            link.abort("no greeting")
            return 0.0
        except LinkClosed as closed:
            return self.refusals.closed_early(closed)
        return await self._serve(link, greeting, dialled=dialled)

    async def _exchange_greetings(self, link: Link) -> Greeting:
        own, theirs = link.own_certificate_fingerprint, link.peer_certificate_fingerprint
        if own is None or theirs is None:
            raise GreetingRefused("certificate", "a link needs a certificate on both sides")
        mine = self._greet()
        data = encode_greeting(mine, self._sign, own_certificate=own, peer_certificate=theirs)
        async with asyncio.timeout(_GREETING_SECONDS):
            await link.send([data])
            first = await link.receive()
        if len(first) != 1:
            raise GreetingRefused("malformed", "a link begins with one greeting")
        greeting = read_greeting(first[0], own_certificate=own, peer_certificate=theirs)
        if greeting.node_id == mine.node_id:
            same = greeting.process == mine.process
            raise GreetingRefused("self" if same else "twin", "this is the node's own identity")
        if greeting.settled and not mine.settled and mine.genesis != greeting.genesis:
            self._on_other_mesh(greeting)
        check_same_mesh(mine.genesis, greeting.genesis)
        refusal = self._engine.exchange.refuses(
            greeting.node_id, greeting.claim, settled=greeting.settled
        )
        if refusal is not None:
            raise GreetingRefused(refusal, f"{greeting.node_id.hex()[:16]} may not link: {refusal}")
        return greeting

    async def _make_room(self, greeting: Greeting, *, dialled: bool) -> None:
        """Decide between this link and one that is there already.

        Raises:
            GreetingRefused: the other one stays.
        """
        for held in self.connections:
            if held.greeting.node_id != greeting.node_id:
                continue
            if held.greeting.process != greeting.process:
                if await self._is_alive(held):
                    raise GreetingRefused("twin", f"another process runs as {greeting.name}")
            elif held.dialled != dialled and held.dialled == self._dials(greeting):
                raise GreetingRefused("duplicate", "another link to this process stays")
            self.close(held.number, "replaced")
            self._end(held)

    def _dials(self, greeting: Greeting) -> bool:
        """Whether the link that this side dialled is the one that stays."""
        return self._engine.me.node_id < greeting.node_id

    async def _is_alive(self, held: Connection) -> bool:
        """Whether the process behind a link still answers."""
        peer = self._engine.exchange.peers.get(held.number)
        if peer is None:
            return False
        self._engine.exchange.heartbeat.probe(held.number)
        asked = self._engine.exchange.now_ms
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PROBE_SECONDS
        while loop.time() < deadline and held.number in self._live:
            await asyncio.sleep(_PROBE_STEP_SECONDS)
            if peer.heard_ms > asked:
                return True
        return False

    async def _serve(self, link: Link, greeting: Greeting, *, dialled: bool) -> float:
        self._number += 1
        held = Connection(self._number, link, greeting, dialled)
        held.outbox = Outbox(partial(self._stir, held))
        self._live[held.number] = held
        self._names[held.number] = greeting.name
        self._shown[greeting.node_id] = link.peer_certificate_fingerprint or ""
        engine = self._engine
        engine.exchange.advance(engine.now_ms())
        engine.exchange.link_up(held.number, greeting.node_id, greeting.claim, held.outbox)
        engine.soon()
        self.failures.pop(greeting.url, None)
        self._log("peer_connected", peer=greeting.name, dialled=dialled)
        self._on_link(greeting, dialled=dialled)
        reason = "lost"
        sender = asyncio.create_task(self._send(held), name=f"send to {greeting.name}")
        try:
            with engine.fatal(LinkClosed):
                await self._receive(held)
        except LinkClosed as closed:
            reason = reason_of(closed, phrase=True)
            self._count_bad_frame(greeting, closed)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
            self._end(held)
            forget_stranger(engine, greeting.name)
            if reason.startswith("twin"):
                self.refusals.twin(reason)
            self._log("peer_disconnected", peer=greeting.name, reason=reason)
        return 0.0

    def _count_bad_frame(self, greeting: Greeting, closed: LinkClosed) -> None:
        """A link that ended because of what the peer sent."""
        if closed.reason.startswith("frame_") or closed.reason in {"text_frame", "protocol"}:
            self._engine.metrics.counter("frames_rejected_total", closed.reason).inc()
            self._log("peer_refused", peer=greeting.name, reason=closed.reason)

    def _end(self, held: Connection) -> None:
        if self._live.pop(held.number, None) is None:
            return
        del self._names[held.number]
        engine = self._engine
        engine.exchange.advance(engine.now_ms())
        engine.exchange.link_down(held.number)
        engine.soon()
        self._on_link(held.greeting, dialled=None)

    def _stir(self, held: Connection) -> None:
        """Something was put into an outbox: it leaves with this turn of the loop at the latest."""
        if not held.stirred:
            held.stirred = True
            self._stirred.append(held)
            if len(self._stirred) == 1:
                self._loop.call_soon(self.flush)
        if held.outbox.size_bytes > self._outbox_bytes_max and not held.overfull:
            # It asks for more than it reads. To stop reading it instead could bind two nodes
            # that are both behind to wait for each other.
            held.overfull = True
            held.link.abort("it asks for more than it reads")
            self._engine.metrics.counter("frames_rejected_total", "unread").inc()
            self._log("peer_refused", peer=held.greeting.name, reason="unread")

    def flush(self) -> None:
        """Send what lies in the outboxes, a frame a link; what a slow peer leaves waits for it."""
        if not self._stirred:
            return
        stirred, self._stirred = self._stirred, []
        for held in stirred:
            held.stirred = False
            if not held.waiting:
                self._send_now(held)

    def _send_now(self, held: Connection) -> None:
        outbox, link = held.outbox, held.link
        try:
            while len(outbox) and link.writable:
                link.send_now(self._taken(held))
        except LinkClosed:
            return  # its receiver is told as well
        except FrameError as error:
            link.abort(f"a message of ours fits no frame: {error.reason}")
            return
        if len(outbox):
            held.slow.set()

    def _taken(self, held: Connection) -> list[bytes]:
        """The next messages of an outbox, a frame's worth, counted as given."""
        messages = held.outbox.take(self._frame_bytes_max)
        if ops := sum(map(ops_given, messages)):
            self._engine.metrics.counter("sync_ops_total", held.greeting.name, "out").inc(ops)
        return messages

    async def _send(self, held: Connection) -> None:
        """Send to a peer that is slow to read, at its pace."""
        outbox, link = held.outbox, held.link
        while True:
            await held.slow.wait()
            held.slow.clear()
            held.waiting = True
            while len(outbox):
                try:
                    await link.send(self._taken(held))
                except LinkClosed:
                    return
            held.waiting = False

    async def _receive(self, held: Connection) -> None:
        engine, number = self._engine, held.number
        sync_in = engine.metrics.counter("sync_ops_total", held.greeting.name, "in")
        while True:
            messages = await held.link.receive()
            failpoints.hit("push.received")
            exchange = engine.exchange
            exchange.now_ms = engine.now_ms()
            before = exchange.replica.taken
            try:
                for data in messages:
                    exchange.receive(number, data)
                    if held.overfull:
                        break
            except MessageError as error:
                engine.metrics.counter("frames_rejected_total", error.reason).inc()
                self._log("peer_refused", reason=error.reason, detail=str(error))
                await held.link.close(f"bad message: {error.reason}")
                return
            while engine.exchange.catchup.at_hand(number):
                await asyncio.sleep(0)  # what is left of a page lets others have their turn
                engine.exchange.now_ms = engine.now_ms()
                engine.exchange.catchup.go_on(number)
            taken = engine.exchange.replica.taken - before
            if taken > 0:
                failpoints.hit("bundle.taken")
                sync_in.inc(taken)
            engine.pump()
            while engine.backlog_bytes > self._backlog_bytes_max:
                await engine.disk_moved()
