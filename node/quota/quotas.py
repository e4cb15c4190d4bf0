"""What an agent may add at this node, and what it has.

Law: only the node that an agent writes to counts, and only what it mints itself: what arrives
from other members was counted where it was made and is never refused for a quota. A request
that would go beyond a limit is refused whole, before anything of it is minted. All nameless
callers are one agent. Counts are kept in memory and flushed aside; nothing waits for that.

Memories and links count per day (UTC) for the agent that sends them, imports and pushes
included. Bytes count for the owner, who is the one that holds them: title, content (of a
document its chunks) and metadata, added with a create, moved with an edit, taken back with a
delete. They are near, not exact: changes that other nodes made are not in them until they are
counted anew, in one pass over the memories, when the limit is first set. While no limit of bytes
is set nobody counts them; until the pass is over the limit does not hold yet.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from crdt.fields import CHUNK, CHUNK_MARK
from crdt.op import Draft, Kind, Value
from node.contracts import Reader
from node.documents.sheet import is_document
from node.documents.warming import walked
from node.errors import QuotaExceeded
from node.limits import Limits
from node.links.index import COLLECTION as LINK
from node.memory.drafts import COLLECTION as MEMORY
from node.memory.times import format_ms
from node.quota.book import Page, QuotaBook

DAY_MS: Final = 86_400_000
ACCOUNTS_MAX: Final = 100_000
_NAMELESS: Final = "anonymous:"
_REST: Final = "anonymous:rest"
_STORAGE_RETRY_SECONDS: Final = 3600


@dataclass(slots=True)
class _Used:
    """What one agent made today."""

    memories: int = 0
    links: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one agent has used of its quotas.

    Attributes:
        memories: made today.
        links: made today.
        storage: bytes held; None while nobody counts them.
        reset_at: milliseconds since the epoch, when the day ends.
    """

    memories: int
    links: int
    storage: int | None
    reset_at: int


