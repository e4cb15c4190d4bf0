"""Random lives of memories on three replicas behind cuts, and the law that holds at their end.

Law: everything real but disk and network: core, gate, lifecycle and housekeeping. At the end
the cuts heal, the nodes level and do their rounds until nothing moves; then all are equal, no
live record composed of an erased one says a word of it, and no tier is lower than it ever was.
"""

import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from crdt.dot import DATA, PRIVATE
from crdt.fields import tier_rank
from crdt.mint import MissingRecordError
from crdt.op import record_key
from crdt.record_codec import encode
from crdt.view import view
from node.contracts import Held
from node.documents.shelf import Shelf
from node.errors import NodeError
from node.lifecycle.archive import REASON_DEFAULT
from node.lifecycle.housekeeping import Housekeeping, Membership
from node.lifecycle.ledger import Ledger
from node.lifecycle.lifecycle import Lifecycle
from node.lifecycle.origins import Origins
from node.lifecycle.sweeping import SweepRules
from node.lifecycle.wish import Wish
from node.links.index import LinkIndex
from node.memory.problems import RequestError
from node.replication.rivals import classes
from node.store.erasures import erasing
from node.store.feed import Changed
from node.store.walk import FeedWalk
from tests.unit.crdt.rig import shared_state, spread
from tests.unit.governing.rig import Governed, asked

AGENTS = ("ann", "bob", "eve")
TIERS = ("short", "mid", "long")
_ROUNDS_MAX = 8


class Living(Governed):
    """A governed node with the reads of the lifecycle, and its housekeeping."""

    def __init__(self, name: str, founders: Sequence[str]) -> None:
        super().__init__(name, founders)
        scans = itertools.count()
        index = LinkIndex(lambda: self._keys("link"), lambda: str(next(scans)))
        self.life = Lifecycle(
            memories=self.memories, index=index, rules=SweepRules(), ledger=Ledger(),
            governing=self, origins=Origins(),
        )  # fmt: skip
        membership = Membership(
            me=self.node.replica.me.node_id,
            members=lambda: self.state().members,
            serves=lambda: True,
            read=self.node.replica.read,
            erasures=lambda: len(self.erased()),
            erased=lambda key: key in self.erased(),
            walk=FeedWalk(store_id=lambda: "one", pages=self._changed),
        )
        self.keeping = Housekeeping(
            lifecycle=self.life, membership=membership, spawn=lambda _: None,
            interval_secs=60, monotonic=lambda: 0.0,
        )  # fmt: skip

    def erased(self) -> set[bytes]:
        """What the table of erasures would have."""
        logs = self.node.disk.log.values()
        return {
            record_key(bundle.actor[:1], op.collection, op.id)
            for log in logs
            for _, bundle in log
            for op in erasing(bundle)
        }

    # --- as much of a reader as the lifecycle asks for --------------------------------

    def _keys(self, collection: str) -> list[bytes]:
        starts = tuple(record_key(lane, collection, "") for lane in (DATA, PRIVATE))
        keys = {*self.node.disk.records, *self.node.replica.overlay.keys()}
        return sorted(key for key in keys if key.startswith(starts))

    def _changed(self, after: int, limit: int) -> list[Changed]:
        rows = enumerate(self._keys("memory"), start=1)
        records = [(at, key, self.node.replica.read(key)) for at, key in rows if at > after]
        return [Changed(at, key, record and encode(record)) for at, key, record in records][:limit]

    def _all(self, collection: str) -> Iterator[Held]:
        for key in self._keys(collection):
            yield from self._classes(key)[:1]

    def knows(self, collection: str, record_id: str) -> bool:
        return any(held.id == record_id for held in self._all(collection))

    def rivals(self, collection: str, record_id: str, *, whole: bool = False) -> list[Held]:
        assert whole
        return self._classes(record_key(DATA, collection, record_id))

    def _classes(self, key: bytes) -> list[Held]:
        return classes(key, self.node.replica.read(key), self.node.replica, Shelf())

    def whole(self, collection: str, record_id: str, *, private: bool) -> Held | None:
        lane = PRIVATE if private else DATA
        key = record_key(lane, collection, record_id)
        seen = view(self.node.replica.read(key), self.node.replica)
        if seen is None:
            return None
        return Held(collection=collection, id=record_id, private=private, view=seen)

    def recent(self, namespace: str | None = None) -> Iterator[Held]:
        del namespace
        return iter([h for h in self._all("memory") if "archived_at" not in h.view.values])

    def archive(self, before_ms: int | None = None) -> Iterator[Held]:
        del before_ms
        return iter([h for h in self._all("memory") if "archived_at" in h.view.values])

    def ended(self) -> Iterator[Held]:
        return iter(())

    def with_prefix(
        self, collection: str, prefix: str, limit: int, *, archived: bool = False
    ) -> list[str]:
        del archived
        return [h.id for h in self._all(collection) if h.id.startswith(prefix)][:limit]

    def named(self, collection: str, prefix: str, limit: int) -> list[str]:
        return self.with_prefix(collection, prefix, limit)

    def refusal(self, *_args: object, **_more: object) -> None:
        return None


