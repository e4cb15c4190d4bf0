"""A walk over everything that is stored, to find damage before somebody needs the value.

Law: LMDB has no checksums of its own, so only reading finds a flipped bit. The walk is cut
into short pieces, reports what is bad and repairs nothing. A row is held to its own checksum
first, then to the rows that belong to it (`node.store.relations`).
"""

import sys
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from node.store.errors import CorruptRecord
from node.store.relations import Relations
from node.store.rows import decode_place, proven, read_standing
from node.store.schema import (
    NAME_BYTES,
    NUMBER_BYTES,
    TABLE_NAMES,
    Tables,
    Transaction,
    pointed,
    unseal,
)

START: Final = ("", b"")
END: Final = None
Position = tuple[str, bytes]


class Scrubbed(NamedTuple):
    """One piece of the walk: what it found, and where the next one begins (None: done)."""

    bad: list[CorruptRecord]
    following: Position | None


def scrub(txn: Transaction, tables: Tables, after: Position, rows_max: int) -> Scrubbed:
    """Verify at most `rows_max` rows after a position.

    Raises:
        lmdb.CorruptedError: a whole page is damaged.
    """
    bad: list[CorruptRecord] = []
    left, last = rows_max, after
    relations = Relations(txn, tables)
    for name in sorted(TABLE_NAMES):
        if name < after[0]:
            continue
        verify = _both(_VERIFY.get(name), relations.verify)
        with txn.cursor(db=getattr(tables, name)) as cursor:
            there = cursor.set_range(after[1]) if name == after[0] and after[1] else cursor.first()
            if there and name == after[0] and cursor.key() == after[1]:
                there = cursor.next()
            while there:
                if not left:
                    return Scrubbed(bad, last)
                key, value = cursor.item()
                last = (name, key)
                left -= 1
                _note(bad, verify, name, key, value)
                there = cursor.next()
    return Scrubbed(bad, END)


def verify_row(table: str, key: bytes, value: bytes) -> None:
    """Hold one row to its own checksum.

    Raises:
        CorruptRecord: it is not what was written.
    """
    verify = _VERIFY.get(table)
    if verify is not None:
        verify(table, key, value)


def scrub_all(txn: Transaction, tables: Tables) -> None:
    """Verify every row at once.

    Raises:
        CorruptRecord: the first that is damaged.
        lmdb.CorruptedError: a whole page is damaged.
    """
    for error in scrub(txn, tables, START, sys.maxsize).bad:
        raise error


def in_pieces(
    txn: Transaction, tables: Tables, rows: int, told: Callable[[float], object]
) -> Iterator[CorruptRecord]:
    """Verify every row of one transaction, piece by piece; what is damaged, as it is found.

    Args:
        txn: a transaction.
        tables: handles.
        rows: of a piece.
        told: how far it is, 0 to 1, after each piece.

    Raises:
        lmdb.CorruptedError: a whole page is damaged.
    """
    total = sum(txn.stat(getattr(tables, name))["entries"] for name in TABLE_NAMES)
    position: Position | None = START
    done = 0
    while position is not None:
        piece = scrub(txn, tables, position, rows)
        yield from piece.bad
        position = piece.following
        done += rows
        told(min(done / max(total, 1), 1.0))


_Verify = Callable[[str, bytes, bytes], object]


def _note(bad: list[CorruptRecord], verify: _Verify, name: str, key: bytes, value: bytes) -> None:
    try:
        verify(name, key, value)
    except CorruptRecord as error:
        bad.append(error)


def _both(first: _Verify | None, then: _Verify) -> _Verify:
    def verify(table: str, key: bytes, value: bytes) -> None:
        if first is not None:
            first(table, key, value)
        then(table, key, value)

    return verify


def _name(table: str, key: bytes, value: bytes) -> None:
    if len(value) != NAME_BYTES:
        raise CorruptRecord(table, key, "it is no name")


def _leads(table: str, key: bytes, value: bytes) -> None:
    if value or len(key) != 2 * NAME_BYTES + NUMBER_BYTES:
        raise CorruptRecord(table, key, "it leads nowhere")


def _standing(_: str, at: bytes, value: bytes) -> None:
    proven(read_standing(at, value))


SEALED: Final = (
    "meta",
    "actors",
    "log_governance",
    "log_data",
    "log_private",
    "pending",
    "idempotency",
    "counts",
    "access",
    "erasures",
)
"""Tables whose rows begin with their checksum (`node.store.schema.sealed`)."""

_VERIFY: Final[dict[str, _Verify]] = {
    **dict.fromkeys(SEALED, unseal),
    **dict.fromkeys(("idx_time", "idx_expiry", "idx_archive"), pointed),
    "idx_ns": _leads,
    "feed": _standing,
    "records": decode_place,
    "gone": _name,
    "gone_at": decode_place,
}
