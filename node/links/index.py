"""Which links end at a memory: this node's index for reading links backwards.

Law: derived and local. It follows the commits and is rebuilt from the keys of the store
alone, so it can be thrown away; it may name a link that does not show (gone, or waiting for
approval), never miss one that does. Whoever asks reads the record and decides.

The id of a link begins with its source, so a look-up by prefix finds the links that leave a
memory. A second record per link, under its target, would find the others as well, but would
be a second operation: judged again, held for approval again, and able to go without its
twin. So there is one record, its id carries a hash of the target, and this index turns that
around: some 300 bytes of memory a link. It also knows whether a memory has any link at all.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from crdt.dot import PRIVATE
from crdt.op import record_key
from crdt.state import Batch

COLLECTION: Final = "link"
_MARK: Final = "|"
_END_CHARS: Final = 32
_TRIPLE_CHARS: Final = 16
_NAME: Final = b"link/"
_NAME_AT: Final = slice(1, 1 + len(_NAME))
_SHARED: Final = 1
_OWN: Final = 2
_ID_AT: Final = 1 + len(_NAME)


def link_id(source: str, relation: str, target: str) -> str:
    """The id of the one record that states a link; at most 177 bytes for ids of 128."""
    triple = hashlib.sha256(f"{source}\0{relation}\0{target}".encode()).hexdigest()
    return f"{leaving(source)}{_end(target)}{triple[:_TRIPLE_CHARS]}"


def leaving(source: str) -> str:
    """What the ids of all links that leave a memory begin with."""
    return f"{source}{_MARK}"


def _end(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()[:_END_CHARS]


class LinkIndex:
    """Ids of links by the memory they end at.

    Args:
        scan: the keys of every link record of the store.
        store_id: names the store; when it changes, the index starts over.
    """

    def __init__(
        self,
        scan: Callable[[], Iterable[bytes]] = tuple,
        store_id: Callable[[], str] = str,
    ) -> None:
        self._scan = scan
        self._store_id = store_id
        self._store: str | None = None
        self._ending: dict[str, dict[str, int]] = {}
        self._leaving: dict[str, int] = {}
        self._shared = 0

    def note(self, key: bytes, *, there: bool) -> None:
        """Take in that a link record is there, or is gone."""
        ident = key[_ID_AT:].decode()
        source, _, triple = ident.rpartition(_MARK)
        end = triple[:_END_CHARS]
        # A link may stand in both lanes, and leave one of them.
        lane = _OWN if key[:1] == PRIVATE else _SHARED
        found = self._ending.get(end, {})
        held = found.get(ident, 0)
        lanes = held | lane if there else held & ~lane
        if lanes == held:
            return
        if lane == _SHARED:
            self._shared += 1 if there else -1
        if not held:
            self._count(source, 1)
        if lanes:
            self._ending.setdefault(end, found)[ident] = lanes
            return
        self._count(source, -1)
        del found[ident]
        if not found:
            self._ending.pop(end, None)

    def _count(self, source: str, step: int) -> None:
        count = self._leaving.get(source, 0) + step
        if count:
            self._leaving[source] = count
        else:
            del self._leaving[source]

    def touches(self, memory: str) -> bool:
        """Whether a link may leave a memory or end at it."""
        self._renew()
        return memory in self._leaving or (bool(self._ending) and _end(memory) in self._ending)

    def made(self, lane: bytes, ident: str) -> None:
        """A link was just minted here; it shows before its commit is over."""
        self._renew()
        self.note(record_key(lane, COLLECTION, ident), there=True)

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        for key, change in batch.records.items():
            if key[_NAME_AT] == _NAME:
                self._renew()
                self.note(key, there=change.after is not None)

    def ending_at(self, target: str) -> list[str]:
        """Ids of the links that end at a memory."""
        self._renew()
        return list(self._ending.get(_end(target), ()))

    def every(self) -> Iterator[str]:
        """Ids of all links; what comes or goes meanwhile may be missing."""
        self._renew()
        for end in list(self._ending):
            yield from list(self._ending.get(end, ()))

    def shared(self) -> int:
        """How many link records there are, without those that never leave this node."""
        self._renew()
        return self._shared

    def _renew(self) -> None:
        """Read the keys of the store: at the first use, and when it was replaced."""
        store = self._store_id()
        if store == self._store:
            return
        self._store, self._shared = store, 0
        self._ending.clear()
        self._leaving.clear()
        for key in self._scan():
            self.note(key, there=True)
