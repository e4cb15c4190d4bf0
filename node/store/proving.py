"""What a damaged store lacks, and how it knows what is right when somebody gives it.

Law: nobody is believed. The digest of a state is the sum of the weights of its records and pending
rows (`crdt.digest`), and it stands in a sealed row of its own; so of what is missing the sum is
known to 128 bits, whoever sends it. What was asked for is taken when it makes up that sum exactly,
or, one by one, when the damaged row still says its weight. A sum proves few pieces and no more: who
chooses many finds some with any sum in seconds (Wagner, "A Generalized Birthday Problem", 2002);
more of them are taken when two members say the same. Private records are in no digest and on no
other node.
"""

import hashlib
import struct
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from crdt.digest import CHECKSUM_BYTES, checksum, move, weight
from crdt.dot import ACTOR_BYTES, PRIVATE
from crdt.overlay import pending_key
from node.store.errors import CorruptRecord
from node.store.rows import NO_WEIGHT, is_of, key_dot, key_in, record_place
from node.store.schema import KEY_BYTES_MAX, LOG_NAMES, NUMBER_BYTES, Tables, Transaction, number
from node.store.scrub import verify_row

_LOGS: Final = tuple(LOG_NAMES.values())

SUM_PIECES_MAX: Final = 2
"""Pieces that a sum of 128 bits proves: to find two that fit takes about 2**64 tries, to find one
2**128; four take 2**43, and 1024 were found in half a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """One bundle that the log cannot read.

    Attributes:
        at: its arrival, as the log's key.
        actor: whose.
        last: its last operation.
    """

    at: bytes
    actor: bytes
    last: int


@dataclass(slots=True, kw_only=True)
class Needs:
    """What only somebody else can give.

    Attributes:
        records: keys of records that cannot be read: the weight that their row still tells, or
            `NO_WEIGHT`.
        pending: rows held for approval that cannot be read, as found: what their row still says is
            its checksum.
        bundles: bundles that the log cannot read.
        requests: scopes of requests that cannot be read.
        nobodys: rows of the feed that cannot be read, and to which no record leads.
        hopeless: rows of which neither this node nor a peer can say what they were.
        missing: what the weights of all that is lost add up to.
    """

    records: dict[bytes, bytes] = field(default_factory=dict)
    pending: dict[bytes, bytes] = field(default_factory=dict)
    bundles: list[Lost] = field(default_factory=list)
    requests: set[bytes] = field(default_factory=set)
    nobodys: set[bytes] = field(default_factory=set)
    hopeless: list[CorruptRecord] = field(default_factory=list)
    missing: int = 0

    @property
    def shared(self) -> list[bytes]:
        """The records that a peer may have, in order."""
        return sorted(key for key in self.records if key[:1] != PRIVATE)

    @property
    def private(self) -> list[bytes]:
        """The records that no peer has, in order."""
        return sorted(key for key in self.records if key[:1] == PRIVATE)

    @property
    def any(self) -> bool:
        """Whether anything is wanted of anybody."""
        return bool(
            self.records
            or self.pending
            or self.bundles
            or self.requests
            or self.nobodys
            or self.hopeless
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What somebody sent; nothing of it is believed.

    Attributes:
        records: canonical bytes by key; None when there is no such record there.
        pending: bodies of all rows that are held for approval there, by key; None when not asked.
        bundles: bytes by actor and last operation.
        requests: bodies by scope; None when there is no such request there.
        vouched: whether two members said the same of records and pending rows, or nobody else is
            there who could.
    """

    records: Mapping[bytes, bytes | None] = field(default_factory=dict)
    pending: Mapping[bytes, bytes] | None = None
    bundles: Mapping[tuple[bytes, int], bytes] = field(default_factory=dict)
    requests: Mapping[bytes, bytes | None] = field(default_factory=dict)
    vouched: bool = False

    @property
    def words(self) -> bytes:
        """32 bytes for what is said of records and pending rows: the same for the same alone."""
        state = hashlib.blake2b(digest_size=32)
        for rows in (self.records, self.pending or {}):
            state.update(b"%d:" % len(rows))
            for key, data in sorted(rows.items()):
                size = -1 if data is None else len(data)
                state.update(b"%d:%b%d:%b" % (len(key), key, size, data or b""))
        return state.digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """What of that may be written.

    Attributes:
        records: by key; None for a row that was never one of a record.
        pending: rows by key.
        whole: whether nothing is missing with these.
    """

    records: Mapping[bytes, bytes | None]
    pending: Mapping[bytes, bytes]
    whole: bool


def is_whole(table: str, key: bytes, value: bytes) -> bool:
    """Whether a row passes its own check."""
    try:
        verify_row(table, key, value)
    except CorruptRecord:
        return False
    return True


def needs_of(txn: Transaction, tables: Tables, bad: Sequence[CorruptRecord], digest: int) -> Needs:
    """What is still lacking of what a scrub found.

    Args:
        txn: a transaction.
        tables: handles.
        bad: what the scrub of this very state found.
        digest: of the state, as it was when it was whole.
    """
    needs = Needs()
    skipped: set[bytes] = set()
    for error in bad:
        table, key = error.table, error.key
        if table == "records":
            _need_record(txn, tables, key, needs, skipped)
            continue
        value = txn.get(key, db=getattr(tables, table))
        if value is None:
            continue
        whole = is_whole(table, key, value)
        if table == "log_index":
            _need_indexed(txn, tables, key, value, needs)
        elif not whole:
            _need_row(txn, tables, error, value, needs)
            skipped.update((key,) if table == "feed" else ())
    if needs.records or needs.nobodys or needs.pending:
        needs.missing = move(digest, _weights(txn, tables, skipped, needs.pending), 0)
    return needs


