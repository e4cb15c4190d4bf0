"""What the engines and the overlay propose, as one ranking.

Law: the overlay is asked before the index: what the index shows in between is found twice and
kept once, never missed. Searches run in threads of their own, one step after the other; the
engines stay open as long as a step runs.
"""

import asyncio
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from node.recall import lexical_query
from node.recall.document import id_of
from node.recall.engines import Engines
from node.recall.fusion import fuse
from node.recall.literal import document_has_all, pieces
from node.recall.neighbours import POOL
from node.recall.overlay import Fresh, Overlay
from node.recall.snapshot import Asked, Snapshot
from node.recall.values import Document, Filters, Hit

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
        wanted = lexical_query.wanted(text)
        fresh, covered = self._overlay.having(wanted, filters), self._overlay.keys()
        engines = self._engines()
        with engines.used():
            return await self._aside(lambda: _best(engines, text, wanted, filters, fresh, covered))

    async def newest(self, filters: Filters, at_once: int) -> AsyncGenerator[Hit, None]:
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

    async def holding(self, text: str, filters: Filters) -> AsyncGenerator[Hit, None]:
        """What may hold every piece of a text: what is not indexed yet, then the best first."""
        wanted, engines = lexical_query.wanted(text), self._engines()
        fresh = self._overlay.having(wanted, filters)
        documents = list(self._overlay.documents(filters))
        with engines.used():
            snapshot = engines.lexical.snapshot()
            asked = await self._aside(lambda: snapshot.asked(wanted, filters, fresh.seen))
            # Texts may be long, so they are looked at aside.
            for hit in await self._aside(lambda: _fresh_holding(text, asked, documents, fresh)):
                yield hit
            own = _Pages(self._aside, lambda at: snapshot.own_holding(text, asked, _AT_ONCE, at))
            rest = _Pages(self._aside, lambda at: snapshot.holding(text, asked, _AT_ONCE, at))
            while (best := await _better(own, rest)) is not None:
                if not self._overlay.covers(best.key):
                    yield best

    async def _aside(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        """Wait for what is being asked; nothing can be asked any more."""
        self._threads.shutdown(wait=True, cancel_futures=True)


class _Pages:
    """Hits of one index, read as they are wanted."""

    def __init__(
        self,
        aside: Callable[[Callable[[], Sequence[Hit]]], Awaitable[Sequence[Hit]]],
        read: Callable[[int], Sequence[Hit]],
    ) -> None:
        self._aside = aside
        self._read = read
        self._hits: Sequence[Hit] = ()
        self._at = 0
        self._offset = 0
        self._ended = False

    async def first(self) -> Hit | None:
        """The best that was not taken; None when all were."""
        if self._at == len(self._hits) and not self._ended:
            self._hits = await self._aside(functools.partial(self._read, self._offset))
            self._at, self._offset = 0, self._offset + len(self._hits)
            self._ended = len(self._hits) < _AT_ONCE
        return self._hits[self._at] if self._at < len(self._hits) else None

    def take(self) -> None:
        """Go on to the next."""
        self._at += 1


async def _better(one: _Pages, other: _Pages) -> Hit | None:
    """The better of what two indexes have next."""
    left, right = await one.first(), await other.first()
    first = right is None or (left is not None and left.score >= right.score)
    (one if first else other).take()
    return left if first else right


def _fresh_holding(
    text: str, asked: Asked, documents: Sequence[Document], fresh: Fresh
) -> list[Hit]:
    """What holds every piece of a text and is not indexed yet; runs in a thread."""
    wanted = pieces(text)
    found = [one.key for one in documents if document_has_all(one, wanted)]
    scores = {key: asked.score(fresh.bags[key]) if key in fresh.bags else 0.0 for key in found}
    found.sort(key=lambda key: -scores[key])
    return [Hit(key, id_of(key), scores[key], Overlay.name) for key in found]


def _best(
    engines: Engines,
    text: str,
    wanted: lexical_query.Wanted,
    filters: Filters,
    fresh: Fresh,
    covered: set[str],
) -> Ranked:
    """Runs in a thread."""
    snapshot = engines.lexical.snapshot()
    asked = snapshot.asked(wanted, filters, fresh.seen)
    lexical = _shown(snapshot, asked, covered)
    counts = {engines.lexical.name: len(lexical)}
    scored = [
        Hit(key, id_of(key), asked.score(bag), Overlay.name) for key, bag in fresh.bags.items()
    ]
    new = [hit for hit in scored if hit.score > 0]
    if new:
        counts[Overlay.name] = len(new)
    words = [*lexical, *new]
    words.sort(key=lambda hit: -hit.score)
    spread = engines.neighbours.spread(words[:POOL], text, POOL) if words else []
    rankings: list[tuple[Sequence[Hit], float]] = [(spread, 1.0)]
    for engine, weight in engines.others:
        found = [hit for hit in engine.find(text, filters, POOL) if hit.key not in covered]
        counts[engine.name] = len(found)
        rankings.append((found, weight))
    return Ranked(hits=spread if len(rankings) == 1 else fuse(rankings), counts=counts)


def _shown(snapshot: Snapshot, asked: Asked, covered: set[str]) -> list[Hit]:
    """The best of the index that the overlay does not answer; those it does take no places."""
    limit = POOL
    while True:
        found = snapshot.best(asked, limit)
        kept = [hit for hit in found if hit.key not in covered]
        if len(found) < limit or len(kept) >= _KEPT_MIN or limit > POOL + len(covered):
            return kept[:POOL]
        limit *= 4


def _filling(key: str) -> Hit:
    return Hit(key, id_of(key), 0.0, NEWEST)
