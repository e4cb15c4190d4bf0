"""How many fields of memories hold concurrent values that nobody has settled.

Law: derived and local, and exact once the store was walked. It follows the commits; what was
there before is found by one walk over the feed, off the loop and giving way, from where the walk of
the start before it ended. Only records of which a field has several values are kept in mind, so a
million calm memories cost nothing. Until the walk is over the count is too low, never too high; it
begins anew over another store. A damaged record is counted when it is repaired.
"""

from collections.abc import Callable
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
from node.store.feed import Changed
from node.store.walk import FeedWalk

_STARTS: Final = (record_key(DATA, COLLECTION, ""), record_key(PRIVATE, COLLECTION, ""))
REST_SECONDS: Final = 0.01
"""Between two pages of the walk: nobody waits for it."""


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
        walk: over the feed of the store that is followed.
        read: the newest state of a record, by its key; asked on the loop.
        approvals: what is approved now.
    """

    def __init__(
        self,
        *,
        walk: FeedWalk,
        read: Callable[[bytes], Record | None],
        approvals: Callable[[], Approvals],
    ) -> None:
        self._walk = walk
        self._read = read
        self._approvals = approvals
        self._store: str | None = None
        self._open: dict[bytes, int] = {}
        """By the key of every record that has rivals: its fields in conflict."""
        self._total = 0

    @property
    def total(self) -> int:
        """Fields in conflict, as far as is known."""
        return self._total

    @property
    def stale(self) -> bool:
        """Whether the store is another one than the one that was walked."""
        return self._store != self._walk.store_id()

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
        """Read what the store held; returns when all of it is counted."""
        self._store = self._walk.store_id()
        self._open.clear()
        self._total = 0

        def note(key: bytes) -> None:
            self._note(key, self._read(key), self._approvals())

        await self._walk.go(wanted=_worth_a_look, note=note, found=lambda: self._open)


def _worth_a_look(row: Changed) -> bool:
    if row.data is None or not row.key.startswith(_STARTS):
        return False
    try:
        record = decode(row.key, row.data)
    except RecordError:
        return False
    return has_rivals(record)
