"""Operations in the order in which they arrived here, each with what became of it.

Law: only what is on the disk. What an operation came to is asked of the core again, which
gives the answer it gave when the operation was applied: a verdict is a function of the
operation and of the governance below its heads.
"""

from dataclasses import dataclass, field
from typing import Final

from crdt.bundle import Bundle, read_bundle
from crdt.dot import GOVERNANCE, Dot, lane_of, node_of
from crdt.governance_shape import is_authorised, is_proper
from crdt.op import DECISION_KINDS, Kind, Op
from crdt.policy import Answer
from node.contracts import Applied, Operations, Place
from node.replication.engine import Engine
from node.store.oplog import Decoded, OpLog

APPLIED: Final = "applied"
HELD: Final = "held"
REFUSED: Final = "refused"

_BUNDLES_MAX: Final = 64
_END: Final = 2**31


class Journal:
    """The operations of one node.

    Args:
        engine: whose log is read, as it is at each look.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._decoded = Decoded()

    @property
    def _log(self) -> OpLog:
        return OpLog(self._engine.store.environment)

    def after(self, after: Place, limit: int) -> Operations:
        """Operations that arrived after a place, at most `limit`."""
        log, latest = self._log, self._engine.store.head.arrivals
        page = _Page(limit)
        rest = self._rest(after)
        if rest is None:
            page.missing = 0 < after.arrival <= latest and after.step < _END
        else:
            page.take(after.arrival, rest, after.step)
        expected = after.arrival + 1
        while not page.is_full():
            found = log.after(expected - 1, min(_BUNDLES_MAX, limit))
            if not found:
                page.missing = page.missing or (not page.rows and expected <= latest)
                break
            for arrival, entry in found:
                if arrival != expected and page.rows:
                    return self._told(page)  # the hole is told with the next look
                page.missing = page.missing or arrival != expected
                expected = arrival + 1
                page.take(arrival, self._bundle(arrival, entry.data), -1)
                if page.is_full():
                    break
        return self._told(page)

    def _rest(self, after: Place) -> Bundle | None:
        """The bundle that a place lies in; None when it is not in the log."""
        held = self._decoded.held(self._engine.store.store_id, after.arrival)
        if held is not None or not after.arrival or after.step >= _END:
            return held
        entry = self._log.at(after.arrival)
        return None if entry is None else self._bundle(after.arrival, entry.data)

    def _told(self, page: "_Page") -> Operations:
        return Operations(
            rows=[Applied(place=place, op=op, effect=self._effect(op)) for place, op in page.rows],
            missing=page.missing,
            before=page.before,
            behind=page.behind,
        )

    def latest(self) -> Place:
        """The end of what is on the disk."""
        return Place(self._engine.store.head.arrivals, _END)

    def place_of(self, dot: Dot) -> Place | None:
        """Where an operation stands; None when it is not in the log."""
        arrival = self._log.arrival_of(dot)
        entry = None if arrival is None else self._log.at(arrival)
        if arrival is None or entry is None:
            return None
        return Place(arrival, dot.seq - entry.first)

    def since(self, ms: int) -> Place:
        """A place after which everything stands that arrived since a millisecond."""
        return Place(self._log.arrival_since(ms), _END)

    def _bundle(self, arrival: int, data: bytes) -> Bundle:
        replica = self._engine.replica

        def read(raw: bytes) -> Bundle:
            return read_bundle(raw, cluster=replica.cluster, ops_max=replica.me.ops_max)

        return self._decoded.bundle(self._engine.store.store_id, arrival, data, read)

    def _effect(self, op: Op) -> str:
        replica = self._engine.replica
        if lane_of(op.dot.actor) == GOVERNANCE:
            return APPLIED if self._governs(op) else REFUSED
        if op.kind in DECISION_KINDS:
            held = replica.pending.get(op.target) if op.target is not None else None
            if held is None or (op.kind is Kind.VOTE and op.dot not in held.votes):
                return REFUSED
            return APPLIED
        if op.dot in replica.pending:
            return HELD
        verdict = replica.verdict(op)
        return REFUSED if verdict.answer is Answer.DENY else APPLIED

    def _governs(self, op: Op) -> bool:
        if op.kind in {Kind.FOUND, Kind.FORK}:
            return True
        state = self._engine.replica.governance.state(op.heads)
        if node_of(op.dot.actor) not in state.members:
            return False
        return op.kind is Kind.READY or (is_proper(op) and is_authorised(op, state))


@dataclass(slots=True)
class _Page:
    """What one look gathers."""

    limit: int
    rows: list[tuple[Place, Op]] = field(default_factory=list)
    missing: bool = False
    before: Op | None = None
    behind: Op | None = None

    def is_full(self) -> bool:
        return len(self.rows) >= self.limit

    def take(self, arrival: int, bundle: Bundle, after: int) -> None:
        """Add what stands in a bundle behind an index, as far as there is room."""
        start = max(after + 1, 0)
        end = min(len(bundle.ops), start + self.limit - len(self.rows))
        if start >= end:
            return
        if not self.rows:
            self.before = bundle.ops[start - 1] if start else None
        self.behind = bundle.ops[end] if end < len(bundle.ops) else None
        self.rows += [(Place(arrival, at), bundle.ops[at]) for at in range(start, end)]
