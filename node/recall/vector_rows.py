"""Vectors on disk: a small table, derived from the store, that outlives the process.

Law: one row a memory, of one model. What waits for its vector waits here, with its text, so a
restart forgets nothing; the text goes when the vector is there, or the memory is not. Labels
only grow: a changed memory gets a new one.

Rows: `v`, key -> label, vector (int8). `l`, label -> key. `t`, key -> text that waits.
`i` -> identity of the model. `n` -> last label.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from node.recall.order import key_of, packed
from node.store.schema import Transaction
from node.store.small import DAMAGES, opened

_READERS_MAX: Final = 32
_MAP_BYTES: Final = 64 * 2**30
_LABEL: Final = struct.Struct(">Q")
_VECTOR, _OF_LABEL, _WAITING = b"v", b"l", b"t"
_IDENTITY, _LAST = b"i", b"n"


class VectorRows:
    """The open table.

    Args:
        folder: where it lies; made when absent.
        identity: of the model; rows of another one are refused.

    Raises:
        ValueError: what lies there is damaged or of another model.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._identity = identity.encode()
        try:
            self._env = opened(folder, map_bytes=_MAP_BYTES, readers_max=_READERS_MAX)
        except DAMAGES as error:
            raise ValueError(f"the vectors in {folder} are damaged: build them anew") from error
        with self._env.begin() as txn:
            known = txn.get(_IDENTITY)
        self.fresh = known is None
        """Whether it began empty: whoever feeds it has to begin at the beginning."""
        if self.fresh:
            self.clear()
        elif known != self._identity:
            self._env.close()
            raise ValueError(f"the vectors in {folder} are of another model: build them anew")

    def wait(self, texts: Mapping[str, str | None]) -> list[int]:
        """Note texts that want a vector, by key, None for what is gone; labels that end."""
        ended = []
        with self._env.begin(write=True) as txn:
            for key, text in texts.items():
                ident = packed(key)
                if text is not None:
                    txn.put(_WAITING + ident, text.encode())
                    continue
                txn.delete(_WAITING + ident)
                ended += _drop(txn, ident)
        return ended

    def waiting(self, limit: int) -> dict[str, str]:
        """Some of what waits: key -> text."""
        out: dict[str, str] = {}
        with self._env.begin() as txn, txn.cursor() as cursor:
            there = cursor.set_range(_WAITING)
            while there and len(out) < limit and bytes(cursor.key())[:1] == _WAITING:
                out[key_of(bytes(cursor.key())[1:])] = bytes(cursor.value()).decode()
                there = cursor.next()
        return out

    def put(
        self, texts: Mapping[str, str], vectors: Sequence[bytes]
    ) -> tuple[dict[int, bytes], list[int]]:
        """Keep vectors of texts that still wait.

        Returns:
            Vectors by their new labels, and the labels that they take the place of.
        """
        made: dict[int, bytes] = {}
        ended: list[int] = []
        with self._env.begin(write=True) as txn:
            last = _number(txn.get(_LAST))
            for (key, text), vector in zip(texts.items(), vectors, strict=True):
                ident = packed(key)
                if txn.get(_WAITING + ident) != text.encode():
                    continue  # changed or removed meanwhile
                ended += _drop(txn, ident)
                last += 1
                txn.put(_VECTOR + ident, _LABEL.pack(last) + vector)
                txn.put(_OF_LABEL + _LABEL.pack(last), ident)
                txn.delete(_WAITING + ident)
                made[last] = vector
            txn.put(_LAST, _LABEL.pack(last))
        return made, ended

    def give_up(self, texts: Mapping[str, str]) -> None:
        """Wait no longer for texts that get no vector, as long as they are the same."""
        with self._env.begin(write=True) as txn:
            for key, text in texts.items():
                ident = packed(key)
                if txn.get(_WAITING + ident) == text.encode():
                    txn.delete(_WAITING + ident)
                    _drop(txn, ident)

    def keys(self, labels: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Labels that are in force, with their keys."""
        with self._env.begin() as txn:
            for label in labels:
                ident = txn.get(_OF_LABEL + _LABEL.pack(label))
                if ident is not None:
                    yield label, key_of(bytes(ident))

    def vectors(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The vectors of some memories."""
        with self._env.begin() as txn:
            for key in keys:
                row = txn.get(_VECTOR + packed(key))
                if row is not None:
                    yield key, bytes(row[_LABEL.size :])

    def after(self, label: int) -> Iterator[tuple[int, bytes]]:
        """All that are in force with a greater label, in order."""
        with self._env.begin() as txn, txn.cursor() as cursor:
            there = cursor.set_range(_OF_LABEL + _LABEL.pack(label + 1))
            while there and bytes(cursor.key())[:1] == _OF_LABEL:
                row = txn.get(_VECTOR + bytes(cursor.value()))
                if row is not None:
                    yield _number(bytes(cursor.key())[1:]), bytes(row[_LABEL.size :])
                there = cursor.next()

    def clear(self) -> None:
        """Forget everything."""
        with self._env.begin(write=True) as txn:
            last = txn.get(_LAST)
            txn.drop(self._env.open_db(None, txn=txn), delete=False)
            txn.put(_IDENTITY, self._identity)
            txn.put(_LAST, last or _LABEL.pack(0))

    def close(self) -> None:
        """Close it; nobody may be reading."""
        self._env.close()


def _drop(txn: Transaction, ident: bytes) -> list[int]:
    row = txn.get(_VECTOR + ident)
    if row is None:
        return []
    txn.delete(_VECTOR + ident)
    txn.delete(_OF_LABEL + row[: _LABEL.size])
    return [_number(row[: _LABEL.size])]


def _number(row: bytes | memoryview | None) -> int:
    return 0 if row is None else int(_LABEL.unpack(row)[0])
