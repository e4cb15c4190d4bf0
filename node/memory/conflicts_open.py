"""How many fields of memories hold concurrent values that nobody has settled.

Law: derived and local, and exact once the store was walked. It follows the commits; what was
there before is found by one walk over the feed, off the loop and giving way, from where the walk of
the start before it ended. Only records of which a field has several values are kept in mind, so a
million calm memories cost nothing. Until the walk is over the count is too low, never too high; it
begins anew over another store. A damaged row hides its neighbours from the walk, until somebody
changes or repairs them.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeGuard

from crdt.dot import DATA, PRIVATE
from crdt.fields import CHUNK_MARK, FieldKind, kind_of
from crdt.op import record_key
from crdt.record import Record
from crdt.record_codec import RecordError, decode
from crdt.state import Batch
from crdt.view import Approvals, in_conflict, shown, winner
from node.documents.sheet import CONTENT, KIND
from node.memory.drafts import COLLECTION
from node.store.bookmark import Bookmark, Place
from node.store.errors import CorruptRecord
from node.store.feed import Changed

_STARTS: Final = (record_key(DATA, COLLECTION, ""), record_key(PRIVATE, COLLECTION, ""))
_PAGE_ROWS: Final = 256
_REST_SECONDS: Final = 0.01


Pages = Callable[[int, int], Sequence[Changed]]
"""Records changed after a position of the feed, at most so many; called from a thread."""


def has_rivals(record: Record | None) -> TypeGuard[Record]:
    """Whether any field has several values, whatever is shown of them."""
    if record is None or record.origin is not None:
        return False
    return any(len(held) > 1 for held in record.fields.values()) or _has_content_beside(record)


def fields_in_conflict(record: Record | None, approvals: Approvals) -> int:
    """How many registers of what shows of a record hold different values.

    So does the content of a document that lies beside its changes: whoever wrote it did not know
    of them.
    """
    if not has_rivals(record):
        return 0
    beside = _has_content_beside(record)
    part = shown(record, approvals)
    if part is None:
        return 0
    fields = part.fields
    found = {
        name
        for name, held in fields.items()
        if kind_of(name) is FieldKind.REGISTER and in_conflict(held)
    }
    kinds = fields.get("memory_kind")
    if beside and CONTENT in fields and kinds and winner(kinds, approvals).value == KIND:
        found.update(CONTENT for name in fields if name.startswith(CHUNK_MARK))
    return len(found)


def _has_content_beside(record: Record) -> bool:
    """Whether a record has the chunks of a document, and a content that is none of them."""
    return record.says(CONTENT) and any(name.startswith(CHUNK_MARK) for name in record.fields)


class OpenConflicts:
    """Counts them.

    Args:
        store_id: names the store that is followed now.
        pages: reads its feed.
        read: the newest state of a record, by its key; asked on the loop.
        approvals: what is approved now.
        bookmark: where the last walk ended; None to walk all of the store every time.
    """

    def __init__(
        self,
        *,
        store_id: Callable[[], str],
        pages: Pages,
        read: Callable[[bytes], Record | None],
        approvals: Callable[[], Approvals],
        bookmark: Bookmark | None = None,
    ) -> None:
        self._store_id = store_id
        self._pages = pages
        self._read = read
        self._approvals = approvals
        self._bookmark = bookmark
        self._store: str | None = None
        self._open: dict[bytes, int] = {}
        """By the key of every record that has rivals: its fields in conflict."""
        self._total = 0
        self._hidden = False
        """Whether the walk came by a damaged row: the next start looks again."""

    @property
    def total(self) -> int:
        """Fields in conflict, as far as is known."""
        return self._total

    @property
    def stale(self) -> bool:
        """Whether the store is another one than the one that was walked."""
        return self._store != self._store_id()

    def saw(self, batch: Batch) -> None:
        """Follow a commit."""
        for key, change in batch.records.items():
            if key.startswith(_STARTS):
                self._note(key, change.after, change.approved_after)

    def _note(self, key: bytes, record: Record | None, approvals: Approvals) -> None:
        count, before = 0, self._open.pop(key, 0)
        if has_rivals(record):
            count = self._open[key] = fields_in_conflict(record, approvals)
        self._total += count - before

    async def walk(self) -> None:
        """Read what the store held; returns when all of it is counted.

        What changes meanwhile is told by the commits, and what shows now is asked for here, so
        it does not matter in which order the two are heard.
        """
        store = self._store = self._store_id()
        self._open.clear()
        self._total, at = 0, 0
        self._hidden = False
        if self._bookmark is not None:
            at, found = self._bookmark.of(store)
            await self._note_all([bytes.fromhex(key) for key in found or ()])
        began, more = at, True
        while more:
            if self.stale:
                return
            at, keys, more = await asyncio.to_thread(self._page, at)
            await self._note_all(keys)
            if more:
                await asyncio.sleep(_REST_SECONDS)
        if self._bookmark is not None and at > began and not self._hidden and not self.stale:
            place = Place(at, [key.hex() for key in self._open])
            with suppress(OSError):  # the next start reads a little more
                await asyncio.to_thread(self._bookmark.put, store, place)

    async def _note_all(self, keys: Sequence[bytes]) -> None:
        for step, key in enumerate(keys, start=1):
            self._note(key, self._read(key), self._approvals())
            if step % _PAGE_ROWS == 0:
                await asyncio.sleep(0)

    def _page(self, after: int) -> tuple[int, list[bytes], bool]:
        """(position, keys of memories that may be in conflict, whether there is more)."""
        try:
            rows = self._pages(after, _PAGE_ROWS)
        except (
            CorruptRecord
        ):  # the scrub tells of it; what stands beside it is counted when repaired
            self._hidden = True
            return after + _PAGE_ROWS, [], True
        keys = [row.key for row in rows if _worth_a_look(row)]
        return (rows[-1].position if rows else after), keys, len(rows) == _PAGE_ROWS


def _worth_a_look(row: Changed) -> bool:
    if row.data is None or not row.key.startswith(_STARTS):
        return False
    try:
        record = decode(row.key, row.data)
    except RecordError:
        return False
    return has_rivals(record)
