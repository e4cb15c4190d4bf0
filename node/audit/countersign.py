"""Peers countersign where this node's chains end, and this node countersigns theirs.

Law: a countersignature is given only after the head it is under is on this node's disk, and
never under less than, or other than, what was countersigned before: that is an alarm, and the
proof is kept. A head is told only when it is on the disk of its own node. So an end that was
cut off shows: offline against the countersignatures kept here, online against what peers keep.

Asides, into which the replicated core does not look: `audit-ask` (what do you keep of me?),
`audit-head` (a head), `audit-witness` (the answer to both; empty for: nothing). A process asks
each member once before it tells it anything, so that no new head covers up an older one.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from crdt.dot import NodeId
from node import failpoints
from node.audit.books import HeadBook, WitnessBook, read_heads, read_witnesses
from node.audit.chain import Owner, Sign
from node.audit.heads import (
    ActorHead,
    Head,
    HeadError,
    Witness,
    contradiction,
    read_head,
    read_witness,
    write_head,
    write_witness,
)
from node.audit.keeper import Keeper
from node.audit.segments import hash_at

HEAD_TOPIC: Final = "audit-head"
WITNESS_TOPIC: Final = "audit-witness"
ASK_TOPIC: Final = "audit-ask"
BEAT_SECONDS: Final = 3.0
_ASKED: Final = b"\x01"
_KNOWN_LINKS_MAX: Final = 4096
_NOT_COUNTERSIGNED: Final = frozenset({"lower", "other_entry"})


class Room(Protocol):
    """What countersigning needs of the replicated side."""

    @property
    def linked(self) -> Mapping[NodeId, int]:
        """The members that are linked now, with the number of their link."""
        ...

    def own_heads(self) -> tuple[ActorHead, ...]:
        """How far this node's own lines of operations reach on its disk."""
        ...

    def settled(self) -> bool:
        """Whether this node holds what it held before: it is not catching up or joining."""
        ...

    def name_of(self, node: NodeId) -> str:
        """What people call a member."""
        ...

    def send(self, topic: str, data: bytes, link: int | None = None) -> None:
        """Say something to one link, or to all."""
        ...


@dataclass(slots=True)
class _State:
    """What this process remembers beside the books."""

    told: Head | None = None
    links: dict[int, str] = field(default_factory=dict)
    alarmed: set[tuple[NodeId, str, int]] = field(default_factory=set)
    answers: list[tuple[int, Head]] = field(default_factory=list)
    saving: bool = False
    dirty: bool = False
    met: set[NodeId] = field(default_factory=set)
    heard: set[NodeId] = field(default_factory=set)