def _need_record(
    txn: Transaction, tables: Tables, key: bytes, needs: Needs, skipped: set[bytes]
) -> None:
    place = txn.get(key, db=tables.records)
    if place is None:
        return
    told = NO_WEIGHT
    with suppress(CorruptRecord):
        at = number(record_place(key, place).position)
        row = txn.get(at, b"", db=tables.feed)
        if is_of(row, key):
            if is_whole("feed", at, row):
                return
            told = row[:CHECKSUM_BYTES]
            skipped.add(at)
    needs.records[key] = told


def _need_indexed(txn: Transaction, tables: Tables, row: bytes, at: bytes, needs: Needs) -> None:
    if row[:1] not in LOG_NAMES or len(row) != ACTOR_BYTES + NUMBER_BYTES:
        return
    value = txn.get(at, db=tables.log_of(row[:1]))
    if value is None or not is_whole(LOG_NAMES[row[:1]], at, value):
        _need_bundle(needs, at, row)


def _need_bundle(needs: Needs, at: bytes, row: bytes) -> None:
    last = int.from_bytes(row[ACTOR_BYTES:], "big")
    lost = Lost(at=at, actor=row[:ACTOR_BYTES], last=last)
    if lost not in needs.bundles:
        needs.bundles.append(lost)


def _need_standing(txn: Transaction, tables: Tables, at: bytes, needs: Needs) -> None:
    """A row of the feed that cannot be read: of the record that leads to it, else nobody's."""
    row = txn.get(at, b"", db=tables.feed)
    key = key_in(row)
    place = txn.get(key, b"", db=tables.records) if 0 < len(key) <= KEY_BYTES_MAX else b""
    with suppress(CorruptRecord, IndexError, struct.error):
        if place and record_place(key, place).position == int.from_bytes(at, "big"):
            needs.records[key] = row[:CHECKSUM_BYTES]
            return
    needs.nobodys.add(at)


def _need_row(
    txn: Transaction, tables: Tables, error: CorruptRecord, value: bytes, needs: Needs
) -> None:
    table, key = error.table, error.key
    if table == "feed":
        _need_standing(txn, tables, key, needs)
    elif table == "pending":
        needs.pending[key] = value[:CHECKSUM_BYTES]
    elif table == "idempotency":
        needs.requests.add(key)
    elif table in _LOGS:
        rows = [row for row, at in txn.cursor(db=tables.log_index) if at == key]
        for row in rows:
            _need_bundle(needs, key, row)
        if not rows:
            needs.hopeless.append(error)
    elif table != "counts":
        needs.hopeless.append(error)


def _weights(
    txn: Transaction, tables: Tables, skipped: Container[bytes], pending: Container[bytes]
) -> int:
    """What is whole adds up to this; the scrub has verified the rows that it did not report."""
    total = 0
    for at, value in txn.cursor(db=tables.feed):
        if at not in skipped and key_in(value)[:1] != PRIVATE:
            total += int.from_bytes(value[:CHECKSUM_BYTES], "big")
    for key, value in txn.cursor(db=tables.pending):
        if key not in pending and key[:1] != PRIVATE:
            total += weight(pending_key(key_dot(key)), value[CHECKSUM_BYTES:])
    return total


def digest_of(txn: Transaction, tables: Tables) -> int:
    """The digest of what is stored, told from the weights of rows that a scrub found whole."""
    return move(0, 0, _weights(txn, tables, set(), set()))


def proven_of(needs: Needs, given: Given, held: Mapping[bytes, bytes]) -> Proven:
    """What of a gift is right.

    Args:
        needs: what was asked for.
        given: what came.
        held: bodies of the rows of pending operations that are whole here, by key.
    """
    records = {key: given.records[key] for key in needs.shared if key in given.records}
    fresh = {
        key: body
        for key, body in (given.pending or {}).items()
        if key not in held and key[:1] != PRIVATE and len(key) == ACTOR_BYTES + NUMBER_BYTES
    }
    single = {
        key: data
        for key, data in records.items()
        if data is not None and checksum(key, data) == needs.records[key]
    }
    rows = {
        key: body for key, body in fresh.items() if needs.pending.get(key) == checksum(key, body)
    }
    total = sum(weight(key, data) for key, data in records.items())
    total += sum(weight(pending_key(key_dot(key)), body) for key, body in fresh.items())
    answered = len(records) == len(needs.shared) and (given.pending is not None) >= bool(
        needs.pending
    )
    pieces = sum(data is not None for data in records.values()) - len(single)
    pieces += len(fresh) - len(rows)
    proves = pieces <= SUM_PIECES_MAX or given.vouched
    if answered and proves and move(0, 0, total) == needs.missing:
        return Proven(records=records, pending=fresh, whole=True)
    return Proven(records=single, pending=rows, whole=False)
