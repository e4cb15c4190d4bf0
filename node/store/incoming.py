"""A snapshot being received, kept apart from the store until it is whole.

Law: what is half received is never read as state. Rows and the position after them are stored
in one transaction, so a receiver that was killed goes on where it stopped; rows of another
snapshot are thrown away. Every row is verified when it arrives, the digest when all are here.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from crdt.clock import Clock
from crdt.digest import CHECKSUM_BYTES, move, weight
from crdt.dot import Actor, Dot
from crdt.overlay import pending_key
from crdt.state import ActorRow
from node.store.environment import MAP_BYTES_DEFAULT, Environment
from node.store.errors import CorruptRecord, JoinRefused
from node.store.rows import decode_actor, key_dot
from node.store.schema import LOG_NAMES, Transaction, sealed, unseal
from node.store.snapshot import (
    ACTORS,
    DIGEST_KEY,
    END,
    ERASURES,
    GOVERNANCE_LOG,
    IDEMPOTENCY,
    META,
    PENDING,
    RECORDS,
    START,
    Row,
    decode_rows,
)
from node.store.writing import GENESIS_KEY

_SNAPSHOT_KEY: Final = b"snapshot"
_POSITION_KEY: Final = b"position"
_COMPLETE_KEY: Final = b"complete"
_META_KEYS: Final = frozenset({DIGEST_KEY, GENESIS_KEY})
_LANES: Final = {
    ACTORS: frozenset(LOG_NAMES) - {b"p"},
    PENDING: frozenset(LOG_NAMES) - {b"p"},
    RECORDS: frozenset({b"d"}),
}
_TABLE_OF: Final = {
    ACTORS: "actors",
    ERASURES: "erasures",
    META: "meta",
    GOVERNANCE_LOG: "log_governance",
    IDEMPOTENCY: "idempotency",
    PENDING: "pending",
    RECORDS: "records",
}


class Incoming:
    """The staging place of one snapshot.

    Args:
        path: its folder; what another snapshot left there is removed.
        snapshot_id: the `FrozenStore.id` that the source told.
        map_bytes: size of the memory map.
    """

    def __init__(
        self, path: Path, snapshot_id: bytes, *, map_bytes: int = MAP_BYTES_DEFAULT
    ) -> None:
        self.path = path
        self.snapshot_id = snapshot_id
        self.environment = Environment(path, map_bytes=map_bytes)
        if self._meta(_SNAPSHOT_KEY) != snapshot_id:
            self.environment.close()
            shutil.rmtree(path)
            self.environment = Environment(path, map_bytes=map_bytes)
            self.environment.write(lambda txn: self._put(txn, _SNAPSHOT_KEY, snapshot_id))

    @classmethod
    def left_behind(cls, path: Path, *, map_bytes: int = MAP_BYTES_DEFAULT) -> "Incoming | None":
        """What an earlier process had received when it ended; None when it is of no use."""
        environment = Environment(path, map_bytes=map_bytes)
        table = environment.tables.meta
        held = environment.read(lambda txn: txn.get(_SNAPSHOT_KEY, db=table))
        environment.close()
        if held is None:
            return None
        return cls(path, unseal("meta", _SNAPSHOT_KEY, held), map_bytes=map_bytes)

    @property
    def position(self) -> bytes:
        """What to ask the source for next."""
        return self._meta(_POSITION_KEY) or START

    @property
    def complete(self) -> bool:
        """Whether the last row has arrived."""
        return self._meta(_COMPLETE_KEY) is not None

    def put(self, data: bytes, following: bytes) -> None:
        """Store a chunk and the position after it (`END` after the last).

        Raises:
            JoinRefused: a row is damaged, or must not be in a snapshot.
            NoRoom, DiskError: the disk.
        """
        rows = decode_rows(data)
        for row in rows:
            _check(row)

        def work(txn: Transaction) -> None:
            for kind, key, value in rows:
                txn.put(key, value, db=getattr(self.environment.tables, _TABLE_OF[kind]))
            if following == END:
                self._put(txn, _COMPLETE_KEY, b"1")
            else:
                self._put(txn, _POSITION_KEY, following)

        self.environment.write(work, room_bytes=2 * len(data))

    def actors(self) -> Mapping[Actor, ActorRow]:
        """The actor rows received."""
        table = self.environment.tables.actors
        return self.environment.read(
            lambda txn: {
                key: decode_actor(unseal("actors", key, value))
                for key, value in txn.cursor(db=table)
            }
        )

    @property
    def genesis(self) -> bytes:
        """What the source's core keeps about the mesh; empty when it sent nothing."""
        return self._meta(GENESIS_KEY) or b""

    def clock(self) -> Clock:
        """What the snapshot covers."""
        return {actor: row.seq for actor, row in self.actors().items()}

    def pending(self) -> dict[Dot, bytes]:
        """The pending rows received."""
        table = self.environment.tables.pending
        return self.environment.read(
            lambda txn: {
                key_dot(key): unseal("pending", key, value) for key, value in txn.cursor(db=table)
            }
        )

    def verify(self) -> int:
        """Check that everything is here and adds up; returns the digest.

        Raises:
            JoinRefused: rows are missing, or their sum is not the digest that was promised.
        """
        promised = self._meta(DIGEST_KEY)
        if promised is None or not self.complete:
            raise JoinRefused("the snapshot is not complete")
        digest = 0
        for dot, data in self.pending().items():
            digest = move(digest, 0, weight(pending_key(dot), data))
        for _, value in self.records():
            digest = move(digest, 0, int.from_bytes(value[:CHECKSUM_BYTES], "big"))
        if digest != int.from_bytes(promised, "big"):
            raise JoinRefused(
                "the snapshot does not add up to its digest",
                fix="Fetch another one, from another peer if it happens again",
            )
        return digest

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Record keys and sealed canonical bytes, in order of key. Holds a transaction open."""
        return self.environment.walk("records")

    def remove(self) -> None:
        """Close it and take it from the disk."""
        self.environment.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """Close it; what arrived stays."""
        self.environment.close()

    def _meta(self, key: bytes) -> bytes | None:
        table = self.environment.tables.meta
        value = self.environment.read(lambda txn: txn.get(key, db=table))
        return None if value is None else unseal("meta", key, value)

    def _put(self, txn: Transaction, key: bytes, body: bytes) -> None:
        txn.put(key, sealed(key, body), db=self.environment.tables.meta)


def _check(row: Row) -> None:
    table = _TABLE_OF.get(row.kind)
    if table is None or (row.kind == META and row.key not in _META_KEYS):
        raise JoinRefused("a snapshot holds a row of an unknown kind", why=repr(row.kind))
    lanes = _LANES.get(row.kind)
    if lanes is not None and row.key[:1] not in lanes:
        raise JoinRefused(
            "a snapshot holds a row that does not belong into one", why=row.kind.hex()
        )
    try:
        unseal(table, row.key, row.value)
    except CorruptRecord as error:
        raise JoinRefused("a row of a snapshot arrived damaged", why=str(error)) from error
