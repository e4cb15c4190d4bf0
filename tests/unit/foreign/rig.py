"""Two meshes of one node each, in memory, that exchange over the real rules.

Law: everything but the wire and the disk is what runs in a node; a message crosses as JSON.
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from crdt.view import NothingPending
from node.contracts import Caller, Governing, Held
from node.documents.documents import Documents
from node.documents.pen import Pen
from node.foreign.bridge import Bridge, Counts
from node.foreign.exchange import Foreign
from node.foreign.here import Here
from node.foreign.memory import BriefMemory
from node.foreign.problems import PeerAway, PeerRefused
from node.foreign.remote import Said
from node.foreign.sight import Sight
from node.foreign.writing import Sender
from node.governing.pending import PendingActions
from node.governing.standards import Standards
from node.http.services import NothingGoverned
from node.lifecycle.archive import Archive
from node.limits import Limits
from node.memory.drafts import DraftRules
from node.memory.memories import Ask, Memories
from node.memory.record import record_of
from node.metrics import Metrics
from node.settings.sections import GovernanceRules
from tests.unit.http.fake_node import Clock, FakeMesh, FakeNode


@dataclass
class Side:
    """One mesh."""

    name: str
    clock: Clock = field(default_factory=Clock)
    governing: Governing = field(default_factory=NothingGoverned)
    bound: frozenset[str] = frozenset()
    cut: bool = False
    knows_documents: bool = True

    def __post_init__(self) -> None:
        self.node = FakeNode(clock=self.clock, store_id=f"store of {self.name}")
        self.node._drawn = 1000 * sum(self.name.encode())  # no two sides draw the same id
        drawn = itertools.count(1)
        seed = sum(self.name.encode())

        def entropy(size: int) -> bytes:
            mark = seed << 32 if size > 8 else 0  # no two sides draw the same actor
            return (mark | next(drawn)).to_bytes(size, "big")

        pen = Pen(self.node.shelf, entropy=entropy, now_ms=self.clock.now_ms)
        rules = DraftRules(
            limits=Limits(),
            default_namespace="global",
            share_private=False,
            documents=pen if self.knows_documents else None,
        )
        self.memories = Memories(
            funnel=self.node, rules=rules, now_ms=self.clock.now_ms, entropy=entropy
        )
        self.documents = Documents(self.memories, pen)
        self.memory = BriefMemory()
        governing, memories = self.governing, self.memories
        self.sight = Sight(self.node.records.get, NothingPending, self.node.shelf)
        self.here = Here(
            memories=memories,
            governing=governing,
            standards=Standards(governing=governing, memories=memories, times=GovernanceRules),
            pendings=PendingActions(
                governing=governing, memories=memories, now_ms=self.clock.now_ms
            ),
            sight=self.sight,
            memory=self.memory,
            bound=lambda agent: agent in self.bound,
            now_ms=self.clock.now_ms,
        )
        self.foreign = Foreign(
            here=self.here,
            mesh=FakeMesh(),
            is_own=lambda fingerprint: fingerprint == self.key,
            items_max=1000,
            metrics=Metrics(),
        )

    @property
    def key(self) -> str:
        return f"fingerprint of {self.name}"

    @property
    def sender(self) -> Sender:
        return Sender(key=self.key, name=self.name)

    # --- agents ---------------------------------------------------------------------------

    async def store(self, title: str, **fields: Any) -> str:
        body = {"title": title, "content": "text", **fields}
        ask = Ask(caller=Caller(agent=fields.pop("agent", "ai:alice")), body=body)
        return (await self.memories.create(ask)).id

    async def edit(self, ident: str, **fields: Any) -> None:
        self.clock.ms += 1
        ask = Ask(caller=Caller(agent="ai:alice"), body=fields)
        await self.memories.update(ident, ask, None)

    async def type(self, ident: str, text: str, at: int | None = None) -> None:
        """Write into a document, at its end unless said otherwise."""
        self.clock.ms += 1
        place = {} if at is None else {"index": at}
        op = {"op": "splice", "path": ["text"], **place, "insert": text}
        ask = Ask(caller=Caller(agent="ai:alice"), body={"ops": [op]})
        await self.documents.edit(ident, ask, None)

    async def delete(self, ident: str) -> None:
        self.clock.ms += 1
        await self.memories.delete(ident, Ask(caller=Caller(agent="ai:alice"), body={}), None)

    async def archive(self, ident: str) -> None:
        self.clock.ms += 1
        await Archive(self.memories).put(ident, Ask(caller=Caller(agent="ai:alice"), body={}), "x")

    async def restore(self, ident: str) -> None:
        self.clock.ms += 1
        await Archive(self.memories).take_out(ident, Ask(caller=Caller(agent="ai:alice"), body={}))

    def archived(self, ident: str) -> bool:
        return self.node.reader().archived("memory", ident) is not None

    def held(self, ident: str) -> Held | None:
        return self.node.reader().get("memory", ident)

    def row(self, ident: str) -> dict[str, Any]:
        held = self.held(ident)
        assert held is not None, f"{self.name} lacks {ident}"
        return record_of(held)

    def titles(self, ident: str) -> set[str]:
        """The title that shows and those in conflict with it."""
        told = self.node.reader().conflicts("memory", ident).get("title")
        shown = {self.row(ident)["title"]}
        return shown | {one.value for one in told} if told else shown

    def all_rows(self) -> dict[str, dict[str, Any]]:
        """What people wrote, by id."""
        rows = [record_of(held) for held in self.node.reader().recent()]
        dull = {"version", "access_count", "conflicts"}
        return {r["id"]: {k: v for k, v in r.items() if k not in dull} for r in rows}

    @property
    def ops(self) -> int:
        return len(self.node.log)

    # --- peers ----------------------------------------------------------------------------

    async def take(self, sender: "Side | Sender", **items: Any) -> dict[str, Any]:
        """A push to this side; returns the answer."""
        who = sender.sender if isinstance(sender, Side) else sender
        body, _ = await self.foreign.receive(who, orjson.loads(orjson.dumps(items)))
        answer: dict[str, Any] = orjson.loads(orjson.dumps(body))
        return answer

    async def statuses(self, sender: "Side | Sender", **items: Any) -> list[str]:
        return [one["status"] for one in (await self.take(sender, **items))["results"]]

    def bridge_to(
        self, other: "Side", fails: Callable[[bool], bool] = lambda _served: False
    ) -> Bridge:
        return Bridge(
            here=self.here,
            intake=self.foreign.intake,
            remote=Wire(self, other, fails),  # type: ignore[arg-type]  # the same two methods
            is_member=self.foreign.is_member,
            name_of=lambda _fingerprint: other.name,
            ready=self.foreign.ready,
        )

    async def round(self, other: "Side") -> Counts:
        return await self.bridge_to(other).round()


@dataclass
class Wire:
    """What `Remote` is to a bridge, without a network.

    Attributes:
        fails: asked before (False) and after (True) a request is served; True loses it there.
    """

    near: Side
    far: Side
    fails: Callable[[bool], bool] = lambda _served: False

    @property
    def url(self) -> str:
        return f"https://{self.far.name}:9077"

    def _check(self, *, served: bool = False) -> None:
        if self.near.cut or self.far.cut or self.fails(served):
            raise PeerAway(f"no answer from {self.url}")

    async def since(self, token: str, limit: int) -> Said:
        self._check()
        page = await self.far.foreign.page(self.near.key, token, limit)
        self._check(served=True)
        return Said(peer=self.far.key, body=orjson.loads(orjson.dumps(page)))

    async def push(self, body: Mapping[str, Any]) -> Said:
        self._check()
        if self.far.foreign.is_member(self.near.key):
            raise PeerRefused(409, {"error": "member_of_this_mesh"})
        answer = await self.far.take(self.near, **body)
        self._check(served=True)
        return Said(peer=self.far.key, body=answer)


async def level(one: Side, *others: Side, rounds: int = 4) -> None:
    """Exchange until nothing moves any more; fails when it never ends."""
    for _ in range(rounds):
        before = [side.ops for side in (one, *others)]
        for other in others:
            await one.round(other)
        if before == [side.ops for side in (one, *others)]:
            return
    raise AssertionError(f"still moving after {rounds} rounds")
