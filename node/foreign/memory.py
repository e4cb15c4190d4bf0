"""The memory of exchanges with foreign peers, in a small environment of its own.

Law: it survives a swap of the store, and nothing rests on it that a later exchange does not
heal: it is written after the write it speaks of was confirmed here, and a row that equals ours
refreshes it. One thread writes; reads are single look-ups on the loop. A value that does not
match its checksum is as good as absent.

LMDB itself has no checksums, so every value carries one, over its key too.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import lmdb

from node.errors import Unavailable
from node.foreign.entries import Entry, decode_entry, encode_entry
from node.store.errors import CorruptRecord
from node.store.schema import sealed, unseal
from node.store.small import opened

MEMORY: Final = "memory"
LINK: Final = "link"
POLICY: Final = "policy"
PENDING: Final = "pending"

_TABLE: Final = "foreign"
_ENTRY: Final = b"e"
_CURSOR: Final = b"c"
_ASKED: Final = b"a"
_MAP_BYTES: Final = 1 << 36
_NAME_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the exchange with the peer at an address is.

    Attributes:
        peer: the peer that was met there.
        token: what it gave us to go on with; empty for the beginning.
        store: the store whose order of arrival `place` speaks of.
        place: everything of ours up to there was given, or refused.
    """

    peer: str = ""
    token: str = ""
    store: str = ""
    place: int = 0

    def of(self, peer: str) -> "Cursor":
        """The same for another peer: with that one everything begins anew."""
        return self if self.peer == peer else Cursor(peer=peer)

    def in_store(self, store: str) -> "Cursor":
        """The same for another store: there everything is looked at again."""
        return self if self.store == store else replace(self, store=store, place=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """From where on a peer last asked for what is here: it has taken all before."""

    store: str = ""
    place: int = 0


class Memory(Protocol):
    """Remembers exchanges."""

    def entry(self, peer: str, kind: str, ident: str) -> Entry:
        """What is remembered; an empty entry when nothing is."""
        ...

    def asked(self, peer: str) -> Asked:
        """From where on the peer last asked."""
        ...

    def cursor(self, url: str) -> Cursor:
        """How far the exchange with the peer at an address is."""
        ...

    async def remember(
        self,
        peer: str,
        entries: Mapping[tuple[str, str], Entry],
        *,
        asked: Asked | None = None,
        at: tuple[str, Cursor] | None = None,
    ) -> None:
        """Put entries (by kind and id), a question and a cursor (with its address) down.

        Raises:
            node.errors.Unavailable: they cannot be written; nothing was changed.
        """
        ...


class BriefMemory:
    """A memory without a disk."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}

    def entry(self, peer: str, kind: str, ident: str) -> Entry:
        """What is remembered; an empty entry when nothing is."""
        return _entry(self._rows.get(_entry_key(peer, kind, ident)), self.asked(peer))

    def asked(self, peer: str) -> Asked:
        """From where on the peer last asked."""
        return Asked(**_read(self._rows.get(_key(_ASKED, peer))))

    def cursor(self, url: str) -> Cursor:
        """How far the exchange is."""
        return Cursor(**_read(self._rows.get(_key(_CURSOR, url))))

    async def remember(
        self,
        peer: str,
        entries: Mapping[tuple[str, str], Entry],
        *,
        asked: Asked | None = None,
        at: tuple[str, Cursor] | None = None,
    ) -> None:
        """Keep them as long as the process lives."""
        self._rows.update(_rows(peer, entries, asked, at))


class ForeignMemory:
    """Entries by peer, kind and id, and a cursor for each peer.

    Args:
        path: folder of the environment; made (0700) when absent.

    Raises:
        node.errors.Unavailable: it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._env = opened(path, map_bytes=_MAP_BYTES)
        except lmdb.Error as error:
            raise Unavailable(
                f"the memory of foreign exchanges in {path} cannot be opened",
                why=str(error),
                fix="Set the folder aside; equal rows fill it again, and of others the later "
                "one counts",
            ) from error
        self._asked: dict[str, Asked] = {}
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="foreign")

    def entry(self, peer: str, kind: str, ident: str) -> Entry:
        """What is remembered; an empty entry when nothing is."""
        return _entry(self._get(_entry_key(peer, kind, ident)), self.asked(peer))

    def asked(self, peer: str) -> Asked:
        """From where on the peer last asked."""
        held = self._asked.get(peer)
        if held is None:
            held = Asked(**_read(self._get(_key(_ASKED, peer))))
            self._asked[peer] = held
        return held

    def cursor(self, url: str) -> Cursor:
        """How far the exchange with the peer at an address is."""
        return Cursor(**_read(self._get(_key(_CURSOR, url))))

    async def remember(
        self,
        peer: str,
        entries: Mapping[tuple[str, str], Entry],
        *,
        asked: Asked | None = None,
        at: tuple[str, Cursor] | None = None,
    ) -> None:
        """Put them on the disk, in one transaction; see `Memory.remember`."""
        rows = _rows(peer, entries, asked, at)
        if rows:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._writer, self._commit, rows)
            self._asked.pop(peer, None)

    def close(self) -> None:
        """Finish what is being written and let go of the files."""
        self._writer.shutdown(wait=True)
        self._env.close()

    def _get(self, key: bytes) -> bytes | None:
        with self._env.begin() as txn:
            value = txn.get(key)
            if value is None:
                return None
            try:
                return unseal(_TABLE, key, bytes(value))
            except CorruptRecord:
                return None

    def _commit(self, rows: Mapping[bytes, bytes]) -> None:
        while True:
            try:
                with self._env.begin(write=True) as txn:
                    for key, body in rows.items():
                        txn.put(key, sealed(key, body))
            except lmdb.MapFullError:
                self._env.set_mapsize(self._env.info()["map_size"] * 2)
            except (lmdb.Error, OSError) as error:
                raise Unavailable(
                    "the memory of foreign exchanges cannot be written", why=str(error)
                ) from error
            else:
                return


def _rows(
    peer: str,
    entries: Mapping[tuple[str, str], Entry],
    asked: Asked | None,
    at: tuple[str, Cursor] | None,
) -> dict[bytes, bytes]:
    rows = {
        _entry_key(peer, kind, ident): encode_entry(entry)
        for (kind, ident), entry in entries.items()
    }
    if asked is not None:
        rows[_key(_ASKED, peer)] = json.dumps(asdict(asked)).encode()
    if at is not None:
        rows[_key(_CURSOR, at[0])] = json.dumps(asdict(at[1])).encode()
    return rows


def _entry(data: bytes | None, asked: Asked) -> Entry:
    if data is None:
        return Entry()
    try:
        return decode_entry(data).confirmed(asked.place, asked.store)
    except ValueError:  # of a version that this program does not know
        return Entry()


def _read(data: bytes | None) -> dict[str, Any]:
    found: dict[str, Any] = {} if data is None else json.loads(data)
    return found


def _key(table: bytes, peer: str) -> bytes:
    return table + hashlib.blake2b(peer.encode(), digest_size=_NAME_BYTES).digest()


def _entry_key(peer: str, kind: str, ident: str) -> bytes:
    name = hashlib.blake2b(f"{kind}\0{ident}".encode(), digest_size=_NAME_BYTES)
    return _key(_ENTRY, peer) + name.digest()
