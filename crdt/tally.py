"""Who holds what: the counting behind every promise.

Law: counted are distinct ready members, by what they acknowledged on their present links, and
this node by its own disk. A data operation is counted by the membership known now; a
membership operation by the membership below its heads.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from crdt.clock import ahead
from crdt.dot import DATA, PRIVATE, Dot, NodeId
from crdt.quorum import covered

if TYPE_CHECKING:
    from crdt.exchange import Exchange


class Tally:
    """Counts over the rows of an exchange."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange

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
        rows = {
            p.node_id: p.row for p in self._exchange.peers.values() if p.row and p.node_id in ready
        }
        others = (row.get(actor, 0) for row in rows.values())
        return covered(
            self._exchange.durable.get(actor, 0), others, state.quorum(self._exchange.wanted_w)
        )

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
