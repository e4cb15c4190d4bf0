"""Schema 1 to 2: a record leaves its own table and stands in the feed, where rows are appended.

Law: the forms here are those of the two schemas, and never change again. No record, no place
in the log, no position and no checksum of a record becomes another one: only where bytes stand
moves, so the digest is the same before and after.

    table     schema 1                                    schema 2
    records   checksum, place, canonical record           place
    feed      sealed: ms, record key                      checksum, check, ms, key, canonical record
    idx_ns    record key                                  (empty: leads to idx_time)

A row of the feed whose record stands elsewhere (a place that was damaged once leaves one) is
left behind; readers of schema 1 were shown the record at its real place as well.
"""

import struct
from collections.abc import Callable
from typing import Final
from zlib import crc32

from crdt.digest import CHECKSUM_BYTES, checksum
from node.store.errors import CorruptRecord
from node.store.migrations.stage import Rows, Stage
from node.store.schema import NAME_BYTES, NUMBER_BYTES, pointed, unseal

_PLACE: Final = struct.Struct(">QQ")
_PLACE_BYTES: Final = _PLACE.size + 4
_RECORD_AT: Final = CHECKSUM_BYTES + _PLACE_BYTES
_LEAD: Final = struct.Struct(">QH")
_NO_RECORD: Final = bytes(CHECKSUM_BYTES)

SEALED: Final = (
    *("meta", "actors", "log_governance", "log_data", "log_private", "pending"),
    *("idempotency", "feed", "counts", "access", "erasures"),
)
POINTED: Final = ("idx_time", "idx_ns", "idx_expiry", "idx_archive")
PLAIN: Final = ("log_index", "idempotency_at")


def check_old(stage: Stage) -> int:
    """Verify every row of a store of schema 1; returns how many there are.

    Raises:
        CorruptRecord: the first that is damaged, or a record that its place does not hold.
        StoreDamaged: a table is missing.
    """
    done = 0
    verify: dict[str, Callable[[str, bytes, bytes], object]] = {
        **dict.fromkeys(SEALED, unseal),
        **dict.fromkeys(POINTED, pointed),
        **dict.fromkeys(PLAIN, _anything),
        "gone": _name,
        "gone_at": _check_place,
    }
    for name, check in verify.items():
        for key, value in stage.rows(name):
            check(name, key, value)
            done += 1
    feed = stage.table("feed")
    for key, value in stage.rows("records"):
        _record(key, value)
        position = value[CHECKSUM_BYTES : CHECKSUM_BYTES + NUMBER_BYTES]
        row = stage.txn.get(position, db=feed)
        if row is None or _entry(position, row)[1] != key:
            raise CorruptRecord("records", key, "its place in the feed holds another record")
        done += 1
    return done


def weights_before(stage: Stage) -> Rows:
    """The key and the checksum of every record, in order of key."""
    for key, value in stage.rows("records"):
        yield key, value[:CHECKSUM_BYTES]


def work(stage: Stage) -> int:
    """Move the records; returns how many rows were written.

    Raises:
        CorruptRecord: something is not what was written; the transaction must be undone.
    """
    done = stage.rewrite("feed", lambda rows: _standing(stage, rows), kept="old")
    done += stage.rewrite("records", _places, kept="new")
    return done + stage.rewrite("idx_ns", _leading, kept="new")


def _standing(stage: Stage, rows: Rows) -> Rows:
    records, gone = stage.table("records"), stage.table("gone")
    for at, value in rows:
        ms, key = _entry(at, value)
        stored = stage.txn.get(key, db=records)
        if stored is not None and stored[CHECKSUM_BYTES:].startswith(at):
            yield at, standing(at, ms, key, stored[:CHECKSUM_BYTES], _record(key, stored))
        elif stage.txn.get(at, db=gone) is not None:
            yield at, standing(at, ms, key, _NO_RECORD, b"")


def _places(rows: Rows) -> Rows:
    for key, value in rows:
        yield key, value[CHECKSUM_BYTES:_RECORD_AT]


def _leading(rows: Rows) -> Rows:
    for key, _ in rows:
        yield key, b""


def standing(at: bytes, ms: int, key: bytes, seal: bytes, data: bytes) -> bytes:
    """A row of the feed as schema 2 has it: its record's checksum, a check of the rest, both."""
    lead = _LEAD.pack(ms, len(key)) + key
    return b"%b%b%b%b" % (seal, crc32(lead, crc32(at)).to_bytes(4, "big"), lead, data)


def _entry(at: bytes, value: bytes) -> tuple[int, bytes]:
    body = unseal("feed", at, value)
    return int.from_bytes(body[:NUMBER_BYTES], "big"), body[NUMBER_BYTES:]


def _record(key: bytes, value: bytes) -> bytes:
    data = value[_RECORD_AT:]
    if checksum(key, data) != value[:CHECKSUM_BYTES]:
        raise CorruptRecord("records", key)
    _check_place("records", key, value[CHECKSUM_BYTES:_RECORD_AT])
    return data


def _check_place(table: str, key: bytes, value: bytes) -> None:
    place, check = value[: _PLACE.size], value[_PLACE.size :]
    if check != crc32(key, crc32(place)).to_bytes(4, "big"):
        raise CorruptRecord(table, key, "its place is damaged")


def _name(table: str, key: bytes, value: bytes) -> None:
    if len(value) != NAME_BYTES:
        raise CorruptRecord(table, key, "it is no name")


def _anything(_table: str, _key: bytes, _value: bytes) -> None:
    """A pointer or an empty row: what it leads to is verified where it stands."""
