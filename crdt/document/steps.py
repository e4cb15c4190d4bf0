"""Operations of a change in groups that are taken at once.

Law: a group is a run of characters, or of plain values, inserted one behind the other, a run of
elements deleted one after the other, or a single operation. Groups cover a change in its order,
and what a group does is what its operations would do one by one.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from crdt.document.model import Action, ChangeOp, OpId, Scalar, ScalarKind
from crdt.document.span import is_character

_SET: Final = Action.SET
_DELETE: Final = Action.DELETE
_COUNTER: Final = ScalarKind.COUNTER


class Step(NamedTuple):
    """A group of operations.

    Attributes:
        id: the name of the first; the others count on.
        length: how many.
        op: the first.
        run: the characters or plain values that are inserted; None for all else.
    """

    id: OpId
    length: int
    op: ChangeOp
    run: str | list[Scalar] | None = None


def steps_of(ops: Sequence[ChangeOp], actor: bytes, start: int) -> list[Step]:
    """The groups of operations that an actor did in a row; `start` is the first one's counter."""
    out: list[Step] = []
    place = 0
    while place < len(ops):
        op = ops[place]
        named = OpId(start + place, actor)
        if op.insert and op.action == _SET and not op.pred and op.value.kind != _COUNTER:
            step = _insertion(ops, place, named)
        elif op.action == _DELETE and op.pred == (op.key,) and not op.insert:
            step = Step(named, _deleted(ops, place), op)
        else:
            step = Step(named, 1, op)
        out.append(step)
        place += step.length
    return out


def _insertion(ops: Sequence[ChangeOp], first: int, named: OpId) -> Step:
    """The run of insertions that begins at a place: all characters, or none."""
    op = ops[first]
    obj, scalar = op.obj, op.value
    text = is_character(scalar)
    values: list[Scalar] = [scalar]
    counter, actor = named
    for place in range(first + 1, len(ops)):
        there, key, insert, action, scalar, pred, _, _ = ops[place]
        if (
            not insert
            or key != (counter, actor)
            or action != _SET
            or there != obj
            or pred
            or is_character(scalar) is not text
            or scalar.kind == _COUNTER
        ):
            break
        counter += 1
        values.append(scalar)
    if text:
        return Step(named, len(values), op, "".join([str(one.value) for one in values]))
    return Step(named, len(values), op, values)


def _deleted(ops: Sequence[ChangeOp], first: int) -> int:
    """How many operations from a place on delete elements that were inserted in a row."""
    obj, key = ops[first].obj, ops[first].key
    if not isinstance(key, OpId):
        return 1
    counter, actor = key
    for place in range(first + 1, len(ops)):
        op = ops[place]
        counter += 1
        if (
            op.action != _DELETE
            or op.key != (counter, actor)
            or op.pred != (op.key,)
            or op.obj != obj
            or op.insert
        ):
            return place - first
    return len(ops) - first
