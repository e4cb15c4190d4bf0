"""Rows that lead to other rows: whether what they lead to is there, and leads back.

Law: pure looks, in one transaction. A row that its own checksum cannot vouch for, because it is
a pointer, is held to what it stands for: every table that was derived from records or from the
log is what deriving it again would give, row by row and both ways.
"""

from collections.abc import Callable
from typing import ClassVar, Final

from crdt.dot import ACTOR_BYTES
from crdt.pending import decode_pending
from crdt.pending_table import PendingTable
from crdt.record_codec import RecordError
from crdt.view import NOTHING_APPROVED
from node.store.errors import CorruptRecord
from node.store.projection import Facts, index_rows, stored_facts
from node.store.rows import (
    NO_WEIGHT,
    Standing,
    decode_entry,
    decode_idempotency,
    decode_place,
    is_of,
    key_dot,
    proven,
    read_standing,
    record_place,
)
from node.store.schema import (
    LOG_NAMES,
    NAME_BYTES,
    NUMBER_BYTES,
    Tables,
    Transaction,
    name_of,
    number,
    pointed,
    unseal,
)

INDEXES: Final = ("idx_time", "idx_ns", "idx_expiry", "idx_archive")
UNLINKED: Final = "a row is missing or wrong in"
_SEAL_BYTES: Final = 16

_Look = Callable[["Relations", str, bytes, bytes], None]


