"""Which entities answer to a name: this node's index for finding them by alias.

Law: derived and local. It follows the commits and is rebuilt from the keys of entities alone,
so it can be thrown away; it may name an entity that does not show or has lost a name, never
miss one that has it. Whoever asks reads the record and decides.

The id of an entity is drawn from its namespace and name, so all nodes give it the same one,
also on two sides of a cut. It is a UUID of version 4 (RFC 9562, section 5.4) in shape, whose
first `LEAD` is the same for all entities: their records lie together in the store and are
found without reading any other memory. 106 bits of a SHA-256 are left, so two names meet by
chance after some 2**53 of them. The index takes some 500 bytes of memory an entity.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from typing import Final

from crdt.dot import DATA, PRIVATE
from crdt.fields import ELEMENT_MARK
from crdt.op import record_key
from crdt.record import Record
from crdt.state import Batch
from node.memory.drafts import COLLECTION
from node.memory.ids import uuid_text
from node.memory.record import ALIASES

LEAD: Final = "e717"
STARTS: Final = tuple(record_key(lane, COLLECTION, LEAD) for lane in (DATA, PRIVATE))
"""What the keys of entities begin with."""

_LEAD_BITS: Final = 16
_ID_AT: Final = len(record_key(DATA, COLLECTION, ""))
_FREE: Final = (1 << 128 - _LEAD_BITS) - 1 ^ (0xF << 76) ^ (0x3 << 62)
_FIXED: Final = int(LEAD, 16) << 128 - _LEAD_BITS | 0x4 << 76 | 0x2 << 62
_ELEMENT: Final = f"{ALIASES}{ELEMENT_MARK}"
_STRIDE: Final = 64


def entity_id(namespace: str, name: str) -> str:
    """The id of the entity with a canonical name, the same on every node."""
    drawn = hashlib.sha256(f"entity\0{namespace}\0{name}".encode()).digest()[:16]
    return uuid_text(int.from_bytes(drawn, "big") & _FREE | _FIXED)


def names_in(record: Record) -> tuple[str, ...]:
    """Every name that any version of a record gives: titles and aliases."""
    found = {name[len(_ELEMENT) :]: None for name in record.fields if name.startswith(_ELEMENT)}
    for version in record.fields.get("title", {}).values():
        if isinstance(version.value, str):
            found[version.value] = None
    return tuple(found)


class EntityIndex:
    """Ids of entities by their names.

    Args:
        scan: the keys of every record of the store that may be an entity.
        read: the newest state of a record, committed or not.
        store_id: names the store; when it changes, the index starts over.
    """

    def __init__(
        self,
        scan: Callable[[], Iterable[bytes]] = tuple,
        read: Callable[[bytes], Record | None] = lambda _key: None,
        store_id: Callable[[], str] = str,
    ) -> None:
        self._scan = scan
        self._read = read
        self._store_id = store_id
        self._store: str | None = None
        self._names: dict[bytes, tuple[str, ...]] = {}
        # Most names are those of one entity, and need no table of their own.
        self._keys: dict[str, bytes | dict[bytes, None]] = {}
        self._loading = asyncio.Lock()

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        for key, change in batch.records.items():
            if key.startswith(STARTS):
                self._note(key, () if change.after is None else names_in(change.after))

    def made(self, ident: str, names: Iterable[str]) -> None:
        """An entity was just given names here; they count before the commit is over."""
        key = record_key(DATA, COLLECTION, ident)
        self._note(key, tuple(dict.fromkeys((*self._names.get(key, ()), *names))))

    async def named(self, name: str) -> list[str]:
        """Ids of the entities that may have a name."""
        await self._load()
        found = self._keys.get(name, {})
        keys = (found,) if isinstance(found, bytes) else found
        return list(dict.fromkeys(key[_ID_AT:].decode() for key in keys))

    def _note(self, key: bytes, names: tuple[str, ...]) -> None:
        before = self._names.pop(key, ())
        for name in before:
            if name not in names:
                self._forget(name, key)
        for name in names:
            known = self._keys.get(name)
            if known is None:
                self._keys[name] = key
            elif isinstance(known, dict):
                known[key] = None
            elif known != key:
                self._keys[name] = {known: None, key: None}
        if names:
            self._names[key] = names

    def _forget(self, name: str, key: bytes) -> None:
        known = self._keys[name]
        if isinstance(known, dict):
            del known[key]
        if not known or known == key:
            del self._keys[name]

    async def _load(self) -> None:
        """Read the entities of the store: at the first use, and when it was replaced."""
        async with self._loading:
            store = self._store_id()
            if store == self._store:
                return
            if self._store is not None:  # what was noted before the first use is still true
                self._names.clear()
                self._keys.clear()
            for step, key in enumerate(self._scan(), start=1):
                # Its newest state, so what is committed meanwhile is never written over.
                record = self._read(key)
                if record is not None:
                    self._note(key, names_in(record))
                if step % _STRIDE == 0:
                    await asyncio.sleep(0)
            self._store = store
