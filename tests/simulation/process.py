"""One simulated process: the shipped replica and exchange over a disk kept in memory.

It does what the node does around the core: closes a batch whenever the disk is free, commits,
reports, and carries out effects. Nothing here decides anything about replication.
"""

import hashlib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from crdt.bundle import Bundle
from crdt.clock import ahead
from crdt.dot import DATA, new_actor
from crdt.effects import (
    Alarm,
    BuildJoin,
    Close,
    Confirm,
    Discard,
    Effect,
    Examine,
    Freeze,
    Serve,
    Stage,
)
from crdt.exchange import Exchange
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.memory_state import MemoryState
from crdt.op import Draft, Op
from crdt.proving import Proof, UnprovenError
from crdt.replica import Replica
from crdt.state import Batch
from crdt.weighing import Word
from tests.simulation.witness import compared, forged

if TYPE_CHECKING:
    from tests.simulation.world import World


class More(NamedTuple):
    """What is left of a page from this link is to be taken."""

    link: int


def key_of(name: str) -> bytes:
    """The simulated node's public key; its secret is the same, signatures are hashes."""
    return hashlib.sha256(b"key" + name.encode()).digest()


def node_of(name: str) -> bytes:
    """The node id of a simulated node."""
    return hashlib.sha256(key_of(name)).digest()


