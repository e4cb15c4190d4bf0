"""The archive: memories that are kept and shown nowhere else.

Law: to archive is an edit that stops a life and leaves all else as it is; to restore takes it
back. A memory in the archive has its id still. What a caller may not see is in none of the
lists, figures and counts; a private memory is moved by its author alone, or an administrator.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crdt.fields import ARCHIVED_AT
from crdt.op import Draft
from crdt.policy import ENDINGS
from crdt.roles import within
from node.contracts import Caller, Held, Receipt
from node.lifecycle.parts import Work, known_ops, nothing_written, replayed, write_all
from node.memory.census import PrivateCensus
from node.memory.drafts import COLLECTION, archive, delete, restore
from node.memory.memories import Ask, Changed, Memories
from node.memory.problems import InvalidField, NotFound, TooManyItems
from node.memory.record import PRIVATE_SCOPE, check_author, visible_to
from node.store.projection import ARCHIVED

REASON_DEFAULT: Final = "archived"
REASON_FORGOTTEN: Final = "forgotten"
REASON_CHARS_MAX: Final = 512
LIMIT_DEFAULT: Final = 50
_STRIDE: Final = 64
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One record, by what finds it again."""

    id: str
    private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of several ids."""

    ids: tuple[str, ...]
    missing: tuple[str, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """How many memories of the archive are gone for good, and how many governance keeps."""

    count: int
    refused: int
    receipt: Receipt


def action_of(reason: str) -> str:
    """What it is to archive for a reason: a change, or in the place of a deletion an end."""
    return "delete" if reason in ENDINGS else "store"


def reason_of(body: Mapping[str, Any], default: str = REASON_DEFAULT) -> str:
    """Why a request archives.

    Raises:
        InvalidField: it is no text, or a long one.
    """
    given = body.get("reason")
    if given is None:
        return default
    if not isinstance(given, str) or not 1 <= len(given) <= REASON_CHARS_MAX:
        raise InvalidField("reason", f"expected 1 to {REASON_CHARS_MAX} characters")
    return given


def ids_of(value: Any, most: int) -> list[str]:
    """The ids that a request names, each once: a list, or a text with commas.

    Raises:
        InvalidField: there are none.
        TooManyItems: there are more than allowed.
    """
    if isinstance(value, str):
        value = [part for part in value.split(",") if part]
    if not isinstance(value, list) or not value:
        raise InvalidField("ids", "expected a list of ids")
    if not all(isinstance(one, str) and one for one in value):
        raise InvalidField("ids", "an id is a text")
    if len(value) > most:
        raise TooManyItems(len(value), most)
    return list(dict.fromkeys(value))


def may_change(held: Held, agent: str, *, administrator: bool) -> bool:
    """Whether a memory that the caller sees is one that it may archive, restore or end."""
    private = held.view.values.get("scope") == PRIVATE_SCOPE
    return administrator or not private or held.view.owner == agent


def check_change(held: Held, agent: str, *, administrator: bool) -> None:
    """Hold a caller to that.

    Raises:
        NotOwner: it was only let in to see the memory.
    """
    if not administrator:
        check_author(held, agent)


class Archive:
    """The archive of a node.

    Args:
        memories: the memories.
    """

    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    # Reading.

    async def page(
        self, viewer: Caller, *, namespace: str | None, limit: int, offset: int
    ) -> list[Held]:
        """Archived memories that a caller may see, the last archived first."""
        found: list[Held] = []
        async for held in self.each(viewer, namespace=namespace):
            if offset:
                offset -= 1
                continue
            if len(found) >= limit:
                break
            found.append(held)
        return found

    async def each(
        self,
        viewer: Caller,
        *,
        namespace: str | None = None,
        before_ms: int | None = None,
        everything: bool = False,
    ) -> AsyncIterator[Held]:
        """Every archived memory that a caller may see, giving way now and then."""
        reader = self._memories.funnel.reader()
        for step, held in enumerate(reader.archive(before_ms), start=1):
            fits = namespace in (None, held.view.namespace)
            if fits and visible_to(held, viewer, everything=everything):
                yield held
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    async def counts(self, viewer: Caller, census: PrivateCensus) -> Counter[str]:
        """Archived memories by namespace, without what is private to others."""
        hidden = await census.hidden(viewer, 0)
        spaces = viewer.namespaces
        held = self._memories.funnel.reader().archive_counts()
        counts = Counter(
            {
                space: count - hidden.counts[space, ARCHIVED]
                for space, count in held.items()
                if spaces is None or within(space, spaces)
            }
        )
        return +counts

    # Moving.

    async def put(
        self, wanted: str, ask: Ask, reason: str, *, administrator: bool = False
    ) -> Changed:
        """Archive one memory; one that is there already stays as it is.

        Raises:
            NotFound, Ambiguous: nothing that the caller may see.
            NotOwner: the memory is private, and the caller was only let in to see it.
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: nothing was minted.
        """
        memories = self._memories
        if memories.known(ask.retry) is not None:
            receipt = await memories.commit((), ask, action_of(reason), id=wanted)
            return Changed(id=wanted, held=None, receipt=receipt)
        held = memories.finder.anywhere(wanted, ask.caller, everything=administrator)
        check_change(held, ask.agent, administrator=administrator)
        if ARCHIVED_AT in held.view.values:
            return Changed(id=held.id, held=held, receipt=nothing_written(memories))
        draft = archive(held, reason, memories.now_ms())
        receipt = await memories.commit([draft], ask, action_of(reason), id=held.id)
        return Changed(id=held.id, held=None, receipt=receipt)

    async def put_many(
        self, ids: Sequence[str], ask: Ask, reason: str, *, administrator: bool = False
    ) -> Moved:
        """Archive several memories in one write; those there already count, unknown ones do not.

        Raises: as `put`.
        """
        memories, facts = self._memories, {"archived": 0}
        if memories.known(ask.retry) is not None:
            receipt = await replayed(memories, ask, "store", **facts)
            named = [op.id for op in known_ops(memories, ask.retry)]
            gone = tuple(one for one in ids if not self._there(one, ask, named))
            return Moved(ids=tuple(i for i in ids if i not in gone), missing=gone, receipt=receipt)
        found: dict[str, Held] = {}
        missing: list[str] = []
        for wanted in ids:
            try:
                held = memories.finder.anywhere(wanted, ask.caller, everything=administrator)
            except NotFound:
                missing.append(wanted)
                continue
            check_change(held, ask.agent, administrator=administrator)
            found[held.id] = held
        now = memories.now_ms()
        drafts = [
            archive(held, reason, now)
            for held in found.values()
            if ARCHIVED_AT not in held.view.values
        ]
        facts["archived"] = len(found)
        receipt = nothing_written(memories)
        if drafts:
            work = Work(items=drafts, drafts_of=lambda draft: (draft,))
            receipt = await write_all(memories, work, ask, action_of(reason), **facts) or receipt
        return Moved(ids=tuple(found), missing=tuple(missing), receipt=receipt)

    def _there(self, wanted: str, ask: Ask, named: Sequence[str]) -> bool:
        """Whether an id of a retry was found the first time, as far as can be told."""
        if any(name.startswith(wanted) for name in named):
            return True
        try:
            self._memories.finder.archived(wanted, ask.caller)
        except NotFound:
            return False
        return True

    async def take_out(self, wanted: str, ask: Ask, *, administrator: bool = False) -> Changed:
        """Restore a memory: it shows again, with its tier, and the end that it had.

        Raises:
            NotFound, Ambiguous: nothing in the archive that the caller may see.
            NotOwner, Shortfall, WriteError: as `put`.
        """
        memories = self._memories
        if memories.known(ask.retry) is not None:
            return await memories.again(wanted, ask)
        held = memories.finder.archived(wanted, ask.caller, everything=administrator)
        check_change(held, ask.agent, administrator=administrator)
        draft = restore(held, memories.now_ms())
        return await memories.change(held, [draft], ask, "store")

    # Ending.

    async def purge_one(self, wanted: str, ask: Ask, *, administrator: bool = False) -> Purged:
        """Delete a memory of the archive for good; raises as `take_out`."""
        memories = self._memories
        if memories.known(ask.retry) is not None:
            receipt = await memories.commit((), ask, "delete", purged=1)
            return Purged(count=1, refused=0, receipt=receipt)
        held = memories.finder.archived(wanted, ask.caller, everything=administrator)
        check_change(held, ask.agent, administrator=administrator)
        receipt = await memories.commit([delete(held)], ask, "delete", purged=1)
        return Purged(count=1, refused=0, receipt=receipt)

    async def purge(
        self,
        ask: Ask,
        *,
        older_than_days: int,
        namespace: str | None = None,
        administrator: bool = False,
    ) -> Purged:
        """Delete what has been archived for so long, as far as governance lets the caller.

        Raises:
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: the node takes no writes now.
        """
        memories = self._memories
        if memories.known(ask.retry) is not None:
            ops = known_ops(memories, ask.retry)
            receipt = await replayed(memories, ask, "delete", purged=len(ops))
            return Purged(count=len(ops), refused=0, receipt=receipt)
        before = None
        if older_than_days:
            before = max(0, memories.now_ms() - older_than_days * _DAY_MS)
        places: list[Place] = []
        refused = 0
        async for held in self.each(
            ask.caller, namespace=namespace, before_ms=before, everything=administrator
        ):
            if not may_change(held, ask.agent, administrator=administrator):
                continue
            if memories.funnel.refusal(delete(held), caller=ask.caller) is not None:
                refused += 1
                continue
            places.append(Place(id=held.id, private=held.private))
        work = Work(items=places, drafts_of=self._ends)
        written = await write_all(memories, work, ask, "delete", purged=len(places))
        receipt = written or nothing_written(memories)
        return Purged(count=len(places), refused=refused, receipt=receipt)

    def _ends(self, place: Place) -> list[Draft]:
        reader = self._memories.funnel.reader()
        held = reader.archived(COLLECTION, place.id, own=place.private)
        return [] if held is None or held.private != place.private else [delete(held)]
