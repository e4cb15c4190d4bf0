"""A store written from scratch, in bulk, beside the live one.

Law: nothing here is durable until `finish`, and nobody opens it before; so commits are cheap,
and a death in between leaves only a folder that is thrown away.
"""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from crdt.digest import checksum, move
from crdt.dot import DATA, PRIVATE, Actor
from crdt.view import NOTHING_APPROVED, Approved
from node.store.environment import Environment
from node.store.errors import JoinRefused
from node.store.feed import walk_records
from node.store.projection import index_rows, stored_facts
from node.store.rows import NO_WEIGHT, Head, encode_place, encode_standing
from node.store.schema import LOG_NAMES, Transaction, name_of, number, sealed
from node.store.writing import STORE_ID_KEY, add_counts, put_genesis, put_head

_FLUSH_BYTES: Final = 8 * 1024 * 1024
_STORE_ID_BYTES: Final = 8


class Filler:
    """Fills a new store; a context manager that closes it.

    Args:
        path: the new folder.
        entropy: names the store.
        now_ms: local time, for the feed.
        map_bytes: size of the memory map.
    """

    def __init__(
        self, path: Path, *, entropy: Callable[[int], bytes], now_ms: int, map_bytes: int
    ) -> None:
        self.now_ms = now_ms
        self.digest = 0
        self.records = 0
        self._env = Environment(path, map_bytes=map_bytes, durable=False)
        self._store_id = entropy(_STORE_ID_BYTES)
        self._rows: dict[str, list[tuple[bytes, bytes]]] = {}
        self._rows_bytes = 0
        self._deltas: dict[tuple[str, str], int] = {}
        self._arrivals = 0
        self._position = 0
        self._log_bytes = {DATA: 0, PRIVATE: 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._env.close()

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Any row."""
        self._rows.setdefault(table, []).append((key, value))
        self._rows_bytes += len(key) + len(value)
        if self._rows_bytes >= _FLUSH_BYTES:
            self._flush()

    def next_arrival(self) -> int:
        """The next free arrival number."""
        return self._arrivals + 1

    def log(self, lane: bytes, at: bytes, value: bytes, actor: Actor, last: int) -> None:
        """A sealed log entry at its arrival."""
        self.put(LOG_NAMES[lane], at, value)
        self.put("log_index", actor + number(last), at)
        self._arrivals = max(self._arrivals, int.from_bytes(at, "big"))
        if lane in self._log_bytes:
            self._log_bytes[lane] += len(value)

    def record(
        self,
        key: bytes,
        data: bytes,
        arrival: int,
        approved: Approved = NOTHING_APPROVED,
    ) -> None:
        """A record with its index rows, at the end of the feed."""
        seal = checksum(key, data)
        if key[:1] != PRIVATE:
            self.digest = move(self.digest, 0, int.from_bytes(seal, "big"))
        self.records += 1
        self._stand(key, seal, data)
        self.put("records", key, encode_place(key, self._position, arrival))
        memory = stored_facts(key, data, approved)
        if memory is None:
            return
        for table, row, value in index_rows(key, name_of(key), memory):
            self.put(table, row, value)
        group = memory.namespace, memory.tier
        self._deltas[group] = self._deltas.get(group, 0) + 1

    def gone(self, key: bytes, arrival: int) -> None:
        """A deleted record, at the end of the feed."""
        self._stand(key, NO_WEIGHT, b"")
        name = name_of(key)
        self.put("gone", number(self._position), name)
        self.put("gone_at", name, encode_place(name, self._position, arrival))

    def holds(self, key: bytes, name: bytes) -> bool:
        """Whether a record stands in the feed already, alive or gone."""
        self._flush()
        tables = self._env.tables
        return self._env.read(
            lambda txn: (
                txn.get(key, db=tables.records) is not None
                or txn.get(name, db=tables.gone_at) is not None
            )
        )

    def request(self, scope: bytes, body: bytes, ms: int) -> None:
        """A remembered request; the last one put under a scope stays."""
        self.put("idempotency", scope, sealed(scope, body))
        self.put("idempotency_at", number(ms) + scope, b"")

    def finish(self, genesis: bytes) -> None:
        """Write what is left, the counters and the name, and bring it all to the disk."""
        self._flush()
        head = Head(
            arrivals=self._arrivals,
            feed=self._position,
            ms=self.now_ms,
            log_bytes=self._log_bytes[DATA],
            private_bytes=self._log_bytes[PRIVATE],
            digest=self.digest,
        )
        tables = self._env.tables

        def work(txn: Transaction) -> None:
            put_head(txn, tables, head)
            add_counts(txn, tables, self._deltas, {})
            txn.put(STORE_ID_KEY, sealed(STORE_ID_KEY, self._store_id), db=tables.meta)
            if genesis:
                put_genesis(txn, tables, genesis)

        self._env.write(work)
        self._env.sync()
        self._verify()

    def _verify(self) -> None:
        """Read the records back: what is swapped in must be what was meant."""
        found = sum(1 for _ in walk_records(self._env))
        if found != self.records:
            raise JoinRefused(f"{self.records} records were written and {found} read back")

    def _stand(self, key: bytes, seal: bytes, data: bytes) -> None:
        self._position += 1
        at = number(self._position)
        self.put("feed", at, encode_standing(at, self.now_ms, key, seal, data))

    def _flush(self) -> None:
        rows, tables = self._rows, self._env.tables

        def work(txn: Transaction) -> None:
            for table, pairs in rows.items():
                pairs.sort(key=itemgetter(0))  # of two under one key the last one put stays
                with txn.cursor(db=getattr(tables, table)) as cursor:
                    cursor.putmulti(pairs)

        if rows:
            self._env.write(work, room_bytes=2 * self._rows_bytes)
            self._rows, self._rows_bytes = {}, 0
