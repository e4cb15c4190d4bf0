"""Who holds what: the counting behind every promise.

Law: counted are distinct ready members, by what they acknowledged on their present links, and
this node by its own disk. A data operation is counted by the membership known now; a
membership operation by the membership below its heads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdt.clock import Clock, ahead
from crdt.dot import DATA, PRIVATE, SEQ_MAX, Actor, Dot, NodeId
from crdt.governance_state import GovernanceState
from crdt.quorum import covered

if TYPE_CHECKING:
    from crdt.exchange import Exchange


@dataclass(slots=True)
class _Count:
    """How far W disks have come with one line of this process.

    Attributes:
        actor: whose line.
        state: the membership that counts.
        needed: W.
        reached: W-1 other members acknowledged up to here.
        above: who acknowledged more; always fewer than W-1.
    """

    actor: Actor
    state: GovernanceState
    needed: int
    reached: int
    above: dict[NodeId, int]

    def heard(self, node: NodeId, seq: int) -> None:
        """A node acknowledged; costs what is ahead of the quorum, not the mesh."""
        if seq <= self.reached or node not in self.state.ready:
            return
        above = self.above
        above[node] = seq
        if len(above) >= self.needed - 1:
            reached = self.reached = min(above.values())
            for behind in [n for n, s in above.items() if s == reached]:
                del above[behind]


class Tally:
    """Counts over the rows of an exchange."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._counts: dict[bytes, _Count] = {}

    def quorum_seq(self, lane: bytes = DATA) -> int:
        """Own operations of a lane up to here are on W disks, by the present membership."""
        actor = self._exchange.replica.own.get(lane)
        if actor is None:
            return 0
        if lane == PRIVATE:
            return self._exchange.durable.get(actor, 0)
        state = self._exchange.replica.governance.now
        ready = state.ready
        if self._exchange.replica.me.node_id not in ready:
            return 0
        own, needed = self._exchange.durable.get(actor, 0), state.quorum(self._exchange.wanted_w)
        if needed <= 1:
            return own
        count = self._counts.get(lane)
        if (
            count is None
            or count.state is not state
            or count.actor != actor
            or count.needed != needed
        ):
            count = self._counts[lane] = self._count(actor, state, needed)
        return min(own, count.reached)

    def _count(self, actor: Actor, state: GovernanceState, needed: int) -> "_Count":
        rows = {
            p.node_id: p.row.get(actor, 0)
            for p in self._exchange.peers.values()
            if p.row and p.node_id in state.ready
        }
        reached = covered(SEQ_MAX, rows.values(), needed)
        above = {node: seq for node, seq in rows.items() if seq > reached}
        return _Count(actor, state, needed, reached, above)

    def forget(self) -> None:
        """A link came or went, or a row was assigned as a whole: count from the start."""
        self._counts.clear()

    def acknowledged(self, node: NodeId, clock: Clock) -> None:
        """The row of a node moved by these entries."""
        for count in self._counts.values():
            seq = clock.get(count.actor)
            if seq is not None:
                count.heard(node, seq)

    def holders(self, dot: Dot) -> set[NodeId]:
        """The ready members whose disks are known to hold an operation."""
        ready = self._exchange.replica.governance.now.ready
        return {n for n in self._claimants(dot) if n in ready}

    def _claimants(self, dot: Dot) -> set[NodeId]:
        out = {
            p.node_id
            for p in self._exchange.peers.values()
            if p.row and p.row.get(dot.actor, 0) >= dot.seq
        }
        if self._exchange.durable.get(dot.actor, 0) >= dot.seq:
            out.add(self._exchange.replica.me.node_id)
        return out

    def held_by_quorum(self, dot: Dot) -> bool:
        """Whether W of the present ready members show this operation; any member may judge."""
        state = self._exchange.replica.governance.now
        return len(self._claimants(dot) & state.ready) >= state.quorum(self._exchange.wanted_w)

    def governed_by_quorum(self, dot: Dot, heads: tuple[Dot, ...]) -> bool:
        """Whether a membership operation is committed: counted by the members below its heads."""
        before = self._exchange.replica.governance.state(heads)
        held = self._claimants(dot) & before.ready
        mine = self._exchange.replica.me.node_id in self._claimants(dot)
        return mine and len(held) >= before.quorum(self._exchange.wanted_w)

    def covered_by_all(self, dots: Iterable[Dot]) -> bool:
        """Whether every member is known, on its present link, to hold these operations.

        And to hold nothing that this node lacks: it may have said something before it saw them.
        """
        exchange = self._exchange
        state = exchange.replica.governance.now
        rows = {p.node_id: p.row for p in exchange.peers.values() if p.known and p.row is not None}
        others = state.members.keys() - {exchange.replica.me.node_id}
        if state.unbound or not others <= rows.keys():
            return False
        theirs = [rows[node] or {} for node in others]
        if any(ahead(row, exchange.durable) for row in theirs):
            return False
        held = [exchange.durable, *theirs]
        return all(row.get(dot.actor, 0) >= dot.seq for dot in dots for row in held)

    def reachable(self) -> int:
        """How many ready members are on present links, this node counted."""
        ready = self._exchange.replica.governance.now.ready
        linked = {p.node_id for p in self._exchange.peers.values() if p.row is not None} & ready
        return len(linked) + (self._exchange.replica.me.node_id in ready)

    def caught_up_with_all(self) -> bool:
        """Whether no linked peer is known to hold anything we lack."""
        clock = self._exchange.replica.clock
        return not any(
            p.row is not None and ahead(p.row, clock) for p in self._exchange.peers.values()
        )