class Quotas:
    """Counts and limits of the agents that write to this node.

    Args:
        limits: those in force, asked anew each time.
        now_ms: wall clock, milliseconds since the epoch.
        book: keeps the counts over a restart; None keeps them in memory.
    """

    def __init__(
        self,
        *,
        limits: Callable[[], Limits] = Limits,
        now_ms: Callable[[], int] = int,
        book: QuotaBook | None = None,
    ) -> None:
        self.limits = limits
        self._now_ms = now_ms
        self._book = book
        self._reader: Callable[[], Reader] | None = None
        self._day = now_ms() // DAY_MS
        page = Page(day=self._day) if book is None else book.load(self._day)
        self._used = {agent: _Used(*counts) for agent, counts in page.counts.items()}
        self._held = dict(page.held) if page.complete else {}
        self._complete = page.complete and limits().max_storage_bytes > 0
        # Without a limit nobody counts, and what the book says grows stale: it is told so.
        self._turned = self._complete != page.complete
        self._anew = False
        self._counting = False
        self._dirty: set[str] = set()
        self._moved: set[str] = set()
        self._weighed: tuple[Sequence[Draft], dict[str, int]] | None = None

    def reads(self, reader: Callable[[], Reader]) -> None:
        """Where changed and deleted memories are looked at."""
        self._reader = reader

    # The two calls of the gate.

    def check(self, agent: str, drafts: Sequence[Draft]) -> None:
        """Refuse a request that goes beyond a limit; called before anything is minted.

        Raises:
            QuotaExceeded: with the limit and what is used of it.
        """
        limits = self.limits()
        if limits.max_storage_bytes:
            self._check_storage(agent, drafts, limits.max_storage_bytes)
        if not (limits.max_memories_per_day or limits.max_links_per_day):
            return
        used = self._today(agent)
        memories, links = _made(drafts)
        self._check_day(
            "max_memories_per_day", limits.max_memories_per_day, used.memories, memories
        )
        self._check_day("max_links_per_day", limits.max_links_per_day, used.links, links)

    def _check_day(self, name: str, limit: int, current: int, wanted: int) -> None:
        if not limit or not wanted or current + wanted <= limit:
            return
        end = self._end_of_day()
        raise QuotaExceeded(
            name,
            limit=limit,
            current=current,
            wanted=wanted,
            reset_at=format_ms(end),
            seconds=max(1, (end - self._now_ms() + 999) // 1000),
        )

    def _check_storage(self, agent: str, drafts: Sequence[Draft], limit: int) -> None:
        growth = self._weigh(agent, drafts)
        self._weighed = (drafts, growth)
        if not self._complete:
            return
        for owner, more in growth.items():
            current = self._held.get(owner, 0)
            if more > 0 and current + more > limit:
                raise QuotaExceeded(
                    "max_storage_bytes",
                    limit=limit,
                    current=current,
                    wanted=more,
                    reset_at="",
                    seconds=_STORAGE_RETRY_SECONDS,
                )

    def spent(self, agent: str, drafts: Sequence[Draft]) -> None:
        """Count what a request made; called after it was minted."""
        memories, links = _made(drafts)
        if memories or links:
            name = self._account(agent)
            used = self._today(agent)
            used.memories += memories
            used.links += links
            self._used[name] = used
            self._dirty.add(name)
        weighed, self._weighed = self._weighed, None
        if not self.limits().max_storage_bytes:
            return
        known = weighed is not None and weighed[0] is drafts
        growth = weighed[1] if weighed is not None and known else self._weigh(agent, drafts)
        for owner, more in growth.items():
            self._held[owner] = max(0, self._held.get(owner, 0) + more)
            self._moved.add(owner)

    def use(self, agent: str) -> Use:
        """What an agent has used."""
        used = self._today(agent)
        held = self._held.get(self._account(agent), 0) if self._complete else None
        return Use(
            memories=used.memories, links=used.links, storage=held, reset_at=self._end_of_day()
        )

    # Accounts and days.

    def _account(self, agent: str) -> str:
        if not agent or agent.startswith(_NAMELESS):
            return _NAMELESS
        if agent in self._used or len(self._used) < ACCOUNTS_MAX:
            return agent
        return _REST  # a flood of names shares what is left

    def _today(self, agent: str) -> _Used:
        day = self._now_ms() // DAY_MS
        if day > self._day:  # a clock that goes back does not give a day twice
            self._day = day
            self._used.clear()
            self._dirty.clear()
        return self._used.get(self._account(agent)) or _Used()

    def _end_of_day(self) -> int:
        return (max(self._day, self._now_ms() // DAY_MS) + 1) * DAY_MS

    # Bytes.

    def _weigh(self, agent: str, drafts: Sequence[Draft]) -> dict[str, int]:
        """How the bytes that agents hold change with these drafts."""
        growth: dict[str, int] = {}
        for draft in drafts:
            if draft.collection != MEMORY:
                continue
            if draft.kind is Kind.CREATE:
                owner, more = draft.owner or agent, size_of(draft.set)
            else:
                held = self._reader().get(MEMORY, draft.id) if self._reader else None
                if held is None:
                    continue
                owner, values = held.view.owner, held.view.values
                more = (
                    -size_of(values)
                    if draft.kind is Kind.DELETE
                    else size_of({**values, **draft.set, **dict.fromkeys(draft.removed)})
                    - size_of(values)
                )
            name = self._account(owner)
            growth[name] = growth.get(name, 0) + more
        return growth

    async def count_bytes(self) -> None:
        """Sum up what agents hold, once, where that is wanted and not known."""
        if self._reader is None or self._counting or not self._wants_bytes():
            return
        self._counting = True
        try:
            self._held.clear()
            async for held in walked(self._reader().recent()):
                # What is written meanwhile is newer than where this began, so it is not met.
                name = self._account(held.view.owner)
                self._held[name] = self._held.get(name, 0) + size_of(held.view.values)
            self._moved.update(self._held)
            self._complete = self._turned = self._anew = True
        finally:
            self._counting = False

    def _wants_bytes(self) -> bool:
        """Whether bytes are to be counted and are not; without a limit they grow stale."""
        wanted = self.limits().max_storage_bytes > 0
        if not wanted and self._complete:
            self._complete, self._turned = False, True
        return wanted and not self._complete

    # Keeping.

    def page(self) -> Page | None:
        """What has changed since it was asked last; None for nothing."""
        if not (self._dirty or self._moved or self._turned):
            return None
        dirty, self._dirty = self._dirty, set()
        moved, self._moved = self._moved, set()
        anew, self._anew, self._turned = self._anew, False, False
        return Page(
            day=self._day,
            counts={
                name: (used.memories, used.links)
                for name in dirty
                if (used := self._used.get(name)) is not None
            },
            held={name: self._held.get(name, 0) for name in moved} if self._complete else {},
            complete=self._complete,
            anew=anew,
        )

    def flush(self) -> None:
        """Put what has changed on the disk; what fails is tried again with the next one.

        Raises:
            OSError, lmdb.Error: the disk does not take it.
        """
        if self._book is None:
            return
        page = self.page()
        if page is not None:
            self.write(page)

    def write(self, page: Page) -> None:
        """Put a page on the disk; may run on any thread, one at a time.

        Raises:
            OSError, lmdb.Error: the disk does not take it.
        """
        if self._book is not None:
            self._book.save(page)

    def unwritten(self, page: Page) -> None:
        """A page could not be written: its rows are to be written with the next one."""
        if page.day == self._day:
            self._dirty.update(page.counts)
        self._moved.update(page.held)
        self._turned, self._anew = True, self._anew or page.anew

    def close(self) -> None:
        """Write what is left and let go of the book."""
        if self._book is not None:
            self.flush()
            self._book.close()


def _made(drafts: Sequence[Draft]) -> tuple[int, int]:
    """(memories, links) that drafts make; a move makes nothing new."""
    if len(drafts) == 1:
        draft = drafts[0]
        created = draft.kind is Kind.CREATE
        return int(created and draft.collection == MEMORY), int(
            created and draft.collection == LINK
        )
    ended = {(draft.collection, draft.id) for draft in drafts if draft.kind is Kind.DELETE}
    made = [
        draft.collection
        for draft in drafts
        if draft.kind is Kind.CREATE and (draft.collection, draft.id) not in ended
    ]
    return made.count(MEMORY), made.count(LINK)


def size_of(values: Any) -> int:
    """Bytes of what an agent said in a memory: title, content and metadata.

    Of a document its chunks count in place of the text that they make.
    """
    get = values.get
    said = _bytes(get("title")) + _bytes(get("metadata"))
    if CHUNK not in values and not is_document(values):
        return said + _bytes(get("content"))
    chunks = {one.name: len(one.data) for one in get(CHUNK, ())}
    chunks.update((name, len(data or b"")) for name, data in values.items() if _is_chunk(name))
    return said + (sum(chunks.values()) or _bytes(get("content")))


def _is_chunk(name: str) -> bool:
    return name.startswith(CHUNK_MARK)


def _bytes(value: Value) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(orjson.dumps(value, default=repr))
