"""Shapes: what is the same in the columns of many changes.

Law: a shape and the places, keys and values that were taken out of it give the columns again,
byte for byte; whether they are columns at all is for whoever reads the change.

The shape of a change is its columns without the strings of keys, the bytes of values, and
without numbers that say where in a document it happened. Of those the shape keeps only whether
they are as one would guess: text is mostly typed after what was typed just now, and deleted from
left to right, and what is overwritten is mostly the element that an operation is about.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from crdt.document.columns import (
    NUMBER_MAX,
    TooManyRowsError,
    read_booleans,
    read_deltas,
    read_uints,
    write_deltas,
    write_uints,
)
from crdt.document.leb import read_uleb, uleb
from crdt.document.model import ChangeError
from crdt.document.operations import (
    COLUMNS,
    INSERT,
    KEY_COUNTER,
    KEY_STRING,
    PRED_COUNT,
    PRED_COUNTER,
    VALUE,
)

Guess = Callable[[int, int | None], int]
"""(row, the value before) -> the likely value."""

Columns = dict[int, bytes]
_ELSEWHERE: Final = frozenset({KEY_STRING, VALUE})


class Cursor:
    """Reads one stream from its beginning on."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def unsigned(self) -> int:
        """The next unsigned number.

        Raises:
            ChangeError: none follows.
        """
        number, self._at = read_uleb(self._data, self._at)
        return number

    def signed(self) -> int:
        """The next signed number, from an unsigned one with the sign at its end.

        Raises:
            ChangeError: none follows.
        """
        number = self.unsigned()
        return -(number >> 1) - 1 if number & 1 else number >> 1

    def take(self, length: int) -> bytes:
        """The next so many bytes.

        Raises:
            ChangeError: there are fewer.
        """
        start, self._at = self._at, self._at + length
        if self._at > len(self._data):
            raise ChangeError("a pack is cut off")
        return self._data[start : self._at]

    def blob(self) -> bytes:
        """The next bytes, whose length stands before them.

        Raises:
            ChangeError: there are fewer.
        """
        return self.take(self.unsigned())

    @property
    def over(self) -> bool:
        """Whether the stream is at its end."""
        return self._at == len(self._data)


def signed(number: int) -> bytes:
    """What `Cursor.signed` reads."""
    return uleb(number << 1 if number >= 0 else (-number << 1) - 1)


def blob(data: bytes) -> bytes:
    """What `Cursor.blob` reads."""
    return uleb(len(data)) + data


class Rest(NamedTuple):
    """Where that stands which is no part of a shape."""

    places: Cursor
    keys: Cursor
    values: Cursor


class Shape(NamedTuple):
    """A shape, taken apart.

    Attributes:
        columns: each with its bytes, in order; those that stand elsewhere with none.
        value_bytes: how long the column of values is.
    """

    columns: Columns
    value_bytes: int


def fold(columns: Columns, start_op: int) -> tuple[bytes, list[int]]:
    """The shape of a change's columns, and the places that are not as one would guess.

    Args:
        columns: of a change that was read without fault.
        start_op: the counter of its first operation.
    """
    folded = dict(columns)
    places: list[int] = []
    keys: Sequence[int | None] = ()
    if KEY_COUNTER in columns:
        keys = read_deltas(columns[KEY_COUNTER], NUMBER_MAX)
        guess = _key_guess(columns, start_op, NUMBER_MAX)
        folded[KEY_COUNTER] = _compared(keys, guess, places)
    if PRED_COUNTER in columns:
        preds = read_deltas(columns[PRED_COUNTER], NUMBER_MAX)
        guess = _pred_guess(columns, keys, start_op, NUMBER_MAX)
        folded[PRED_COUNTER] = _compared(preds, guess, places)
    parts: list[bytes] = []
    for name, data in folded.items():
        parts.append(uleb(name))
        if name == VALUE:
            parts.append(uleb(len(data)))
        elif name != KEY_STRING:
            parts.append(blob(data))
    return b"".join(parts), places


def read_shape(data: bytes) -> Shape:
    """A shape as `fold` wrote it.

    Raises:
        ChangeError: it is cut off, or has other columns than changes have.
    """
    cursor = Cursor(data)
    columns: Columns = {}
    value_bytes = 0
    while not cursor.over:
        name = cursor.unsigned()
        if name not in COLUMNS or name in columns:
            raise ChangeError(f"a shape has a column {name:#x} that it cannot have")
        if name == VALUE:
            value_bytes = cursor.unsigned()
        columns[name] = b"" if name in _ELSEWHERE else cursor.blob()
    return Shape(columns, value_bytes)


def unfold(shape: Shape, start_op: int, rest: Rest, most: int) -> list[tuple[int, bytes]]:
    """The columns that were folded.

    Args:
        shape: of them.
        start_op: the counter of the first operation.
        rest: where places, keys and values stand.
        most: rows that a column may have.

    Raises:
        ChangeError: the rest does not go with the shape, or a column is too long.
        IndexError: columns of the shape do not go with each other.
    """
    columns = dict(shape.columns)
    keys: Sequence[int | None] = ()
    if KEY_COUNTER in columns:
        guess = _key_guess(columns, start_op, most)
        keys = _guessed(columns[KEY_COUNTER], guess, rest.places, most)
        columns[KEY_COUNTER] = write_deltas(keys)
    if PRED_COUNTER in columns:
        guess = _pred_guess(columns, keys, start_op, most)
        preds = _guessed(columns[PRED_COUNTER], guess, rest.places, most)
        columns[PRED_COUNTER] = write_deltas(preds)
    if KEY_STRING in columns:
        columns[KEY_STRING] = rest.keys.blob()
    if VALUE in columns:
        columns[VALUE] = rest.values.take(shape.value_bytes)
    return list(columns.items())


def _key_guess(columns: Columns, start_op: int, most: int) -> Guess:
    """Typing goes on after what was typed just now; deletions take one element after the other."""
    inserts = read_booleans(columns.get(INSERT, b""), most)

    def guess(row: int, before: int | None) -> int:
        return start_op + row - 1 if before is None or inserts[row] else before + 1

    return guess


def _pred_guess(columns: Columns, keys: Sequence[int | None], start_op: int, most: int) -> Guess:
    """What is overwritten is the element that the operation is about."""
    owners: list[int] = []
    for row, size in enumerate(read_uints(columns.get(PRED_COUNT, b""), most)):
        if (size or 0) > most - len(owners):
            raise TooManyRowsError(most)
        owners += [row] * (size or 0)

    def guess(row: int, _: int | None) -> int:
        owner = owners[row]
        key = keys[owner] if keys else None
        return start_op + owner - 1 if key is None else key

    return guess


def _compared(values: Sequence[int | None], guess: Guess, places: list[int]) -> bytes:
    """A column of whether each value is another than one would guess; `places` takes those."""
    rows: list[int | None] = []
    before: int | None = None
    for row, value in enumerate(values):
        if value is None:
            rows.append(None)
            continue
        off = value - guess(row, before)
        rows.append(1 if off else 0)
        if off:
            places.append(off)
        before = value
    return write_uints(rows)


def _guessed(data: bytes, guess: Guess, places: Cursor, most: int) -> list[int | None]:
    values: list[int | None] = []
    before: int | None = None
    for row, odd in enumerate(read_uints(data, most)):
        if odd is None:
            values.append(None)
            continue
        before = guess(row, before) + (places.signed() if odd else 0)
        values.append(before)
    return values
