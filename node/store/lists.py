"""What agents may list, answered from the index rows.

Law: reads never write, and no transaction stays open between two steps of an iterator: the
keys are fetched page by page, so a slow reader holds neither old pages nor the map's growth.
"""

from collections.abc import Callable, Iterator
from typing import Final

from crdt.hlc import STAMP_MAX
from node.store.environment import Environment
from node.store.errors import CorruptRecord
from node.store.projection import namespace_name
from node.store.rows import decode_count
from node.store.schema import (
    KEY_BYTES_MAX,
    NAME_BYTES,
    NUMBER_BYTES,
    Handle,
    Transaction,
    name_of,
    number,
    pointed,
    unseal,
)

_PAGE_MIN: Final = 32
_PAGE_MAX: Final = 1024
_LAST: Final = b"\xff" * NAME_BYTES
_ACCESS_PARTS: Final = 2
Row = tuple[bytes, bytes]


class Lists:
    """Ordered lists over one environment."""

    def __init__(self, env: Environment) -> None:
        self._env = env

    def recent(
        self, namespace: str | None = None, before: tuple[int, bytes] | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Listed memories, newest creation first.

        Args:
            namespace: only of that one; None for all.
            before: continue below this pair of an earlier iteration.

        Yields:
            The stamp of creation and the record key.
        """
        prefix = b"" if namespace is None else namespace_name(namespace)
        label = "idx_time" if namespace is None else "idx_ns"
        end = (
            number(STAMP_MAX) + _LAST if before is None else number(before[0]) + name_of(before[1])
        )
        start = len(prefix)
        for key, value in self._paged(
            lambda at, size: self._backward(label, prefix, at, size), prefix + end
        ):
            created = int.from_bytes(key[start : start + NUMBER_BYTES], "big")
            target = self._target(label, key, value)
            if target is not None:
                yield created, target

    def expiring(self, from_ms: int, until_ms: int) -> Iterator[tuple[int, bytes]]:
        """Memories whose life ends in [from_ms, until_ms), earliest first: (ms, record key)."""
        end = number(until_ms)
        # The smallest key above all that are below `from_ms`.
        start = number(from_ms)
        for key, value in self._paged(
            lambda at, size: self._forward("idx_expiry", b"", at, size, end=end), start
        ):
            target = self._target("idx_expiry", key, value)
            if target is not None:
                yield int.from_bytes(key[:NUMBER_BYTES], "big"), target

    def expired_before(self, ms: int) -> Iterator[bytes]:
        """Record keys of memories whose life ended before a millisecond."""
        return (key for _, key in self.expiring(0, ms))

    def archived(self, from_ms: int = 0, until_ms: int = STAMP_MAX) -> Iterator[tuple[int, bytes]]:
        """Memories archived in [from_ms, until_ms), the last one first: (ms, record key)."""
        start = number(from_ms)
        for key, value in self._paged(
            lambda at, size: self._backward("idx_archive", b"", at, size), number(until_ms)
        ):
            if key < start:
                return
            target = self._target("idx_archive", key, value)
            if target is not None:
                yield int.from_bytes(key[:NUMBER_BYTES], "big"), target

    def _target(self, table: str, row: bytes, value: bytes) -> bytes | None:
        """The record key in a row; None when the row is damaged, which is told and made whole."""
        try:
            return pointed(table, row, value)
        except CorruptRecord as error:
            self._env.on_damage(error)
            return None

    def with_prefix(self, prefix: bytes, limit: int) -> list[bytes]:
        """Keys of stored records that start with these bytes, in order, at most `limit`."""
        if len(prefix) > KEY_BYTES_MAX:
            return []
        return self._env.read(lambda txn: _keys(txn, self._env.tables.records, prefix, limit))

    def count(self) -> int:
        """How many memories are listed."""
        return self._env.read(lambda txn: txn.stat(self._env.tables.idx_time)["entries"])

    def counts(self) -> dict[tuple[str, str], int]:
        """{(namespace, tier): memories}, expired ones counted too; `ARCHIVED` is a tier here."""

        def look(txn: Transaction) -> dict[tuple[str, str], int]:
            table = self._env.tables.counts
            out: dict[tuple[str, str], int] = {}
            for key, value in txn.cursor(db=table):
                try:
                    namespace, tier, held = decode_count(unseal("counts", key, value))
                except CorruptRecord as error:
                    self._env.on_damage(error)
                else:
                    out[namespace, tier] = held
            return out

        return self._env.read(look)

    def access(self, key: bytes) -> tuple[int, int]:
        """How often a record was read here, and when last (milliseconds); (0, 0) for never."""
        value = self._env.read(lambda txn: txn.get(key, db=self._env.tables.access))
        try:
            return (0, 0) if value is None else decode_access(unseal("access", key, value))
        except CorruptRecord as error:
            self._env.on_damage(error)
            return 0, 0  # a counter of this node alone: it begins anew

    def _paged(
        self, fetch: Callable[[bytes, int], Callable[[Transaction], list[Row]]], at: bytes
    ) -> Iterator[Row]:
        size = _PAGE_MIN
        while True:
            rows = self._env.read(fetch(at, size))
            yield from rows
            if len(rows) < size:
                return
            at = rows[-1][0]
            size = min(size * 2, _PAGE_MAX)

    def _backward(
        self, table: str, prefix: bytes, below: bytes, size: int
    ) -> Callable[[Transaction], list[Row]]:
        """At most `size` rows strictly below a key, descending, while they have the prefix."""

        def look(txn: Transaction) -> list[Row]:
            cursor = txn.cursor(db=getattr(self._env.tables, table))
            there = cursor.prev() if cursor.set_range(below) else cursor.last()
            rows: list[Row] = []
            while there and len(rows) < size:
                row = cursor.item()
                if not row[0].startswith(prefix):
                    break
                rows.append(row)
                there = cursor.prev()
            return self._led(txn, rows) if table == "idx_ns" else rows

        return look

    def _led(self, txn: Transaction, rows: list[Row]) -> list[Row]:
        """Rows of namespaces with the record keys that they lead to."""
        times = self._env.tables.idx_time
        return [(key, txn.get(key[NAME_BYTES:], b"", db=times)) for key, _ in rows]

    def _forward(
        self, table: str, prefix: bytes, above: bytes, size: int, *, end: bytes
    ) -> Callable[[Transaction], list[Row]]:
        """At most `size` rows strictly above a key and below `end`, ascending."""

        def look(txn: Transaction) -> list[Row]:
            cursor = txn.cursor(db=getattr(self._env.tables, table))
            there = cursor.set_range(above)
            if there and cursor.key() == above:
                there = cursor.next()
            rows: list[Row] = []
            while there and len(rows) < size:
                row = cursor.item()
                if row[0] >= end or not row[0].startswith(prefix):
                    break
                rows.append(row)
                there = cursor.next()
            return rows

        return look


def encode_access(count: int, last_ms: int) -> bytes:
    """The stored form of a local read counter."""
    return number(count) + number(last_ms)


def decode_access(body: bytes) -> tuple[int, int]:
    """How often, and when last."""
    count, last = (
        int.from_bytes(body[at * NUMBER_BYTES : (at + 1) * NUMBER_BYTES], "big")
        for at in range(_ACCESS_PARTS)
    )
    return count, last


def _keys(txn: Transaction, table: Handle, prefix: bytes, limit: int) -> list[bytes]:
    cursor = txn.cursor(db=table)
    there = cursor.set_range(prefix)
    keys: list[bytes] = []
    while there and len(keys) < limit:
        key = cursor.key()
        if not key.startswith(prefix):
            break
        keys.append(key)
        there = cursor.next()
    return keys