class Relations:
    """Looks at one state.

    Args:
        txn: a transaction.
        tables: handles.
    """

    def __init__(self, txn: Transaction, tables: Tables) -> None:
        self._txn = txn
        self._tables = tables
        self._waiting = _approvals(txn, tables)

    def verify(self, table: str, key: bytes, value: bytes) -> None:
        """Hold a row, whose own checksum holds, to what belongs to it.

        Raises:
            CorruptRecord: something does not belong together.
        """
        look = self._looks.get(table)
        if look is not None:
            look(self, table, key, value)

    def expected(self, key: bytes, data: bytes) -> dict[tuple[str, bytes], bytes] | None:
        """The index rows of a record: {(table, key): value}; None when nobody can tell.

        Raises:
            CorruptRecord: the bytes are no record.
        """
        if self._waiting is None:
            return None
        memory = self.facts(key, data)
        rows = [] if memory is None else index_rows(key, name_of(key), memory)
        return {(table, at): value for table, at, value in rows}

    def facts(self, key: bytes, data: bytes) -> Facts | None:
        """What the indexes know of a record; None when it is not listed.

        Raises:
            CorruptRecord: the bytes are no record.
        """
        approved = NOTHING_APPROVED if self._waiting is None else self._waiting.approved(key)
        try:
            return stored_facts(key, data, approved)
        except RecordError as error:
            raise CorruptRecord("records", key, "its bytes are no record") from error

    def standing(self, key: bytes) -> Standing | None:
        """The row of the feed where a record stands; None when nothing leads there."""
        place = self._txn.get(key, db=self._tables.records)
        if place is None:
            return None
        at = number(record_place(key, place).position)
        value = self._txn.get(at, db=self._tables.feed)
        return None if value is None or not is_of(value, key) else read_standing(at, value)

    # --- records and the feed ------------------------------------------------------------

    def _record(self, _: str, key: bytes, value: bytes) -> None:
        at = number(record_place(key, value).position)
        row = self._txn.get(at, b"", db=self._tables.feed)
        if not is_of(row, key):
            raise CorruptRecord("records", key, "its place holds no record of that name")

    def _feed(self, _: str, at: bytes, value: bytes) -> None:
        standing = read_standing(at, value)
        key, position = standing.key, int.from_bytes(at, "big")
        if standing.weight == NO_WEIGHT and not standing.data:
            self._feed_gone(at, position, name_of(key))
            return
        place = self._txn.get(key, db=self._tables.records)
        if place is None or record_place(key, place).position != position:
            raise CorruptRecord("feed", at, f"{UNLINKED} records")
        data = proven(standing)
        for (table, row), held in (self.expected(key, data or b"") or {}).items():
            if self._txn.get(row, db=getattr(self._tables, table)) != held:
                raise CorruptRecord("feed", at, f"{UNLINKED} {table}")

    def _feed_gone(self, at: bytes, position: int, name: bytes) -> None:
        place = self._txn.get(name, db=self._tables.gone_at)
        if place is None or decode_place("gone_at", name, place).position != position:
            raise CorruptRecord("feed", at, f"{UNLINKED} gone_at")
        if self._txn.get(at, db=self._tables.gone) != name:
            raise CorruptRecord("feed", at, f"{UNLINKED} gone")

    def _gone(self, _: str, at: bytes, name: bytes) -> None:
        value = self._txn.get(at, db=self._tables.feed)
        if value is None or name_of(read_standing(at, value).key) != name:
            raise CorruptRecord("gone", at, "nothing of that name went there")

    def _gone_at(self, _: str, name: bytes, value: bytes) -> None:
        at = number(decode_place("gone_at", name, value).position)
        row = self._txn.get(at, db=self._tables.feed)
        if row is None or name_of(read_standing(at, row).key) != name:
            raise CorruptRecord("gone_at", name, "nothing of that name went there")

    # --- indexes ---------------------------------------------------------------------------

    def _index(self, table: str, row: bytes, value: bytes) -> None:
        key = value
        if table == "idx_ns":
            key = self._txn.get(row[NAME_BYTES:], b"", db=self._tables.idx_time)
        key = pointed(table, row, key)
        standing = self.standing(key)
        if standing is None:
            raise CorruptRecord(table, row, "it leads to no record")
        try:
            data = proven(standing)
        except CorruptRecord:
            return  # told where it stands; nobody can say what its rows are
        expected = self.expected(key, data or b"")
        if expected is not None and expected.get((table, row)) != value:
            raise CorruptRecord(table, row, "its record says otherwise")

    # --- the log and the requests ------------------------------------------------------------

    def _log(self, table: str, at: bytes, value: bytes) -> None:
        entry = decode_entry(table, at, value)
        row = entry.actor + number(entry.last)
        if self._txn.get(row, db=self._tables.log_index) != at:
            raise CorruptRecord(table, at, f"{UNLINKED} log_index")

    def _log_index(self, table: str, row: bytes, at: bytes) -> None:
        if len(row) != ACTOR_BYTES + NUMBER_BYTES or row[:1] not in LOG_NAMES:
            raise CorruptRecord(table, row, "it names no bundle")
        value = self._txn.get(at, b"", db=self._tables.log_of(row[:1]))
        # The entry is verified where it stands; its head begins with actor, first and last.
        lead = value[_SEAL_BYTES : _SEAL_BYTES + ACTOR_BYTES]
        last = value[_SEAL_BYTES + ACTOR_BYTES + NUMBER_BYTES :][:NUMBER_BYTES]
        if lead + last != row:
            raise CorruptRecord(table, row, "it points to another bundle")

    def _request(self, _: str, scope: bytes, value: bytes) -> None:
        ms = decode_idempotency(unseal("idempotency", scope, value))[1]
        row = number(ms) + scope
        if self._txn.get(row, db=self._tables.idempotency_at) is None:
            raise CorruptRecord("idempotency", scope, f"{UNLINKED} idempotency_at")

    def _request_at(self, table: str, row: bytes, value: bytes) -> None:
        scope = row[NUMBER_BYTES:]
        if value or self._txn.get(scope, db=self._tables.idempotency) is None:
            raise CorruptRecord(table, row, "it is about no request")

    # Functions, not methods of the instance: one that held those would live, and with it its
    # transaction and a place among the readers of the store, until garbage is looked for.
    _looks: ClassVar[dict[str, _Look]] = {
        "records": _record,
        "feed": _feed,
        "gone": _gone,
        "gone_at": _gone_at,
        "idx_time": _index,
        "idx_ns": _index,
        "idx_expiry": _index,
        "idx_archive": _index,
        "log_governance": _log,
        "log_data": _log,
        "log_private": _log,
        "log_index": _log_index,
        "idempotency": _request,
        "idempotency_at": _request_at,
    }


def _approvals(txn: Transaction, tables: Tables) -> PendingTable | None:
    """What is held for approval; None when a row of that is damaged."""
    try:
        return PendingTable(
            {
                key_dot(key): decode_pending(unseal("pending", key, value))
                for key, value in txn.cursor(db=tables.pending)
            }
        )
    except (CorruptRecord, ValueError):
        return None