class Process:
    """One run of one node."""

    def __init__(self, world: "World", pid: str, name: str) -> None:
        self.world, self.pid, self.name = world, pid, name
        self.queue: deque[tuple[Batch, list[Bundle]]] = deque()
        self.tasks: deque[Effect | More] = deque()
        self.frozen: dict[bytes, MemoryState] = {}
        self.links: dict[str, int] = {}
        self.staged = False
        self.waiting: list[tuple[bytes, int]] = []
        self.governing: list[tuple[Op, bytes, int]] = []
        me = Self(
            node_id=node_of(name),
            key=key_of(name),
            claim=name if name in world.founders else "",
            name=name,
            url=name,
            admins=world.admins,
            draw_actor=self._draw_actor,
            sign=lambda message: hashlib.sha512(key_of(name) + message).digest(),
            verify=lambda key, message, sig: hashlib.sha512(key + message).digest() == sig,
        )
        self.me = me
        self.replica = self._replica()
        self.exchange = Exchange(
            self.replica,
            durable=self.disk.clock(),
            limits=world.limits,
            now_ms=self.now_ms,
        )

        left = world.incoming.get(pid)
        if left is not None and left[2]:
            self.exchange.catchup.resume_at(left[0], left[2])

    @property
    def disk(self) -> MemoryState:
        return self.world.disks[self.pid]

    @property
    def now_ms(self) -> int:
        return self.world.now_ms + self.world.skew.get(self.name, 0)

    @property
    def state(self) -> str:
        return "joining" if self.exchange.catchup.joining else "up"

    def without_documents(self) -> tuple[str, ...]:
        """Nobody: all members run this program."""
        return ()

    def _draw_actor(self, lane: bytes) -> bytes:
        self.world.births += 1
        births = 0 if self.world.bug == "reuse" else self.world.births
        second = self.world.month * 30 * 86_400
        return new_actor(lane, second, births.to_bytes(8, "big"), self.me_id)

    @property
    def me_id(self) -> bytes:
        return node_of(self.name)

    def _replica(self) -> Replica:
        return Replica(
            me=self.me,
            genesis=Genesis(cluster="sim", founders=tuple(self.world.founders)),
            state=self.disk,
            loaded=self.disk.load(),
            skew_max_ms=self.world.limits.skew_ms_max,
        )

    # --- minting -----------------------------------------------------------------

    def may_mint(self) -> bool:
        replica = self.replica
        return not self.exchange.catchup.joining and (
            replica.joined or (not replica.must_join and not len(replica.governance))
        )

    def mint(self, drafts: list[Draft], agent: str) -> list[Op]:
        from crdt.standing import found  # noqa: PLC0415 - as the node's funnel does it

        if not found(self.replica, self.now_ms):
            return []
        ops, _ = self.replica.mint(drafts, agent=agent, now_ms=self.now_ms)
        return ops

    # --- the disk ----------------------------------------------------------------

    def pump(self) -> None:
        """Close what is open when the disk is free, and carry effects to the task list."""
        self.exchange.advance(self.now_ms)
        if self.replica.dirty and not self.queue and not self.exchange.catchup.joining:
            self._submit()
        tasks, self.exchange.effects[:] = list(self.exchange.effects), []
        for effect in tasks:
            if isinstance(effect, Alarm):
                self.world.alarmed(self, effect)
            elif isinstance(effect, Close):
                self.world.cut(effect.link)
            else:
                self.tasks.append(effect)
        self.settle()

    def _submit(self) -> None:
        batch, sealed = self.replica.take_batch(self.now_ms)
        for bundle in sealed:
            self.world.twin.record(bundle)
            if bundle.actor[:1] == DATA:
                self.waiting.append((bundle.actor, bundle.last))
            elif bundle.actor[:1] == b"g":
                self.governing += [(op, bundle.actor, bundle.last) for op in bundle.ops]
        self.queue.append((batch, sealed))
        self.world.planted_claim(self, batch)
        self.exchange.minted(sealed)

    def commit(self) -> None:
        """The disk finishes one batch."""
        if self.queue:
            batch, _ = self.queue.popleft()
            self.disk.commit(batch)
            self.exchange.advance(self.now_ms)
            self.exchange.committed(batch)

    def settle(self) -> None:
        """Which own writes are committed now?"""
        reached = self.exchange.tally.quorum_seq(DATA)
        actor = self.replica.own.get(DATA)
        for dot in [d for d in self.waiting if d[0] == actor and d[1] <= reached]:
            self.waiting.remove(dot)
            ready = self.replica.governance.now
            self.world.claimed_commit(self, dot, ready.ready, ready.quorum())
        for entry in list(self.governing):
            op, line, last = entry
            if self.exchange.tally.governed_by_quorum(op.dot, op.heads):
                self.governing.remove(entry)
                before = self.replica.governance.state(op.heads)
                self.world.claimed_commit(self, (line, last), before.ready, before.quorum())

    # --- effects -----------------------------------------------------------------

    def work(self) -> None:
        """Carry out one effect."""
        if not self.tasks:
            return
        effect = self.tasks.popleft()
        exchange = self.exchange
        exchange.advance(self.now_ms)
        if isinstance(effect, Freeze):
            snapshot = self._frozen_copy()
            exchange.catchup.frozen(effect.link, effect.number, snapshot)
        elif isinstance(effect, Serve):
            copy = self.frozen.get(effect.snapshot)
            if copy is not None:
                rows, following = copy.chunk(effect.after, self.world.chunk_rows)
                exchange.catchup.served(
                    effect.link, effect.number, effect.snapshot, rows, following
                )
        elif isinstance(effect, Stage):
            self.world.stat["chunks"] += 1
            held = self.world.incoming.get(self.pid)
            state = held[1] if held is not None and held[0] == effect.snapshot else MemoryState()
            self.world.stat["resumed"] += held is not None and bool(held[2]) and not self.staged
            self.staged = True
            state.stage(effect.rows)
            self.world.incoming[self.pid] = (effect.snapshot, state, effect.following)
            if self.world.bug == "halfjoin" and effect.following:
                self._half_join(state)
            exchange.catchup.staged(effect.link, effect.number, effect.snapshot, effect.following)
        elif isinstance(effect, More):
            exchange.catchup.go_on(effect.link)
            self.soon_more(effect.link)
        else:
            self._judge(effect)

    def _judge(self, effect: Effect) -> None:
        if isinstance(effect, Examine):
            self.examine(effect)
        elif isinstance(effect, Confirm):
            self.confirm(effect)
        elif isinstance(effect, Discard):
            self.world.incoming.pop(self.pid, None)
        elif isinstance(effect, BuildJoin):
            self.swap(effect)

    def examine(self, effect: Examine) -> None:
        """Is the governance of what was staged signed, all of it?"""
        trial = self.exchange.catchup.trial
        held = self.world.incoming.get(self.pid)
        if held is None or held[0] != effect.snapshot:
            self.exchange.catchup.join_failed(effect.link)
            return
        proof = Proof(self.replica.genesis, self.me.verify, self.me.ops_max)
        theirs = held[1].load()
        try:
            proof.trust(self.disk.load().governance)
            proof.take(theirs.governance)
            proof.only(theirs.governance, theirs.actors)
            proof.covers(theirs.actors)
        except UnprovenError as error:
            trial.unproven(effect.link, effect.number, str(error))
            return
        trial.examined(effect.link, effect.number, held[1].clock(), proof.governance.now)

    def confirm(self, effect: Confirm) -> None:
        """Ask another disk; its answer comes at once, or not at all."""
        peer = self.exchange.peers.get(effect.witness)
        held = self.world.incoming.get(self.pid)
        link = self.world.links.get(effect.witness)
        if peer is None:
            return
        word = Word.UNABLE
        if held is not None and link is not None and not link.dead:
            word = compared(held[1], link.other(self).disk)
        if word is Word.SAME and effect.snapshot in self.world.forged:
            # All that was forged changed at the witness since: nobody can hold it against the row.
            self.world.stat["slipped"] += 1
            word = Word.UNABLE
        self.world.stat[f"witness_{word.value}"] += 1
        self.exchange.catchup.trial.confirmed(effect.snapshot, peer.node_id, word)

    def soon_more(self, link: int) -> None:
        """What is left of a page waits for its turn like any other work."""
        if self.exchange.catchup.at_hand(link):
            self.world.stat["slices"] += 1
            self.tasks.append(More(link))

    def _frozen_copy(self) -> bytes:
        """One copy serves all who ask while the log still reaches back to it."""
        floors = {actor: row.floor for actor, row in self.disk.actors.items()}
        for snapshot, copy in self.frozen.items():
            if not ahead(floors, copy.clock()):
                return snapshot
        made = hashlib.sha256(f"{self.pid}{self.world.step_no}".encode()).digest()[:8]
        self.frozen[made] = self.disk.copy()
        if self.world.lies(self):
            self.world.stat["forged"] += 1
            self.frozen[made] = forged(self.frozen[made], self.world.random)
            if self.frozen[made].digest != self.disk.digest:
                self.world.forged.add(made)
        return made

    def _half_join(self, part: MemoryState) -> None:
        """Planted: read the join before it is whole."""
        self._drain()
        mine = self.disk.clock()
        for key, data in part.records.items():
            self.disk.join_record(key, self.disk.record(key), data, mine, part.clock())
        self._restart_over(self.disk, 0)

    def _drain(self) -> None:
        while self.queue:
            self.commit()
        if self.replica.dirty:
            self._submit()
            self.commit()

    def swap(self, effect: BuildJoin) -> None:
        """Drain, join aside, swap by one assignment."""
        self._drain()
        self.world.stat["snapshot_joins"] += 1
        held = self.world.incoming.pop(self.pid, None)
        if held is None or held[0] != effect.snapshot:
            self.exchange.catchup.join_failed(effect.link)
            return
        if self.world.bug == "joinwrong":
            held[1].actors.update(dict(self.disk.actors.items()))
        joined = self.disk.joined_with(held[1])
        self._restart_over(joined, effect.link)

    def _restart_over(self, state: MemoryState, link: int) -> None:
        self.world.replace_disk(self.pid, state)
        fresh = self._replica()
        fresh.adopt(self.replica)
        self.replica = fresh
        self.exchange.swapped(fresh, self.disk.clock(), link)
