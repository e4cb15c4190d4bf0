"""Forgetting: memories are erased, in the archive too, with what hangs on them.

Law: what is forgotten leaves every disk (a delete that is marked so), with its links and with
what was composed of it. A request is refused whole where governance refuses what it names;
what only follows from it is taken back by its own author. A request is written down before its
first record ends and struck out when all that follows is done, so neither a crash nor a wait
for approval in between leaves anything behind. Links go last: they tell what follows.
"""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from crdt.dot import DATA, PRIVATE
from crdt.op import Draft, Kind, record_key
from node.contracts import Receipt
from node.errors import Denied, WriteError
from node.lifecycle.derived import Fate, anywhere
from node.lifecycle.gathering import Gathering
from node.lifecycle.ledger import Intent, Ledger
from node.lifecycle.parts import (
    Work,
    known_ops,
    nothing_written,
    replayed,
    was_cut_short,
    write_all,
)
from node.lifecycle.toll import Doomed, Toll, doomed
from node.lifecycle.wish import Wish
from node.links.index import COLLECTION as LINK
from node.links.link import link_of
from node.memory.drafts import COLLECTION
from node.memory.memories import Ask, Memories
from node.memory.problems import Shortfall

Waiting = Callable[[], Collection[bytes]]
"""The keys of records about which something waits for approval."""

