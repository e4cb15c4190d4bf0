"""What stands before and after a memory: a small table on disk, derived from the store.

Law: it holds no words: keys, groups and moments, whether a memory ends in a question, and
short hashes of its speaker's names. A group is a conversation: the same `metadata.session_id`
in one namespace and lane, else the namespace itself. Memories that not everybody may read are
grouped by who may, so nothing that a reader does not know of stands between what it knows.
Everything here may be thrown away and made again from the store.

Rows: `k`, key -> group, moment, marks. `o`, group, moment, key -> marks. `v` -> version.
"""

import functools
import re
import struct
import uuid
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from crdt.hlc import COUNTER_BITS, stamp_of
from node.recall.moments import speaker_of
from node.recall.values import PUBLIC, Change, Document
from node.recall.words import terms
from node.store.schema import Cursor, Transaction
from node.store.small import DAMAGES, opened

GAP_MS: Final = 10 * 60 * 1000
"""What lies further apart without a common session is no conversation."""

_GAP: Final = stamp_of(GAP_MS)
_VERSION: Final = b"1"
_READERS_MAX: Final = 32
_MAP_BYTES: Final = 8 * 2**30
"""Room for some forty million memories."""
_GROUP_BYTES: Final = 8
_NAME_BYTES: Final = 4
_NAMES_MAX: Final = 4
_MOMENT: Final = struct.Struct(">Q")
_KEY, _ORDER, _VERSION_ROW = b"k", b"o", b"v"
_MOMENT_AT: Final = 1 + _GROUP_BYTES
_IDENT_AT: Final = _MOMENT_AT + _MOMENT.size
_IN_SESSION: Final = 1
_QUESTION: Final = 2
_MOMENT_MAX: Final = 2**64 - 1
_ASKS: Final = re.compile(r"[?\uff1f\u061f]\W*(?:\[[^\]]*\]\s*)?$")
_TAIL_CHARS: Final = 400
_DRAWN: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BY_NUMBER: Final = {"d": b"\x01", "p": b"\x02"}
_LANE_OF: Final = {mark[0]: lane for lane, mark in _BY_NUMBER.items()}


class Place(NamedTuple):
    """Where one memory stands.

    Attributes:
        ident: its key, packed as `packed` does; `key_of` gives the key.
        marks: whether it ends in a question, and hashes of what its speaker is called.
    """

    ident: bytes
    marks: bytes

    @property
    def asks(self) -> bool:
        """Whether it ends in a question."""
        return bool(self.marks[0] & _QUESTION)


class Around(NamedTuple):
    """A memory with those around it, the nearest first."""

    own: Place
    before: list[Place]
    after: list[Place]


def names_in(marks: bytes) -> Iterator[bytes]:
    """The hashes of names in the marks of a place."""
    for at in range(1, len(marks), _NAME_BYTES):
        yield marks[at : at + _NAME_BYTES]


def name_hash(term: str) -> bytes:
    """What the table keeps of a name."""
    return blake2b(term.encode(), digest_size=_NAME_BYTES).digest()


class OrderTable:
    """The open table.

    Args:
        folder: where it lies; made when absent.
        map_bytes: the most it may grow to; costs nothing until it is used.

    Raises:
        ValueError: what lies there cannot be read by this version.
    """

    def __init__(self, folder: Path, map_bytes: int = _MAP_BYTES) -> None:
        try:
            self._env = opened(folder, map_bytes=map_bytes, readers_max=_READERS_MAX)
        except DAMAGES as error:
            raise ValueError(
                f"the order of memories in {folder} is damaged: build it anew"
            ) from error
        with self._env.begin() as txn:
            known = txn.get(_VERSION_ROW)
            rows = txn.stat()["entries"]
        if rows and known != _VERSION:
            self._env.close()
            raise ValueError("the order of memories is of another version: build it anew")
        self.fresh = not rows
        """Whether it began empty: whoever feeds it has to begin at the beginning."""
        if self.fresh:
            self.clear()

    def write(self, changes: Iterable[Change]) -> None:
        """Take in what changed; all of it or, when the disk refuses, nothing.

        Raises:
            OSError, lmdb.Error: the disk does not take it.
        """
        with self._env.begin(write=True) as txn:
            for change in changes:
                _put(txn, change.key, change.document)

    def around(self, idents: Iterable[bytes], reach: int) -> Iterator[Around]:
        """Those of some memories that are in the table, with up to `reach` on each side."""
        with self._env.begin() as txn, txn.cursor() as cursor:
            for ident in idents:
                row = txn.get(_KEY + ident)
                if row is None:
                    continue
                at = _ORDER + row[: _IDENT_AT - 1] + ident
                own = Place(ident, row[_IDENT_AT - 1 :])
                before = _walk(cursor, at, reach, forward=False)
                yield Around(own, before, _walk(cursor, at, reach, forward=True))

    def clear(self) -> None:
        """Forget everything."""
        with self._env.begin(write=True) as txn:
            txn.drop(self._env.open_db(None, txn=txn), delete=False)
            txn.put(_VERSION_ROW, _VERSION)

    def close(self) -> None:
        """Close it; nobody may be reading."""
        self._env.close()


