"""The tables of a store, their keys, and the version of it all.

Law: every stored value is either *sealed* (16 bytes of checksum over key and value in front
of it) or a *pointer* whose own key, or whose target, names what it points to, so that no bit
can flip unseen. Only ordered tables are appended to. Keys stay within LMDB's 511 bytes.

    meta            name                           sealed
    actors          actor                          sealed   crdt.state.ActorRow
    records         record key                     pointer  place
    log_governance  arrival                        sealed   log entry
    log_data        arrival                        sealed   log entry
    log_private     arrival                        sealed   log entry
    log_index       actor, last                    pointer  arrival
    pending         actor, seq                     sealed
    idempotency     scope                          sealed
    idempotency_at  ms, scope                      (empty)
    feed            position                       sealed   ms, record key, canonical record
    gone            position                       pointer  name of record
    gone_at         name of record                 pointer  place
    idx_time        created, name                  pointer  record key
    idx_ns          name of namespace, created, name  pointer  (empty: leads to idx_time)
    idx_expiry      ms, name                       pointer  record key
    idx_archive     ms, name                       pointer  record key
    counts          name of (namespace, tier)      sealed
    access          record key                     sealed
    erasures        name of record                 sealed   node.store.erasures

A record stands in the feed, where rows are appended, and so fill their pages; what is ordered by
key is small. Its checksum is its weight in the digest, over its key and canonical bytes; the rest
of its row has a short check of its own. Its *place* (position in the feed, arrival of the last
bundle that changed it) is a pointer to rows that name the record themselves. A log entry holds,
for every record that it changed, the arrival before: the history of a record is a chain through
the log and costs no row of its own.

The name of a thing is 16 bytes of BLAKE2b (RFC 7693) over its bytes; numbers are big endian.
"""

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, TypeAlias

import lmdb

from crdt.digest import CHECKSUM_BYTES, checksum
from crdt.dot import DATA, GOVERNANCE, PRIVATE
from node.errors import DowngradeRefused
from node.store.errors import CorruptRecord, StoreTooOld

SCHEMA_VERSION: Final = 2
NAME_BYTES: Final = 16
NUMBER_BYTES: Final = 8
KEY_BYTES_MAX: Final = 511
LOG_NAMES: Final = {
    GOVERNANCE: "log_governance",
    DATA: "log_data",
    PRIVATE: "log_private",
}

Handle = lmdb._Database  # noqa: SLF001 - py-lmdb has no public name for its table handle
# Quoted: the extension's classes are generic in its stubs alone.
Transaction: TypeAlias = "lmdb.Transaction[bytes]"
Cursor: TypeAlias = "lmdb.Cursor[bytes]"


@dataclass(slots=True, kw_only=True)
class Tables:
    """Handles of the named databases of one environment.

    They change when the file is rewritten, so a handle is looked up inside the look that
    uses it and never kept.
    """

    meta: Handle
    actors: Handle
    records: Handle
    log_governance: Handle
    log_data: Handle
    log_private: Handle
    log_index: Handle
    pending: Handle
    idempotency: Handle
    idempotency_at: Handle
    feed: Handle
    gone: Handle
    gone_at: Handle
    idx_time: Handle
    idx_ns: Handle
    idx_expiry: Handle
    idx_archive: Handle
    counts: Handle
    access: Handle
    erasures: Handle

    def log_of(self, lane: bytes) -> Handle:
        """The log of a lane."""
        if lane == DATA:
            return self.log_data
        return self.log_governance if lane == GOVERNANCE else self.log_private

    def become(self, other: "Tables") -> None:
        """Take over the handles of the same tables in another file."""
        for field in fields(self):
            setattr(self, field.name, getattr(other, field.name))


TABLE_NAMES: Final = tuple(field.name for field in fields(Tables))


def open_tables(env: lmdb.Environment, txn: "Transaction | None", *, create: bool) -> Tables:
    """Open every table, making them first when asked to.

    With a transaction, all in that one: a write transaction, or the handles end with it.
    """
    return Tables(
        **{name: env.open_db(name.encode(), txn=txn, create=create) for name in TABLE_NAMES}
    )


def refuse_other_schema(path: Path, found: int) -> None:
    """Make sure that the tables of a store are these.

    Raises:
        DowngradeRefused: a newer version wrote it.
        StoreTooOld: an older one wrote it, whose tables were others.
    """
    if found > SCHEMA_VERSION:
        raise DowngradeRefused(
            f"the store in {path} has schema {found}, this program knows {SCHEMA_VERSION}",
            fix="Install the newer version again; the store was left untouched",
        )
    if found < SCHEMA_VERSION:
        raise StoreTooOld(
            f"the store in {path} has schema {found}, this program reads {SCHEMA_VERSION}",
            fix="Start the node, which brings it up to date after a snapshot of it (see mnemesh "
            "upgrade plan); the store was left untouched",
        )


def number(value: int) -> bytes:
    """Eight bytes that sort like the number."""
    return value.to_bytes(NUMBER_BYTES, "big")


def name_of(content: bytes) -> bytes:
    """Sixteen bytes that stand for a record key or another text in index rows."""
    return hashlib.blake2b(content, digest_size=NAME_BYTES).digest()


def sealed(key: bytes, body: bytes) -> bytes:
    """A value with its checksum in front."""
    return checksum(key, body) + body


def unseal(table: str, key: bytes, value: bytes) -> bytes:
    """The body of a sealed value.

    Raises:
        CorruptRecord: key and body do not have the checksum that was stored.
    """
    body = value[CHECKSUM_BYTES:]
    if checksum(key, body) != value[:CHECKSUM_BYTES]:
        raise CorruptRecord(table, key)
    return body


def pointed(table: str, key: bytes, target: bytes) -> bytes:
    """The record key in an index row, checked against the name that ends the row's key.

    Raises:
        CorruptRecord: the row's key names another record.
    """
    if name_of(target) != key[-NAME_BYTES:]:
        raise CorruptRecord(table, key, "its key names another record")
    return target
