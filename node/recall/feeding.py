"""Keeps the index level with the store.

Law: the index follows the feed of changed records, in order, from a position that is written
only after the engines have flushed everything up to it; so a kill at any moment repeats a few
changes and loses none. A position counts for one store: over another one the index is made
anew. It is made anew aside, while the old one still answers, and swapped in by one rename;
so it is too when it is asked for, or when more of it is dead than alive. Reading the store
takes at most `_SLICE_SECONDS` of a turn of the loop; analysis and writing have a thread.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from crdt.state import Batch
from node.contracts import FeedEntry, Reader
from node.errors import NodeError
from node.recall.bag import bag_of
from node.recall.document import MEMORY, change_at, document_of, key_of, key_of_stored, keys_of
from node.recall.engines import Engines, Opener
from node.recall.overlay import Overlay
from node.recall.shelf import Progress, Shelf
from node.recall.values import Change

T = TypeVar("T")

_SLICE_SECONDS: Final = 0.002
_READ_AT_ONCE: Final = 16
_TAKE_AT_ONCE: Final = 256
_FLUSH_AFTER: Final = 20_000
FLUSH_SECONDS: Final = 0.5
_IDLE_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 2.0
_RETRY_SECONDS_MAX: Final = 60.0
_LONG_CHARS: Final = 20_000
_TROUBLES_MAX: Final = 3
_DROP_MS: Final = 60_000
_DEAD_MIN: Final = 20_000
_END: Final = 2**62

READY, FILLING, REBUILDING = "ready", "filling", "rebuilding"


class RebuildFailedError(NodeError):
    """The index could not be made anew; the old one stays in force."""

    http_status = 503
    code = "index_not_rebuilt"


class _StoreReplacedError(Exception):
    """The store is another one than the one that was followed."""


@dataclass(slots=True)
class _Taken:
    """Changes that engines hold and do not show: the marks at which they were read."""

    marks: dict[str, int] = field(default_factory=dict)
    count: int = 0


class Feeding:
    """Follows the store.

    Args:
        reader: reads the newest state; asked anew each time.
        shelf: where generations lie.
        opener: opens one.
        overlay: what the index does not show yet.
        version: of the shape of the index.
        log: writes events.
        now_ms: wall clock, milliseconds since the epoch.
        flush_seconds: least time between two flushes.
    """

    def __init__(
        self,
        *,
        reader: Callable[[], Reader],
        shelf: Shelf,
        opener: Opener,
        overlay: Overlay,
        version: int,
        log: Callable[..., None],
        now_ms: Callable[[], int],
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        self._reader = reader
        self._shelf = shelf
        self._opener = opener
        self._overlay = overlay
        self._version = version
        self._log = log
        self._now_ms = now_ms
        self._dropped_ms = 0
        self._flush_seconds = flush_seconds
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="recall")
        self._wake = asyncio.Event()
        self._level = asyncio.Event()
        self._wanted: list[asyncio.Future[None]] = []
        self._pending = _Taken()
        self._troubles = 0
        self.state = FILLING
        self.done = 0
        self.total = 0
        progress = shelf.read()
        if progress is not None and progress.version != version:
            progress = None
        self._open(progress)

    def _open(self, progress: Progress | None) -> None:
        """Open what is in force, or something empty when that is nothing or damaged."""
        self._shelf.sweep(progress.generation if progress is not None else None)
        if progress is not None:
            try:
                engines = self._opener(self._shelf.folder(progress.generation))
                if engines.whole:
                    self._progress, self.engines = progress, engines
                    return
                engines.close()
                self._log("index_damaged", error="a part of it is missing")
            except (ValueError, OSError) as error:
                self._log("index_damaged", error=type(error).__name__)
            self._shelf.remove(progress.generation)
        self._progress, self.engines = self._empty()
        self._shelf.write(self._progress)

    def _empty(self) -> tuple[Progress, Engines]:
        generation = self._shelf.fresh()
        progress = Progress(
            generation=generation,
            version=self._version,
            store_id=self._reader().store_id,
            arrival=0,
        )
        return progress, self._opener(self._shelf.folder(generation))

    # --- what others tell ------------------------------------------------------------

    def saw(self, batch: Batch) -> None:
        """Follow a commit: what it changed is answered from the overlay until it shows."""
        for stored in batch.records:
            key = key_of_stored(stored)
            if key is not None:
                self._overlay.mark(key)
        self._wake.set()

    def rebuild(self) -> asyncio.Future[None]:
        """Make the index anew; done when it is in force and the old one's files are gone."""
        wanted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wanted.add_done_callback(_heard)
        self._wanted.append(wanted)
        self._wake.set()
        return wanted

    @property
    def was_level(self) -> bool:
        """Whether what was there at the start, or when the store changed, is in the index."""
        return self._level.is_set() and self._progress.store_id == self._reader().store_id

    async def level(self, seconds: float) -> None:
        """Wait until it is, but not for ever."""
        if not self.was_level:  # nobody tells of another store
            self._level.clear()
            self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._level.wait()

    async def read_marked(self) -> None:
        """Read what was changed since anybody looked, so that the overlay can answer."""
        unknown = self._overlay.unknown()
        reader, loop = self._reader(), asyncio.get_running_loop()
        until = loop.time() + _SLICE_SECONDS
        for key, mark in unknown.items():
            change = change_at(reader, key)
            document, bag = change.document, b""
            if document is not None:
                long = len(document.content) > _LONG_CHARS
                bag = await asyncio.to_thread(bag_of, document) if long else bag_of(document)
            self._overlay.put(mark, change, bag)
            if loop.time() > until:
                await asyncio.sleep(0)
                until = loop.time() + _SLICE_SECONDS

    def lag_ops(self) -> int:
        """How many positions of the feed the index on the disk is behind."""
        reader = self._reader()
        newest = reader.arrival_at(_END) - 1
        known = self._progress.arrival if self._progress.store_id == reader.store_id else 0
        return max(newest - known, 0)

    @property
    def generation(self) -> str:
        """Names what is in force."""
        return self._progress.generation

    # --- the task ----------------------------------------------------------------------

    async def run(self) -> None:
        """Follow the store until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._round()
                self._troubles = 0
            except _StoreReplacedError:
                continue
            except Exception as error:  # noqa: BLE001 - derived: whatever ails it, the node goes on
                self._troubles += 1
                self._log("index_failed", error=type(error).__name__, times=self._troubles)
                await asyncio.sleep(min(_RETRY_SECONDS * self._troubles, _RETRY_SECONDS_MAX))
                continue
            await asyncio.sleep(self._flush_seconds)
            with suppress(TimeoutError):
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._wake.wait()

    async def _round(self) -> None:
        if self._must_rebuild():
            await self._rebuild()
        self._count(self._progress.arrival)
        if self._progress.arrival < self.total:
            self.state = FILLING if self.lag_ops() > _FLUSH_AFTER else READY
            arrival = await self._follow(self.engines, self._progress, self._pending)
            if arrival is not None:
                await self._drop_ended()
                await self._flush(arrival)
        elif self._now_ms() - self._dropped_ms > _DROP_MS:
            await self._drop_ended()
            await self._flush(self._progress.arrival)
        self.state = READY
        self._level.set()

    def _must_rebuild(self) -> bool:
        lexical = self.engines.lexical
        return (
            bool(self._wanted)
            or self._troubles >= _TROUBLES_MAX
            or lexical.dead > max(_DEAD_MIN, lexical.documents)
            or self._reader().store_id != self._progress.store_id
        )

    async def _drop_ended(self) -> None:
        """Take what has ended out of the index now and then, so that it takes no places."""
        now = self._now_ms()
        if now - self._dropped_ms > _DROP_MS:
            self._dropped_ms = now
            await self._in_worker(functools.partial(self.engines.drop_ended, now))

    async def _flush(self, arrival: int) -> None:
        """Show what was taken, then write how far that is."""
        pending, self._pending = self._pending, _Taken()
        await self._in_worker(self.engines.flush)
        self._progress = Progress(
            generation=self._progress.generation,
            version=self._version,
            store_id=self._progress.store_id,
            arrival=arrival,
        )
        progress = self._progress
        self._overlay.settle(pending.marks)
        await self._in_worker(lambda: self._shelf.write(progress))

    async def _follow(self, engines: Engines, progress: Progress, taken: _Taken) -> int | None:
        """Take in everything after a position; how far that came, None when nothing was there.

        Raises:
            _StoreReplacedError: the positions mean nothing any more.
        """
        reader, loop = self._reader(), asyncio.get_running_loop()
        position, waiting = progress.arrival, None
        in_force = engines is self.engines
        while True:
            changes: list[Change] = []
            until = loop.time() + _SLICE_SECONDS
            ended = False
            while len(changes) < _TAKE_AT_ONCE and not ended:
                entries = reader.feed(position, _READ_AT_ONCE, own=True)
                ended = not entries
                for entry in entries:
                    position = entry.arrival
                    changes += self._changes(reader, entry, taken)
                if loop.time() > until:
                    await asyncio.sleep(0)
                    until = loop.time() + _SLICE_SECONDS
                if reader.store_id != progress.store_id:
                    raise _StoreReplacedError
            if waiting is not None:
                await waiting
                self._count(position)
            if ended and not changes:
                return position if position != progress.arrival else None
            waiting = self._in_worker(functools.partial(engines.take, changes))
            taken.count += len(changes)
            if in_force and taken.count >= _FLUSH_AFTER:
                await waiting
                waiting = None
                await self._flush(position)
                progress, taken = self._progress, self._pending

    def _changes(self, reader: Reader, entry: FeedEntry, taken: _Taken) -> list[Change]:
        """What a row of the feed means; an id that is gone may live on in the other lane."""
        if entry.collection != MEMORY:
            return []
        if entry.held is not None:
            found = [Change(key_of(entry.held), document_of(entry.held))]
        else:
            found = [change_at(reader, key) for key in keys_of(entry.id)]
        for change in found:
            mark = self._overlay.mark_of(change.key)
            if mark:
                taken.marks[change.key] = mark
        return found

    async def _rebuild(self) -> None:
        """Make the index anew, aside, and put it in the place of the old one."""
        wanted, self._wanted = self._wanted, []
        self.state, taken = REBUILDING, _Taken()
        progress, engines = self._empty()
        self._log("index_rebuilding", generation=progress.generation)
        try:
            arrival = await self._follow(engines, progress, taken)
            await self._in_worker(engines.flush)
        except BaseException as error:
            self._in_worker(functools.partial(self._drop, engines, progress))
            if isinstance(error, _StoreReplacedError):
                self._wanted += wanted
            for one in () if isinstance(error, _StoreReplacedError) else wanted:
                if not one.done():
                    one.set_exception(
                        RebuildFailedError("the index was not rebuilt", why=str(error))
                    )
            raise
        old, before = self.engines, self._progress
        self._progress = Progress(
            generation=progress.generation,
            version=self._version,
            store_id=progress.store_id,
            arrival=arrival or 0,
        )
        fresh = self._progress
        self.engines, self._pending = engines, _Taken()
        self._overlay.settle(taken.marks)
        await self._in_worker(lambda: self._shelf.write(fresh))
        await old.unused()
        await self._in_worker(functools.partial(self._drop, old, before))
        self._log("index_rebuilt", generation=fresh.generation, documents=taken.count)
        for one in wanted:
            if not one.done():
                one.set_result(None)

    def _drop(self, engines: Engines, progress: Progress) -> None:
        engines.close()
        self._shelf.remove(progress.generation)

    def _count(self, position: int) -> None:
        self.done, self.total = position, self._reader().arrival_at(_END) - 1

    def _in_worker(self, work: Callable[[], T]) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._worker, work)

    def close(self) -> None:
        """Let go of the index; what was not flushed is taken again at the next start."""
        self._worker.shutdown(wait=True, cancel_futures=True)
        self.engines.close()
        for one in self._wanted:
            one.cancel()


def _refuse(wanted: list[asyncio.Future[None]], error: BaseException) -> None:
    """Tell who waits for a rebuild that there is none."""
    for one in wanted:
        if not one.done():
            why = str(error) or type(error).__name__
            one.set_exception(RebuildFailedError("the index was not rebuilt", why=why))


def _heard(wanted: asyncio.Future[None]) -> None:
    """Nobody has to wait for a rebuild; its failure is logged whoever does."""
    if not wanted.cancelled():
        wanted.exception()
