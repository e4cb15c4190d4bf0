"""What a node does about the lifecycle by itself, now and then.

Law: of all members the node of the oldest birth acts; another one only when that node is no
member any more. It ends what has expired where the operator wants it archived, and what has
been archived for too long. It goes on with what was begun to be forgotten here. And it looks
after erasures that it learns of: what was composed here of a memory that was erased elsewhere,
behind a cut, or by an approval that came later, is composed anew or erased as well. What is
owed is found in the store, which marks an erasure in the transaction that applies it, and in
the links, which go last: at the start, when the store was replaced, and now and then; in
between, what passes is noted. Every round is bounded, and what fails is tried again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from crdt.dot import DATA, PRIVATE, node_of
from crdt.op import Draft, record_key
from crdt.record import Record
from crdt.state import Batch
from node.contracts import Caller, Held
from node.errors import Denied, WriteError
from node.lifecycle.archive import Place
from node.lifecycle.derived import anywhere
from node.lifecycle.ledger import Intent
from node.lifecycle.lifecycle import Lifecycle
from node.lifecycle.parts import Work, write_all
from node.lifecycle.sweeping import Sweeping
from node.links.index import COLLECTION as LINK
from node.links.link import DERIVATIONS, Link, link_of
from node.memory.drafts import COLLECTION, delete
from node.memory.memories import Ask
from node.memory.problems import Shortfall
from node.store.walk import FeedWalk

ROUND_ITEMS_MAX: Final = 500
OWED_MAX: Final = 100_000
_MEMORY: Final = b"memory/"
_LINK: Final = b"link/"
_STRIDE: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who this node is, and who else counts.

    Attributes:
        me: this node.
        members: all that belong to the mesh now.
        serves: whether this node takes writes now.
        read: the record under a key.
        erasures: how many erasures the store has marked and not seen through.
        erased: whether the record under a key is among them.
        walk: over the feed of the store; when that is another, everything is looked at again.
    """

    me: bytes
    members: Callable[[], Iterable[bytes]]
    serves: Callable[[], bool]
    read: Callable[[bytes], Record | None]
    erasures: Callable[[], int]
    erased: Callable[[bytes], bool]
    walk: FeedWalk

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
        self._owed: dict[str, None] = {}
        self._fresh: dict[str, None] = {}
        self._looked: str | None = None
        self._tried: dict[bytes, int] = {}
        self._due = monotonic()
        self._busy = False

    def close(self) -> None:
        """Let go of what is on the disk."""
        self._lifecycle.ledger.close()

    def saw(self, batch: Batch) -> None:
        """Follow a commit: note what was erased, and what is said to come of what was."""
        self._lifecycle.origins.saw(batch)
        if not self._membership.erasures():
            return
        for key, change in batch.records.items():
            name = key[1:]
            if name.startswith(_MEMORY) and self._membership.erased(key):
                self._owed[name[len(_MEMORY) :].decode()] = None
            elif name.startswith(_LINK) and change.after is not None:
                self._fresh[name[len(_LINK) :].decode()] = None
        if len(self._owed) + len(self._fresh) > OWED_MAX:  # all of it stands in the store
            self._owed.clear()
            self._fresh.clear()
            self._looked = None

    def watch(self) -> None:
        """Begin a round when there is something to do, and none is under way."""
        if self._busy or not self._membership.serves():
            return
        due = self._monotonic() >= self._due
        owed = self._owed or self._fresh or self._looked != self._membership.walk.store_id()
        if due or owed or self._begun():
            self._spawn(self._round(sweep=due))

    def _begun(self) -> list[Intent]:
        """Requests of which there may be more to do than at the last try."""
        lifecycle = self._lifecycle
        resting = lifecycle.ledger.resting()
        if not resting:
            return []
        progress = lifecycle.forgetting.progress()
        return [one for one in resting if self._tried.get(one.name) != progress]

    async def _round(self, *, sweep: bool) -> None:
        self._busy = True  # here: what is spawned while nobody owns tasks never begins
        try:
            # What fails is owed still, or due again: the next round begins with it.
            with suppress(WriteError, Shortfall):
                await self.go_on()
                await self.look(again=sweep)
                await self.settle()
                if sweep:
                    await self.sweep()
                    self._due = self._monotonic() + self._interval
        finally:
            self._busy = False

    async def go_on(self) -> None:
        """Do what is still owed of requests that were begun here."""
        forgetting = self._lifecycle.forgetting
        for intent in self._begun():
            progress = forgetting.progress()
            if await forgetting.go_on(intent):
                self._tried.pop(intent.name, None)
            else:
                self._tried[intent.name] = progress

    async def look(self, *, again: bool = False) -> None:
        """Find what is said to come of what was erased: in all there is, or in what came."""
        membership, lifecycle = self._membership, self._lifecycle
        store, names = membership.walk.store_id(), list(self._fresh)
        if membership.erasures():
            if lifecycle.origins.store != store:
                await lifecycle.origins.follow(membership.walk, membership.read)
            if again or self._looked != store:
                names = list(lifecycle.index.every())
                for source in lifecycle.origins.sources():
                    if self._was_erased(source):
                        self._owed[source] = None
        for step, name in enumerate(names, start=1):
            link = self._link(name)
            if link is not None and link.relation in DERIVATIONS and self._was_erased(link.target):
                self._owed[link.target] = None
            self._fresh.pop(name, None)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)
        self._looked = store

    def _link(self, name: str) -> Link | None:
        held = self._lifecycle.memories.funnel.reader().get(LINK, name)
        return None if held is None else link_of(held)

    def _was_erased(self, ident: str) -> bool:
        erased = self._membership.erased
        return any(erased(record_key(lane, COLLECTION, ident)) for lane in (DATA, PRIVATE))

    async def settle(self) -> None:
        """See to what came of memories that were erased."""
        for step, ident in enumerate(list(self._owed), start=1):
            if self._is_gone(ident):
                await self._follow(ident)
            self._owed.pop(ident, None)
            if step % _STRIDE == 0:
                await asyncio.sleep(0)

    def _is_gone(self, ident: str) -> bool:
        """Whether nothing of a memory shows; one that waits for approval is there still."""
        reader = self._lifecycle.memories.funnel.reader()
        lanes = (False, True)
        return all(reader.whole(COLLECTION, ident, private=lane) is None for lane in lanes)

    async def _follow(self, ident: str) -> None:
        gathering = self._lifecycle.gathering
        reader = self._lifecycle.memories.funnel.reader()
        following = gathering.derivation
        fate = await following.fate([ident], everything=False)
        for name in (*fate.recomposed, *fate.erased):
            held = anywhere(reader, name)
            if held is None or name == ident or not self._membership.acts_on(held):
                continue
            lane = PRIVATE if held.private else DATA
            if record_key(lane, COLLECTION, name) in self._lifecycle.waiting():
                continue  # it is held for approval already

            def drafts_of(name: str) -> list[Draft]:
                if name in fate.recomposed:
                    return following.recompose(name, fate)
                now = anywhere(reader, name)
                return [] if now is None else [delete(now, erased=True)]

            with suppress(Denied):  # governance keeps this one, and not the next
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
