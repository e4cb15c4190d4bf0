"""Recall and search over the engines of this node.

Law: what is answered is read from the store at the moment of the answer, and is shown only if
the caller may know of it and it passes every filter as it is now; an index only proposes. A
recall gives the `limit` best of what passes, and fills up with what is newest. Nothing here
writes.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Final

from node.contracts import Caller, Held, Reader
from node.memory.query import Query
from node.memory.record import visible_to
from node.recall.asking import Ask, search_filters
from node.recall.document import document_of, held_at
from node.recall.feeding import Feeding
from node.recall.filters import passes
from node.recall.literal import document_has_all, marks, pieces
from node.recall.overlay import Overlay
from node.recall.ranking import Ranked, Ranking
from node.recall.values import HYBRID, KEYWORD, Filters, Hit

CONTEXT_CHARS_MAX: Final = 20_000
"""More of a context than this does not change what it is about."""

_LEVEL_SECONDS: Final = 2.0
_LEVEL_OPS_MAX: Final = 5000
_LONG_CHARS: Final = 20_000
_STRIDE: Final = 16
_CHARS_PER_TOKEN: Final = 4
_FILL_MAX: Final = 500
"""So many memories that are larger than what is left of a budget are passed over."""
_MARKS_MAX: Final = 64
_LITERAL_MAX: Final = 1000
LITERAL_SCORE: Final = 1.0
"""Of a memory in which a context without known words stands as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One memory that was found; a score of 0 fills up and has no word in common."""

    held: Held
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """The answer to a recall.

    Attributes:
        found: best first.
        tokens_used: of titles and contents, as `tokens_of` counts.
        mode: `KEYWORD` or `HYBRID`.
        candidates: how many each engine proposed.
    """

    found: Sequence[Found]
    tokens_used: int
    mode: str
    candidates: Mapping[str, int] = field(default_factory=dict)


def tokens_of(held: Held) -> int:
    """About how many tokens a model reads in a memory: four characters each, rounded up."""
    values = held.view.values
    chars = len(str(values.get("title", ""))) + len(str(values.get("content", "")))
    return max(math.ceil(chars / _CHARS_PER_TOKEN), 1)


class Recall:
    """Finds memories on this node.

    Args:
        reader: reads the newest state; asked anew each time.
        feeding: keeps the engines level.
        overlay: what they do not show yet.
        ranking: asks both.
        now_ms: wall clock, milliseconds since the epoch.
        model: what makes vectors of meaning; None where nothing does.
    """

    def __init__(
        self,
        *,
        reader: Callable[[], Reader],
        feeding: Feeding,
        overlay: Overlay,
        ranking: Ranking,
        now_ms: Callable[[], int],
        model: str | None = None,
    ) -> None:
        self._reader = reader
        self._feeding = feeding
        self._overlay = overlay
        self._ranking = ranking
        self._now_ms = now_ms
        self.model = model

    @property
    def mode(self) -> str:
        """What a recall uses."""
        return HYBRID if self._feeding.engines.others else KEYWORD

    # --- asking ----------------------------------------------------------------------

    async def recall(self, ask: Ask, viewer: Caller) -> Recalled:
        """The best memories for a context, filled up with the newest.

        A context of which ranking knows no word (signs, emoji, encoded data) is looked for as
        it stands before that.
        """
        filters = ask.filters(viewer, self._now_ms())
        await self._ready()
        chosen = _Chosen(ask)
        ranked = await self._choose(chosen, replace(filters, over_too=True), viewer)
        if not chosen.full and chosen.over:  # what has just ended took places of what has not
            chosen = _Chosen(ask)
            ranked = await self._choose(chosen, filters, viewer)
        if not ranked.hits and (ask.min_score is None or ask.min_score <= LITERAL_SCORE):
            await self._literal(chosen, filters, viewer)
        if not chosen.full and (ask.min_score is None or ask.min_score <= 0):
            await self._fill(chosen, filters, viewer)
        return Recalled(
            found=chosen.found,
            tokens_used=chosen.tokens,
            mode=self.mode,
            candidates=ranked.counts,
        )

    async def _choose(self, chosen: "_Chosen", filters: Filters, viewer: Caller) -> Ranked:
        """Take the best of what has a word in common."""
        ask = chosen.ask
        ranked = await self._ranking.best(ask.context[:CONTEXT_CHARS_MAX], filters)
        for hit in ranked.hits:
            if ask.min_score is not None and hit.score < ask.min_score:
                break
            if await self._offer(chosen, hit, filters, viewer):
                break
        return ranked

    async def _fill(self, chosen: "_Chosen", filters: Filters, viewer: Caller) -> None:
        """Take the newest, as far as the limit and the budget go."""
        beyond = chosen.ask.limit + len(chosen.seen) + _FILL_MAX
        at_once = chosen.ask.limit + len(chosen.seen)
        async with aclosing(self._ranking.newest(filters, at_once)) as hits:
            async for hit in hits:
                if await self._offer(chosen, hit, filters, viewer) or len(chosen.seen) > beyond:
                    break

    async def _literal(self, chosen: "_Chosen", filters: Filters, viewer: Caller) -> None:
        """Take what holds the context itself, where that is no word that ranking knows."""
        context = chosen.ask.context
        wanted = pieces(context)
        if len(marks(context)) > _MARKS_MAX:
            return
        looked = 0
        async with aclosing(self._ranking.holding(context, filters)) as hits:
            async for hit in hits:
                looked += 1
                if chosen.full or looked > _LITERAL_MAX:
                    break
                if looked % _STRIDE == 0:
                    await asyncio.sleep(0)
                held = self._shown(hit.key, filters, viewer)
                if held is not None and document_has_all(document_of(held), wanted):
                    await self._offer(chosen, hit._replace(score=LITERAL_SCORE), filters, viewer)

    async def nearest(self, text: str, filters: Filters, viewer: Caller, limit: int) -> list[Found]:
        """Memories with words of a text, best first; nothing is filled up."""
        await self._ready()
        ranked = await self._ranking.best(text[:CONTEXT_CHARS_MAX], filters)
        out: list[Found] = []
        for step, hit in enumerate(ranked.hits, start=1):
            held = self._shown(hit.key, filters, viewer)
            if held is not None:
                out.append(Found(held=held, score=hit.score))
                if len(out) >= limit:
                    break
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        return out

    async def alike(self, text: str, space: str | None, viewer: Caller, limit: int) -> list[str]:
        """Ids of memories that may be like a text, of one namespace or of all that are seen."""
        filters = Filters(
            reader=viewer.agent, now_ms=self._now_ms(), within=viewer.namespaces, namespace=space
        )
        return [one.held.id for one in await self.nearest(text, filters, viewer, limit)]

    async def search(self, text: str, query: Query, viewer: Caller) -> list[Found]:
        """Memories in which every word of a text stands as it is, the best first."""
        filters = search_filters(query, viewer, self._now_ms())
        await self._ready()
        wanted = pieces(text)
        skip, out = query.offset, list[Found]()
        if query.limit <= 0:
            return out
        seen: set[str] = set()
        async with aclosing(self._ranking.holding(text, filters)) as hits:
            async for hit in hits:
                if len(seen) % _STRIDE == 0:
                    await asyncio.sleep(0)
                held = None if hit.key in seen else self._shown(hit.key, filters, viewer)
                seen.add(hit.key)
                if held is None or not await _holds(held, wanted):
                    continue
                if skip:
                    skip -= 1
                    continue
                out.append(Found(held=held, score=hit.score))
                if len(out) >= query.limit:
                    break
        return out

    # --- pieces ----------------------------------------------------------------------

    async def _ready(self) -> None:
        """What this node was told before this moment is in the index or in the overlay."""
        feeding = self._feeding
        if not feeding.was_level and feeding.lag_ops() <= _LEVEL_OPS_MAX:
            await feeding.level(_LEVEL_SECONDS)
        await feeding.read_marked()

    async def _offer(self, chosen: "_Chosen", hit: Hit, filters: Filters, viewer: Caller) -> bool:
        """Take a candidate if it shows; whether there are enough."""
        if chosen.full:
            return True
        if hit.key in chosen.seen:
            return False
        chosen.seen.add(hit.key)
        if len(chosen.seen) % _STRIDE == 0:
            await asyncio.sleep(0)
        held = self._shown(hit.key, filters, viewer)
        if held is None:
            chosen.over = True
        else:
            chosen.take(held, hit.score)
        return chosen.full

    def _shown(self, key: str, filters: Filters, viewer: Caller) -> Held | None:
        """The memory with a key, when the caller may know of it and it passes now."""
        held = held_at(self._reader(), key)
        if held is None or not visible_to(held, viewer):
            return None
        return held if passes(document_of(held), filters) else None

    # --- keeping ---------------------------------------------------------------------

    async def purge(self) -> None:
        """Make the index anew: no byte of what is deleted by now stays in its files."""
        await self._feeding.rebuild()

    def rebuild(self) -> None:
        """Begin to make the index anew; `status` tells how far that is."""
        self._feeding.rebuild()

    def lag_ops(self) -> int:
        """How many positions of the feed the index on the disk is behind."""
        return self._feeding.lag_ops()

    def status(self) -> dict[str, Any]:
        """What there is to tell about the index, of what everybody may read."""
        feeding = self._feeding
        lexical = feeding.engines.lexical
        return {
            "state": feeding.state,
            "mode": self.mode,
            "documents": lexical.open_documents,
            "dead": lexical.open_dead,
            "waiting": len(self._overlay),
            "lag_ops": feeding.lag_ops(),
            "done": feeding.done,
            "total": feeding.total,
            "generation": feeding.generation,
            "engines": [lexical.name, *(engine.name for engine, _ in feeding.engines.others)],
        }


async def _holds(held: Held, wanted: Sequence[str]) -> bool:
    """Whether all pieces stand in a memory; a long one is looked through off the loop."""
    document = document_of(held)
    if len(document.content) <= _LONG_CHARS:
        return document_has_all(document, wanted)
    return await asyncio.to_thread(document_has_all, document, wanted)


class _Chosen:
    """The memories of an answer, as far as limit and budget go."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.over = False
        self.found: list[Found] = []
        self.seen: set[str] = set()
        self.tokens = 0

    @property
    def full(self) -> bool:
        """Whether nothing more is wanted."""
        return len(self.found) >= self.ask.limit or self.tokens == self.ask.budget_tokens

    def take(self, held: Held, score: float) -> None:
        """Add a memory, unless it is larger than what is left of the budget."""
        tokens, budget = tokens_of(held), self.ask.budget_tokens
        if budget is None or self.tokens + tokens <= budget:
            self.found.append(Found(held=held, score=score))
            self.tokens += tokens