_STRIDE: Final = 64
_NOBODY: Final = frozenset[bytes]()


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
        gathering: finds what a request takes with it.
        ledger: what was begun.
        waiting: what waits for approval.
    """

    def __init__(
        self,
        memories: Memories,
        gathering: Gathering,
        ledger: Ledger,
        waiting: Waiting = lambda: _NOBODY,
    ) -> None:
        self._memories = memories
        self._gathering = gathering
        self._ledger = ledger
        self._waiting = waiting

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
        again = await self._again(ask)
        if isinstance(again, Forgotten):
            return again
        toll = await self._gathering.toll(wish, ask.caller, administrator=administrator)
        counts = _sum(again or {}, toll.counts())
        ids = [one.id for one in toll.asked] + toll.derived
        receipt = None
        if not wish.dry_run and (toll.asked or toll.beside):
            intent = Intent(
                name=b"",
                caller=ask.caller,
                administrator=administrator,
                everything=wish.whole_agent,
                asked=tuple(toll.asked),
                beside=tuple(toll.beside),
                counts=counts,
                missing=tuple(toll.missing),
                retry=ask.retry,
            )
            receipt = await self._carry_out(await self._ledger.begin(intent), ask)
        receipt = receipt or nothing_written(memories)
        return Forgotten(counts=counts, ids=ids, missing=toll.missing, receipt=receipt)

    # Retries.

    async def _again(self, ask: Ask) -> Forgotten | dict[str, int] | None:
        """The answer to an earlier request, or the counts of one that may be unfinished."""
        memories, ledger = self._memories, self._ledger
        known = memories.known(ask.retry)  # first: it refuses a key that came with another body
        told = ledger.answer(ask.retry)
        if told is not None:
            receipt = await replayed(memories, ask, "delete", **told.counts)
            return Forgotten(counts=told.counts, ids=(), missing=told.missing, receipt=receipt)
        begun = ledger.begun(ask.retry)
        if begun is not None:
            receipt = await self._finish(begun, ask)
            counts = dict(begun.counts)
            return Forgotten(counts=counts, ids=(), missing=begun.missing, receipt=receipt)
        if known is None:
            return None
        counts = self._done(ask)
        receipt = await replayed(memories, ask, "delete", **counts)
        if was_cut_short(memories, ask.retry):
            return counts
        return Forgotten(counts=counts, ids=(), missing=(), receipt=receipt)

    async def _finish(self, begun: Intent, ask: Ask) -> Receipt:
        """Go on with what a crash, a shortfall or an approval left unfinished."""
        receipt = await replayed(self._memories, ask, "delete", **begun.counts)
        if self._ledger.is_busy(begun) or begun.sent:
            return receipt
        return await self._carry_out(begun, ask) or receipt

    def _done(self, ask: Ask) -> dict[str, int]:
        """What another node has forgotten, as far as its operations are in the log."""
        toll = Toll()
        for op in known_ops(self._memories, ask.retry):
            if op.kind is Kind.DELETE:
                into = toll.asked if op.collection == COLLECTION else toll.beside
                into[
                    Doomed(
                        collection=op.collection,
                        id=op.id,
                        private=False,
                        owner=op.owner,
                        space=op.namespace,
                    )
                ] = None
        return toll.counts()

    # Ending.

    async def _carry_out(self, intent: Intent, ask: Ask) -> Receipt | None:
        """Write what was asked; then, of what is not held for approval, what follows."""
        with self._ledger.hold(intent):
            try:
                receipt, shortfall = await self._erase(intent, ask)
            except WriteError:
                if not await self._gone(intent):
                    await self._ledger.drop(intent)
                raise
            held = () if receipt is None else tuple(receipt.held)
            if held:
                intent = await self._ledger.note_sent(intent)
            with suppress(WriteError, Shortfall):  # what is owed is done in a later round
                await self._follow(intent, ask)
                if not held:
                    await self._ledger.finish(intent)
        if shortfall is not None:
            raise shortfall
        return receipt

    async def _erase(self, intent: Intent, ask: Ask) -> tuple[Receipt | None, Shortfall | None]:
        work = Work(items=list(intent.asked), drafts_of=self._ends)
        try:
            return await write_all(self._memories, work, ask, "delete", **intent.counts), None
        except Shortfall as error:
            told = error.cause.receipt
            return told if isinstance(told, Receipt) else None, error

    async def go_on(self, intent: Intent) -> bool:
        """Do what is still owed of a request that nobody is at; whether all of it is done.

        Raises:
            node.memory.problems.Shortfall: it is stored here, not on W members.
            node.errors.WriteError: the node takes no writes now.
        """
        waiting = self._waiting()
        ask = Ask(caller=intent.caller, body={}, retry=intent.retry)
        with self._ledger.hold(intent):
            gone = await self._gone(intent)
            waits = any(_key(one) in waiting for one in intent.asked)
            if intent.asked and not gone:
                if not waits:  # it never began, or was rejected
                    await self._ledger.drop(intent)
                return not waits
            if not intent.sent and len(gone) < len(intent.asked) and not waits:
                with suppress(Denied):
                    await self._erase(intent, ask)
            await self._follow(intent, ask)
            if not waits:
                await self._ledger.finish(intent)
        return not waits

    def progress(self) -> int:
        """A number that moves when there may be more to do for requests that wait."""
        return len(self._waiting())

    async def _gone(self, intent: Intent) -> list[Doomed]:
        reader = self._memories.funnel.reader()
        gone: list[Doomed] = []
        for step, one in enumerate(intent.asked, start=1):
            if one.found(reader) is None:
                gone.append(one)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        return gone

    def _ends(self, one: Doomed) -> list[Draft]:
        return one.ends(self._memories.funnel.reader())

    # What follows.

    async def _follow(self, intent: Intent, ask: Ask) -> None:
        """End or recompose what came of what is gone; then the links, and the rest.

        Raises:
            node.memory.problems.Shortfall: stored here, not on W members; all of it was tried.
            node.errors.WriteError: the node takes no writes now.
        """
        gone = {one.id for one in await self._gone(intent)}
        fate = await self._gathering.fate(
            gone, ask.caller, everything=intent.everything, administrator=intent.administrator
        )
        shortfall: Shortfall | None = None
        for agent, work in self._consequences(intent, fate, gone, ask.agent):
            by_agent = replace(ask, caller=replace(ask.caller, agent=agent))
            try:
                with suppress(Denied):  # governance keeps this one; the others go
                    await write_all(self._memories, work, by_agent, "delete", **intent.counts)
            except Shortfall as error:
                shortfall = error
        if shortfall is not None:
            raise shortfall

    def _consequences(
        self, intent: Intent, fate: Fate, gone: Collection[str], caller: str
    ) -> Iterator[tuple[str, Work[Doomed]]]:
        """What follows, by the agent in whose name it is done; links and the rest at the end."""
        reader = self._memories.funnel.reader()
        following = self._gathering.derivation
        by_agent: dict[str, list[Doomed]] = {}
        for ident in (*fate.recomposed, *fate.erased):
            held = None if ident in gone else anywhere(reader, ident)
            if held is not None:
                agent = held.view.owner if ident in fate.as_owner else caller
                by_agent.setdefault(agent, []).append(doomed(held))

        waiting = self._waiting()

        def drafts_of(one: Doomed) -> list[Draft]:
            if _key(one) in waiting:
                return []  # it is held already
            if one.collection == COLLECTION and one.id in fate.recomposed:
                return following.recompose(one.id, fate)
            return self._ends(one)

        for agent, own in by_agent.items():
            yield agent, Work(items=own, drafts_of=drafts_of)
        last: dict[str, list[Doomed]] = {}
        for one in intent.beside:
            if one.collection != LINK or self._is_loose(one, intent, {*gone, *fate.erased}):
                last.setdefault(one.owner if one.grant else caller, []).append(one)
        for agent, own in last.items():
            yield agent, Work(items=own, drafts_of=drafts_of)

    def _is_loose(self, one: Doomed, intent: Intent, gone: Collection[str]) -> bool:
        """Whether an end of a link is gone; links that a forgotten agent stated go anyway."""
        held = one.found(self._memories.funnel.reader())
        link = None if held is None else link_of(held)
        if link is None:
            return False
        there = {doomed.id for doomed in intent.asked} - {*gone}
        ends = {link.source, link.target}
        return not ends.isdisjoint(gone) or (intent.everything and ends.isdisjoint(there))


def _key(one: Doomed) -> bytes:
    return record_key(PRIVATE if one.private else DATA, one.collection, one.id)


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + count for name, count in other.items()}
