"""Damaged rows made whole again, from what the store still knows and from what was given.

Law: everything happens in one write transaction, and only what proves itself is written. A flipped
bit is found by the row's own checksum; what is derived is derived again; a record is taken from
elsewhere only when the digest, which still counts the lost one, adds up with it (see
`node.store.proving`); a bundle only when its hash is what the next one in its line names. What
cannot be proven stays as it is, and is told again by the next scrub. No row whose content might be
the last trace of something is dropped before the digest says that nothing is missing.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from crdt.digest import CHECKSUM_BYTES, checksum
from crdt.state import ActorRow
from node.store.erasures import Erasure, put_erasures
from node.store.errors import CorruptRecord
from node.store.mending import Mends
from node.store.proving import Given, Needs, is_whole, needs_of, proven_of
from node.store.relations import Relations
from node.store.repair_log import arrival_of, lines_hold, put_bundles
from node.store.rows import (
    NO_WEIGHT,
    Head,
    decode_entry,
    decode_idempotency,
    encode_actor,
    encode_idempotency,
    encode_place,
    encode_standing,
    is_of,
    proven,
    read_standing,
    record_place,
)
from node.store.schema import (
    LOG_NAMES,
    SCHEMA_VERSION,
    Tables,
    Transaction,
    name_of,
    number,
    sealed,
    unseal,
)
from node.store.writing import put_head

_DERIVED: Final = ("idx_time", "idx_ns", "idx_expiry", "idx_archive", "idempotency_at", "gone")
_LOGS: Final = tuple(LOG_NAMES.values())


class Memory(NamedTuple):
    """What the process knows besides its store.

    Attributes:
        genesis: what it remembers of its mesh, as it is stored.
        actors: rows of actors; only those count that say where the store is.
        cluster: as bundles of this mesh name it.
        ops_max: most operations in a bundle.
    """

    genesis: bytes
    actors: Mapping[bytes, ActorRow]
    cluster: bytes
    ops_max: int


class Remembered(NamedTuple):
    """What the running process knows of its store without reading it.

    Attributes:
        head: the counters of the last commit.
        meta: further rows of that table: {name: body}.
        actors: rows of actors that are surely on the disk.
        floors: where the log of actors begins.
        erasures: rows of erasures by the name of their record.
        cluster: as bundles of this mesh name it.
        ops_max: most operations in a bundle.
    """

    head: Head
    meta: Mapping[bytes, bytes]
    actors: Mapping[bytes, ActorRow]
    floors: Mapping[bytes, int]
    erasures: Mapping[bytes, Erasure]
    cluster: bytes
    ops_max: int


@dataclass(slots=True, kw_only=True)
class Healed:
    """What one repair did.

    Attributes:
        head: the counters after it.
        rows: rows that were written or dropped because they were damaged.
        given: records, pending rows and bundles of peers among them.
        needs: what only somebody else can give.
        recount: whether the counts of memories must be made anew.
    """

    head: Head
    rows: int = 0
    given: int = 0
    needs: Needs = field(default_factory=Needs)
    recount: bool = False


def heal(
    txn: Transaction,
    tables: Tables,
    bad: Sequence[CorruptRecord],
    known: Remembered,
    mends: Mends,
    given: Given | None = None,
) -> Healed:
    """Make whole what can be; to be called again with what a new scrub finds, until it finds none.

    Args:
        txn: an open write transaction; the head of the store is stored in it.
        tables: handles.
        bad: what a scrub found.
        known: what need not be read.
        mends: flipped bits that were found again.
        given: what others sent, not proven yet.
    """
    work = _Repair(txn, tables, known, mends)
    for error in bad:
        work.row(error)
    healed = work.healed
    healed.needs = needs_of(txn, tables, bad, known.head.digest)
    if given is not None:
        work.take(healed.needs, given)
        healed.needs = needs_of(txn, tables, bad, known.head.digest)
    work.strays(healed.needs)
    if healed.rows:
        put_head(txn, tables, healed.head)
    return healed


class _Repair:
    """One transaction."""

    def __init__(self, txn: Transaction, tables: Tables, known: Remembered, mends: Mends) -> None:
        self._mends = mends
        self._txn = txn
        self._tables = tables
        self._known = known
        self.healed = Healed(head=known.head)

    def row(self, error: CorruptRecord) -> None:
        """What can be done about one damaged row without anybody's help."""
        table, key = error.table, error.key
        if table == "records":
            self._record(key)
            return
        value = self._txn.get(key, db=getattr(self._tables, table))
        if value is None:
            return
        if is_whole(table, key, value):
            self._link(table, key, value)
        elif not self._mend(table, key, value):
            self._alone(table, key)

    def _mend(self, table: str, key: bytes, value: bytes) -> bool:
        found, row = self._mends.get((table, key), (b"", (b"", b"")))
        if found != value:
            return False
        if row[0] != key and self._txn.get(row[0], db=getattr(self._tables, table)) is not None:
            return False
        self._drop(table, key)
        self._put(table, *row)
        return True

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._txn.put(key, value, db=getattr(self._tables, table))
        self.healed.rows += 1

    def _drop(self, table: str, key: bytes) -> None:
        if self._txn.delete(key, db=getattr(self._tables, table)):
            self.healed.rows += 1

    def strays(self, needs: Needs) -> None:
        """Drop unreadable entries of the log to which nothing leads, once no line lacks any."""
        logs = [error for error in needs.hopeless if error.table in _LOGS]
        if not logs or needs.bundles:
            return
        if lines_hold(self._txn, self._tables, self._known.actors):
            for error in logs:
                self._drop(error.table, error.key)
                needs.hopeless.remove(error)

    # --- a whole row whose neighbours are not -------------------------------------------------

    def _link(self, table: str, key: bytes, value: bytes) -> None:
        """Put what should lead to a row, or drop a row that leads astray."""
        if table == "feed":
            self._link_feed(key, value)
        elif table in _LOGS:
            entry = decode_entry(table, key, value)
            self._put("log_index", entry.actor + number(entry.last), key)
        elif table == "idempotency":
            ms = decode_idempotency(unseal(table, key, value))[1]
            self._put("idempotency_at", number(ms) + key, b"")
        elif table == "log_index":
            self._log_index(key, value)
        elif table in _DERIVED or table == "gone_at":
            self._drop(table, key)

    def _link_feed(self, at: bytes, value: bytes) -> None:
        standing = read_standing(at, value)
        key, position, name = standing.key, int.from_bytes(at, "big"), name_of(standing.key)
        if standing.weight == NO_WEIGHT and not standing.data:
            if self._txn.get(key, db=self._tables.records) is not None:
                self._drop("feed", at)  # it was made again since; a damaged pointer kept this row
                return
            self._put("gone", at, name)
            place = encode_place(name, position, arrival_of(self._txn, self._tables, key))
            self._put("gone_at", name, place)
            return
        held = self._newest(key)
        if held is not None and held > position:
            self._drop("feed", at)
            return
        if held != position:
            place = encode_place(key, position, arrival_of(self._txn, self._tables, key))
            self._put("records", key, place)
        relations = Relations(self._txn, self._tables)
        for (table, row), wanted in (relations.expected(key, standing.data) or {}).items():
            if self._txn.get(row, db=getattr(self._tables, table)) != wanted:
                self._put(table, row, wanted)

    def _newest(self, key: bytes) -> int | None:
        """The position of the whole row to which the place of a record leads."""
        value = self._txn.get(key, db=self._tables.records)
        with suppress(CorruptRecord):
            position = record_place(key, value or b"").position
            row = self._txn.get(number(position), b"", db=self._tables.feed)
            if is_of(row, key) and proven(read_standing(number(position), row)) is not None:
                return position
        return None

    def _log_index(self, row: bytes, at: bytes) -> None:
        """A row that points to a whole bundle of another name says nothing; else it may be all."""
        table = LOG_NAMES.get(row[:1])
        value = None if table is None else self._txn.get(at, db=getattr(self._tables, table))
        if table is None or (value is not None and is_whole(table, at, value)):
            self._drop("log_index", row)

    # --- records ------------------------------------------------------------------------------

    def _record(self, key: bytes) -> None:
        """A place that is wrong, or a row of the feed whose record is."""
        value = self._txn.get(key, db=self._tables.records)
        if value is None:
            return
        try:
            at = number(record_place(key, value).position)
        except CorruptRecord:
            if not self._mend("records", key, value):
                self._find(key)
            return
        row = self._txn.get(at, db=self._tables.feed)
        if row is None or not is_of(row, key):
            self._find(key)
        elif not is_whole("feed", at, row):
            self._mend("feed", at, row)

    def _find(self, key: bytes) -> None:
        """Look through the feed for the row of a record whose place is lost."""
        with self._txn.cursor(db=self._tables.feed) as cursor:
            for at, row in cursor:
                if is_of(row, key) and is_whole("feed", at, row):
                    arrival = arrival_of(self._txn, self._tables, key)
                    self._put("records", key, encode_place(key, int.from_bytes(at, "big"), arrival))
                    return

    # --- rows that are this node's own --------------------------------------------------------

    def _alone(self, table: str, key: bytes) -> None:
        """A damaged row of which no bit can be found again."""
        known = self._known
        if table == "meta":
            self._meta(key)
        elif table == "actors":
            self._drop("actors", key)
            for actor, row in known.actors.items():
                if self._txn.get(actor, db=self._tables.actors) is None:
                    floor = max(row.floor, known.floors.get(actor, 0))
                    self._put("actors", actor, sealed(actor, encode_actor(row, floor)))
        elif table == "counts":
            self.healed.recount = True
        elif table == "erasures":
            self._drop("erasures", key)
            put_erasures(self._txn, self._tables, known.erasures)
        elif table == "access" or table in _DERIVED or table == "gone_at":
            self._drop(table, key)

    def _meta(self, key: bytes) -> None:
        self._drop("meta", key)
        rows = {
            **self._known.meta,
            b"schema": b"%d" % SCHEMA_VERSION,
            b"head": self._known.head.encode(),
        }
        for name, body in rows.items():
            self._put("meta", name, sealed(name, body))

    # --- from others --------------------------------------------------------------------------

    def take(self, needs: Needs, given: Given) -> None:
        """Write what was given, as far as it proves itself."""
        proven = proven_of(needs, given, self._held())
        for key, data in proven.records.items():
            if data is None:
                self._drop("records", key)  # it was never the key of a record
            else:
                self._take_record(key, data)
        for row, body in proven.pending.items():
            self._put("pending", row, sealed(row, body))
        if proven.whole:
            # Nothing is missing: what cannot be read was of what is gone, or is written anew.
            for row in needs.pending - proven.pending.keys():
                self._drop("pending", row)
            for at in needs.nobodys:
                self._drop_feed(at)
        for scope, answer in given.requests.items():
            if scope in needs.requests:
                self._request(scope, answer)
        put = put_bundles(
            self._txn,
            self._tables,
            needs.bundles,
            given.bundles,
            actors=self._known.actors,
            cluster=self._known.cluster,
            ops_max=self._known.ops_max,
        )
        self.healed.rows += put
        self.healed.given += put + len(proven.records) + len(proven.pending)

    def _held(self) -> dict[bytes, bytes]:
        return {
            key: value[CHECKSUM_BYTES:]
            for key, value in self._txn.cursor(db=self._tables.pending)
            if is_whole("pending", key, value)
        }

    def _take_record(self, key: bytes, data: bytes) -> None:
        """A record stands at the end of the feed again, as if it had changed: indexes follow."""
        with suppress(CorruptRecord):
            value = self._txn.get(key, db=self._tables.records)
            at = number(record_place(key, value or b"").position)
            row = self._txn.get(at, b"", db=self._tables.feed)
            if is_of(row, key) or not is_whole("feed", at, row):
                self._drop("feed", at)
        head = self.healed.head
        self.healed.head = head._replace(feed=head.feed + 1)
        at = number(head.feed + 1)
        place = encode_place(key, head.feed + 1, arrival_of(self._txn, self._tables, key))
        self._put("records", key, place)
        row = encode_standing(at, head.ms, key, checksum(key, data), data)
        self._put("feed", at, row)
        self._link_feed(at, row)

    def _drop_feed(self, at: bytes) -> None:
        """A row of something that is gone; so are the two that lead to it."""
        name = self._txn.get(at, db=self._tables.gone)
        self._drop("feed", at)
        if name is not None:
            self._drop("gone", at)
            self._drop("gone_at", name)

    def _request(self, scope: bytes, body: bytes | None) -> None:
        """A remembered request, as a peer remembers it: believed, as in a snapshot."""
        self._drop("idempotency", scope)
        if body is not None:
            with suppress(ValueError, TypeError):
                row = decode_idempotency(body)[0]
                mine = encode_idempotency(row, self.healed.head.ms)
                self._put("idempotency", scope, sealed(scope, mine))
                self._put("idempotency_at", number(self.healed.head.ms) + scope, b"")
