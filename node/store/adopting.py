"""A snapshot that becomes the store of a node that has none yet, where it was received.

Law: the join of an empty state with another is that other, so nothing is copied: the rows stay
where they were received and verified, and what leads to them is made beside them. Each row is
read back and verified once more on the way; the digest must be the one that was promised. The
folder is no store before its last transaction, which is on the disk when this returns; what a
death leaves before that is thrown away like any half received snapshot.
"""

from collections.abc import Callable
from typing import Final

from crdt.clock import Clock
from crdt.digest import move
from crdt.dot import DATA, GOVERNANCE, Dot
from crdt.pending import Pending, decode_pending
from crdt.pending_table import PendingTable
from crdt.state import LoggedBundle
from node.store.erasures import Erasure, encode_erasure, read_erasures
from node.store.errors import JoinRefused
from node.store.incoming import Incoming, check_sum, pending_digest, weights
from node.store.projection import index_rows, stored_facts
from node.store.rows import (
    Head,
    Standing,
    decode_entry,
    decode_idempotency,
    encode_actor,
    encode_entry,
    encode_idempotency,
    encode_place,
    proven,
)
from node.store.schema import Transaction, name_of, number, sealed, unseal
from node.store.writing import STORE_ID_KEY, Pairs, add_counts, put_genesis, put_head, put_many

_STORE_ID_BYTES: Final = 8
_ROW_BYTES: Final = 512
Progress = Callable[[int], None]
"""Told now and then how many records are done."""


class Adoption:
    """Makes a store of a complete snapshot.

    Args:
        incoming: the snapshot.
        entropy: names the store.
        now_ms: local time.
        progress: told how many records are done.
        genesis: what the own core keeps about the mesh; empty for what the source told.
    """

    def __init__(
        self,
        incoming: Incoming,
        *,
        entropy: Callable[[int], bytes],
        now_ms: int,
        progress: Progress,
        genesis: bytes,
    ) -> None:
        self._incoming = incoming
        self._env = incoming.environment
        self._store_id = entropy(_STORE_ID_BYTES)
        self._now_ms = now_ms
        self._progress = progress
        self._genesis = genesis
        self._pending: dict[Dot, Pending] = {
            dot: decode_pending(data) for dot, data in incoming.pending().items()
        }
        self._table = PendingTable(self._pending)
        self._counts: dict[tuple[str, str], int] = {}
        self.digest = pending_digest(incoming.pending())
        self.records = 0

    def run(self) -> Clock:
        """Make the store; returns what it covers.

        Raises:
            JoinRefused: the snapshot does not add up.
            CorruptRecord, RecordError: a row is damaged, or is no record.
            NoRoom, DiskError: the disk.
        """
        promised = self._incoming.promised
        for window in self._incoming.windows():
            self._lead_to(window)
            self._progress(self.records)
        self._incoming.check_distinct()
        check_sum(self.digest, promised)
        return self._env.write(self._finish)

    def _lead_to(self, window: list[tuple[bytes, Standing]]) -> None:
        """Make what leads to some records: their places, their index rows, their counts."""
        puts: dict[str, Pairs] = {"records": []}
        places, counts = puts["records"], self._counts
        for at, standing in window:
            key, data = standing.key, proven(standing)
            if data is None:
                raise JoinRefused("a snapshot holds a record without content")
            if not self._incoming.indexed:
                places.append((key, encode_place(key, int.from_bytes(at, "big"), 0)))
            memory = stored_facts(key, data, self._table.approved(key))
            if memory is not None:
                for table, row, value in index_rows(key, name_of(key), memory):
                    puts.setdefault(table, []).append((row, value))
                group = memory.namespace, memory.tier
                counts[group] = counts.get(group, 0) + 1
        self.digest = move(self.digest, 0, weights(standing for _, standing in window))
        self.records += len(window)
        tables = self._env.tables

        def work(txn: Transaction) -> None:
            for table, pairs in puts.items():
                pairs.sort()
                put_many(txn, getattr(tables, table), pairs)

        self._env.write(work, room_bytes=_ROW_BYTES * len(window))

    def _finish(self, txn: Transaction) -> Clock:
        arrivals = self._log(txn)
        self._requests(txn)
        self._erasures(txn, arrivals)
        tables = self._env.tables
        clock: Clock = {}
        for actor, row in self._incoming.actors().items():
            clock[actor] = row.seq
            floor = 0 if actor[:1] == GOVERNANCE else row.seq
            txn.put(actor, sealed(actor, encode_actor(row, floor)), db=tables.actors)
        add_counts(txn, tables, self._counts, {})
        head = Head(
            arrivals=arrivals,
            feed=self.records,
            ms=max(self._now_ms, self._incoming.latest_ms),
            digest=self.digest,
        )
        put_head(txn, tables, head)
        txn.put(STORE_ID_KEY, sealed(STORE_ID_KEY, self._store_id), db=tables.meta)
        if self._genesis:
            put_genesis(txn, tables, self._genesis)
        self._incoming.forget(txn)
        return clock

    def _log(self, txn: Transaction) -> int:
        """The governance log under numbers of this store's own; returns the last of them."""
        tables = self._env.tables
        rows = list(txn.cursor(db=tables.log_governance))
        for at, _ in rows:
            txn.delete(at, db=tables.log_governance)
        for arrival, (at, value) in enumerate(rows, 1):
            entry = decode_entry("log_governance", at, value)
            bundle = LoggedBundle(entry.actor, entry.first, entry.last, entry.data, ())
            fresh = number(arrival)
            again = sealed(fresh, encode_entry(bundle, self._now_ms, b""))
            txn.put(fresh, again, db=tables.log_governance)
            txn.put(entry.actor + number(entry.last), fresh, db=tables.log_index)
        return len(rows)

    def _requests(self, txn: Transaction) -> None:
        """Remembered requests arrived here now."""
        tables, when = self._env.tables, number(self._now_ms)
        for scope, value in list(txn.cursor(db=tables.idempotency)):
            row, _ = decode_idempotency(unseal("idempotency", scope, value))
            body = sealed(scope, encode_idempotency(row, self._now_ms))
            txn.put(scope, body, db=tables.idempotency)
            txn.put(when + scope, b"", db=tables.idempotency_at)

    def _erasures(self, txn: Transaction, arrivals: int) -> None:
        """Erasures of the source; nothing of them ever stood here."""
        tables = self._env.tables
        for name, told in read_erasures(txn, tables).items():
            row = Erasure(DATA, arrivals, self._now_ms, True, tuple(sorted(told.dots)))
            txn.put(name, sealed(name, encode_erasure(row)), db=tables.erasures)
