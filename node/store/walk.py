"""What is derived from all that a store holds, read from where the start before this one ended.

Law: page by page off the loop, and giving way. It ends where the feed ends and nowhere before: a
page that is shorter than asked for had damaged rows, which are left out and come again, at the end
of the feed, when they are made whole. It is given up, and nothing is remembered of it, when another
store took the place of the one that it began with.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from node.store.bookmark import Bookmark, Place
from node.store.feed import Changed
from node.store.store import Store

PAGE_ROWS: Final = 256

Pages = Callable[[int, int], Sequence[Changed]]
"""Records changed after a position of the feed, at most so many; called from a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedWalk:
    """A walk over the feed of the store that there is.

    Attributes:
        store_id: names that store; asked anew after every wait.
        pages: reads its feed; empty at the end.
        bookmark: where the start before this one ended; None to read all of it every time.
        rest_seconds: between two pages.
    """

    store_id: Callable[[], str]
    pages: Pages
    bookmark: Bookmark | None = None
    rest_seconds: float = 0.0

    @classmethod
    def beside(
        cls, data_dir: Path, name: str, store: Callable[[], Store], *, rest_seconds: float = 0.0
    ) -> Self:
        """Over a store, with a bookmark of that name in its data directory."""
        opened = store()
        return cls(
            store_id=lambda: store().store_id,
            pages=lambda after, limit: store().feed.changed(after, limit),  # noqa: PLW0108 - of the store that there is by then
            bookmark=Bookmark(data_dir, name, store_id=opened.store_id, newest=opened.head.feed),
            rest_seconds=rest_seconds,
        )

    async def go(
        self,
        *,
        wanted: Callable[[Changed], bool],
        note: Callable[[bytes], None],
        found: Callable[[], Iterable[bytes]],
    ) -> str | None:
        """Walk to the end.

        What changes meanwhile is told by the commits; `note` asks for what shows by then, so it
        does not matter in which order the two are heard.

        Args:
            wanted: whether a record may belong to what is derived; called in a thread.
            note: takes in the record of a key as it stands now; called on the loop.
            found: keys of all that belongs to it, for the next start.

        Returns:
            The store of which it came to the end; None when another one took its place.
        """
        store = self.store_id()
        at, known = Place() if self.bookmark is None else self.bookmark.of(store)
        keys = [bytes.fromhex(key) for key in known or ()]
        began, more = at, True
        while True:
            for step, key in enumerate(keys, start=1):
                note(key)
                if step % PAGE_ROWS == 0:
                    await asyncio.sleep(0)
            if self.store_id() != store:
                return None
            if not more:
                break
            at, keys, more = await asyncio.to_thread(self._page, at, wanted)
            await asyncio.sleep(self.rest_seconds)
        if self.bookmark is not None and at > began:
            place = Place(at, [key.hex() for key in found()])
            with suppress(OSError):  # the next start reads a little more
                await asyncio.to_thread(self.bookmark.put, store, place)
        return store

    def _page(self, after: int, wanted: Callable[[Changed], bool]) -> tuple[int, list[bytes], bool]:
        """(position, keys of what is wanted, whether there may be more)."""
        rows = self.pages(after, PAGE_ROWS)
        at = rows[-1].position if rows else after
        return at, [row.key for row in rows if wanted(row)], bool(rows)
