"""What a node does about the lifecycle by itself, now and then.

Law: of all members the node of the oldest birth acts; another one only when that node is no
member any more. It ends what has expired where the operator wants it archived, and what has
been archived for too long. And it looks after erasures that it learns of: what was composed
here of a memory that was erased elsewhere, behind a cut, or by an approval that came later,
is composed anew or erased as well. Every round is bounded, and what fails is tried again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from crdt.dot import DATA, node_of
from crdt.op import ERASE, Draft, Kind, Op, record_key
from crdt.record import Record
from crdt.state import Batch
from node.contracts import Caller, Held
from node.errors import WriteError
from node.lifecycle.archive import Place
from node.lifecycle.derived import Derivation, anywhere
from node.lifecycle.lifecycle import Lifecycle
from node.lifecycle.parts import Work, write_all
from node.lifecycle.sweeping import Sweeping
from node.memory.drafts import COLLECTION, delete
from node.memory.memories import Ask
from node.memory.problems import Shortfall

ROUND_ITEMS_MAX: Final = 500
MARKED_MAX: Final = 100_000
_MEMORY: Final = b"memory/"
_NAME: Final = slice(1, 1 + len(_MEMORY))
_MARK: Final = ERASE.encode()
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who this node is, and who else counts.

    Attributes:
        me: this node.
        members: all that belong to the mesh now.
        serves: whether this node takes writes now.
        read: the record under a key.
        ops_of: the operations of a bundle.
    """

    me: bytes
    members: Callable[[], Iterable[bytes]]
    serves: Callable[[], bool]
    read: Callable[[bytes], Record | None]
    ops_of: Callable[[bytes], Sequence[Op]]

    def acts_on(self, held: Held) -> bool:
        """Whether it falls to this node to end or change a record by itself."""
        if held.private:
            return True
        record = self.read(record_key(DATA, held.collection, held.id))
        if record is None or not record.births:
            return False
        eldest = min(record.births.items(), key=lambda item: (item[1].hlc, item[0]))[0]
        node = node_of(eldest.actor)
        return node == self.me or node not in self.members()


class Housekeeping:
    """Rounds over a node's memories.

    Args:
        lifecycle: what can be done.
        membership: to whom it falls.
        spawn: runs a coroutine that somebody awaits.
        interval_secs: time between two rounds of sweeping.
        monotonic: seconds that only grow.
    """

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        membership: Membership,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        interval_secs: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._lifecycle = lifecycle
        self._membership = membership
        self._spawn = spawn
        self._interval = interval_secs
        self._monotonic = monotonic
        self._marked: dict[str, None] = {}
        self._owed: dict[str, None] = {}
        self._due = monotonic()
        self._busy = False

    def saw(self, batch: Batch) -> None:
        """Follow a commit: note what is to be erased, and when that happens.

        The mark is taken from the bundle while it passes: the log forgets such a deletion soon,
        and one that waits for approval before it is approved.
        """
        for bundle in batch.bundles:
            if _MARK in bundle.data:
                marked = [op for op in self._membership.ops_of(bundle.data) if _erases(op)]
                self._marked.update((op.id, None) for op in marked)
        while len(self._marked) > MARKED_MAX:
            self._marked.pop(next(iter(self._marked)))
        for key in batch.records if self._marked else ():
            ident = key[1 + len(_MEMORY) :].decode()
            if key[_NAME] == _MEMORY and ident in self._marked:
                self._owed[ident] = None

    def watch(self) -> None:
        """Begin a round when there is something to do, and none is under way."""
        due = self._monotonic() >= self._due
        if self._busy or not (due or self._owed) or not self._membership.serves():
            return
        self._spawn(self._round(sweep=due))

    async def _round(self, *, sweep: bool) -> None:
        self._busy = True  # here: what is spawned while nobody owns tasks never begins
        try:
            # What fails is owed still, or due again: the next round begins with it.
            with suppress(WriteError, Shortfall):
                await self.settle()
                if sweep:
                    await self.sweep()
                    self._due = self._monotonic() + self._interval
        finally:
            self._busy = False

    async def settle(self) -> None:
        """See to what came of memories that were erased."""
        for step, ident in enumerate(list(self._owed), start=1):
            if self._is_gone(ident):
                await self._follow(ident)
                self._marked.pop(ident, None)
            self._owed.pop(ident, None)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    def _is_gone(self, ident: str) -> bool:
        """Whether nothing of a memory shows; one that waits for approval is there still."""
        reader = self._lifecycle.memories.funnel.reader()
        lanes = (False, True)
        return all(reader.whole(COLLECTION, ident, private=lane) is None for lane in lanes)

    async def _follow(self, ident: str) -> None:
        memories, index = self._lifecycle.memories, self._lifecycle.index
        reader = memories.funnel.reader()
        following = Derivation(reader, index, memories.rules.limits)
        fate = await following.fate([ident], everything=False)
        for name in (*fate.recomposed, *fate.erased):
            held = anywhere(reader, name)
            if held is None or name == ident or not self._membership.acts_on(held):
                continue

            def drafts_of(name: str) -> list[Draft]:
                if name in fate.recomposed:
                    return following.recompose(name, fate)
                now = anywhere(reader, name)
                return [] if now is None else [delete(now, erased=True)]

            await self._write(held.view.owner, Work(items=[name], drafts_of=drafts_of))

    async def _write(self, owner: str, work: Work[Any]) -> None:
        ask = Ask(caller=Caller(agent=owner, local=True), body={})
        await write_all(self._lifecycle.memories, work, ask, "delete")

    async def sweep(self) -> None:
        """Archive what has expired and end what was archived for too long, as it is set."""
        lifecycle = self._lifecycle
        rules, memories = lifecycle.rules, lifecycle.memories
        reader = memories.funnel.reader()
        found: list[Iterable[Held]] = []
        if rules.archive_on_gc:
            found.append(reader.ended())
        before = rules.archived_before(memories.now_ms())
        if before is not None:
            found.append(reader.archive(before))
        own: dict[Place, str] = {}
        for held in (one for every in found for one in every):
            if len(own) >= ROUND_ITEMS_MAX:
                break
            if self._membership.acts_on(held):
                own[Place(id=held.id, private=held.private)] = held.view.owner
            await asyncio.sleep(0)
        sweeping = Sweeping(memories, rules)
        for place, owner in own.items():
            with suppress(WriteError):  # governance may keep this one, and not the next
                await self._write(owner, Work(items=[place], drafts_of=sweeping.ends))


def _erases(op: Op) -> bool:
    return op.kind is Kind.DELETE and op.collection == COLLECTION and ERASE in op.set
