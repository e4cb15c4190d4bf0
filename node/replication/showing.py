"""What a record shows now, and what is remembered of it.

Law: whether a memory has ended its life, or lies in the archive, is decided here alone, anew
each time. Remembered is what follows from a record alone, and only until it
changes (`crdt.overlay.Overlay.put`) or its store is another one. What is remembered is not read
from the disk again, so damage is found by whatever reads from there: the first read, the scrub,
a copy.
"""

from typing import Final

from crdt.fields import ARCHIVED_AT
from crdt.memo import UNKNOWN
from crdt.record import Record
from crdt.view import View, is_settled
from node.contracts import Held
from node.documents.seam import held_of
from node.documents.sheet import CONTENT, is_document
from node.replication.engine import Engine
from node.replication.sound import view
from node.store.errors import CorruptRecord

_REMEMBERED_BYTES: Final = 2048
"""What a remembered record weighs besides its bytes, roughly."""


class Showing:
    """Looks at records of one node by their keys."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def one(self, key: bytes, *, archived: bool = False) -> Held | None:
        """As `held`, for what somebody may ask for again."""
        found = self._engine.replica.overlay.memo.get(key)
        if found is UNKNOWN:
            found = self._known(key)
        held: Held | None = found
        return held if held is not None and self.shows(held.view, archived=archived) else None

    def listed(self, key: bytes, *, archived: bool = False) -> Held | None:
        """As `held`; None for a record that is damaged too: one row must not cost a list."""
        return self.of(key, self.read(key), archived=archived)

    def read(self, key: bytes) -> Record | None:
        """The record under a key; None for a damaged one, which was told where it was read."""
        try:
            return self._engine.replica.read(key)
        except CorruptRecord:
            return None

    def held(self, key: bytes, *, archived: bool = False) -> Held | None:
        """The record under a key, when it shows: among the archived ones, or the others."""
        return self.of(key, self._engine.replica.read(key), archived=archived)

    def of(self, key: bytes, record: Record | None, *, archived: bool = False) -> Held | None:
        """The same of a record that was read."""
        held = self.whole(key, record)
        return held if held is not None and self.shows(held.view, archived=archived) else None

    def whole(self, key: bytes, record: Record | None) -> Held | None:
        """The same although it lies in the archive, or its life is over."""
        seen = view(record, self._engine.replica)
        return None if seen is None else held_of(key, seen, self._engine.shelf)

    def shows(self, seen: View, *, archived: bool) -> bool:
        """Whether it is among the archived ones, or is neither archived nor over."""
        return is_archived(seen) is archived and (archived or not self.expired(seen))

    def expired(self, seen: View) -> bool:
        """Whether its life is over."""
        expires = seen.values.get("expires_at")
        return isinstance(expires, int) and expires <= self._engine.now_ms()

    def _known(self, key: bytes) -> Held | None:
        """What is visible under a key; remembered when it hangs on the stored bytes alone."""
        replica = self._engine.replica
        overlay = replica.overlay
        memo, changes = overlay.memo, overlay.memo.changes  # before anything is looked at
        record, size = overlay.sized(key)
        seen = view(record, replica)
        # One that is not on the disk yet is kept too if it takes long to look at.
        lasting = record is None or is_settled(record)
        if size is None:
            lasting = lasting and seen is not None and is_document(seen.values)
        held = None
        if seen is not None:
            held = held_of(key, seen, self._engine.shelf, {} if lasting else None)
        if lasting:
            if held is not None and held.sheet is not None:
                size = (size or held.sheet.size_bytes) + len(_content(held))
            # Its values, and as much again for what is made of them.
            memo.keep(key, held, _REMEMBERED_BYTES + 2 * (size or 0), changes)
        return held


def _content(held: Held) -> str:
    """Of a document; one that an older program moved may have none."""
    text: str = held.view.values.get(CONTENT) or ""
    return text


def is_archived(seen: View) -> bool:
    """Whether it lies in the archive."""
    return type(seen.values.get(ARCHIVED_AT)) is int
