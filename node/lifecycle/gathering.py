"""Finds what a request to forget takes with it.

Law: nothing is written. What a caller may not see is not touched by its filters, and not
counted; births that share an id with others' are judged each for itself. What hangs on a
memory goes with it; of an agent, all that it ever left: messages it sent or was sent,
subscriptions, links, births that others' hide, and the leaves to see others' memories. Messages,
subscriptions and leaves are nobody else's, so only the agent and administrators have them ended.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from node.contracts import Caller, Held
from node.lifecycle.archive import check_change, may_change
from node.lifecycle.derived import Derivation, Fate, anywhere
from node.lifecycle.origins import Origins
from node.lifecycle.toll import Doomed, Toll, doomed
from node.lifecycle.wish import Wish
from node.links.index import COLLECTION as LINK
from node.links.index import LinkIndex, leaving
from node.links.link import link_of
from node.memory.drafts import COLLECTION, delete
from node.memory.memories import Memories
from node.memory.problems import NotFound
from node.memory.record import GRANTS, visible_to

LEFT_BY_AGENTS: Final = ("message", "subscription")
"""Collections of records beside memories and links that belong to who made them."""

ADDRESSEE: Final = "to"
_STRIDE: Final = 64
_LINKS_MAX: Final = 10_000


class Gathering:
    """Looks through one node.

    Args:
        memories: the memories.
        index: which links end where.
        origins: which consolidations have words of what.
    """

    def __init__(self, memories: Memories, index: LinkIndex, origins: Origins) -> None:
        self._origins = origins
        self._memories = memories
        self._index = index

    @property
    def derivation(self) -> Derivation:
        """What follows from what, as things stand."""
        memories = self._memories
        reader, limits = memories.funnel.reader(), memories.rules.limits
        return Derivation(reader, self._index, self._origins, limits)

    async def toll(self, wish: Wish, caller: Caller, *, administrator: bool) -> Toll:
        """What a request takes with it.

        Raises:
            node.memory.problems.Ambiguous: a beginning stands for several ids.
            node.memory.problems.NotOwner: a memory that is named is private to another agent.
        """
        toll = Toll()
        found = (
            self._matching(wish, caller, administrator=administrator)
            if wish.ids is None
            else self._named(wish, caller, toll, administrator=administrator)
        )
        async for held in found:
            toll.asked[doomed(held)] = None
        roots = [one.id for one in toll.asked]
        toll.fate = await self.fate(
            roots, caller, everything=wish.whole_agent, administrator=administrator
        )
        asked, reader = set(roots), self._memories.funnel.reader()
        for idents, into in (
            (toll.fate.erased, toll.derived),
            (toll.fate.recomposed, toll.recomposed),
        ):
            for ident in idents:
                whole = None if ident in asked else anywhere(reader, ident)
                if whole is not None and visible_to(whole, caller, everything=administrator):
                    into.append(ident)
        async for held in self.hanging_on(toll.fate.erased):
            shows = self._shows(held, caller, administrator=administrator)
            self._beside(held, toll, caller, shows=shows)
        if wish.whole_agent and wish.agent is not None:
            await self._all_of(wish.agent, toll, caller, administrator=administrator)
        return toll

    async def _all_of(self, agent: str, toll: Toll, caller: Caller, *, administrator: bool) -> None:
        """What an agent left: all of it for itself and administrators, else the links that show."""
        entitled = administrator or caller.agent == agent
        async for held in self._left_by(agent):
            if entitled or self._shows(held, caller, administrator=False):
                self._beside(held, toll, caller, shows=True)
        if entitled:
            async for one in self._grants_to(agent):
                toll.beside[one] = None

    async def fate(
        self, roots: Iterable[str], caller: Caller, *, everything: bool, administrator: bool
    ) -> Fate:
        """What follows when these are erased, as far as it is for the caller to have it so."""
        names = dict.fromkeys(roots)
        fate = await self.derivation.fate(names, everything=everything)
        for ident in [one for one in fate.erased if one not in names]:
            if ident not in fate.as_owner and not self._may_follow(
                ident, caller, administrator=administrator
            ):
                del fate.erased[ident]  # somebody else's link is no leave to end it
        return fate

    def _may_follow(self, ident: str, caller: Caller, *, administrator: bool) -> bool:
        held = anywhere(self._memories.funnel.reader(), ident)
        return (
            held is not None
            and visible_to(held, caller, everything=administrator)
            and may_change(held, caller.agent, administrator=administrator)
            and self._memories.funnel.refusal(delete(held), caller=caller) is None
        )

    # Memories.

    async def _named(
        self, wish: Wish, caller: Caller, toll: Toll, *, administrator: bool
    ) -> AsyncIterator[Held]:
        finder = self._memories.finder
        ended: Mapping[str, Held] | None = None
        for wanted in wish.ids or ():
            try:
                held = finder.anywhere(wanted, caller, everything=administrator)
            except NotFound:
                if ended is None:
                    ended = await self._ended(wish, caller, administrator=administrator)
                if wanted not in ended:
                    toll.missing.append(wanted)
                    continue
                held = ended[wanted]
            if wish.matches(held):
                check_change(held, caller.agent, administrator=administrator)
                yield held

    async def _ended(
        self, wish: Wish, caller: Caller, *, administrator: bool
    ) -> Mapping[str, Held]:
        """Named memories that only their end hides: their words are on the disk still."""
        wanted, found = set(wish.ids or ()), dict[str, Held]()
        async for held in patiently(self._memories.funnel.reader().ended()):
            if held.id in wanted and visible_to(held, caller, everything=administrator):
                found[held.id] = held
        return found

    async def _matching(
        self, wish: Wish, caller: Caller, *, administrator: bool
    ) -> AsyncIterator[Held]:
        """Memories that pass the filters: shown, archived, or only hidden by something."""
        async for held in self._every(None if wish.whole_agent else wish.namespace):
            if (
                visible_to(held, caller, everything=administrator)
                and may_change(held, caller.agent, administrator=administrator)
                and wish.matches(held)
            ):
                yield held

    async def _every(self, namespace: str | None = None) -> AsyncIterator[Held]:
        """Every birth of every memory there is; of a namespace, what shows there."""
        reader = self._memories.funnel.reader()
        every = chain(reader.recent(namespace), reader.archive(), reader.ended())
        async for held in patiently(every):
            if not held.view.rivals:
                yield held
                continue
            for one in reader.rivals(COLLECTION, held.id, whole=True):
                if one.private is held.private:
                    yield one

    # What hangs on them, and what an agent left.

    async def hanging_on(self, erased: Iterable[str]) -> AsyncIterator[Held]:
        """The links of what is erased, both ways."""
        reader = self._memories.funnel.reader()
        for ident in erased:
            names = reader.with_prefix(LINK, leaving(ident), _LINKS_MAX)
            for name in (*names, *self._index.ending_at(ident)):
                for held in reader.rivals(LINK, name, whole=True):
                    link = link_of(held)
                    if link is not None and ident in (link.source, link.target):
                        yield held
            await asyncio.sleep(0)

    async def _left_by(self, agent: str) -> AsyncIterator[Held]:
        """The links that an agent stated, and its other records."""
        reader = self._memories.funnel.reader()
        links = (
            one for name in self._index.every() for one in reader.rivals(LINK, name, whole=True)
        )
        async for held in patiently(links):
            if held.view.owner == agent:
                yield held
        for collection in LEFT_BY_AGENTS:
            names = reader.named(collection, "", sys.maxsize)
            every = (one for name in names for one in reader.rivals(collection, name, whole=True))
            async for held in patiently(every):
                if agent in (held.view.owner, held.view.values.get(ADDRESSEE)):
                    yield held

    async def _grants_to(self, agent: str) -> AsyncIterator[Doomed]:
        """Where others let an agent in; their authors take that back."""
        async for held in self._every():
            if held.view.owner != agent and agent in held.view.values.get(GRANTS, ()):
                yield doomed(held, agent)

    def _shows(self, held: Held, caller: Caller, *, administrator: bool) -> bool:
        """Whether a record is a link whose ends the caller may both see, or which it stated."""
        link = link_of(held) if held.collection == LINK else None
        if link is None:
            return False
        reader = self._memories.funnel.reader()
        ends = [anywhere(reader, one) for one in (link.source, link.target)]
        return (bool(caller.agent) and link.owner == caller.agent) or all(
            not held.private if end is None else visible_to(end, caller, everything=administrator)
            for end in ends
        )

    def _beside(self, held: Held, toll: Toll, caller: Caller, *, shows: bool) -> None:
        """A record that hangs on what is forgotten; what governance keeps stays, and shows not."""
        if self._memories.funnel.refusal(delete(held), caller=caller) is None:
            toll.beside[doomed(held)] = None
            if not shows:
                toll.unseen.add(doomed(held))


async def patiently(found: Iterator[Held]) -> AsyncIterator[Held]:
    """What a long search finds, giving way to other requests now and then."""
    for step, held in enumerate(found, start=1):
        yield held
        if step % _STRIDE == 0:
            await asyncio.sleep(0)
