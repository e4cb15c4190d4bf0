"""Which consolidations have words of which memories: this node's own index.

Law: derived and local. It follows the commits, and is read from the feed of the store when it is
first needed, from where an earlier start ended, so it can be thrown away. It may name a
consolidation that has a memory's words no more, never miss one that has: of concurrent versions
all count, and links, which anybody may end, count for nothing here.
"""

from collections.abc import Callable
from typing import Final

from crdt.dot import DATA, PRIVATE
from crdt.op import record_key
from crdt.record import Record
from crdt.state import Batch
from node.lifecycle.composing import CONSOLIDATION, ids_in
from node.memory.drafts import COLLECTION
from node.store.feed import Changed
from node.store.walk import FeedWalk

_MEMORY: Final = b"memory/"
_NAME_AT: Final = slice(1, 1 + len(_MEMORY))
_ID_AT: Final = 1 + len(_MEMORY)
_SAYS: Final = CONSOLIDATION.encode()


class Origins:
    """Consolidations by what they came from, as far down as they tell.

    Attributes:
        store: names the store that it was read from; empty before that.
    """

    def __init__(self) -> None:
        self.store = ""
        self._below: dict[tuple[bool, str], frozenset[str]] = {}
        self._above: dict[str, dict[str, None]] = {}

    def made_of(self, ident: str) -> list[str]:
        """Ids of the consolidations that may have words of a memory."""
        return list(self._above.get(ident, ()))

    def sources(self) -> list[str]:
        """Ids of all memories that a consolidation may have words of."""
        return list(self._above)

    def note(self, ident: str, record: Record | None, *, private: bool) -> None:
        """Take in how the record of a memory stands."""
        says = record is not None and record.says(CONSOLIDATION)
        versions = record.fields[CONSOLIDATION] if record is not None and says else {}
        place = (private, ident)
        if not versions and place not in self._below:
            return
        now = frozenset(one for v in versions.values() for one in ids_in(v.value))
        before = self._below.pop(place, frozenset())
        if now:
            self._below[place] = now
        for one in now - before:
            self._above.setdefault(one, {})[ident] = None
        other = self._below.get((not private, ident), frozenset())
        for one in before - now - other:
            above = self._above[one]
            del above[ident]
            if not above:
                del self._above[one]

    def keys(self) -> list[bytes]:
        """Of the records of all consolidations."""
        lanes = {False: DATA, True: PRIVATE}
        return [record_key(lanes[lane], COLLECTION, ident) for lane, ident in self._below]

    async def follow(self, walk: FeedWalk, read: Callable[[bytes], Record | None]) -> None:
        """Read what the store holds, giving way; nothing is known when another took its place.

        Args:
            walk: over its feed.
            read: the newest state of a record, by its key; asked on the loop.
        """
        self.begin()

        def note(key: bytes) -> None:
            self.note(key[_ID_AT:].decode(), read(key), private=key[:1] == PRIVATE)

        self.store = await walk.go(wanted=_may_be_one, note=note, found=self.keys) or ""

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        for key, change in batch.records.items():
            after = change.after
            if key[_NAME_AT] == _MEMORY and (
                self._below or (after is not None and after.says(CONSOLIDATION))
            ):
                self.note(key[_ID_AT:].decode(), after, private=key[:1] == PRIVATE)

    def begin(self) -> None:
        """The store is another one: what was known is of the one before."""
        self.store = ""
        self._below.clear()
        self._above.clear()


def _may_be_one(row: Changed) -> bool:
    # Looked for in the bytes: of a million memories a few are consolidations.
    return row.data is not None and row.key[_NAME_AT] == _MEMORY and _SAYS in row.data
