"""What a foreign peer pushes, or was pulled from it, on its way in.

Law: every item enters through the one funnel as an operation of this node, by the agent it
declares, and gets a result of its own. What it means is judged in the step in which it is
minted; what was exchanged is remembered once the write is stored here. A crash between the two
is healed by the next row that is equal.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from crdt.policy import Answer
from node import errors
from node.contracts import Caller
from node.foreign import intake_governed as governed
from node.foreign import intake_links as links
from node.foreign import papers
from node.foreign import report as kinds
from node.foreign.content import RowReader
from node.foreign.entries import NO_DOTS, Entry
from node.foreign.here import Here
from node.foreign.judging import Plan, Why, deleted, judge, moved
from node.foreign.memory import MEMORY
from node.foreign.preview import preview
from node.foreign.remembering import after_deletion, after_move, after_row
from node.foreign.report import APPLIED, DUPLICATE, REFUSED, Report, Result
from node.foreign.writing import (
    Done,
    Interrupted,
    Sender,
    dots_text,
    in_turn,
    landed,
    retry_key,
    settled,
)
from node.memory.drafts import COLLECTION
from node.memory.problems import Shortfall
from node.memory.rules import record_id

_AT_ONCE: Final = 250

Work = Callable[[], Awaitable[Done]]
Known = Mapping[tuple[str, str], Entry]
"""Entries as they were when a page was fetched; of others the present ones count."""


class Intake:
    """Takes items of foreign peers in.

    Args:
        here: this node.
    """

    def __init__(self, here: Here) -> None:
        self._here = here
        self._locks: dict[str, asyncio.Lock] = {}

    async def take(
        self,
        sender: Sender,
        items: Mapping[str, Sequence[Any]],
        *,
        dry_run: bool = False,
        known: Known | None = None,
    ) -> Report:
        """Take items, one kind after the other: rules first, then what makes, then what ends.

        Args:
            sender: whom they come from.
            items: by field of the push.
            dry_run: only say what would become of them.
            known: what to judge by instead of the present memory.

        Raises:
            Shortfall: items are stored here, and not on W members; tells the results.
            node.errors.WriteError: this node takes no writes now; what was taken before stays,
                and is a duplicate when it comes again.
        """
        report = Report(dry_run=dry_run)
        # One at a time for a peer: what the second rests on is what the first has left.
        async with self._locks.setdefault(sender.key, asyncio.Lock()):
            taking = _Taking(self._here, sender, report, known or {}, dry_run=dry_run)
            await taking.all(items)
        if taking.shortfall is not None:
            raise Shortfall(taking.shortfall, report.shown())
        return report


class _Taking:
    """One push while it is taken in."""

    def __init__(
        self, here: Here, sender: Sender, report: Report, known: Known, *, dry_run: bool
    ) -> None:
        self._here = here
        self._sender = sender
        self._report = report
        self._known = known
        self._dry_run = dry_run
        self.shortfall: errors.QuorumNotMet | None = None

    async def all(self, items: Mapping[str, Sequence[Any]]) -> None:
        """Take everything."""
        order: tuple[tuple[str, Callable[[Any], tuple[str, Work]]], ...] = (
            ("namespace_meta", self._meta),
            ("namespace_meta_clears", self._meta_clear),
            ("memories", self._row),
            ("links", self._link),
            ("pendings", self._pending),
            ("pending_decisions", self._decision),
            ("archives", partial(self._move, kinds.ARCHIVE)),
            ("restores", partial(self._move, kinds.RESTORE)),
            ("deletions", self._deletion),
            ("link_deletions", self._link_deletion),
        )
        for name, work_of in order:
            for wave in _waves([work_of(item) for item in items.get(name, ())]):
                await self._run(wave)

    async def _run(self, works: Sequence[Work]) -> None:
        try:
            done = await in_turn(works, _AT_ONCE)
        except Interrupted as stopped:
            await self._note(stopped.done)
            cause = stopped.__cause__
            raise cause if cause is not None else stopped from None
        await self._note(done)

    async def _note(self, done: Sequence[Done]) -> None:
        entries: dict[tuple[str, str], Entry] = {}
        for one in done:
            self._report.results.append(one.result)
            entries.update(one.entries)
            self.shortfall = self.shortfall or one.shortfall
            self._report.weigh(one.receipt)
        if not self._dry_run:
            await self._here.memory.remember(self._sender.key, entries)

    # --- memories ----------------------------------------------------------------------

    def _row(self, row: Any) -> tuple[str, Work]:
        ident = _id_in(row)
        work = partial(self._take_row, row)
        return ident, lambda: settled(kinds.MEMORY, ident, work())

    async def _take_row(self, raw: Any) -> Done:
        here, sender = self._here, self._sender
        row = RowReader(rules=here.memories.rules, now_ms=here.now_ms(), sender=sender.name).read(
            raw
        )
        refused = self._is_private(kinds.MEMORY, row.id)
        if refused is not None:
            return refused
        stated = row.content.hashes
        entry = here.memory.entry(sender.key, MEMORY, row.id).recognised(stated)
        known = self._known.get((MEMORY, row.id), entry).recognised(stated)
        mine = here.sight.memory(row.id)
        plan = judge(row, papers.beside(mine, row), known)
        plan = papers.settled(plan, row, mine, here.pen)
        caller = here.caller(row.agent, sender)
        if self._dry_run:
            return self._planned(kinds.MEMORY, row.id, plan, caller)
        if plan.duplicate:
            now = here.sight.memory(row.id)
            fresh = after_row(row, plan, entry, now, frozenset(), held=False)
            return _unwritten(kinds.MEMORY, row.id, plan, entry, fresh)
        mark = f"#{entry.count}" if row.updated is None else str(row.updated)
        retry = retry_key(caller, sender, "memory", row.id, row.content.whole.hex(), mark)
        write = here.funnel.write(plan.drafts, caller=caller, action="sync", retry=retry)
        done = await landed(write)
        fresh = after_row(
            row,
            plan,
            entry,
            here.sight.memory(row.id),
            plan.of_peer(done.dots),
            held=bool(done.pending_id),
        )
        return done.done(kinds.MEMORY, row.id, {(MEMORY, row.id): fresh})

    def _is_private(self, kind: str, ident: str) -> Done | None:
        """The refusal of what touches a memory that is not for others."""
        mine = self._here.sight.memory(ident)
        held = self._here.funnel.reader().get(COLLECTION, ident)
        if (mine is None or not mine.private) and (held is None or not held.private):
            return None
        words = "the id cannot be used here"
        return Done(result=Result(kind=kind, id=ident, status=REFUSED, error=words))

    def _deletion(self, item: Any) -> tuple[str, Work]:
        ident = item if isinstance(item, str) else ""
        return ident, lambda: settled(kinds.DELETION, ident, self._take_deletion(item))

    async def _take_deletion(self, item: Any) -> Done:
        here, sender = self._here, self._sender
        ident = record_id("deletions", item, here.memories.rules.limits)
        mine = here.sight.memory(ident)
        entry = here.memory.entry(sender.key, MEMORY, ident)
        plan = deleted(mine, self._known.get((MEMORY, ident), entry))
        caller = here.caller("", sender)
        if self._dry_run:
            return self._planned(kinds.DELETION, ident, plan, caller)
        if plan.duplicate:
            known = plan.base is not None and mine is None
            fresh = after_deletion(entry, received=True) if known else entry
            return _unwritten(kinds.DELETION, ident, plan, entry, fresh)
        retry = retry_key(caller, sender, "deletion", ident, dots_text(sorted(plan.seen)))
        done = await landed(
            here.funnel.write(plan.drafts, caller=caller, action="sync", retry=retry)
        )
        fresh = entry if done.pending_id else after_deletion(entry, received=True)
        return done.done(kinds.DELETION, ident, {(MEMORY, ident): fresh})

    def _planned(self, kind: str, ident: str, plan: Plan, caller: Caller) -> Done:
        """The outcome that an item would have."""
        if plan.duplicate:
            return Done(result=Result(kind=kind, id=ident, status=DUPLICATE))
        here = self._here
        answer = preview(here.sight, here.governing.state(), plan.drafts, caller.agent)
        if answer is Answer.DENY:
            words = "denied: governance would refuse this"
            return Done(result=Result(kind=kind, id=ident, status=REFUSED, error=words))
        return Done(result=Result(kind=kind, id=ident, status=APPLIED))

    # --- the other kinds ---------------------------------------------------------------

    def _link(self, item: Any) -> tuple[str, Work]:
        ident = links.name_of(item)
        work = partial(links.take, self._here, self._sender, item, dry_run=self._dry_run)
        return ident, lambda: settled(kinds.LINK, ident, work())

    def _link_deletion(self, item: Any) -> tuple[str, Work]:
        ident = item if isinstance(item, str) else ""
        work = partial(links.end, self._here, self._sender, item, dry_run=self._dry_run)
        return ident, lambda: settled(kinds.LINK_DELETION, ident, work())

    def _meta(self, item: Any) -> tuple[str, Work]:
        ident = governed.space_in(item)
        work = partial(governed.take_meta, self._here, self._sender, item, dry_run=self._dry_run)
        return ident, lambda: settled(kinds.META, ident, work())

    def _meta_clear(self, item: Any) -> tuple[str, Work]:
        ident = item if isinstance(item, str) else ""
        work = partial(governed.clear_meta, self._here, self._sender, item, dry_run=self._dry_run)
        return ident, lambda: settled(kinds.META_CLEAR, ident, work())

    def _pending(self, item: Any) -> tuple[str, Work]:
        ident = _id_in(item)
        work = partial(governed.take_pending, self._here, self._sender, item, dry_run=self._dry_run)
        return ident, lambda: settled(kinds.PENDING, ident, work())

    def _decision(self, item: Any) -> tuple[str, Work]:
        ident = _id_in(item)
        work = partial(governed.decide, self._here, self._sender, item, dry_run=self._dry_run)
        # Several may decide about one action, so its id does not hold the others up.
        return "", lambda: settled(kinds.DECISION, ident, work())

    def _move(self, kind: str, item: Any) -> tuple[str, Work]:
        ident = item if isinstance(item, str) else ""
        return ident, lambda: settled(kind, ident, self._take_move(kind, item))

    async def _take_move(self, kind: str, item: Any) -> Done:
        here, sender = self._here, self._sender
        ident = record_id(f"{kind}s", item, here.memories.rules.limits)
        refused = self._is_private(kind, ident)
        if refused is not None:
            return refused
        archived = kind == kinds.ARCHIVE
        entry = here.memory.entry(sender.key, MEMORY, ident)
        known = self._known.get((MEMORY, ident), entry)
        mine = here.sight.memory(ident)
        plan = moved(mine, known, archived=archived, now_ms=here.now_ms())
        caller = here.caller("", sender)
        if self._dry_run:
            return self._planned(kind, ident, plan, caller)
        if plan.duplicate:
            equal = plan.why is Why.EQUAL
            fresh = after_move(entry, NO_DOTS, archived=archived) if equal else entry
            return _unwritten(kind, ident, plan, entry, fresh)
        retry = retry_key(caller, sender, kind, ident, f"#{entry.count}")
        done = await landed(
            here.funnel.write(plan.drafts, caller=caller, action="sync", retry=retry)
        )
        minted = frozenset(done.dots)
        fresh = entry if done.pending_id else after_move(entry, minted, archived=archived)
        return done.done(kind, ident, {(MEMORY, ident): fresh})


def _id_in(item: Any) -> str:
    found = item.get("id") if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


def _waves(works: Sequence[tuple[str, Work]]) -> list[list[Work]]:
    """Items in turns, each id once a turn: the second rests on what the first has left."""
    waves: list[list[Work]] = []
    seen: dict[str, int] = {}
    for ident, work in works:
        place = seen.get(ident, -1) + 1 if ident else 0
        if ident:
            seen[ident] = place
        while len(waves) <= place:
            waves.append([])
        waves[place].append(work)
    return waves


def _unwritten(kind: str, ident: str, plan: Plan, before: Entry, after: Entry) -> Done:
    """The outcome of an item that wrote nothing; what was known already is not written again."""
    entries = {} if after == before else {(MEMORY, ident): after}
    reason = plan.why.value if kind == kinds.MEMORY else ""
    result = Result(kind=kind, id=ident, status=DUPLICATE, reason=reason)
    return Done(result=result, entries=entries)
