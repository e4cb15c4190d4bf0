"""How far other members are behind: one answer for the API and for the metrics.

Law: counted is what this node's disk holds and the member has not acknowledged, as it last
said on any link of this process. The age is that of a mark: a clock of ours and the time at
which we had it. While the member does not cover the mark its age grows; when it does, the mark
moves up. So a member that follows a steady stream of writes never looks old, and one that does
not is at least as far behind as it looks.
"""

from dataclasses import dataclass, field

from crdt.clock import Clock, shared
from crdt.dot import NodeId
from node.replication.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Lag:
    """Operations that a member has not acknowledged, and for how long the oldest at least."""

    ops: int
    seconds: float


@dataclass(slots=True)
class _Mark:
    """A clock of ours, and since when we have held it (milliseconds)."""

    clock: Clock
    at_ms: int


@dataclass(slots=True)
class Lags:
    """Measures the members of an engine.

    Attributes:
        engine: whose disk is compared.
    """

    engine: Engine
    _rows: dict[NodeId, Clock] = field(default_factory=dict)
    _marks: dict[NodeId, _Mark] = field(default_factory=dict)

    def look(self) -> dict[NodeId, Lag]:
        """How far every other member is behind now."""
        exchange, me = self.engine.exchange, self.engine.me.node_id
        for peer in exchange.peers.values():
            if peer.row is not None:
                self._rows[peer.node_id] = peer.row
        members = self.engine.replica.governance.now.members.keys() - {me}
        for gone in self._rows.keys() - members:
            del self._rows[gone]
        for gone in self._marks.keys() - members:
            del self._marks[gone]
        durable, now_ms = shared(exchange.durable), self.engine.now_ms()
        return {node: self._lag(node, durable, now_ms) for node in members}

    def _lag(self, node: NodeId, durable: Clock, now_ms: int) -> Lag:
        row = self._rows.get(node, {})
        lacks = _beyond(durable, row)
        mark = self._marks.get(node)
        if mark is None or not _beyond(mark.clock, row):
            mark = self._marks[node] = _Mark(durable, now_ms)
        ops = sum(n - row.get(actor, 0) for actor, n in lacks.items())
        return Lag(ops=ops, seconds=max(now_ms - mark.at_ms, 0) / 1000 if ops else 0.0)


def _beyond(held: Clock, row: Clock) -> Clock:
    """The entries that a row does not cover; most of the time none, of thousands."""
    if held == row:
        return {}
    get = row.get
    return {actor: n for actor, n in held.items() if get(actor, 0) < n}
