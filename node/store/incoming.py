"""A snapshot being received, kept apart from the store until it is whole.

Law: what is half received is never read as state. Rows and the position after them are stored
in one transaction, so a receiver that was killed goes on where it stopped; rows of another
snapshot are thrown away. Every row is verified when it arrives, the digest when all are here.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, takewhile
from pathlib import Path
from typing import Final

from crdt.clock import Clock
from crdt.digest import CHECKSUM_BYTES, move, weight
from crdt.dot import Actor, Dot
from crdt.overlay import pending_key
from crdt.state import ActorRow
from node.store.environment import MAP_BYTES_DEFAULT, Environment
from node.store.errors import CorruptRecord, JoinRefused
from node.store.feed import walk_records
from node.store.rows import (
    Standing,
    decode_actor,
    encode_place,
    encode_standing,
    key_dot,
    read_standing,
)
from node.store.schema import LOG_NAMES, NUMBER_BYTES, Transaction, number, sealed, unseal
from node.store.snapshot import (
    ACTORS,
    DIGEST_KEY,
    END,
    ERASURES,
    GOVERNANCE_LOG,
    IDEMPOTENCY,
    LAST_PIECE,
    META,
    PENDING,
    PIECE,
    RECORDS,
    START,
    Row,
    decode_rows,
)
from node.store.writing import GENESIS_KEY

_WINDOW: Final = 8_192
_SNAPSHOT_KEY: Final = b"snapshot"
_POSITION_KEY: Final = b"position"
_COMPLETE_KEY: Final = b"complete"
_PIECE_KEY: Final = b"piece"
_PIECES_BYTES_MAX: Final = 256 * 1024 * 1024
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

    Attributes:
        indexed: whether the table of where each record stands was made already.
    """

    def __init__(
        self, path: Path, snapshot_id: bytes, *, map_bytes: int = MAP_BYTES_DEFAULT
    ) -> None:
        self.path = path
        self.snapshot_id = snapshot_id
        self.indexed = False
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

    def put(self, data: bytes, following: bytes, now_ms: int = 0) -> None:
        """Store a chunk and the position after it (`END` after the last).

        One that is here already changes nothing: whoever asked for it again did not know yet.

        Args:
            data: the rows, as `FrozenStore.chunk` encoded them.
            following: what comes after them.
            now_ms: local time.

        Raises:
            JoinRefused: a row is damaged, or must not be in a snapshot.
            NoRoom, DiskError: the disk.
        """
        if self.complete if following == END else following == self.position:
            return
        entries: list[tuple[bytes, bytes]] = []
        others: list[Row] = []
        position, ms = self._last()
        ms = max(ms, now_ms)
        rows = decode_rows(data)
        if rows and rows[0].kind == PIECE:
            self._keep_piece(rows, following)
            return
        pieces = bool(rows) and rows[0].kind == LAST_PIECE
        for row in [self._whole(rows)] if pieces else rows:
            _check(row)
            if row.kind == RECORDS:
                position += 1
                at, value = number(position), row.value
                weight, body = value[:CHECKSUM_BYTES], value[CHECKSUM_BYTES:]
                entries.append((at, encode_standing(at, ms, row.key, weight, body)))
            else:
                others.append(row)

        def work(txn: Transaction) -> None:
            tables = self.environment.tables
            with txn.cursor(db=tables.feed) as cursor:
                cursor.putmulti(entries, append=True)
            for kind, key, value in others:
                txn.put(key, value, db=getattr(tables, _TABLE_OF[kind]))
            if pieces:
                for key, _ in self._pieces(txn):
                    txn.delete(key, db=tables.meta)
            if following == END:
                self._put(txn, _COMPLETE_KEY, b"1")
            else:
                self._put(txn, _POSITION_KEY, following)

        self.environment.write(work, room_bytes=2 * len(data))

    def _keep_piece(self, rows: list[Row], following: bytes) -> None:
        """Store some bytes of a row that comes in pieces, and the position after them."""
        (_, key, value) = rows[0]

        def work(txn: Transaction) -> None:
            held = self._pieces(txn)
            size = len(value) + sum(len(piece) for _, piece in held)
            if len(rows) > 1 or size > _PIECES_BYTES_MAX:
                raise JoinRefused("a row of a snapshot is too large", why=f"{size} bytes and more")
            self._put(txn, _PIECE_KEY + number(len(held)) + key, value)
            self._put(txn, _POSITION_KEY, following)

        self.environment.write(work, room_bytes=2 * len(value))

    def _whole(self, rows: list[Row]) -> Row:
        """The row whose last piece this is."""
        (_, name, value), *more = rows
        held = self.environment.read(self._pieces)
        if more or any(key[len(_PIECE_KEY) + NUMBER_BYTES :] != name for key, _ in held):
            raise JoinRefused("a row of a snapshot arrived in pieces that do not fit together")
        return Row(name[:1], name[1:], b"".join([*(piece for _, piece in held), value]))

    def _pieces(self, txn: Transaction) -> list[tuple[bytes, bytes]]:
        """What has arrived of a row that comes in pieces, in order, under its keys."""
        with txn.cursor(db=self.environment.tables.meta) as cursor:
            cursor.set_range(_PIECE_KEY)
            return [
                (key, unseal("meta", key, value))
                for key, value in takewhile(lambda row: row[0].startswith(_PIECE_KEY), cursor)
            ]

    def _last(self) -> tuple[int, int]:
        """Position and time of the last record received."""

        def look(txn: Transaction) -> tuple[int, int]:
            cursor = txn.cursor(db=self.environment.tables.feed)
            if not cursor.last():
                return 0, 0
            at, value = cursor.item()
            return int.from_bytes(at, "big"), read_standing(at, value).ms

        return self.environment.read(look)

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

    @property
    def promised(self) -> int:
        """The digest that the rows must add up to.

        Raises:
            JoinRefused: rows are missing.
        """
        promised = self._meta(DIGEST_KEY)
        if promised is None or not self.complete:
            raise JoinRefused("the snapshot is not complete")
        return int.from_bytes(promised, "big")

    def verify(self) -> int:
        """Check that everything is here and adds up; returns the digest.

        Raises:
            JoinRefused: rows are missing, or their sum is not the digest that was promised.
        """
        promised = self.promised
        digest = pending_digest(self.pending())
        for window in self.windows():
            digest = move(digest, 0, weights(standing for _, standing in window))
        check_sum(digest, promised)
        return digest

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Record keys and canonical bytes, in order of key. Holds a transaction open.

        Raises:
            JoinRefused: a record was sent twice.
        """
        self.index()
        return ((key, data) for key, _, data in walk_records(self.environment))

    def index(self) -> None:
        """Make the table of where each record stands, once; until now they were only appended.

        Raises:
            JoinRefused: a record was sent twice.
        """
        if self.indexed:
            return
        for window in self.windows():
            rows = sorted(
                (key, encode_place(key, int.from_bytes(at, "big"), 0))
                for at, (_, key, _, _) in window
            )
            self.environment.write(
                lambda txn, rows=rows: self._put_records(txn, rows)  # type: ignore[misc]  # bound now
            )
        self.check_distinct()
        self.indexed = True

    def _put_records(self, txn: Transaction, rows: list[tuple[bytes, bytes]]) -> None:
        with txn.cursor(db=self.environment.tables.records) as cursor:
            cursor.putmulti(rows)

    def windows(self) -> Iterator[list[tuple[bytes, Standing]]]:
        """The records received, in that order, some at a time: where each stands, and its row.

        No transaction stays open between two steps, so what was seen may be written about.
        """
        after = 0
        while True:

            def look(txn: Transaction, at: bytes = number(after + 1)) -> list[tuple[bytes, bytes]]:
                cursor = txn.cursor(db=self.environment.tables.feed)
                return list(islice(cursor.iternext(), _WINDOW)) if cursor.set_range(at) else []

            rows = self.environment.read_long(look)
            if not rows:
                return
            yield [(at, read_standing(at, value)) for at, value in rows]
            after = int.from_bytes(rows[-1][0], "big")

    def check_distinct(self) -> None:
        """Make sure that no record was sent twice, once there is a row for each.

        Raises:
            JoinRefused: one was.
        """
        tables = self.environment.tables
        stood, named = self.environment.read(
            lambda txn: [txn.stat(table)["entries"] for table in (tables.feed, tables.records)]
        )
        if stood != named:
            raise JoinRefused(f"a snapshot of {named} records holds {stood} rows of records")

    @property
    def latest_ms(self) -> int:
        """When the last record was received."""
        return self._last()[1]

    def forget(self, txn: Transaction) -> None:
        """Drop what says that this is a snapshot; it becomes a store."""
        for key in (_SNAPSHOT_KEY, _POSITION_KEY, _COMPLETE_KEY, DIGEST_KEY):
            txn.delete(key, db=self.environment.tables.meta)

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


def weights(rows: Iterable[Standing]) -> int:
    """What records add to the digest."""
    return sum(int.from_bytes(row.weight, "big") for row in rows)


def pending_digest(rows: Mapping[Dot, bytes]) -> int:
    """What pending rows add to the digest."""
    digest = 0
    for dot, data in rows.items():
        digest = move(digest, 0, weight(pending_key(dot), data))
    return digest


def check_sum(digest: int, promised: int) -> None:
    """Compare what was received with what was promised.

    Raises:
        JoinRefused: it is something else.
    """
    if digest != promised:
        raise JoinRefused(
            "the snapshot does not add up to its digest",
            fix="Fetch another one, from another peer if it happens again",
        )


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
