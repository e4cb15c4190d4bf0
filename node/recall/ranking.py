"""What the engines and the overlay propose, as one ranking.

Law: the overlay is asked before the index: what the index shows in between is found twice and
kept once, never missed. Searches run in threads of their own, one step after the other; the
engines stay open as long as a step runs.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from node.recall.document import id_of
from node.recall.engines import Engines
from node.recall.fusion import fuse
from node.recall.literal import document_has_all, pieces
from node.recall.neighbours import POOL
from node.recall.overlay import Overlay
from node.recall.values import Filters, Hit

T = TypeVar("T")

_THREADS: Final = 2
_AT_ONCE: Final = 200
_AT_ONCE_MAX: Final = 5000
_KEPT_MIN: Final = POOL // 2
"""Fewer than these of a full pool, and the index is asked for more."""

NEWEST: Final = "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Candidates, best first.

    Attributes:
        hits: each once.
        counts: how many each engine proposed.
    """

    hits: Sequence[Hit]
    counts: Mapping[str, int]


class Ranking:
    """Asks everything that can propose.

    Args:
        engines: those in force; asked anew each time.
        overlay: what they do not show yet.
    """

    def __init__(self, engines: Callable[[], Engines], overlay: Overlay) -> None:
        self._engines = engines
        self._overlay = overlay
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="recall-ask")

    async def best(self, text: str, filters: Filters) -> Ranked:
        """What a text calls to mind."""
        fresh, covered = self._overlay.find(text, filters), self._overlay.keys()
        engines = self._engines()
        with engines.used():
            return await self._aside(lambda: _best(engines, text, filters, fresh, covered))

    async def newest(self, filters: Filters, at_once: int) -> AsyncIterator[Hit]:
        """All that passes, what was made last first.

        Args:
            filters: what must pass.
            at_once: how many are read of the index at first; then ever more.
        """
        fresh = [(one.created_ms, one.key) for one in self._overlay.documents(filters)]
        fresh.sort(key=lambda one: one[0])
        covered, engines, offset = self._overlay.keys(), self._engines(), 0
        with engines.used():
            snapshot, limit, more = engines.lexical.snapshot(), max(at_once, 1), True
            while more:
                read = functools.partial(snapshot.newest, filters, limit, offset)
                found = await self._aside(read)
                for key, ms in found:
                    while fresh and fresh[-1][0] >= ms:
                        yield _filling(fresh.pop()[1])
                    if key not in covered:
                        yield _filling(key)
                offset, more = offset + len(found), len(found) == limit
                limit = min(2 * limit, _AT_ONCE_MAX)
        for _, key in reversed(fresh):
            yield _filling(key)

    async def holding(self, text: str, filters: Filters) -> AsyncIterator[Hit]:
        """What may hold every piece of a text: what is not indexed yet, then the best first."""
        for hit in await self._fresh_holding(text, filters):
            yield hit
        engines, offset = self._engines(), 0
        with engines.used():
            snapshot = engines.lexical.snapshot()
            while True:
                at = offset
                hits = await self._aside(
                    lambda: snapshot.holding(text, filters, _AT_ONCE, at)  # noqa: B023 - awaited here
                )
                for hit in hits:
                    if not self._overlay.covers(hit.key):
                        yield hit
                offset += len(hits)
                if len(hits) < _AT_ONCE:
                    return

    async def _fresh_holding(self, text: str, filters: Filters) -> Sequence[Hit]:
        """The same of what is not indexed yet; texts may be long, so they are looked at aside."""
        documents, wanted = list(self._overlay.documents(filters)), pieces(text)
        if not documents:
            return ()
        scores = {hit.key: hit.score for hit in self._overlay.find(text, filters)}
        keys = await self._aside(
            lambda: [one.key for one in documents if document_has_all(one, wanted)]
        )
        keys.sort(key=lambda key: -scores.get(key, 0.0))
        return [Hit(key, id_of(key), scores.get(key, 0.0), Overlay.name) for key in keys]

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for what is being asked; nothing can be asked any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _best(
    engines: Engines, text: str, filters: Filters, fresh: Sequence[Hit], covered: set[str]
) -> Ranked:
    """Runs in a thread."""
    lexical = _shown(engines, text, filters, covered)
    counts = {engines.lexical.name: len(lexical)}
    if fresh:
        counts[Overlay.name] = len(fresh)
    words = [*lexical, *fresh]
    words.sort(key=lambda hit: -hit.score)
    spread = engines.neighbours.spread(words[:POOL], text, POOL) if words else []
    rankings: list[tuple[Sequence[Hit], float]] = [(spread, 1.0)]
    for engine, weight in engines.others:
        found = [hit for hit in engine.find(text, filters, POOL) if hit.key not in covered]
        counts[engine.name] = len(found)
        rankings.append((found, weight))
    return Ranked(hits=spread if len(rankings) == 1 else fuse(rankings), counts=counts)


def _shown(engines: Engines, text: str, filters: Filters, covered: set[str]) -> list[Hit]:
    """The best of the index that the overlay does not answer; those it does take no places."""
    limit = POOL
    while True:
        found = engines.lexical.find(text, filters, limit)
        kept = [hit for hit in found if hit.key not in covered]
        if len(found) < limit or len(kept) >= _KEPT_MIN or limit > POOL + len(covered):
            return kept[:POOL]
        limit *= 4


def _filling(key: str) -> Hit:
    return Hit(key, id_of(key), 0.0, NEWEST)