class Countersigning:
    """Both sides of it, on the loop.

    Args:
        folder: where the books lie.
        keeper: the chain, and the thread that writes.
        owner: who this node is.
        sign: by its key.
        room: the replicated side.
        post: brings a call to the loop from another thread.
        now_ms: wall clock.
        alarm: told of every contradiction: name and facts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keeper: Keeper,
        owner: Owner,
        sign: Sign,
        room: Room,
        post: Callable[[Callable[[], None]], object],
        now_ms: Callable[[], int],
        alarm: Callable[..., None],
    ) -> None:
        self._folder = folder
        self._keeper = keeper
        self._owner = owner
        self._sign = sign
        self._room = room
        self._post = post
        self._now_ms = now_ms
        self._alarm = alarm
        self.heads: HeadBook = read_heads(folder, owner.verify)
        self.witnesses: WitnessBook = read_witnesses(folder, owner.node_id, owner.verify)
        self._state = _State()
        self._answered = asyncio.Event()

    # --- this node's own head ---------------------------------------------------------

    def beat(self) -> None:
        """Tell the linked members where this node's chains end, unless they know."""
        self._tell(self._room.linked)

    def _tell(self, linked: Mapping[NodeId, int]) -> None:
        """Do so to these."""
        if not self._keeper.head.seq or not linked or not self._room.settled():
            return
        head = self._present()
        for node, link in linked.items():
            held = self.witnesses.newest.get(node)
            if node not in self._state.met:
                self._room.send(ASK_TOPIC, _ASKED, link)
            elif held is None or not _same(held.head, head):
                self._room.send(HEAD_TOPIC, head.data, link)

    def _present(self) -> Head:
        """The head, signed anew only when it moved."""
        link, actors = self._keeper.head, self._room.own_heads()
        told = self._state.told
        if told is None or told.link != link or told.actors != actors:
            told = self._state.told = write_head(
                link, actors, key=self._owner.key, at=self._now_ms(), sign=self._sign
            )
            links = self._state.links
            links[link.seq] = link.hash
            if len(links) > _KNOWN_LINKS_MAX:
                del links[min(links)]
        return told

    def countersigned(self) -> int:
        """How many members hold the present end of the audit chain."""
        link = self._keeper.head
        return sum(held.head.link == link for held in self.witnesses.newest.values())

    def on_witness(self, node: NodeId, _link: int, data: bytes) -> None:
        """A member answered: keep its word, and hold the chain against it."""
        if data:
            try:
                witness = self._read_witness(node, data)
            except HeadError as error:
                self._alarm("audit_head_refused", peer=self._room.name_of(node), reason=str(error))
                return
            if self.witnesses.take(witness):
                self._save()
            self._compare(witness)
        new = node not in self._state.met
        self._state.met.add(node)
        self._state.heard.add(node)
        self._answered.set()
        if new and node in (linked := self._room.linked):
            # Only to who was met: all the others are told by beats, not for each newcomer.
            self._tell({node: linked[node]})

    def _read_witness(self, node: NodeId, data: bytes) -> Witness:
        witness = read_witness(data, self._owner.verify, own=self._state.told)
        if witness.by != node or witness.head.node_id != self._owner.node_id:
            raise HeadError("a countersignature of, or for, another node")
        return witness

    def _compare(self, witness: Witness) -> None:
        """A head that this process did not tell itself is looked up in the chain."""
        head = witness.head
        if self._state.links.get(head.seq) == head.hash.hex():
            return
        self._keeper.run(
            lambda: self._holds(head),
            lambda holds, error: self._post(
                lambda: self._compared(witness, holds=bool(holds) or error is not None)
            ),
        )

    def _holds(self, head: Head) -> bool:
        """Whether the chain has that entry, or had it before its oldest entries were dropped."""
        if head.seq > self._keeper.head.seq:
            return False
        found = hash_at(self._folder, head.seq)
        return found is None or found == head.hash.hex()

    def _compared(self, witness: Witness, *, holds: bool) -> None:
        if holds or not self.witnesses.dispute(witness):
            return
        self._save()
        self._rollback(self._owner.node_id, witness.head.seq, "own_chain")

    def _rollback(self, node: NodeId, seq: int, reason: str) -> None:
        key = (node, reason, seq)
        if key in self._state.alarmed:
            return
        self._state.alarmed.add(key)
        facts = {"node": node.hex(), "name": self._room.name_of(node), "reason": reason}
        self._alarm("audit_rollback", **facts, seq=seq)
        self._keeper.record("audit_rollback", **facts, seq=seq)

    # --- heads of others --------------------------------------------------------------

    def on_head(self, node: NodeId, link: int, data: bytes) -> None:
        """A member tells where its chains end."""
        try:
            head = read_head(data, self._owner.verify)
            if head.node_id != node:
                raise HeadError("the head of another node")  # noqa: TRY301 - one way to refuse
        except HeadError as error:
            self._alarm("audit_head_refused", peer=self._room.name_of(node), reason=str(error))
            return
        held = self.heads.newest.get(node)
        wrong = contradiction(held, head) if held is not None else ""
        if held is not None and wrong:
            self.heads.dispute(held)
            self._rollback(node, held.seq, wrong)
        if held is None or wrong not in _NOT_COUNTERSIGNED:
            self.heads.newest[node] = held = head
        self._state.answers.append((link, held))
        self._save()

    def on_ask(self, node: NodeId, link: int, data: bytes) -> None:
        """A member wants to know what this node keeps of it."""
        held = self.heads.newest.get(node)
        if data != _ASKED:
            return
        if held is None:
            self._room.send(WITNESS_TOPIC, b"", link)
            return
        self._state.answers.append((link, held))
        self._save()

    async def ask_all(self, seconds: float) -> int:
        """Ask every linked member what it keeps of this node; returns how many answered."""
        state = self._state
        state.heard = set()
        wanted = set(self._room.linked)
        self._room.send(ASK_TOPIC, _ASKED)
        try:
            async with asyncio.timeout(seconds):
                while wanted - state.heard:
                    self._answered.clear()
                    await self._answered.wait()
        except TimeoutError:
            pass
        return len(wanted & state.heard)

    # --- the disk ---------------------------------------------------------------------

    def _save(self) -> None:
        """Put both books on the disk, then send the answers that waited for it."""
        state = self._state
        if state.saving:
            state.dirty = True
            return
        state.saving, state.dirty = True, False
        answers, state.answers = state.answers, []
        heads = HeadBook(newest=dict(self.heads.newest), disputed=list(self.heads.disputed))
        witnesses = WitnessBook(
            newest=dict(self.witnesses.newest), disputed=list(self.witnesses.disputed)
        )

        def work() -> None:
            failpoints.hit("audit.countersign")
            heads.save(self._folder)
            witnesses.save(self._folder)

        def done(_result: Any, error: BaseException | None) -> None:
            self._post(lambda: self._saved(answers, error))

        self._keeper.run(work, done)

    def _saved(self, answers: list[tuple[int, Head]], error: BaseException | None) -> None:
        self._state.saving = False
        if error is not None:
            self._alarm("maintenance_failed", error=str(error))
            return
        for link, head in answers:
            now = self._now_ms()
            data = write_witness(head, key=self._owner.key, at=now, sign=self._sign)
            self._room.send(WITNESS_TOPIC, data, link)
        if self._state.answers or self._state.dirty:
            self._save()


def _same(held: Head, present: Head) -> bool:
    return held.link == present.link and held.actors == present.actors
