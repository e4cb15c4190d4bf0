"""A whole state frozen at one clock, handed out by key.

Law: a snapshot is a hot copy, so it is one consistent state and writers are not held up. It
is replayable: the same position gives the same chunk for as long as the snapshot lives, so a
receiver that lost its link goes on where it stopped. Nothing of the private lane is in it,
and every row was verified before it is sent.

A row is (kind, key, value), its value sealed over its key. A position is kind and place of the
last row sent; kinds go in the order of their letters, records in that of their last change, the
others in that of their keys.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import lmdb
import msgpack

from crdt.clock import Clock
from crdt.digest import CHECKSUM_BYTES
from crdt.dot import PRIVATE
from crdt.state import IdempotencyRow
from node.store.environment import DATA_FILE
from node.store.erasures import decode_erasure
from node.store.errors import JoinRefused
from node.store.rows import (
    decode_actor,
    decode_entry,
    decode_head,
    decode_idempotency,
    encode_idempotency,
    proven,
    read_standing,
)
from node.store.schema import (
    TABLE_NAMES,
    Handle,
    Tables,
    Transaction,
    name_of,
    open_tables,
    sealed,
    unseal,
)
from node.store.store import Store
from node.store.writing import GENESIS_KEY, HEAD_KEY

ACTORS: Final = b"a"
META: Final = b"d"
ERASURES: Final = b"e"
GOVERNANCE_LOG: Final = b"g"
IDEMPOTENCY: Final = b"i"
PENDING: Final = b"p"
RECORDS: Final = b"r"
KINDS: Final = (ACTORS, META, ERASURES, GOVERNANCE_LOG, IDEMPOTENCY, PENDING, RECORDS)
DIGEST_KEY: Final = b"digest"
PIECE: Final = b"x"
"""Bytes of a row that fits no chunk: its key is the kind and the key of that row."""
LAST_PIECE: Final = b"y"
START: Final = b""
END: Final = b""
_OFFSET_BYTES: Final = 8

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
_ROW_PARTS: Final = 3


class Row(NamedTuple):
    """One row of a snapshot."""

    kind: bytes
    key: bytes
    value: bytes


def encode_rows(rows: list[Row]) -> bytes:
    """Rows as one piece of a message."""
    packed: bytes = _pack([part for row in rows for part in row])
    return packed


def decode_rows(data: bytes) -> list[Row]:
    """Rows as they were sent.

    Raises:
        JoinRefused: the bytes are no rows.
    """
    try:
        parts = msgpack.unpackb(data)
    except ValueError as error:
        raise JoinRefused("a chunk of a snapshot cannot be read", why=str(error)) from error
    whole = isinstance(parts, list) and all(isinstance(part, bytes) for part in parts)
    if not whole or len(parts) % _ROW_PARTS:
        raise JoinRefused("a chunk of a snapshot cannot be read", why="it holds no rows")
    return [Row(*parts[at : at + _ROW_PARTS]) for at in range(0, len(parts), _ROW_PARTS)]


def freeze(store: Store, folder: Path) -> "FrozenStore":
    """Copy a store's present state into a new folder. Slow: for a thread of its own.

    Raises:
        OSError, lmdb.Error: the copy could not be written; the folder is gone again.
    """
    folder.mkdir(mode=0o700, parents=True)
    try:
        store.environment.copy(folder)
        (folder / DATA_FILE).chmod(0o600)
        return FrozenStore(folder, store.store_id)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class FrozenStore:
    """A snapshot being served. May be read from any one thread at a time.

    Attributes:
        id: names this state; a receiver goes on only with the same one.
        clock: what the state covers, without the private lane.
        digest: of the state.
        size_bytes: of the copy, about what will be sent.
    """

    def __init__(self, folder: Path, store_id: str) -> None:
        self.path = folder
        self._env = lmdb.open(
            str(folder), readonly=True, lock=False, create=False, max_dbs=len(TABLE_NAMES)
        )
        self._tables = open_tables(self._env, None, create=False)
        with self._env.begin() as txn:
            counters = unseal("meta", HEAD_KEY, _head(txn, self._tables))
            head = decode_head(counters)
            actors = {
                key: decode_actor(unseal("actors", key, value)).seq
                for key, value in txn.cursor(db=self._tables.actors)
            }
        self.digest = head.digest
        self.clock: Clock = {a: seq for a, seq in actors.items() if a[:1] != PRIVATE}
        # The engine's own transaction number starts over in a compact copy.
        self.id = f"{store_id}-{name_of(counters).hex()}".encode()
        self.size_bytes: int = (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]

    def chunk(self, after: bytes, limit_bytes: int) -> tuple[bytes, bytes]:
        """The rows after a position (`START` at first), at least one if any is left.

        A record with many values that were written at once may be larger than any message; a row
        above the limit comes alone, in pieces.

        Returns:
            The encoded rows, and the position to ask for next; `END` when these are the last.

        Raises:
            CorruptRecord: the copied store is damaged.
        """
        offset = 0
        if after[:1] == PIECE:
            offset = int.from_bytes(after[1 : 1 + _OFFSET_BYTES], "big")
            after = after[1 + _OFFSET_BYTES :]
        rows: list[Row] = []
        size, position = 0, after
        with self._env.begin() as txn:
            for at, row in self._rows(txn, after):
                length = len(row.key) + len(row.value)
                if not rows and length > limit_bytes:
                    return _piece(row, offset, limit_bytes, position, row.kind + at)
                if rows and size + length > limit_bytes:
                    return encode_rows(rows), position
                rows.append(row)
                size += length
                position = row.kind + at
        return encode_rows(rows), END

    def _rows(self, txn: Transaction, after: bytes) -> Iterator[tuple[bytes, Row]]:
        for kind in KINDS:
            if kind < after[:1]:
                continue
            above = after[1:] if kind == after[:1] else None
            if kind == META:
                yield from ((row.key, row) for row in self._meta(txn, above or b""))
                continue
            if kind == RECORDS:
                yield from self._records(txn, above)
                continue
            name, read = _READERS[kind]
            for key, value in _above(txn, getattr(self._tables, name), above):
                shared = read(key, value)
                if shared is not None:
                    yield key, Row(kind, key, shared)

    def _records(self, txn: Transaction, above: bytes | None) -> Iterator[tuple[bytes, Row]]:
        for at, value in _above(txn, self._tables.feed, above):
            standing = read_standing(at, value)
            if standing.key[:1] != PRIVATE and proven(standing) is not None:
                sealing = standing.weight + standing.data
                yield at, Row(RECORDS, standing.key, sealing)

    def _meta(self, txn: Transaction, above: bytes) -> Iterator[Row]:
        digest = sealed(DIGEST_KEY, self.digest.to_bytes(CHECKSUM_BYTES, "big"))
        genesis = txn.get(GENESIS_KEY, db=self._tables.meta)
        for key, value in ((DIGEST_KEY, digest), (GENESIS_KEY, genesis)):
            if value is not None and key > above:
                unseal("meta", key, value)
                yield Row(META, key, value)

    def close(self) -> None:
        """Remove the snapshot from the disk."""
        self._env.close()
        shutil.rmtree(self.path, ignore_errors=True)


def _piece(
    row: Row, offset: int, limit_bytes: int, before: bytes, behind: bytes
) -> tuple[bytes, bytes]:
    """Some bytes of a row, and the position after them."""
    end = offset + limit_bytes
    piece = row.value[offset:end]
    if end < len(row.value):
        following = PIECE + end.to_bytes(_OFFSET_BYTES, "big") + before
        return encode_rows([Row(PIECE, row.kind + row.key, piece)]), following
    return encode_rows([Row(LAST_PIECE, row.kind + row.key, piece)]), behind


def _head(txn: Transaction, tables: Tables) -> bytes:
    value = txn.get(HEAD_KEY, db=tables.meta)
    if value is None:
        raise JoinRefused("an empty store has no state to hand out")
    return value


def _above(txn: Transaction, table: Handle, above: bytes | None) -> Iterator[tuple[bytes, bytes]]:
    with txn.cursor(db=table) as cursor:
        if above is None:
            there = cursor.first()
        else:
            there = cursor.set_range(above)
            if there and cursor.key() == above:
                there = cursor.next()
        while there:
            yield cursor.item()
            there = cursor.next()


def _actor(key: bytes, value: bytes) -> bytes | None:
    unseal("actors", key, value)
    return None if key[:1] == PRIVATE else value


def _governance(key: bytes, value: bytes) -> bytes:
    decode_entry("log_governance", key, value)
    return value


def shared_request(key: bytes, value: bytes) -> bytes | None:
    """A stored row of a request as others may know it; None when all of it was private."""
    row, ms = decode_idempotency(unseal("idempotency", key, value))
    dots = tuple(dot for dot in row.dots if dot.actor[:1] != PRIVATE)
    if not dots:
        return None
    return sealed(key, encode_idempotency(IdempotencyRow(row.body, dots), ms))


def _erasure(key: bytes, value: bytes) -> bytes | None:
    row = decode_erasure(unseal("erasures", key, value))
    return None if row.lane == PRIVATE else value


def _held(key: bytes, value: bytes) -> bytes | None:
    unseal("pending", key, value)
    return None if key[:1] == PRIVATE else value


_Reader = Callable[[bytes, bytes], bytes | None]
_READERS: Final[dict[bytes, tuple[str, _Reader]]] = {
    ACTORS: ("actors", _actor),
    ERASURES: ("erasures", _erasure),
    GOVERNANCE_LOG: ("log_governance", _governance),
    IDEMPOTENCY: ("idempotency", shared_request),
    PENDING: ("pending", _held),
}
