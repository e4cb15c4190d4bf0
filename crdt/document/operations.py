"""The operations of a change as columns, written and read.

Law: as of `change`. Every column has a row for each operation or is not there; what one row says
of an operation another must not contradict.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Final, TypeVar

from crdt.document.columns import (
    Read,
    TooManyRowsError,
    read_booleans,
    read_deltas,
    read_strings,
    read_uints,
    write_booleans,
    write_deltas,
    write_strings,
    write_uints,
)
from crdt.document.model import (
    MAKES,
    NULL,
    Action,
    ChangeError,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
    OpId,
    ScalarKind,
)
from crdt.document.values import read_values, write_values

OBJECT_ACTOR: Final = 0x01
OBJECT_COUNTER: Final = 0x02
KEY_ACTOR: Final = 0x11
KEY_COUNTER: Final = 0x13
KEY_STRING: Final = 0x15
INSERT: Final = 0x34
ACTION: Final = 0x42
VALUE_META: Final = 0x56
VALUE: Final = 0x57
PRED_COUNT: Final = 0x70
PRED_ACTOR: Final = 0x71
PRED_COUNTER: Final = 0x73
EXPAND: Final = 0x94
MARK: Final = 0xA5
COLUMNS: Final = frozenset(
    {
        *(OBJECT_ACTOR, OBJECT_COUNTER, KEY_ACTOR, KEY_COUNTER, KEY_STRING, INSERT, ACTION),
        *(VALUE_META, VALUE, PRED_COUNT, PRED_ACTOR, PRED_COUNTER, EXPAND, MARK),
    }
)
_ACTIONS: Final = tuple(Action)
_STEPS: Final = frozenset({ScalarKind.INT, ScalarKind.UINT})
_NO_IDS: Final[tuple[OpId, ...]] = ()
# Named tuples made without a call of Python's own: there are a dozen to a small change.
_op: Final[Callable[[tuple[Any, ...]], ChangeOp]] = partial(tuple.__new__, ChangeOp)
_id: Final[Callable[[tuple[int, bytes]], OpId]] = partial(tuple.__new__, OpId)

R = TypeVar("R")


def actors_of(ops: Iterable[ChangeOp]) -> set[bytes]:
    """The actors that operations mention."""
    found: set[bytes] = set()
    for op in ops:
        if op.obj is not None:
            found.add(op.obj.actor)
        if isinstance(op.key, OpId):
            found.add(op.key.actor)
        found.update(one.actor for one in op.pred)
    return found


def write_ops(ops: Sequence[ChangeOp], index: dict[bytes, int]) -> list[tuple[int, bytes]]:
    """The columns of operations: what each is called, and its bytes.

    Args:
        ops: the operations.
        index: the actors that they mention, and the place of each in the change's table.

    Raises:
        ChangeError: a value cannot be said.
    """
    if not ops:
        return []
    objects = [op.obj for op in ops]
    elements = [op.key if isinstance(op.key, OpId) else None for op in ops]
    preds = [one for op in ops for one in op.pred]
    meta, raw = write_values(op.value for op in ops)
    expands = [op.expand for op in ops]
    columns = [
        (OBJECT_ACTOR, write_uints([one and index[one.actor] for one in objects])),
        (OBJECT_COUNTER, write_uints([one and one.counter for one in objects])),
        (KEY_ACTOR, write_uints([one and index[one.actor] for one in elements])),
        (KEY_COUNTER, write_deltas([_key_counter(op.key) for op in ops])),
        (KEY_STRING, write_strings([op.key if isinstance(op.key, str) else None for op in ops])),
        (INSERT, write_booleans(op.insert for op in ops)),
        (ACTION, write_uints([int(op.action) for op in ops])),
        (VALUE_META, meta),
        (VALUE, raw),
        (PRED_COUNT, write_uints([len(op.pred) for op in ops])),
        (PRED_ACTOR, write_uints([index[one.actor] for one in preds])),
        (PRED_COUNTER, write_deltas([one.counter for one in preds])),
        (EXPAND, write_booleans(expands) if any(expands) else b""),
        (MARK, write_strings([op.mark for op in ops])),
    ]
    return [column for column in columns if column[1]]


def _key_counter(key: str | OpId | None) -> int | None:
    if isinstance(key, str):
        return None
    return 0 if key is None else key.counter


def check_ops(ops: Iterable[ChangeOp]) -> None:
    """Refuse operations that make no sense, whatever the document.

    Raises:
        ChangeError: an operation says what others would drop, or cannot mean anything.
    """
    before: ChangeOp | None = None
    for op in ops:
        _, key, insert, action, _, pred, expand, mark = op
        if insert:
            if pred or key.__class__ is str:
                raise ChangeError("an insertion overwrites something, or has the key of a map")
        elif key is None:
            raise ChangeError("an operation is about the place before all elements")
        if action is not Action.SET and not _fits(op, before):
            raise ChangeError(f"no change holds such an operation: {Action(action).name.lower()}")
        if action is not Action.MARK and (expand or mark is not None):
            raise ChangeError("something that marks nothing has the name of a mark")
        if len(pred) > 1 and any(one >= after for one, after in pairwise(pred)):
            raise ChangeError("the predecessors of an operation are not in order")
        before = op


def _fits(op: ChangeOp, before: ChangeOp | None) -> bool:
    """Whether an operation that sets nothing has what it needs, and nothing that others drop."""
    if op.action in MAKES:
        return op.value == NULL
    if op.action is Action.MARK:
        return op.insert and (op.mark is not None or _ends(op, before))
    if op.insert or not op.pred:
        return False
    return op.value.kind in _STEPS if op.action is Action.INCREMENT else op.value == NULL


def _ends(op: ChangeOp, before: ChangeOp | None) -> bool:
    """Whether an operation ends the mark that the one before begins; an end has no other name."""
    return (
        before is not None
        and before.action is Action.MARK
        and before.mark is not None
        and before.obj == op.obj
        and before.key != op.key
        and op.value == NULL
    )


def read_ops(
    columns: dict[int, bytes], actors: Sequence[bytes], limits: DocumentLimits
) -> tuple[ChangeOp, ...]:
    """The operations that columns hold.

    Args:
        columns: the bytes of each.
        actors: the change's table; its own comes first.
        limits: bounds of a change.

    Raises:
        DocumentTooLargeError: there are more than a change may have.
        ChangeError: columns contradict each other, or hold what operations do not.
        IndexError: an actor is mentioned that the table does not have.
    """
    if not columns:
        if len(actors) > 1:
            raise ChangeError("an actor is named that no operation mentions")
        return ()
    most = limits.change_ops_max
    try:
        kinds = read_uints(columns.get(ACTION, b""), most)
    except TooManyRowsError:
        raise DocumentTooLargeError("change_ops_max", most, most + 1) from None
    count = len(kinds)
    table = _Table(columns, count)
    key_actors = table.rows(KEY_ACTOR, read_uints)
    object_actors = table.rows(OBJECT_ACTOR, read_uints)
    preds, pred_actors = _read_preds(table, actors, most)
    if len(actors) > 1:
        mentioned = {*key_actors, *object_actors, *pred_actors, 0, None}
        if len(mentioned) != len(actors) + 1:
            raise ChangeError("an actor is named that no operation mentions")
    texts = table.rows(KEY_STRING, read_strings)
    expands = table.rows(EXPAND, read_booleans)
    if EXPAND in columns and not any(expands):
        raise ChangeError("a column that says nothing is not left out")
    ops = tuple(
        map(
            _op,
            zip(
                _read_ids(object_actors, table.rows(OBJECT_COUNTER, read_uints), actors),
                _read_keys(key_actors, table.rows(KEY_COUNTER, read_deltas), texts, actors),
                table.every(INSERT, read_booleans),
                _read_actions(table.every(ACTION, read_uints)),
                read_values(columns.get(VALUE_META, b""), columns.get(VALUE, b""), count),
                preds,
                expands if EXPAND in columns else (False,) * count,
                table.rows(MARK, read_strings),
                strict=True,
            ),
        )
    )
    check_ops(ops)
    return ops


class _Table:
    """The columns of a change, of which each has a row for every operation, or is not there."""

    __slots__ = ("_columns", "_count")

    def __init__(self, columns: dict[int, bytes], count: int) -> None:
        self._columns = columns
        self._count = count

    def rows(self, name: int, read: Read[R]) -> Sequence[R | None]:
        """A column that need not be there."""
        data = self._columns.get(name)
        if data is None:
            return (None,) * self._count
        rows = read(data, self._count)
        if len(rows) != self._count:
            raise ChangeError(f"column {name:#x} has {len(rows)} of {self._count} rows")
        return rows

    def every(self, name: int, read: Read[R | None]) -> Sequence[R]:
        """A column without which there is no operation, nor with an empty row of it."""
        rows = self.rows(name, read)
        if None in rows:
            raise ChangeError(f"column {name:#x} lacks what every operation has")
        return rows  # type: ignore[return-value]  # none of them is None

    def group(self, name: int, read: Read[R | None], count: int) -> Sequence[R]:
        """A column with as many rows as all groups together."""
        data = self._columns.get(name, b"")
        rows = read(data, count)
        if len(rows) != count or None in rows:
            raise ChangeError(f"column {name:#x} does not have the rows that its groups count")
        return rows  # type: ignore[return-value]  # none of them is None


def _read_actions(kinds: Sequence[int]) -> list[Action]:
    if max(kinds, default=0) >= len(_ACTIONS):
        raise ChangeError(f"an action of another version: {max(kinds)}")
    return [_ACTIONS[kind] for kind in kinds]


def _read_preds(
    table: _Table, actors: Sequence[bytes], most: int
) -> tuple[list[tuple[OpId, ...]], Sequence[int]]:
    sizes = table.every(PRED_COUNT, read_uints)
    total = sum(sizes)
    if total > most:
        raise DocumentTooLargeError("change_ops_max", most, total)
    owners = table.group(PRED_ACTOR, read_uints, total)
    counters = table.group(PRED_COUNTER, read_deltas, total)
    if not total:
        return [_NO_IDS] * len(sizes), owners
    ids = [_id((counter, actors[owner])) for counter, owner in zip(counters, owners, strict=True)]
    if 0 in counters:
        raise ChangeError("no operation is called zero")
    preds: list[tuple[OpId, ...]] = []
    at = 0
    for size in sizes:
        preds.append(tuple(ids[at : at + size]))
        at += size
    return preds, owners


def _read_ids(
    owners: Sequence[int | None], counters: Sequence[int | None], actors: Sequence[bytes]
) -> list[OpId | None]:
    """The objects that operations are about; neighbours share one name in memory."""
    ids: list[OpId | None] = []
    before: tuple[int | None, int | None] = (None, None)
    one: OpId | None = None
    for place in zip(owners, counters, strict=True):
        if place != before:
            owner, counter = before = place
            if owner is None and counter is None:
                one = None
            elif owner is None or not counter:
                raise ChangeError("the name of an object is no such name")
            else:
                one = _id((counter, actors[owner]))
        ids.append(one)
    return ids


def _read_keys(
    owners: Sequence[int | None],
    counters: Sequence[int | None],
    texts: Sequence[str | None],
    actors: Sequence[bytes],
) -> list[str | OpId | None]:
    keys: list[str | OpId | None] = []
    for owner, counter, text in zip(owners, counters, texts, strict=True):
        if counter is None:
            if owner is not None or text is None:
                raise ChangeError("an operation has no key, or half of one")
            keys.append(text)
        elif text is not None or (owner is None) is not (counter == 0):
            raise ChangeError("an operation has two keys, or half of one")
        else:
            keys.append(None if owner is None else _id((counter, actors[owner])))
    return keys