def _walk(cursor: Cursor, at: bytes, reach: int, *, forward: bool) -> list[Place]:
    """Those after (or before) a row of the order, as long as they belong together."""
    out: list[Place] = []
    if not cursor.set_key(at):
        return out
    step = cursor.next if forward else cursor.prev
    group = at[:_MOMENT_AT]
    last = int.from_bytes(at[_MOMENT_AT:_IDENT_AT])
    while len(out) < reach and step():
        row, marks = bytes(cursor.key()), bytes(cursor.value())
        if row[:_MOMENT_AT] != group:
            break
        if not marks[0] & _IN_SESSION:
            moment = int.from_bytes(row[_MOMENT_AT:_IDENT_AT])
            if abs(moment - last) > _GAP:
                break
            last = moment
        out.append(Place(row[_IDENT_AT:], marks))
    return out


def _put(txn: Transaction, key: str, document: Document | None) -> None:
    ident = packed(key)
    before = txn.get(_KEY + ident)
    if document is None:
        if before is not None:
            txn.delete(_ORDER + before[: _IDENT_AT - 1] + ident)
            txn.delete(_KEY + ident)
        return
    row = _group_of(document) + _moment_of(document) + _marks_of(document)
    if row == before:
        return
    if before is not None:
        txn.delete(_ORDER + before[: _IDENT_AT - 1] + ident)
    txn.put(_KEY + ident, row)
    txn.put(_ORDER + row[: _IDENT_AT - 1] + ident, row[_IDENT_AT - 1 :])


def _session_of(document: Document) -> str:
    said = document.metadata.get("session_id")
    numbered = isinstance(said, int) and not isinstance(said, bool)
    return document.session or (str(said) if numbered else "")


def _group_of(document: Document) -> bytes:
    readers = () if document.readers == (PUBLIC,) else document.readers
    return _group((document.key[:1], document.namespace, _session_of(document), *readers))


@functools.lru_cache(1024)
def _group(parts: tuple[str, ...]) -> bytes:
    said = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    return blake2b(said, digest_size=_GROUP_BYTES).digest()


def _moment_of(document: Document) -> bytes:
    """The stamp of its birth; a time that an import brought comes before the stamp."""
    stamp = stamp_of(max(document.created_ms, 0))
    if document.order >> COUNTER_BITS == document.created_ms:
        stamp = document.order
    return _MOMENT.pack(min(stamp, _MOMENT_MAX))


def _marks_of(document: Document) -> bytes:
    asks = _QUESTION if _ASKS.search(document.content[-_TAIL_CHARS:]) else 0
    session = _IN_SESSION if _session_of(document) else 0
    return bytes((asks | session,)) + _names_of(speaker_of(document))


@functools.lru_cache(1024)
def _names_of(speaker: str) -> bytes:
    return b"".join(map(name_hash, terms(speaker)[:_NAMES_MAX]))


def packed(key: str) -> bytes:
    """A key in few bytes: ids drawn by the server are UUIDs."""
    mark = _BY_NUMBER.get(key[:1])
    if mark is not None and _DRAWN.fullmatch(key, 1):
        return mark + bytes.fromhex(key[1:].replace("-", ""))
    return key.encode()


def key_of(ident: bytes) -> str:
    """The key that was packed."""
    lane = _LANE_OF.get(ident[0])
    return ident.decode() if lane is None else lane + str(uuid.UUID(bytes=ident[1:]))