class History:
    """One random history over three nodes.

    Attributes:
        words: every word that a memory ever said, by its id.
        tiers: the highest tier that anybody saw of it.
        erased: ids that were asked to be erased, and those that followed.
    """

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        names = ("a", "b", "c")
        self.nodes = [Living(name, names) for name in names]
        spread([one.node for one in self.nodes])
        self.words: dict[str, set[str]] = {}
        self.tiers: dict[str, int] = {}
        self.erased: set[str] = set()
        self._word = itertools.count(1)
        self.steps: list[str] = []

    async def run(self, steps: int) -> None:
        acts = (
            self.store, self.store, self.store, self.edit, self.consolidate, self.consolidate,
            self.archive, self.restore, self.soften, self.forget, self.forget, self.level,
            self.promote,
        )  # fmt: skip
        for _ in range(steps):
            act = self.chance.choice(acts)
            node = self.chance.choice(self.nodes)
            try:
                await act(node)
            except (NodeError, RequestError, MissingRecordError) as error:
                self.steps.append(f"  refused: {error}")
            self.look(node)
        await self.end()

    # --- what agents do ---------------------------------------------------------------

    def _ids(self, node: Living, *, archived: bool = False) -> list[str]:
        return [held.id for held in (node.archive() if archived else node.recent())]

    def _one(self, node: Living, *, archived: bool = False) -> str | None:
        found = self._ids(node, archived=archived)
        return self.chance.choice(found) if found else None

    def _fresh(self) -> str:
        return f"w{next(self._word)}w"

    def _note(self, node: Living, what: str) -> None:
        self.steps.append(f"{node.node.name}: {what}")

    async def store(self, node: Living) -> None:
        word, agent = self._fresh(), self.chance.choice(AGENTS)
        body = {
            "title": f"t {word}", "content": f"c {word}", "namespace": "n", "tags": [word],
            "tier": self.chance.choice(TIERS),
        }  # fmt: skip
        made = await node.memories.create(asked(agent, body))
        self.words[made.id] = {word}
        self._note(node, f"store {made.id} {word}")

    async def edit(self, node: Living) -> None:
        ident = self._one(node)
        if ident is not None:
            word = self._fresh()
            self.words[ident].add(word)
            body = {"content": f"c {word}", "tier": self.chance.choice(TIERS)}
            self._note(node, f"edit {ident} {word}")
            await node.memories.update(ident, asked(self.chance.choice(AGENTS), body), None)

    async def promote(self, node: Living) -> None:
        ident = self._one(node)
        if ident is not None:
            self._note(node, f"promote {ident}")
            await node.memories.promote(ident, asked(self.chance.choice(AGENTS)))

    async def consolidate(self, node: Living) -> None:
        ids = self._ids(node)
        if len(ids) >= 2:
            chosen = self.chance.sample(ids, self.chance.randint(2, min(4, len(ids))))
            body: dict[str, Any] = {"ids": chosen}
            if self.chance.random() < 0.3:
                body["summary"] = " ".join(
                    str(held.view.values["content"])
                    for held in (node.get("memory", one) for one in chosen)
                    if held is not None
                )
            held = [node.get("memory", one) for one in chosen]
            highest = [tier_rank(one.view.values.get("tier")) for one in held if one is not None]
            made = await node.life.consolidation.make(asked(self.chance.choice(AGENTS), body))
            self.words[made.id] = set()
            self.tiers[made.id] = max(highest)
            self._note(node, f"consolidate {chosen} to {made.id}, {sorted(body)}")

    async def archive(self, node: Living) -> None:
        ident = self._one(node)
        if ident is not None:
            self._note(node, f"archive {ident}")
            await node.life.archive.put(ident, asked("ann"), REASON_DEFAULT)

    async def soften(self, node: Living) -> None:
        ident = self._one(node)
        if ident is not None:
            self._note(node, f"soft forget {ident}")
            await node.life.archive.put(ident, asked("ann"), "forgotten")

    async def restore(self, node: Living) -> None:
        ident = self._one(node, archived=True)
        if ident is not None:
            self._note(node, f"restore {ident}")
            await node.life.archive.take_out(ident, asked("ann"))

    async def forget(self, node: Living) -> None:
        ident = self._one(node, archived=self.chance.random() < 0.7)
        if ident is not None:
            self._note(node, f"forget {ident}")
            await node.life.forgetting.forget(Wish(ids=(ident,)), asked("ann"))
            self.erased.add(ident)

    async def level(self, node: Living) -> None:
        """Some links work for a moment."""
        other = self.chance.choice([one for one in self.nodes if one is not node])
        self._note(node, f"levels with {other.node.name}")
        spread([node.node, other.node])
        if self.chance.random() < 0.5:
            await self._round(node)

    async def _round(self, node: Living) -> None:
        node.life.origins.begin()  # as after a start
        await node.keeping.look(again=True)
        await node.keeping.settle()

    # --- the law ----------------------------------------------------------------------

    def look(self, node: Living) -> None:
        for held in (*node.recent(), *node.archive()):
            rank = tier_rank(held.view.values.get("tier"))
            self.tiers[held.id] = max(self.tiers.get(held.id, rank), rank)

    async def end(self) -> None:
        for _ in range(_ROUNDS_MAX):
            spread([one.node for one in self.nodes])
            before = [one.node.disk.digest for one in self.nodes]
            for node in self.nodes:
                await self._round(node)
            spread([one.node for one in self.nodes])
            if [one.node.disk.digest for one in self.nodes] == before:
                break
        else:
            raise AssertionError(self.told("the nodes never come to rest"))
        first, *others = [shared_state(one.node.disk) for one in self.nodes]
        assert all(other == first for other in others), self.told("not equal")
        for node in self.nodes:
            self._check(node)

    def _check(self, node: Living) -> None:
        live = {held.id: held for held in (*node.recent(), *node.archive())}
        gone = {ident for ident in self.erased if ident not in live}
        hushed = {word for ident in gone for word in self.words[ident]}
        for held in live.values():
            own = self.words[held.id]
            said = str(held.view.values)
            told = {word for word in hushed - own if word in said}
            assert not told, self.told(f"{held.id} says {told} of what was erased")
            rank = tier_rank(held.view.values.get("tier"))
            assert rank >= self.tiers.get(held.id, rank), self.told(f"{held.id} was lowered")

    def told(self, what: str) -> str:
        return "\n".join([what, *self.steps])
