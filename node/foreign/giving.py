"""What goes out to a foreign peer: rows as the API shows them, and what is remembered of them.

Law: nothing private leaves, nothing expired is called deleted, and what a peer gave us is not
given back unless it has changed since. A page that a peer fetches is an offer until it asks
for what comes after; what is pushed counts when the peer has answered for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from node.contracts import Caller, FeedEntry
from node.foreign.entries import Entry, Offer
from node.foreign.here import Here
from node.foreign.intake_links import Stated, settled_mark, stated
from node.foreign.memory import LINK, MEMORY
from node.foreign.report import ARCHIVE, RESTORE
from node.foreign.sight import Mine
from node.links.index import COLLECTION as LINKS
from node.memory.drafts import COLLECTION as MEMORIES
from node.memory.record import exported_of, original_end, record_of, visible_to
from node.memory.times import format_ms

_STRANGER: Final = Caller(agent="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One record on its way out.

    Attributes:
        kind: `memory` or `link`.
        id: of the record.
        place: its arrival number.
        memory: what is said, of a memory that is there.
        link: the same of a link.
        move: `archive` or `restore`, when the peer is also told that it was put away, or shows.
    """

    kind: str
    id: str
    place: int
    memory: Mine | None = None
    link: Stated | None = None
    move: str = ""

    @property
    def gone(self) -> bool:
        """Whether it tells of an end."""
        return self.memory is None and self.link is None

    @property
    def mark(self) -> bytes:
        """Stands for its content; empty for an end."""
        if self.memory is not None:
            return self.memory.content.whole
        return b"" if self.link is None else settled_mark(self.link)

    def offer(self, entry: Entry) -> Offer:
        """The item, as shown to somebody who has not said yet that it took it."""
        mine = self.memory
        if mine is not None:
            return Offer(
                hashes=mine.content.hashes,
                dots=mine.dots,
                place=self.place,
                after=entry.count,
                updated=mine.updated,
                made=mine.made,
                archived=mine.archived if self.move else _archived_there(entry),
            )
        link = self.link
        return Offer(
            hashes={} if link is None else link.hashes,
            dots=frozenset() if link is None else link.dots,
            place=self.place,
            after=entry.count,
            gone=link is None,
        )

    def row(self) -> dict[str, Any]:
        """As the API shows what is there."""
        if self.memory is not None:
            held = self.memory.held
            end = original_end(held) if self.memory.archived else None
            ends = {} if end is None else {"expires_at": format_ms(end)}
            return record_of(held) | exported_of(self.memory.changes) | ends
        if self.link is not None:
            return {"id": self.id, **self.link.link.shown()}
        return {"id": self.id}


def _archived_there(entry: Entry) -> bool:
    known = entry.assumed()
    return known is not None and known.archived


def _move(item: Item, entry: Entry) -> str:
    """What a peer must be told of the archive beside an item."""
    mine = item.memory
    if mine is None or mine.archived == _archived_there(entry):
        return ""
    return ARCHIVE if mine.archived else RESTORE


def _put_away(item: Item) -> bool:
    return item.memory is not None and item.memory.archived


def _knows_nothing(entry: Entry) -> bool:
    """Whether a peer never had a memory, or has it no more: of its archiving it is not told."""
    known = entry.assumed()
    return known is None or known.gone


@dataclass(slots=True, kw_only=True)
class Page:
    """Items on their way out, each with what was remembered of it."""

    items: list[tuple[Item, Entry]] = field(default_factory=list)

    def lists(self) -> dict[str, list[Any]]:
        """The fields of the exchange."""
        out: dict[str, list[Any]] = {
            "memories": [],
            "archives": [],
            "restores": [],
            "deletions": [],
            "links": [],
            "link_deletions": [],
        }
        for item, _ in self.items:
            if item.gone:
                out["deletions" if item.kind == MEMORY else "link_deletions"].append(item.id)
            else:
                out["memories" if item.kind == MEMORY else "links"].append(item.row())
            if item.move:
                out[f"{item.move}s"].append(item.id)
        return out


class Giving:
    """Chooses what goes out.

    Args:
        here: this node.
    """

    def __init__(self, here: Here) -> None:
        self._here = here

    def shown_to(self, peer: str, feed: Sequence[FeedEntry]) -> Page:
        """What a peer that fetches a page is shown of it.

        Args:
            peer: under which it is remembered; empty for somebody who is not.
            feed: what changed here.
        """
        page = Page()
        for item, entry in self._items(peer, feed):
            base = entry.base
            own = base is not None and base.received and not item.move
            if own and base is not None and (base.gone if item.gone else base.settled == item.mark):
                continue
            page.items.append((item, entry))
        return page

    def owed_to(self, peer: str, feed: Sequence[FeedEntry]) -> Page:
        """What a peer has not been given yet."""
        page = Page()
        for item, entry in self._items(peer, feed):
            base = entry.base
            if item.gone:
                known = entry.assumed()
                if known is not None and not known.gone:
                    page.items.append((item, entry))
            elif base is None or base.settled != item.mark or item.move:
                page.items.append((item, entry))
        return page

    def item(self, kind: str, ident: str, place: int) -> Item | None:
        """One record as it may go out; None when nothing of it may, or is there."""
        if kind == LINK:
            return self._link(ident, place)
        return self._memory(ident, place)

    def _items(self, peer: str, feed: Sequence[FeedEntry]) -> list[tuple[Item, Entry]]:
        out: list[tuple[Item, Entry]] = []
        for changed in feed:
            kind = {MEMORIES: MEMORY, LINKS: LINK}.get(changed.collection)
            if kind is None:
                continue
            entry = self._here.memory.entry(peer, kind, changed.id) if peer else Entry()
            item = self.item(kind, changed.id, changed.arrival)
            if item is None and self._is_over(changed):
                item = Item(kind=kind, id=changed.id, place=changed.arrival)
            if item is None or (_put_away(item) and _knows_nothing(entry)):
                continue
            out.append((replace(item, move=_move(item, entry)), entry))
        return out

    def _is_over(self, changed: FeedEntry) -> bool:
        """Whether a record ended; one that waits for approval, or was rejected, never was.

        Whoever pushed it here has it still: telling them of an end would delete it there.
        """
        sight = self._here.sight
        if sight.look(changed.collection, changed.id) is not None:
            return False
        record = sight.record(changed.collection, changed.id)
        if record is None:
            return True
        approvals = sight.approvals
        return any(not b.pending or approvals.shown(dot) for dot, b in record.births.items())

    def _memory(self, ident: str, place: int) -> Item | None:
        mine = self._here.sight.memory(ident)
        if mine is None or not visible_to(mine.held, _STRANGER):
            return None
        expires = None if mine.archived else mine.view.values.get("expires_at")
        if isinstance(expires, int) and expires <= self._here.now_ms():
            return None  # it ends everywhere by itself
        return Item(kind=MEMORY, id=ident, place=place, memory=mine)

    def _link(self, ident: str, place: int) -> Item | None:
        found = stated(self._here, ident)
        if found is None:
            return None
        ends = (found.link.source, found.link.target)
        if any(self._memory(end, place) is None for end in ends):
            return None
        return Item(kind=LINK, id=ident, place=place, link=found)
