"""The operations of one request while they are minted.

Law: all or none. What a request does to one record is decided together: an operation that is
follows a held one of the same record names it and is held with it, because nothing is ever
shown half.
"""

from dataclasses import dataclass, field
from typing import Any

from crdt.op import Op
from crdt.pending import action_of
from crdt.policy import Answer, Verdict
from crdt.record import Record, apply


class DeniedError(PermissionError):
    """Governance refuses one of the drafts; nothing was minted.

    Args:
        what: what is refused, in words.
        code: the stable code of the reason.
    """

    def __init__(self, what: str, code: str = "denied") -> None:
        super().__init__(what)
        self.code = code


class HalfHeldError(DeniedError):
    """Governance would hold one part of what belongs together; nothing was minted."""


@dataclass(slots=True)
class Request:
    """What is minted so far.

    Attributes:
        ops: the operations.
        keys: of the record that each is about.
        verdicts: what governance says of each.
        scratch: per key, the record as it stands and as these operations leave it.
        first: per key, the operation that touched it first.
    """

    ops: list[Op] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    scratch: dict[bytes, tuple[Record | None, Record | None]] = field(default_factory=dict)
    first: dict[tuple[str, str], int] = field(default_factory=dict)

    def leader(self, op: Op) -> Op:
        """The operation, naming the held one of the same record that it belongs to."""
        place = self.first.get((op.collection, op.id))
        if place is None or self.verdicts[place].answer is not Answer.PENDING:
            return op
        first = self.ops[place].dot
        return op._replace(target=first) if first.actor == op.dot.actor else op

    def verdict_with(self, op: Op, verdict: Verdict) -> Verdict:
        """The verdict on an operation, given the one that it names."""
        if op.target is None:
            return verdict
        return together(verdict, self.verdicts[self.first[op.collection, op.id]].approver)

    def take(self, op: Op, key: bytes, verdict: Verdict) -> None:
        """Add an operation.

        Raises:
            HalfHeldError: governance holds it, and not the one it belongs to.
            DeniedError: governance refuses it.
        """
        permit(op, verdict)
        place = self.first.setdefault((op.collection, op.id), len(self.ops))
        if place < len(self.ops) and self.verdicts[place].answer is not verdict.answer:
            raise HalfHeldError(
                "governance would hold a part of this change and let the other pass"
            )
        before, record = self.scratch[key]
        after = apply(record, op, pending=verdict.answer is Answer.PENDING)
        self.scratch[key] = (before, after)
        self.ops.append(op)
        self.keys.append(key)
        self.verdicts.append(verdict)

    def take_new(self, op: Op, key: bytes, verdict: Verdict) -> None:
        """Add a creation under a key that nothing else is about.

        Raises:
            DeniedError: governance refuses it.
        """
        answer = verdict.answer
        if answer is Answer.DENY:
            permit(op, verdict)
        self.scratch[key] = (None, apply(None, op, pending=answer is Answer.PENDING))
        self.ops.append(op)
        self.keys.append(key)
        self.verdicts.append(verdict)


def permit(op: Op, verdict: Verdict) -> None:
    """Go on unless governance refuses an operation.

    Raises:
        DeniedError: it does.
    """
    if verdict.answer is Answer.DENY:
        raise DeniedError(f"governance of {op.namespace!r} refuses {action_of(op)}")


def together(verdict: Verdict, approver: Any) -> Verdict:
    """The verdict on an operation that belongs to one held for `approver`."""
    if verdict.answer is not Answer.ALLOW:
        return verdict
    return Verdict(answer=Answer.PENDING, approver=approver)
