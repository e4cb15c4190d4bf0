"""Columns: one property of all operations of a change, each run of equals written once.

Law: a column has one spelling, and what is read back is written the same way. So a change has one
hash, and whoever keeps only what it says can give its bytes again. Nothing is made of more rows
than the caller allows, however few bytes claim them.

A column is a row of runs. A count and a value stand for so many equals; a negative count is
followed by so many values of which no two neighbours are equal; zero and a count stand for rows
without a value. A column without any value at all is left out. Numbers that mostly grow by the
same step are written as differences. A column of booleans is the lengths of its runs, beginning
with false (Automerge binary format, column types).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

from crdt.document.leb import read_sleb, read_uleb, sleb, uleb
from crdt.document.model import ChangeError

T = TypeVar("T", int, str)
R = TypeVar("R")
Ints = Sequence[int | None]
Strings = Sequence[str | None]

_MEMO_BYTES: Final = 8
_MEMO_ROWS: Final = 16
_MEMO_ENTRIES: Final = 4096
NUMBER_MAX: Final = 2**53 - 1
"""Beyond it the numbers of JSON lose digits."""


class TooManyRowsError(ChangeError):
    """A column claims more rows than there may be."""

    def __init__(self, most: int) -> None:
        super().__init__(f"a column has more than {most} rows")


def _runs(values: Iterable[T | None], write: Callable[[T], bytes]) -> bytes:
    out: list[bytes] = []
    literal: list[T] = []
    value: T | None = None
    count = 0
    some = False

    def close(last: T | None, times: int) -> None:
        if times > 1 or last is None:
            end_literal()
            if last is None:
                out.extend((b"\x00", uleb(times)))
            else:
                out.extend((sleb(times), write(last)))
        else:
            literal.append(last)

    def end_literal() -> None:
        if literal:
            out.append(sleb(-len(literal)))
            out.extend(map(write, literal))
            literal.clear()

    for one in values:
        if one == value and count:
            count += 1
            continue
        if count:
            close(value, count)
        value, count = one, 1
        some = some or one is not None
    if not some:
        return b""
    close(value, count)
    end_literal()
    return b"".join(out)


def _text(value: str) -> bytes:
    data = value.encode()
    return uleb(len(data)) + data


def write_uints(values: Ints) -> bytes:
    """A column of unsigned numbers; None where a row has none."""
    return _runs(values, uleb)


def write_strings(values: Strings) -> bytes:
    """A column of strings; None where a row has none."""
    return _runs(values, _text)


def write_deltas(values: Ints) -> bytes:
    """A column of numbers as differences to the one before; None where a row has none."""
    steps: list[int | None] = []
    last = 0
    for value in values:
        if value is None:
            steps.append(None)
        else:
            steps.append(value - last)
            last = value
    return _runs(steps, sleb)


def write_booleans(values: Iterable[bool]) -> bytes:
    """A column of booleans."""
    out: list[bytes] = []
    last, count = False, 0
    for value in values:
        if value != last:
            out.append(uleb(count))
            last, count = value, 0
        count += 1
    if count:
        out.append(uleb(count))
    return b"".join(out)


def _read_text(data: bytes, at: int) -> tuple[str, int]:
    length, at = read_uleb(data, at)
    end = at + length
    if end > len(data):
        raise ChangeError("a text is longer than its column")
    try:
        return data[at:end].decode(), end
    except UnicodeDecodeError as error:
        raise ChangeError("a text is not UTF-8") from error


def _rows(data: bytes, most: int, read: Callable[[bytes, int], tuple[T, int]]) -> list[T | None]:
    rows: list[T | None] = []
    at = 0
    before = 1
    while at < len(data):
        count, at = read_sleb(data, at)
        size = count if count > 0 else -count
        if not count:
            size, at = read_uleb(data, at)
        if size > most - len(rows):
            raise TooManyRowsError(most)
        if not count:
            rows += [None] * size
            if not before or not size:
                raise ChangeError("two runs of rows without a value meet, or one is empty")
        elif count > 0:
            value, at = read(data, at)
            if count == 1 or (rows and rows[-1] == value):
                raise ChangeError("a run of equals is not written as one run")
            rows += [value] * count
        elif before < 0:
            raise ChangeError("two runs of single values meet")
        else:
            at = _singles(data, at, rows, size, read)
        before = count
    if not before and not any(row is not None for row in rows):
        raise ChangeError("a column without any value is not left out")
    return rows


def _singles(
    data: bytes,
    at: int,
    rows: list[T | None],
    size: int,
    read: Callable[[bytes, int], tuple[T, int]],
) -> int:
    """Read so many values of which no two neighbours are equal; returns where they end."""
    last = rows[-1] if rows else None
    for _ in range(size):
        value, at = read(data, at)
        if value == last:
            raise ChangeError("a run of equals is not written as one run")
        rows.append(value)
        last = value
    return at


def _uints(data: bytes, most: int) -> list[int | None]:
    return _rows(data, most, read_uleb)


def _strings(data: bytes, most: int) -> list[str | None]:
    return _rows(data, most, _read_text)


def _deltas(data: bytes, most: int) -> list[int | None]:
    rows = _rows(data, most, read_sleb)
    last = 0
    for place, step in enumerate(rows):
        if step is not None:
            last += step
            if not 0 <= last <= NUMBER_MAX:
                raise ChangeError(f"{last} counts no operation")
            rows[place] = last
    return rows


def _booleans(data: bytes, most: int) -> list[bool]:
    rows: list[bool] = []
    at = 0
    value = False
    while at < len(data):
        count, at = read_uleb(data, at)
        if count > most - len(rows):
            raise TooManyRowsError(most)
        if not count and (rows or value):
            raise ChangeError("a run of booleans is empty")
        rows += [value] * count
        value = not value
    if data and not rows:
        raise ChangeError("a run of booleans is empty")
    return rows


def _remembered(
    read: Callable[[bytes, int], list[R]], memo: dict[bytes, Sequence[R]], data: bytes, most: int
) -> Sequence[R]:
    """Short columns are nearly always the same few: they are read once.

    Bounded in entries, in bytes and in rows.
    """
    known = memo.get(data)
    if known is not None:
        if len(known) > most:
            raise TooManyRowsError(most)
        return known
    rows = tuple(read(data, most))
    if len(data) <= _MEMO_BYTES and len(rows) <= _MEMO_ROWS:
        if len(memo) >= _MEMO_ENTRIES:
            memo.clear()
        memo[data] = rows
    return rows


Read = Callable[[bytes, int], Sequence[R]]
read_uints: Final[Read[int | None]] = partial(_remembered, _uints, {})
"""(bytes of a column, most rows) -> unsigned numbers, None where a row has none."""

read_strings: Final[Read[str | None]] = partial(_remembered, _strings, {})
"""(bytes of a column, most rows) -> strings, None where a row has none."""

read_deltas: Final[Read[int | None]] = partial(_remembered, _deltas, {})
"""(bytes of a column, most rows) -> numbers up to `NUMBER_MAX`, None where a row has none."""

read_booleans: Final[Read[bool]] = partial(_remembered, _booleans, {})
"""(bytes of a column, most rows) -> booleans."""
