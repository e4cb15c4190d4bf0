"""What an operation does to the state.

Law: a pure function of the operation and of what lies below it. Refused = the clock moves on
and nothing else does. A gate that fails refuses, on every node alike.
"""

from collections.abc import Sequence

from crdt.decisions import decided
from crdt.dot import GOVERNANCE, PRIVATE, Dot, NodeId, lane_of
from crdt.governance import Governance
from crdt.governance_state import ADVISORY
from crdt.notes import Note, note
from crdt.op import DECISION_KINDS, Kind, Op, record_key
from crdt.overlay import Overlay
from crdt.pending import Pending, pending_of
from crdt.pending_table import PendingTable
from crdt.policy import ALLOWED, DENIED, Answer, Verdict
from crdt.record import apply, seal
from crdt.request import together


class Applying:
    """Applies operations to an overlay.

    Args:
        governance: its history.
        held: what is held for approval.
        overlay: where records change.

    Attributes:
        notes: what happened, until somebody takes it.
        refused: how many operations had no effect.
        bundle_first: where the bundle begins that is being applied; 0 while this node mints.
    """

    def __init__(self, governance: Governance, held: PendingTable, overlay: Overlay) -> None:
        self.governance = governance
        self.held = held
        self.overlay = overlay
        self.notes: list[Note] = []
        self.refused = 0
        self.bundle_first = 0

    def take(self, op: Op) -> bytes | None:
        """Give one operation its effect.

        Returns:
            The key of the record that it is about; None for what is about none.
        """
        lane = lane_of(op.dot.actor)
        if lane == GOVERNANCE:
            self._govern(op)
            return None
        if op.kind in DECISION_KINDS:
            self._decide(op)
            return None
        key = record_key(lane, op.collection, op.id)
        verdict = self.verdict(op)
        leader = self._leader(op) if op.target is not None else None
        if leader is not None:
            verdict = together(verdict, self.held.ops[leader].approver)
        self.begin(op, verdict)
        if verdict.answer is Answer.DENY:
            self._refuse(op)
            return key
        held = verdict.answer is Answer.PENDING
        before = self.overlay.read(key)
        self.overlay.put(key, before, apply(before, op, pending=held))
        return key

    def tolerate(self, ops: Sequence[Op], me: NodeId) -> None:
        """Note what this node lets pass only because it does not enforce."""
        state = self.governance.now
        if state.modes.get(me) != ADVISORY:
            return
        for op in ops:
            if lane_of(op.dot.actor) != PRIVATE and state.judged(op).answer is not Answer.ALLOW:
                self.notes.append(note("tolerated", op))

    def _govern(self, op: Op) -> None:
        if op.idempotency is not None:
            self.overlay.remember(op.idempotency, op.dot)
        if self.governance.apply(op):
            self.notes.append(note("governed", op))
        else:
            self._refuse(op)

    def _refuse(self, op: Op) -> None:
        """The clock moves on and nothing else does."""
        self.refused += 1
        self.notes.append(note("refused", op))

    def begin(self, op: Op, verdict: Verdict) -> None:
        """What an operation leaves besides its record: the retry it answers, the wait it begins."""
        if op.idempotency is not None:
            self.overlay.remember(op.idempotency, op.dot)
        if verdict.answer is Answer.PENDING:
            self._hold(op.dot, pending_of(op, verdict, self._leader(op)))
            self.notes.append(note("pending", op))

    def _leader(self, op: Op) -> Dot | None:
        """The first operation of the request, when it too is held, about the same record.

        A request is never cut, so what comes in a later bundle belongs to another one: nobody
        can hang more on what was voted about already.
        """
        first = self.held.ops.get(op.target) if op.target else None
        same = (
            first is not None
            and op.target is not None
            and op.target.actor == op.dot.actor
            and op.target.seq >= self.bundle_first
            and first.key == key_of(op)
            and first.requester == op.agent
            and first.leader is None
        )
        return op.target if same else None

    def verdict(self, op: Op) -> Verdict:
        """What governance below its heads says of an operation on a record."""
        try:
            verdict = self.governance.state(op.heads).verdict(op)
        except MemoryError:  # on this node alone: refused here and nowhere else
            raise
        except Exception:  # noqa: BLE001 - a gate that fails refuses, on every node alike
            return DENIED
        if verdict.answer is Answer.PENDING and lane_of(op.dot.actor) == PRIVATE:
            # Nobody else could look at it or vote; to share it is judged on its own.
            return ALLOWED
        return verdict

    def _decide(self, op: Op) -> None:
        held = self.held.ops.get(op.target) if op.target else None
        state = self.governance.state(op.heads)
        after = decided(op, held, state) if held is not None else None
        if op.idempotency is not None:
            self.overlay.remember(op.idempotency, op.dot)
        if held is None or after is None or op.target is None:
            self.refused += 1
            self.notes.append(note("void", op, held))
            return
        # The record itself stays as it is; what is listed of it may change with the vote.
        before = self.overlay.read(held.key)
        self.overlay.put(held.key, before, before)
        self._hold(op.target, after)
        if op.kind is Kind.SEAL:
            self.overlay.put(held.key, before, seal(before, op.target, after.sealed))
        self.notes.append(note("sealed" if op.kind is Kind.SEAL else "voted", op, held))

    def _hold(self, dot: Dot, pending: Pending) -> None:
        before = self.held.ops.get(dot)
        self.held.put(dot, pending)
        self.overlay.put_pending(dot, before, pending)


def key_of(op: Op) -> bytes:
    """The key of the record that an operation is about."""
    return record_key(lane_of(op.dot.actor), op.collection, op.id)
