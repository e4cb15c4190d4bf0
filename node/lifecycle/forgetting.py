"""Forgetting: memories are erased, in the archive too, with what hangs on them.

Law: what is forgotten leaves every disk (a delete that is marked so), with its links and with
what was composed of it. A request is refused whole where governance refuses what it names;
what only follows from it is taken back by its own author. What a caller may not see is not
touched by its filters, and not counted. Forgetting an agent takes all that it ever left.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final

from crdt.op import Draft, Kind
from node.contracts import Caller, Held, Receipt
from node.lifecycle.archive import Archive, check_change, may_change
from node.lifecycle.derived import Derivation, Fate, anywhere
from node.lifecycle.parts import (
    Work,
    known_ops,
    nothing_written,
    replayed,
    was_cut_short,
    write_all,
)
from node.lifecycle.wish import Wish
from node.links.index import COLLECTION as LINK
from node.links.index import LinkIndex, leaving
from node.links.link import link_of
from node.memory.drafts import COLLECTION, delete
from node.memory.memories import Ask, Memories
from node.memory.problems import NotFound, Shortfall
from node.memory.record import visible_to

LEFT_BY_AGENTS: Final = ("message", "subscription")
"""Collections of records beside memories and links that belong to who made them."""

ADDRESSEE: Final = "to"
_STRIDE: Final = 64
_LINKS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """One record that ends."""

    collection: str
    id: str
    private: bool


@dataclass(slots=True, kw_only=True)
class Toll:
    """What a request takes with it.

    Attributes:
        asked: memories that it names.
        derived: memories that follow, and that the caller may see.
        beside: links and other records.
        fate: what becomes of what derives from them.
        missing: ids that name nothing.
    """

    asked: dict[Doomed, None] = field(default_factory=dict)
    derived: list[str] = field(default_factory=list)
    recomposed: list[str] = field(default_factory=list)
    beside: dict[Doomed, None] = field(default_factory=dict)
    fate: Fate = field(default_factory=Fate)
    missing: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """What a caller is told."""
        links = sum(1 for one in self.beside if one.collection == LINK)
        return {
            "deleted": len(self.asked) + len(self.derived),
            "derived": len(self.derived),
            "recomposed": len(self.recomposed),
            "links_deleted": links,
            "others_deleted": len(self.beside) - links,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a request has forgotten, or would."""

    counts: dict[str, int]
    ids: Sequence[str]
    missing: Sequence[str]
    receipt: Receipt


