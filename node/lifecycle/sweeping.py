"""What happens to memories when their time is over.

Law: expiry hides at once, everywhere, and changes nothing; this is what ends the hidden ones.
An ended memory goes into the archive where the operator wants that, else it is deleted, in
the name of its own author, because its end is what that author had said. Governance that
keeps a memory from its author keeps it here too. What is private to others is neither touched
for a caller nor counted.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from crdt.fields import ARCHIVED_AT
from crdt.op import Draft
from node.contracts import Caller, Held, Receipt
from node.lifecycle.archive import Place, may_change
from node.lifecycle.parts import Work, known_ops, nothing_written, replayed, write_all
from node.memory.drafts import COLLECTION, archive, delete
from node.memory.memories import Ask, Memories
from node.memory.record import visible_to

REASON: Final = "expired"
_DAY_MS: Final = 86_400_000
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRules:
    """What the operator wants.

    Attributes:
        archive_on_gc: expired memories go into the archive.
        archive_max_days: what has been archived for longer is deleted; 0 keeps it for ever.
    """

    archive_on_gc: bool = False
    archive_max_days: float = 0.0

    def archived_before(self, now_ms: int) -> int | None:
        """What was archived before that millisecond is to go; None when nothing is."""
        if not self.archive_max_days:
            return None
        return max(0, now_ms - int(self.archive_max_days * _DAY_MS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """How many expired memories ended, and how many left the archive."""

    expired: int
    purged: int
    receipt: Receipt


class Sweeping:
    """Ends what is over.

    Args:
        memories: the memories.
        rules: what the operator wants.
    """

    def __init__(self, memories: Memories, rules: SweepRules) -> None:
        self._memories = memories
        self._rules = rules

    async def collect(
        self, ask: Ask, *, administrator: bool = False, dry_run: bool = False
    ) -> Swept:
        """End all that is over and that the caller may see.

        Raises:
            node.memory.problems.Shortfall: stored here, not on W members.
            node.errors.WriteError: the node takes no writes now.
        """
        memories = self._memories
        if memories.known(ask.retry) is not None:
            return await self._again(ask)
        now, caller = memories.now_ms(), ask.caller
        reader = memories.funnel.reader()
        expired = await self._mine(reader.ended(), caller, administrator=administrator)
        purged: dict[Place, str] = {}
        before = self._rules.archived_before(now)
        if before is not None:
            purged = await self._mine(reader.archive(before), caller, administrator=administrator)
        receipt = nothing_written(memories)
        facts = {"expired_deleted": len(expired), "archive_purged": len(purged)}
        if not dry_run:
            receipt = await self._end({**expired, **purged}, ask, facts) or receipt
        return Swept(expired=len(expired), purged=len(purged), receipt=receipt)

    async def _end(
        self, places: dict[Place, str], ask: Ask, facts: dict[str, int]
    ) -> Receipt | None:
        """Write the ends, author by author."""
        receipt: Receipt | None = None
        for owner in dict.fromkeys(places.values()):
            own = [place for place, author in places.items() if author == owner]
            by_owner = replace(ask, caller=replace(ask.caller, agent=owner))
            work = Work(items=own, drafts_of=self.ends)
            written = await write_all(self._memories, work, by_owner, "delete", **facts)
            receipt = written or receipt
        return receipt

    async def _again(self, ask: Ask) -> Swept:
        """The answer to a request that was made before, as far as it is in the log."""
        ops = known_ops(self._memories, ask.retry)
        receipt = await replayed(self._memories, ask, "delete", expired_deleted=len(ops))
        return Swept(expired=len(ops), purged=0, receipt=receipt)

    async def _mine(
        self, found: Iterator[Held], caller: Caller, *, administrator: bool
    ) -> dict[Place, str]:
        """What a caller may have ended, and its author may end."""
        out: dict[Place, str] = {}
        for step, held in enumerate(found, start=1):
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
            if not visible_to(held, caller, everything=administrator):
                continue
            if not may_change(held, caller.agent, administrator=administrator):
                continue
            owner = held.view.owner
            by_owner = replace(caller, agent=owner)
            if self._memories.funnel.refusal(delete(held), caller=by_owner) is None:
                out[Place(id=held.id, private=held.private)] = owner
        return out

    def ends(self, place: Place) -> list[Draft]:
        """The draft that ends a memory whose time is over; none when it is gone already."""
        memories = self._memories
        reader = memories.funnel.reader()
        held = reader.whole(COLLECTION, place.id, private=place.private)
        if held is None:
            return []
        if self._rules.archive_on_gc and ARCHIVED_AT not in held.view.values:
            return [archive(held, REASON, memories.now_ms())]
        return [delete(held)]
