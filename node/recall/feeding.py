"""Keeps the index level with the store.

Law: the index follows the feed of changed records, in order, from a position that is written
only after the engines have flushed everything up to it; so a kill at any moment repeats a few
changes and loses none. A position counts for one store: over another one the index is made
anew. It is made anew aside, while the old one still answers, and swapped in by one rename;
so it is too when it is asked for, or when more of it is dead than alive. Reading, analysis
and writing have a thread, which gives way to whatever is acknowledged meanwhile.
"""

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from crdt.state import Batch
from node.contracts import Reader
from node.errors import NodeError
from node.recall.bag import bag_of
from node.recall.cadence import PIECE_OPS, Cadence
from node.recall.document import change_at, key_of_stored
from node.recall.engines import Engines, Opener
from node.recall.overlay import Overlay
from node.recall.schema import VERSION
from node.recall.shelf import Progress, Shelf
from node.recall.source import Source
from node.recall.stretch import Stretch, take

T = TypeVar("T")

_SLICE_SECONDS: Final = 0.002
_FLUSHED_SECONDS_MAX: Final = 10.0
_UNREAD_MAX: Final = 1_000
_SETTLE_AT_ONCE: Final = 500
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
        log: writes events.
        now_ms: wall clock, milliseconds since the epoch.
        cadence: when it catches up.
        source: what changed.
    """

    def __init__(
        self,
        *,
        reader: Callable[[], Reader],
        shelf: Shelf,
        opener: Opener,
        overlay: Overlay,
        log: Callable[..., None],
        now_ms: Callable[[], int],
        cadence: Cadence,
        source: Source,
    ) -> None:
        self._reader = reader
        self._source = source
        self._shelf = shelf
        self._opener = opener
        self._overlay = overlay
        self._log = log
        self._now_ms = now_ms
        self._dropped_ms = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="recall")
        self._cadence = cadence
        self._running = False
        self._flushed = asyncio.Event()
        self._level = asyncio.Event()
        self._wanted: list[asyncio.Future[None]] = []
        self._pending = _Taken()
        self._troubles = 0
        self.state = FILLING
        self.done = 0
        self.total = 0
        progress = shelf.read()
        if progress is not None and progress.version != VERSION:
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
            version=VERSION,
            store_id=self._reader().store_id,
            arrival=0,
        )
        return progress, self._opener(self._shelf.folder(generation))

    # --- what others tell ------------------------------------------------------------

    def saw(self, batch: Batch) -> None:
        """Follow a commit: what it changed is answered from the overlay until it shows."""
        keys = [key for key in map(key_of_stored, batch.records) if key is not None]
        if keys:
            self._overlay.mark_all(keys)
            self._cadence.saw(len(keys))

    def rebuild(self) -> asyncio.Future[None]:
        """Make the index anew; done when it is in force and the old one's files are gone."""
        wanted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wanted.add_done_callback(_heard)
        self._wanted.append(wanted)
        self._cadence.hurry()
        return wanted

    @property
    def was_level(self) -> bool:
        """Whether what was there at the start, or when the store changed, is in the index."""
        return self._level.is_set() and self._progress.store_id == self._reader().store_id

    async def level(self, seconds: float) -> None:
        """Wait until it is, but not for ever."""
        if not self.was_level:  # nobody tells of another store
            self._level.clear()
            self._cadence.hurry()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._level.wait()

    async def read_marked(self) -> None:
        """Read what was changed since anybody looked, so that the overlay can answer."""
        self._cadence.asked()
        if self._overlay.unread > _UNREAD_MAX and self._running:
            self._flushed.clear()
            self._cadence.hurry()
            with suppress(TimeoutError):
                async with asyncio.timeout(_FLUSHED_SECONDS_MAX):
                    await self._flushed.wait()
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

    async def run(self) -> None:
        """Follow the store until cancelled."""
        self._running = True
        try:
            await self._run()
        finally:
            self._running = False

    async def _run(self) -> None:
        while True:
            self._cadence.begin()
            try:
                await self._round()
                self._troubles = 0
            except _StoreReplacedError:
                continue
            except Exception as error:  # noqa: BLE001 - derived: whatever ails it, the node goes on
                self._troubles += 1
                self._flushed.set()  # whoever waits is answered without it
                self._log("index_failed", error=type(error).__name__, times=self._troubles)
                await asyncio.sleep(min(_RETRY_SECONDS * self._troubles, _RETRY_SECONDS_MAX))
                continue
            self._flushed.set()
            await self._cadence.rest()

    async def _round(self) -> None:
        if self._must_rebuild():
            await self._rebuild()
        self._count(self._progress.arrival)
        if self._progress.arrival < self.total:
            self.state = FILLING if self.lag_ops() > PIECE_OPS else READY
            arrival = await self._follow(self.engines, self._progress, self._pending, self.total)
            if arrival is not None:
                await self._drop_ended()
                await self._flush(arrival)
        elif await self._drop_ended():
            await self._flush(self._progress.arrival)
        else:
            await self._in_worker(self.engines.settle)
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

    async def _drop_ended(self) -> bool:
        """Take what has ended out of the index now and then, so that it takes no places."""
        now = self._now_ms()
        if now - self._dropped_ms <= _DROP_MS:
            return False
        self._dropped_ms = now
        return await self._in_worker(functools.partial(self.engines.drop_ended, now))

    async def _flush(self, arrival: int) -> None:
        """Show what was taken, then write how far that is."""
        pending, self._pending = self._pending, _Taken()
        urgent = self._cadence.manners.urgent
        await self._in_worker(functools.partial(self.engines.flush, urgent=urgent))
        self._progress = Progress(
            generation=self._progress.generation,
            version=VERSION,
            store_id=self._progress.store_id,
            arrival=arrival,
        )
        progress = self._progress
        await self._settle(pending.marks)
        await self._in_worker(lambda: self._shelf.write(progress))

    async def _settle(self, marks: dict[str, int]) -> None:
        """The index shows what was read at these marks."""
        shown = iter(marks.items())
        while part := dict(islice(shown, _SETTLE_AT_ONCE)):
            self._overlay.settle(part)
            await asyncio.sleep(0)

    async def _follow(
        self, engines: Engines, progress: Progress, taken: _Taken, until: int = _END
    ) -> int | None:
        """Take in what comes after a position; how far that came, None when nothing was there.

        Args:
            engines: which take it.
            progress: where to begin.
            taken: what they have, to be added to.
            until: a position at which it is enough, though more may have come by then.

        Raises:
            _StoreReplacedError: the positions mean nothing any more.
        """
        position, ended = progress.arrival, False
        in_force = engines is self.engines
        while not ended and position < until:
            stretch = await self._stretch(engines, progress.store_id, position)
            position, ended = stretch.position, stretch.ended
            taken.marks |= stretch.taken
            taken.count += len(stretch.taken)
            self._count(position)
            if in_force and taken.count >= PIECE_OPS:
                await self._flush(position)
                progress, taken = self._progress, self._pending
        return position if position != progress.arrival else None

    async def _stretch(self, engines: Engines, store_id: str, after: int) -> Stretch:
        """Let engines take the next part of the feed of a store."""
        reader = self._reader()
        work = functools.partial(take, self._source, engines, self._overlay, after)
        if reader.store_id != store_id:
            raise _StoreReplacedError
        try:
            stretch = await self._in_worker(functools.partial(work, self._cadence.manners))
        except Exception as error:
            if reader.store_id != store_id:  # it was replaced, and closed, while it was read
                raise _StoreReplacedError from error
            raise
        if reader.store_id != store_id:
            raise _StoreReplacedError
        if stretch.unsure:
            mark = self._overlay.marks
            changes = [change_at(reader, key) for key in stretch.unsure]
            await self._in_worker(functools.partial(engines.take, changes))
            stretch.taken.update((change.key, mark) for change in changes)
        return stretch

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
            version=VERSION,
            store_id=progress.store_id,
            arrival=arrival or 0,
        )
        fresh = self._progress
        self.engines, self._pending = engines, _Taken()
        await self._settle(taken.marks)
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


def _heard(wanted: asyncio.Future[None]) -> None:
    """Nobody has to wait for a rebuild; its failure is logged whoever does."""
    if not wanted.cancelled():
        wanted.exception()