class Forgetting:
    """Erases memories.

    Args:
        memories: the memories.
        index: which links end where.
        archive: what is kept aside.
    """

    def __init__(self, memories: Memories, index: LinkIndex, archive: Archive) -> None:
        self._memories = memories
        self._index = index
        self._archive = archive

    async def forget(self, wish: Wish, ask: Ask, *, administrator: bool = False) -> Forgotten:
        """Erase what a request wants forgotten.

        Args:
            wish: what that is.
            ask: who asks.
            administrator: whether the caller may forget what is private to others.

        Raises:
            node.memory.problems.Ambiguous: a beginning stands for several ids.
            node.memory.problems.NotOwner: a memory that is named is private to another agent.
            node.memory.problems.Shortfall: stored here, not on W members; tells the counts.
            node.errors.WriteError: nothing was minted.
        """
        memories = self._memories
        earlier: dict[str, int] = {}
        receipt: Receipt | None = None
        if memories.known(ask.retry) is not None:
            earlier = self._done(ask)
            receipt = await replayed(memories, ask, "delete", **earlier)
            if not was_cut_short(memories, ask.retry):
                return Forgotten(counts=earlier, ids=(), missing=(), receipt=receipt)
        toll = await self._toll(wish, ask.caller, administrator=administrator)
        counts = _sum(earlier, toll.counts())
        ids = [one.id for one in toll.asked] + toll.derived
        if wish.dry_run:
            receipt = nothing_written(memories)
        else:
            receipt = await self._write(toll, ask, counts) or receipt or nothing_written(memories)
        return Forgotten(counts=counts, ids=ids, missing=toll.missing, receipt=receipt)

    def _done(self, ask: Ask) -> dict[str, int]:
        """What an earlier request has forgotten, as far as its operations are in the log."""
        ended = [op for op in known_ops(self._memories, ask.retry) if op.kind is Kind.DELETE]
        toll = Toll()
        for op in ended:
            into = toll.asked if op.collection == COLLECTION else toll.beside
            into[Doomed(collection=op.collection, id=op.id, private=False)] = None
        return toll.counts()

    # Finding.

    async def _toll(self, wish: Wish, caller: Caller, *, administrator: bool) -> Toll:
        toll = Toll()
        found = (
            self._matching(wish, caller, administrator=administrator)
            if wish.ids is None
            else self._named(wish, caller, toll, administrator=administrator)
        )
        async for held in found:
            toll.asked[_doomed(held)] = None
        memories = self._memories
        reader, limits = memories.funnel.reader(), memories.rules.limits
        following = Derivation(reader, self._index, limits)
        roots = [one.id for one in toll.asked]
        toll.fate = await following.fate(roots, everything=wish.whole_agent)
        asked = set(roots)
        for ident in [one for one in toll.fate.erased if one not in asked]:
            await self._follow(ident, toll, caller, administrator=administrator)
        for ident in toll.fate.recomposed:
            whole = anywhere(reader, ident)
            if whole is not None and visible_to(whole, caller, everything=administrator):
                toll.recomposed.append(ident)
        async for held in self._hanging_on(toll.fate.erased):
            self._beside(held, toll, caller)
        if wish.whole_agent and wish.agent is not None:
            async for held in self._left_by(wish.agent):
                self._beside(held, toll, caller)
        return toll

    async def _named(
        self, wish: Wish, caller: Caller, toll: Toll, *, administrator: bool
    ) -> AsyncIterator[Held]:
        finder = self._memories.finder
        for wanted in wish.ids or ():
            try:
                held = finder.anywhere(wanted, caller, everything=administrator)
            except NotFound:
                ended = await self._ended(wanted, caller, administrator=administrator)
                if ended is None:
                    toll.missing.append(wanted)
                    continue
                held = ended
            if wish.matches(held):
                check_change(held, caller.agent, administrator=administrator)
                yield held

    async def _ended(self, wanted: str, caller: Caller, *, administrator: bool) -> Held | None:
        """A memory that only its end hides: its words are on the disk still."""
        async for held in self._patiently(self._memories.funnel.reader().ended()):
            if held.id == wanted and visible_to(held, caller, everything=administrator):
                return held
        return None

    async def _matching(
        self, wish: Wish, caller: Caller, *, administrator: bool
    ) -> AsyncIterator[Held]:
        """Memories that pass the filters: shown, archived, or only hidden by their end."""
        reader = self._memories.funnel.reader()
        every = chain(reader.recent(wish.namespace), reader.archive(), reader.ended())
        async for held in self._patiently(every):
            if (
                visible_to(held, caller, everything=administrator)
                and may_change(held, caller.agent, administrator=administrator)
                and wish.matches(held)
            ):
                yield held

    async def _follow(self, ident: str, toll: Toll, caller: Caller, *, administrator: bool) -> None:
        """What becomes of one memory that only follows."""
        reader = self._memories.funnel.reader()
        held = anywhere(reader, ident)
        if held is None:
            return
        seen = visible_to(held, caller, everything=administrator)
        if ident not in toll.fate.as_owner:
            allowed = may_change(held, caller.agent, administrator=administrator)
            refused = self._memories.funnel.refusal(delete(held), caller=caller)
            if not seen or not allowed or refused is not None:
                del toll.fate.erased[ident]  # somebody else's link is no leave to end it
                return
        if seen:
            toll.derived.append(ident)

    async def _hanging_on(self, erased: dict[str, None]) -> AsyncIterator[Held]:
        """The links of what is erased, both ways."""
        reader = self._memories.funnel.reader()
        for ident in erased:
            names = reader.with_prefix(LINK, leaving(ident), _LINKS_MAX)
            for name in (*names, *self._index.ending_at(ident)):
                held = reader.get(LINK, name)
                link = None if held is None else link_of(held)
                if held is not None and link is not None and ident in (link.source, link.target):
                    yield held
            await asyncio.sleep(0)

    async def _left_by(self, agent: str) -> AsyncIterator[Held]:
        """The links that an agent stated, and its other records."""
        reader = self._memories.funnel.reader()
        links = (reader.get(LINK, name) for name in self._index.every())
        async for held in self._patiently(one for one in links if one is not None):
            if held.view.owner == agent:
                yield held
        for collection in LEFT_BY_AGENTS:
            async for held in self._patiently(reader.every(collection)):
                if agent in (held.view.owner, held.view.values.get(ADDRESSEE)):
                    yield held

    def _beside(self, held: Held, toll: Toll, caller: Caller) -> None:
        """A record that hangs on what is forgotten; what governance keeps stays, and shows not."""
        if self._memories.funnel.refusal(delete(held), caller=caller) is None:
            toll.beside[_doomed(held)] = None

    async def _patiently(self, found: Iterator[Held]) -> AsyncIterator[Held]:
        for step, held in enumerate(found, start=1):
            yield held
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    # Ending.

    async def _write(self, toll: Toll, ask: Ask, counts: dict[str, int]) -> Receipt | None:
        """Write what was asked; then, of what is not held for approval, what follows."""
        memories = self._memories
        shortfall: Shortfall | None = None
        receipt: Receipt | None = None
        try:
            work = Work(items=list(toll.asked), drafts_of=self._ends)
            receipt = await write_all(memories, work, ask, "delete", **counts)
        except Shortfall as error:
            shortfall = error
            told = error.cause.receipt
            receipt = told if isinstance(told, Receipt) else None
        if receipt is not None and receipt.held:
            await self._spare(toll, receipt)
        for agent, following in self._consequences(toll, ask.agent).items():
            by_agent = replace(ask, caller=replace(ask.caller, agent=agent))
            await write_all(memories, following, by_agent, "delete", **counts)
        if shortfall is not None:
            raise shortfall
        return receipt

    async def _spare(self, toll: Toll, receipt: Receipt) -> None:
        """What waits for approval is there still, and so is what comes of it and hangs on it."""
        gone = [one.id for one in toll.asked if one.id not in receipt.held]
        memories = self._memories
        following = Derivation(memories.funnel.reader(), self._index, memories.rules.limits)
        toll.fate = await following.fate(gone, everything=toll.fate.everything)
        toll.beside = {
            one: None
            for one in toll.beside
            if one.collection != LINK or (one.id not in receipt.held and self._is_loose(one, toll))
        }

    def _is_loose(self, doomed: Doomed, toll: Toll) -> bool:
        """Whether an end of a link is gone."""
        held = self._memories.funnel.reader().get(LINK, doomed.id)
        link = None if held is None else link_of(held)
        return link is not None and not toll.fate.erased.keys().isdisjoint(
            (link.source, link.target)
        )

    def _consequences(self, toll: Toll, caller: str) -> dict[str, Work[Doomed]]:
        """What follows, by the agent in whose name it is done."""
        memories, fate = self._memories, toll.fate
        reader = memories.funnel.reader()
        following = Derivation(reader, self._index, memories.rules.limits)
        asked = {one.id for one in toll.asked}
        by_agent: dict[str, list[Doomed]] = {}
        for ident in (*fate.recomposed, *fate.erased):
            held = anywhere(reader, ident)
            if held is not None and ident not in asked:
                agent = held.view.owner if ident in fate.as_owner else caller
                by_agent.setdefault(agent, []).append(_doomed(held))
        by_agent.setdefault(caller, []).extend(toll.beside)

        def drafts_of(doomed: Doomed) -> list[Draft]:
            if doomed.collection == COLLECTION and doomed.id in fate.recomposed:
                return following.recompose(doomed.id, fate)
            return self._ends(doomed)

        return {agent: Work(items=own, drafts_of=drafts_of) for agent, own in by_agent.items()}

    def _ends(self, doomed: Doomed) -> list[Draft]:
        reader = self._memories.funnel.reader()
        held = reader.whole(doomed.collection, doomed.id, private=doomed.private)
        return [] if held is None else [delete(held, erased=True)]


def _doomed(held: Held) -> Doomed:
    return Doomed(collection=held.collection, id=held.id, private=held.private)


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + count for name, count in other.items()}
