"""A flipped bit found again: the one row, a bit away from what is stored, whose checksum holds.

Law: nothing is guessed. What comes back passes the very check that the stored row failed, which
of all rows one bit away only what was written does (a false one has odds of rows tried in 2**128
where a record or a sealed value is, and is held to its neighbours afterwards where a short check
is). It needs no peer, so it serves private rows and lone nodes too; two flipped bits in one row
are beyond it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Final

from crdt.digest import CHECKSUM_BYTES, checksum
from crdt.dot import PRIVATE
from node.store.errors import CorruptRecord
from node.store.rows import decode_place, key_in, proven, read_standing, record_place
from node.store.schema import Tables, Transaction, number, unseal
from node.store.scrub import SEALED

_SHARED_BYTES_MAX: Final = 1024
_OWN_BYTES_MAX: Final = 16 * 1024
"""Longer rows are not tried: every bit costs a checksum over all of them. A row that peers have
too is sooner had from them."""

PLACED: Final = ("records", "gone_at")
_LEAD_BYTES: Final = 600  # checksum, short check, time, length and key of a row of the feed
Row = tuple[bytes, bytes]
Mends = Mapping[tuple[str, bytes], tuple[bytes, Row]]
"""{(table, key): (the value as found, the row as it was written)}"""


def mends_of(txn: Transaction, tables: Tables, bad: Iterable[CorruptRecord]) -> Mends:
    """Try every damaged row that a scrub found. Slow: for a thread of its own.

    Args:
        txn: a read transaction.
        tables: handles.
        bad: what the scrub found.
    """
    out: dict[tuple[str, bytes], tuple[bytes, Row]] = {}
    for error in bad:
        for table, key in _stored(txn, tables, error):
            value = txn.get(key, db=getattr(tables, table))
            if value is None or (table, key) in out:
                continue
            row = mended(table, key, value)
            if row is not None and row != (key, value):
                out[table, key] = (value, row)
    return out


def _stored(txn: Transaction, tables: Tables, error: CorruptRecord) -> Iterator[tuple[str, bytes]]:
    """The rows that a finding is about: of a record its place, and where that leads."""
    yield error.table, error.key
    if error.table == "records":
        with suppress(CorruptRecord):
            place = txn.get(error.key, b"", db=tables.records)
            yield "feed", number(record_place(error.key, place).position)


def mended(table: str, key: bytes, value: bytes) -> Row | None:
    """The row one bit away that is what was written: key and value; None when there is none.

    Args:
        table: where it stands.
        key: its key as found; the flipped bit may be there.
        value: its value as found.
    """
    private = table == "log_private" or (table == "feed" and key_in(value)[:1] == PRIVATE)
    if len(value) > (_OWN_BYTES_MAX if private else _SHARED_BYTES_MAX):
        return None
    if table in SEALED:
        return _first(_sealed(key, value), lambda k, v: unseal(table, k, v))
    if table in PLACED:
        return _first(_everywhere(key, value), lambda k, v: decode_place(table, k, v))
    if table == "feed":
        return _feed(key, value)
    return None


def _first(rows: Iterator[Row], verify: Callable[[bytes, bytes], object]) -> Row | None:
    for row in rows:
        with suppress(CorruptRecord):
            verify(*row)
            return row
    return None


def _sealed(key: bytes, value: bytes) -> Iterator[Row]:
    seal, body = value[:CHECKSUM_BYTES], value[CHECKSUM_BYTES:]
    right = checksum(key, body)
    if _bits_between(seal, right) == 1:
        yield key, right + body
        return
    yield from ((key, seal + other) for other in _flipped(body))
    yield from ((other, value) for other in _flipped(key))


def _everywhere(key: bytes, value: bytes) -> Iterator[Row]:
    yield from ((key, other) for other in _flipped(value))
    yield from ((other, value) for other in _flipped(key))


def _feed(at: bytes, value: bytes) -> Row | None:
    """A row of the feed: its lead has a short check, its record the checksum."""
    try:
        standing = read_standing(at, value)
    except CorruptRecord:
        lead, rest = value[:_LEAD_BYTES], value[_LEAD_BYTES:]
        rows = ((k, v + rest) for k, v in _everywhere(at, lead))
        return _first(rows, lambda k, v: proven(read_standing(k, v)))
    start = len(value) - len(standing.data)
    head = value[:start]
    right = checksum(standing.key, standing.data)
    if _bits_between(standing.weight, right) == 1:
        return at, right + value[CHECKSUM_BYTES:]
    rows = ((at, head + other) for other in _flipped(standing.data))
    return _first(rows, lambda k, v: proven(read_standing(k, v)))


def _bits_between(one: bytes, other: bytes) -> int:
    if len(one) != len(other):
        return -1
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def _flipped(data: bytes) -> Iterator[bytes]:
    """Every way to flip one bit."""
    work = bytearray(data)
    for place in range(len(work)):
        for bit in range(8):
            work[place] ^= 1 << bit
            yield bytes(work)
            work[place] ^= 1 << bit
