"""A mesh of hundreds in virtual time: the shipped exchange over stand-ins for the replica.

Law: nothing is decided here. A message takes its time on a link and keeps its order there, a
disk takes its time for a batch, a tick and a beat come as often as the node makes them come.
What is lost is a pushed bundle, as when a queue overflows: links themselves lose nothing while
they stand. Every message and every byte is counted where it is sent.
"""

import heapq
import random
from collections import Counter
from dataclasses import dataclass, field

from crdt.clock import Clock
from crdt.dot import Actor
from crdt.exchange import Exchange, ExchangeLimits
from crdt.messages import Beat, Echo, Push, Spread, encode
from crdt.peer import Peer
from tests.simulation.stand_in import Governance, StandIn, members, node_id

TICK_MS = 50
BEAT_MS = 1_000
DISK_MS = 2
LINK_MS = (2, 8)
FRESH = {encode(Push(b""))[1], encode(Spread(b"", bytes(32)))[1]}
BEATS = {encode(Beat(0, 0, joined=True, clock_hash=b"", digest=b""))[1], encode(Echo(0))[1]}
_BEGIN_MS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run.

    Attributes:
        nodes: N.
        w: disks that must hold a write.
        relay: whether N is beyond what the writers push to all.
        writes: bundles in all, of 1 KiB.
        writers: who take turns.
        every_ms: time between two writes in the mesh.
        loss: share of pushed bundles that never arrive.
        churn_ms: time between two departures of a node, for ten times as long; 0 for none.
        seed: of what is drawn.
    """

    nodes: int
    w: int
    relay: bool
    writes: int = 40
    writers: int = 4
    every_ms: int = 25
    loss: float = 0.0
    churn_ms: int = 0
    size_bytes: int = 1024
    seed: int = 1


class Wire:
    """The outbox of one side of a link."""

    __slots__ = ("delay_ms", "link", "mesh", "receiver", "sender", "size_bytes")

    def __init__(self, mesh: "Mesh", sender: int, receiver: int, link: int, delay_ms: int) -> None:
        self.mesh, self.sender, self.receiver = mesh, sender, receiver
        self.link, self.delay_ms, self.size_bytes = link, delay_ms, 0

    def put(self, message: bytes, *, push: bool = False) -> None:
        """It is on its way."""
        del push
        self.mesh.fly(self, message)

    def drop_pushes(self) -> None:
        """Nothing waits here."""


@dataclass(slots=True)
class Node:
    """One node, and what it sent."""

    number: int
    replica: StandIn
    exchange: Exchange
    away: bool = False
    busy: bool = False
    sent: int = 0
    sent_bytes: int = 0
    beats: int = 0
    received: int = 0


@dataclass(slots=True)
class Written:
    """One write: when, how far it is, and when that was."""

    actor: Actor
    seq: int
    at_ms: int
    hops: dict[int, int] = field(default_factory=dict)
    quorum_ms: int = 0
    everywhere_ms: int = 0


class Mesh:
    """Everything there is."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.now_ms = _BEGIN_MS
        self.kinds: Counter[int] = Counter()
        self.pushed: Counter[int] = Counter()
        self.authored = self.lost = 0
        self.epoch = 0
        self._due: dict[int, list[tuple[object, ...]]] = {}
        self._times: list[int] = []
        self.written: dict[tuple[Actor, int], Written] = {}
        self._from = -1
        limits = ExchangeLimits(full_fanout_max=12 if plan.relay else 1_000_000)
        governance = Governance(members(plan.nodes))
        self.nodes = [self._node(n, governance, limits) for n in range(plan.nodes)]
        for left in range(plan.nodes):
            for right in range(left):
                self._level(left, right)

    def _node(self, number: int, governance: Governance, limits: ExchangeLimits) -> Node:
        replica = StandIn(node_id(number), governance)
        exchange = Exchange(
            replica,  # type: ignore[arg-type]
            durable={},
            limits=limits,
            wanted_w=self.plan.w,
            now_ms=self.now_ms,
        )
        # Nodes started at different moments.
        self.at(self.now_ms + self.random.randrange(TICK_MS), "tick", number)
        self.at(self.now_ms + self.random.randrange(BEAT_MS), "beat", number)
        return Node(number, replica, exchange)

    def _delay_ms(self, left: int, right: int) -> int:
        least, most = LINK_MS
        return least + (left * right + left + right) % (most - least + 1)

    def _level(self, left: int, right: int) -> None:
        """A link that has stood for long: both said Hello and Level."""
        delay = self._delay_ms(left, right)
        for mine, theirs in ((left, right), (right, left)):
            wire = Wire(self, mine, theirs, self._link(theirs), delay)
            peer = Peer(
                self.nodes[theirs].replica.me.node_id,
                wire,  # type: ignore[arg-type]
                row={},
                joined=True,
                pulling=True,
                pushing=True,
                heard_ms=self.now_ms,
            )
            exchange = self.nodes[mine].exchange
            exchange.peers[wire.link] = exchange.by_node[peer.node_id] = peer

    def _link(self, other: int) -> int:
        return self.epoch * self.plan.nodes + other

    # --- time --------------------------------------------------------------------

    def at(self, when_ms: int, *what: object) -> None:
        """Something is due."""
        held = self._due.get(when_ms)
        if held is None:
            held = self._due[when_ms] = []
            heapq.heappush(self._times, when_ms)
        held.append(what)

    def run(self, until_ms: int) -> None:
        """Let time pass."""
        while self._times and self._times[0] <= until_ms:
            self.now_ms = self._times[0]
            for what in self._due[self.now_ms]:
                getattr(self, f"_{what[0]}")(*what[1:])
            heapq.heappop(self._times)
            del self._due[self.now_ms]
        self.now_ms = until_ms

    def fly(self, wire: Wire, message: bytes) -> None:
        """A message leaves."""
        node, kind = self.nodes[wire.sender], message[1]
        self.kinds[kind] += 1
        if kind in BEATS:
            node.beats += 1
        else:
            node.sent += 1
            node.sent_bytes += len(message)
        if kind in FRESH:
            self.pushed[wire.sender] += 1
        if kind in FRESH and self.plan.loss and self.random.random() < self.plan.loss:
            self.lost += 1
            return
        self.at(self.now_ms + wire.delay_ms, "arrive", wire, message)

    # --- what happens ------------------------------------------------------------

    def _arrive(self, wire: Wire, message: bytes) -> None:
        node, sender = self.nodes[wire.receiver], self.nodes[wire.sender]
        # Both sides number a link by the other node and by when it was made.
        number = wire.link - wire.receiver + wire.sender
        if node.away or sender.away or number not in node.exchange.peers:
            return
        node.received += message[1] not in BEATS
        node.exchange.now_ms = self.now_ms
        before = len(node.replica._open)
        node.exchange.receive(number, message)
        for bundle in node.replica._open[before:]:
            written = self.written.get((bundle.actor, bundle.last))
            if written is not None:
                written.hops[wire.receiver] = written.hops.get(wire.sender, 0) + 1
        self._pump(node)

    def _pump(self, node: Node) -> None:
        node.exchange.effects.clear()
        if node.replica.dirty and not node.busy:
            node.busy = True
            self.at(self.now_ms + DISK_MS, "commit", node.number, node.replica.take_batch())

    def _commit(self, number: int, batch: object) -> None:
        node = self.nodes[number]
        node.busy = False
        node.exchange.now_ms = self.now_ms
        node.exchange.committed(batch)  # type: ignore[arg-type]
        self._pump(node)

    def _tick(self, number: int) -> None:
        node = self.nodes[number]
        self.at(self.now_ms + TICK_MS, "tick", number)
        if not node.away:
            node.exchange.now_ms = self.now_ms
            node.exchange.tick()
            self._pump(node)

    def _beat(self, number: int) -> None:
        node = self.nodes[number]
        self.at(self.now_ms + BEAT_MS, "beat", number)
        if not node.away:
            node.exchange.now_ms = self.now_ms
            node.exchange.heartbeat.beat()

    def _write(self, number: int) -> None:
        node = self.nodes[number]
        node.exchange.now_ms = self.now_ms
        bundle = node.replica.mint(self.plan.size_bytes)
        self.written[(bundle.actor, bundle.last)] = Written(
            bundle.actor, bundle.last, self.now_ms, {number: 0}
        )
        self._pump(node)
        before = self.pushed[number]
        node.exchange.minted([bundle])  # type: ignore[list-item]
        self.authored += self.pushed[number] - before

    def _leave(self, number: int) -> None:
        """The process stops; its disk stays as it is."""
        gone = self.nodes[number]
        gone.away = True
        for link in list(gone.exchange.peers):
            gone.exchange.link_down(link)
        for node in self.nodes:
            here = node.exchange.by_node.get(gone.replica.me.node_id)
            links = [n for n, p in node.exchange.peers.items() if p is here]
            for link in links:
                node.exchange.link_down(link)

    def _return(self, number: int) -> None:
        back = self.nodes[number]
        back.away = False
        self.epoch += 1
        back.exchange.now_ms = self.now_ms
        for node in self.nodes:
            if node is back or node.away:
                continue
            delay = self._delay_ms(number, node.number)
            node.exchange.now_ms = self.now_ms
            for mine, theirs in ((back, node), (node, back)):
                link = self._link(theirs.number)
                wire = Wire(self, mine.number, theirs.number, link, delay)
                mine.exchange.link_up(
                    link,
                    theirs.replica.me.node_id,
                    "",
                    wire,  # type: ignore[arg-type]
                )

    # --- looking -----------------------------------------------------------------

    def look(self) -> None:
        """Which writes have their quorum, and which are on all disks of those present."""
        here = [node for node in self.nodes if not node.away]
        waits = [w for w in self.written.values() if not (w.quorum_ms and w.everywhere_ms)]
        if not waits:
            return
        reached = {
            node.replica.own[b"d"]: node.exchange.tally.quorum_seq()
            for node in here
            if node.replica.own
        }
        least: Clock = {}
        for actor in {w.actor for w in waits if not w.everywhere_ms}:
            least[actor] = min(node.exchange.durable.get(actor, 0) for node in here)
        for written in waits:
            if not written.quorum_ms and reached.get(written.actor, 0) >= written.seq:
                written.quorum_ms = self.now_ms
            if not written.everywhere_ms and least.get(written.actor, 0) >= written.seq:
                written.everywhere_ms = self.now_ms

    @property
    def settled(self) -> bool:
        """Whether every write is everywhere, and nobody is away."""
        return (
            len(self.written) == self.plan.writes
            and not any(n.away for n in self.nodes)
            and all(w.everywhere_ms and w.quorum_ms for w in self.written.values())
        )
