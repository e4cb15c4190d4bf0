"""What changed in the store, as engines take it.

Law: it is read in the thread that indexes, and only what is on the disk is read: what is not
there yet comes later, under a position of its own. What hangs on an approval is judged on the
loop, which alone knows approvals.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn, Protocol

from crdt.dot import Dot
from crdt.fields import ARCHIVED_AT
from crdt.record_codec import decode
from node.contracts import Reader
from node.documents.seam import held_of
from node.documents.shelf import Shelf
from node.recall.direct import change_in
from node.recall.document import (
    MEMORY,
    change_at,
    document_of,
    key_of,
    key_of_stored,
    keys_of,
)
from node.recall.values import Change
from node.replication.engine import Engine
from node.replication.sound import view


class Page(NamedTuple):
    """A piece of the feed.

    Attributes:
        position: after which the next one begins.
        changes: what its rows mean.
        unsure: keys of which only the loop can tell what they mean.
        ended: whether nothing comes after it.
    """

    position: int
    changes: list[Change]
    unsure: list[str]
    ended: bool


class Source(Protocol):
    """Reads the feed; from any thread."""

    def page(self, after: int, limit: int) -> Page:
        """What changed after a position, oldest change first."""
        ...


class ReaderSource:
    """The feed as any reader gives it."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader

    def page(self, after: int, limit: int) -> Page:
        """See `Source`."""
        reader = self._reader()
        entries = reader.feed(after, limit, own=True)
        changes: list[Change] = []
        for entry in entries:
            if entry.collection == MEMORY and entry.held is not None:
                changes.append(Change(key_of(entry.held), document_of(entry.held)))
            elif entry.collection == MEMORY:  # what is gone may live on in the other lane
                changes += [change_at(reader, key) for key in keys_of(entry.id)]
        return Page(entries[-1].arrival if entries else after, changes, [], not entries)


class _UnsureError(Exception):
    """It hangs on an approval."""


class _NoApprovals:
    """Knows of none, and says so."""

    def shown(self, _dot: Dot) -> NoReturn:
        raise _UnsureError

    def stamp(self, _dot: Dot) -> NoReturn:
        raise _UnsureError


_NO_APPROVALS: Final = _NoApprovals()


class StoreSource:
    """The feed of the store of an engine, asked anew each time."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    def page(self, after: int, limit: int) -> Page:
        """See `Source`."""
        engine = self._engine()
        rows = engine.store.feed.changed(after, limit)
        now_ms = engine.now_ms()
        changes: list[Change] = []
        unsure: list[str] = []
        for row in rows:
            key = key_of_stored(row.key)
            if key is None:
                continue
            try:
                changes.append(_change(key, row.key, row.data, now_ms, engine.shelf))
            except _UnsureError:
                unsure.append(key)
        return Page(rows[-1].position if rows else after, changes, unsure, not rows)


def _change(key: str, stored: bytes, data: bytes | None, now_ms: int, shelf: Shelf) -> Change:
    told = None if data is None else change_in(key, data, now_ms)
    return _the_long_way(key, stored, data, now_ms, shelf) if told is None else told


def _the_long_way(key: str, stored: bytes, data: bytes | None, now_ms: int, shelf: Shelf) -> Change:
    seen = None if data is None else view(decode(stored, data), _NO_APPROVALS)
    if seen is None or type(seen.values.get(ARCHIVED_AT)) is int:
        return Change(key, None)
    expires = seen.values.get("expires_at")
    if isinstance(expires, int) and expires <= now_ms:
        return Change(key, None)
    return Change(key, document_of(held_of(stored, seen, shelf, beside=True)))
