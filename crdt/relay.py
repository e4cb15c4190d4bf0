"""Who gets a fresh bundle from its author, and who by way of others.

Law: up to `full_fanout_max` members an author pushes to all. Beyond, it pushes to W-1 members
plus a few, and gives each a part of the ring of node ids; whoever gets a bundle with a part
passes it on to a few nodes within that part, a piece of it each (El-Ansary et al., "Efficient
Broadcast in Structured P2P Networks", 2003). So each node gets each bundle once, no tree is
kept or agreed upon, and a node that is away is passed over by whoever would have told it.
A relay passes on the untouched bytes, and only what is on its own disk. What gets lost shows
in the acknowledgements and is asked for. Governance is rare, and goes to all at once.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING

from crdt import messages as m
from crdt.bundle import Bundle
from crdt.clock import Clock
from crdt.dot import DATA, GOVERNANCE, Actor, NodeId, node_of
from crdt.governance_state import GovernanceState
from crdt.messages import encode
from crdt.peer import Peer
from crdt.state import Batch, BelowFloorError

if TYPE_CHECKING:
    from crdt.exchange import Exchange

Parts = list[tuple[Peer, NodeId]]
"""Who is told, and up to which node it passes on."""


class Relay:
    """Chooses receivers and carries out what this node was asked to pass on."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._state: GovernanceState | None = None
        self._on = False
        self._ring: list[Peer] | None = None
        self._places: list[tuple[bool, NodeId]] = []
        self._parts: Parts | None = None
        self._needed = 0
        self._duties: dict[tuple[Actor, int], NodeId] = {}
        self._passed: Clock = {}
        self._late: dict[bytes, _Late] = {}
        self._turn = 0

    @property
    def on(self) -> bool:
        """Whether this mesh is too large to push to all."""
        state = self._exchange.replica.governance.now
        if state is not self._state:
            self._state, self._parts = state, None
            members = len(state.members) + len(state.unbound)
            self._on = members > self._exchange.limits.full_fanout_max
        return self._on

    def changed(self) -> None:
        """A link came or went, or a peer became level."""
        self._ring = self._parts = None

    # --- the ring ----------------------------------------------------------------

    def _place(self, node_id: NodeId) -> tuple[bool, NodeId]:
        """Where a node stands on the ring, seen from here."""
        return (node_id <= self._exchange.replica.me.node_id, node_id)

    def ring(self) -> list[Peer]:
        """All linked peers, beginning with the one after this node."""
        if self._ring is None:
            peers = self._exchange.by_node
            self._places = sorted(map(self._place, peers))
            self._ring = [peers[node] for _, node in self._places]
        return self._ring

    def _between(self, until: NodeId) -> list[Peer]:
        ring = self.ring()
        if until == self._exchange.replica.me.node_id:
            return ring
        return ring[: bisect_left(self._places, self._place(until))]

    # --- own bundles -------------------------------------------------------------

    def spread(self, actor: Actor, data: bytes) -> None:
        """Send a fresh bundle of this node on its way."""
        parts = self._own_parts(actor)
        if not parts:
            self.push_to_all(actor, data)
        for peer, until in parts:
            self._exchange.push(peer, [(actor, encode(m.Spread(data, until)))])

    def push_to_all(self, actor: Actor, data: bytes) -> None:
        """Send a fresh bundle to every level peer, encoded once."""
        pushes = [(actor, encode(m.Push(data)))]
        for peer in self._exchange.peers.values():
            if peer.pushing and not peer.stopped:
                self._exchange.push(peer, pushes)

    def _own_parts(self, actor: Actor) -> Parts:
        """Whom this author pushes to; kept while all of them are there. Empty means all."""
        exchange = self._exchange
        state, parts = exchange.replica.governance.now, self._parts
        needed = state.quorum(exchange.wanted_w)
        if parts and needed == self._needed and all(_usable(p, actor) for p, _ in parts):
            return parts
        self._needed, self._parts = needed, None
        level = [p for p in self.ring() if _usable(p, actor)]
        width = max(needed - 1 + exchange.limits.relay_extra, 1)
        if len(level) <= width:
            return []
        first = [p for p in level if p.node_id in state.ready] or level
        self._parts = _cut(first, width, self._turn, None)
        return self._parts

    def tick(self) -> None:
        """A write whose quorum does not come from the first few is pushed to all."""
        exchange = self._exchange
        if not self.on or exchange.catchup.joining:
            return
        for lane in (GOVERNANCE, DATA):
            actor = exchange.replica.own.get(lane)
            if actor is not None:
                self._look(lane, actor)

    def _look(self, lane: bytes, actor: Actor) -> None:
        exchange = self._exchange
        reached = exchange.tally.quorum_seq(lane)
        if reached >= exchange.durable.get(actor, 0):
            self._late.pop(lane, None)
            return
        late = self._late.get(lane)
        if late is None or late.reached != reached:
            self._late[lane] = _Late(reached, exchange.now_ms, 2 * exchange.limits.patience_ms)
        elif exchange.now_ms - late.since_ms > late.patience_ms:
            late.since_ms = exchange.now_ms
            late.patience_ms *= 2
            self._turn += 1
            self._parts = None
            self._push_tail(actor, reached)

    def _push_tail(self, actor: Actor, reached: int) -> None:
        exchange = self._exchange
        last = exchange.replica.clock.get(actor, 0)
        short = [
            peer
            for peer in exchange.peers.values()
            if _usable(peer, actor) and (peer.row or {}).get(actor, 0) < last
        ]
        limit = exchange.limits.peer_queue_bytes_max
        row = exchange.replica.actors.get(actor)
        if not short or row is None or row.floor > reached:
            return
        tail = exchange.replica.own_tail(actor, reached, limit)
        pushes = [(actor, encode(m.Push(data))) for data in tail or ()]
        for peer in short:
            exchange.push(peer, pushes)

    # --- others' bundles ---------------------------------------------------------

    def owe(self, bundle: Bundle, until: NodeId) -> None:
        """A bundle is applied that is to be passed on as soon as it is on disk."""
        actor, last = bundle.actor, bundle.last
        if last <= self._passed.get(actor, 0):
            return
        self._passed[actor] = last
        if self._exchange.durable.get(actor, 0) < last:
            self._duties[(actor, last)] = until
        elif (data := self._logged(bundle)) is not None:
            self._pass_on(actor, last, data, until)

    def _logged(self, bundle: Bundle) -> bytes | None:
        """The bytes on our disk: those of one that came again were not verified."""
        try:
            tail = self._exchange.replica.state.tail(bundle.actor, bundle.first - 1, 1)
        except BelowFloorError:
            return None
        return tail[0] if tail else None

    def committed(self, batch: Batch) -> None:
        """Pass on what has reached the disk."""
        if not self._duties:
            return
        for logged in batch.bundles:
            until = self._duties.pop((logged.actor, logged.last), None)
            if until is not None:
                self._pass_on(logged.actor, logged.last, logged.data, until)

    def _pass_on(self, actor: Actor, last: int, data: bytes, until: NodeId) -> None:
        exchange, author = self._exchange, node_of(actor)
        lacking = [
            peer
            for peer in self._between(until)
            if _usable(peer, actor)
            and peer.node_id != author
            and (peer.row or {}).get(actor, 0) < last
        ]
        for peer, end in _cut(lacking, exchange.limits.relay_fanout, 0, until):
            exchange.push(peer, [(actor, encode(m.Spread(data, end)))])

    def clear(self) -> None:
        """The store was swapped: what was owed came with another disk."""
        self._duties.clear()


class _Late:
    """How far the quorum had come, since when, and how long this may last."""

    __slots__ = ("patience_ms", "reached", "since_ms")

    def __init__(self, reached: int, since_ms: int, patience_ms: int) -> None:
        self.reached, self.since_ms, self.patience_ms = reached, since_ms, patience_ms


def _usable(peer: Peer, actor: Actor) -> bool:
    return peer.pushing and not peer.stopped and actor not in peer.muted


def _cut(peers: list[Peer], width: int, turn: int, until: NodeId | None) -> Parts:
    """Choose evenly spaced peers, each with the piece of the ring up to the next one.

    Args:
        peers: in the order of the ring.
        width: how many to choose.
        turn: chooses others.
        until: where the last piece ends; None for the first chosen, all around the ring.
    """
    count = min(width, len(peers))
    shift = turn % max(len(peers) // max(count, 1), 1)
    chosen = [peers[i * len(peers) // count + shift] for i in range(count)]
    if not chosen:
        return []
    ends = [peer.node_id for peer in chosen[1:]]
    ends.append(chosen[0].node_id if until is None else until)
    return list(zip(chosen, ends, strict=True))
