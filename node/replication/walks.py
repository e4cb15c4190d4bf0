"""Walks over all memories that there are, newest first, the ones that no disk has yet among them.

Law: where to look is read off the lists of the store and the overlay, and no document is opened
for that; so whoever walks may stop at a document, have it opened, and go on.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from heapq import merge
from operator import itemgetter

from crdt.fields import ARCHIVED_AT
from crdt.hlc import STAMP_MAX
from node.contracts import Held
from node.documents.warming import Walk
from node.replication.engine import Engine
from node.replication.showing import Showing, is_archived
from node.replication.sound import view

_Place = tuple[int, bytes]
"""When it was made, or archived, and its key."""


class Walks:
    """The walks of one node.

    Args:
        engine: of the node.
        showing: looks at single records.
    """

    def __init__(self, engine: Engine, showing: Showing) -> None:
        self._engine = engine
        self._showing = showing

    def recent(self, namespace: str | None) -> Iterator[Held]:
        """Visible memories, newest creation first, of one namespace or of all."""

        def look(key: bytes) -> Held | None:
            held = self._showing.listed(key)
            return held if held is None or namespace in (None, held.view.namespace) else None

        return Walk(self._recent(namespace), look, self._engine.shelf)

    def _recent(self, namespace: str | None) -> Iterator[bytes]:
        fresh, hidden = self._uncommitted(archived=False)
        yield from _merged(fresh, hidden, self._engine.store.lists.recent(namespace))

    def archive(self, before_ms: int | None) -> Iterator[Held]:
        """Archived memories, the last archived first; those from before a millisecond only."""
        look = partial(self._showing.listed, archived=True)
        return Walk(self._archive(before_ms), look, self._engine.shelf)

    def _archive(self, before_ms: int | None) -> Iterator[bytes]:
        until = STAMP_MAX if before_ms is None else before_ms
        fresh, hidden = self._uncommitted(archived=True)
        fresh = [one for one in fresh if one[0] < until]
        yield from _merged(fresh, hidden, self._engine.store.lists.archived(until_ms=until))

    def ended(self) -> Iterator[Held]:
        """Memories whose life is over and that are not deleted yet, the earliest end first."""

        def look(key: bytes) -> Held | None:
            held = self._showing.whole(key, self._showing.read(key))
            if held is None or is_archived(held.view) or not self._showing.expired(held.view):
                return None
            return held

        over = self._engine.store.lists.expired_before(self._engine.now_ms())
        return Walk(iter(over), look, self._engine.shelf)

    def _uncommitted(self, *, archived: bool) -> tuple[list[_Place], set[bytes]]:
        """Memories that only the overlay has in their newest form, newest first; all such keys."""
        replica = self._engine.replica
        newer = replica.overlay.keys()
        keys = {key for key in newer if key[1:8] == b"memory/"}
        out: list[_Place] = []
        for key in keys:
            seen = view(self._showing.read(key), replica)
            if seen is not None and self._showing.shows(seen, archived=archived):
                out.append((seen.values[ARCHIVED_AT] if archived else seen.created, key))
        out.sort(key=itemgetter(0), reverse=True)
        return out, keys


def _merged(
    fresh: Iterable[_Place], hidden: Collection[bytes], stored: Iterable[_Place]
) -> Iterator[bytes]:
    """The keys of both, newest first; what is hidden of the stored ones is among the others."""
    calm = (one for one in stored if one[1] not in hidden)
    return (key for _, key in merge(fresh, calm, key=itemgetter(0), reverse=True))
