"""How many fields of memories hold concurrent values that nobody has settled.

Law: derived and local, and exact once the store was walked. It follows the commits; what was
there before is found by one walk over the feed, off the loop and giving way, which reads every
record once. Only records in conflict are kept in mind, so a million calm memories cost nothing.
Until the walk is over the count is too low, never too high; it begins anew over another store.
A damaged row hides its neighbours from the walk, until somebody changes or repairs them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from crdt.dot import DATA, PRIVATE
from crdt.fields import CHUNK_MARK, FieldKind, kind_of
from crdt.op import record_key
from crdt.record import Record
from crdt.record_codec import RecordError, decode
from crdt.state import Batch
from crdt.view import Approvals, in_conflict, shown, winner
from node.documents.sheet import CONTENT, KIND
from node.memory.drafts import COLLECTION
from node.store.errors import CorruptRecord
from node.store.feed import Changed

_STARTS: Final = (record_key(DATA, COLLECTION, ""), record_key(PRIVATE, COLLECTION, ""))
_PAGE_ROWS: Final = 256
_REST_SECONDS: Final = 0.01


Pages = Callable[[int, int], Sequence[Changed]]
"""Records changed after a position of the feed, at most so many; called from a thread."""


def fields_in_conflict(record: Record | None, approvals: Approvals) -> int:
    """How many registers of what shows of a record hold different values.

    So does the content of a document that lies beside its changes: whoever wrote it did not know
    of them.
    """
    if record is None or record.origin is not None:
        return 0
    beside = _has_content_beside(record)
    if not (beside or _may_be(record)):
        return 0
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


def _may_be(record: Record) -> bool:
    """Whether any field has siblings at all, whatever is shown of them."""
    return any(len(held) > 1 for held in record.fields.values())


class OpenConflicts:
    """Counts them.

    Args:
        store_id: names the store that is followed now.
        pages: reads its feed.
        now: how many fields of a record are in conflict, by its key; asked on the loop.
    """

    def __init__(
        self, *, store_id: Callable[[], str], pages: Pages, now: Callable[[bytes], int]
    ) -> None:
        self._store_id = store_id
        self._pages = pages
        self._now = now
        self._store: str | None = None
        self._open: dict[bytes, int] = {}
        self._total = 0

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
                self._note(key, fields_in_conflict(change.after, change.approved_after))

    def _note(self, key: bytes, count: int) -> None:
        before = self._open.pop(key, 0)
        if count:
            self._open[key] = count
        self._total += count - before

    async def walk(self) -> None:
        """Read what the store held; returns when all of it is counted.

        What changes meanwhile is told by the commits, and what shows now is asked for here, so
        it does not matter in which order the two are heard.
        """
        self._store = self._store_id()
        self._open.clear()
        self._total, at = 0, 0
        while not self.stale:
            at, keys, more = await asyncio.to_thread(self._page, at)
            for key in keys:
                self._note(key, self._now(key))
            if not more:
                return
            await asyncio.sleep(_REST_SECONDS)

    def _page(self, after: int) -> tuple[int, list[bytes], bool]:
        """(position, keys of memories that may be in conflict, whether there is more)."""
        try:
            rows = self._pages(after, _PAGE_ROWS)
        except (
            CorruptRecord
        ):  # the scrub tells of it; what stands beside it is counted when repaired
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
    return record.origin is None and (_may_be(record) or _has_content_beside(record))
