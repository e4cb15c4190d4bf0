"""Real nodes over real stores that edit documents, and are cut off from each other at will.

Law: engine, funnel, gate, store and memories are those of a running node. What one has minted
reaches another when a test says so, whole bundles in any order that fits. What all hold is what
their clocks say at that moment. The clock moves only here; nothing here draws from the system.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

from crdt.bundle import read_bundle
from crdt.document.model import DocumentLimits
from crdt.document.opened import Document
from crdt.dot import Dot, new_actor
from crdt.exchange import ExchangeLimits
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.op import Op
from crdt.replica import Fit
from crdt.standing import found
from node.contracts import Caller, Held
from node.documents.around import EngineSurroundings
from node.documents.documents import Added, Documents, Edited
from node.documents.pen import Pen
from node.gate import Gate, Unlimited
from node.limits import Limits
from node.memory.drafts import DraftRules
from node.memory.memories import Ask, Changed, Memories
from node.metrics import Metrics
from node.replication.engine import Engine, EngineSettings
from node.replication.funnel import LocalFunnel
from node.replication.reader import StoreReader
from tests.unit.crdt.rig import genuine, key_of, node_of, signed
from tests.unit.store.rig import open_store

T0_MS: Final = 1_770_000_000_000
ANN: Final = "ai:ann"


class Around(EngineSurroundings):
    """Surroundings that know what every side holds."""

    sides: Sequence["Side"] = ()

    def covered(self) -> Callable[[Dot], bool]:
        clocks = [one.engine.replica.clock for one in self.sides]
        return lambda dot: all(clock.get(dot.actor, 0) >= dot.seq for clock in clocks)


class Side:
    """One node.

    Args:
        name: of it.
        names: of all nodes of its mesh.
        folder: for its store.
        chance: draws what a real node takes from the system.
        limits: bounds of documents.
        wanted: W.
    """

    def __init__(
        self, name: str, names: Sequence[str], folder: Path, chance: Random,
        limits: DocumentLimits | None = None, wanted: int = 1,
    ) -> None:  # fmt: skip
        self.name, self.now_ms, self.births = name, T0_MS, 0
        self.timeout_ms = 5000
        self.store = open_store(folder / name)
        self.engine = Engine(
            me=Self(
                node_id=node_of(name), key=key_of(name), claim=f"node:{node_of(name).hex()}",
                name=name, url="", draw_actor=self._actor,
                sign=lambda message: signed(name, message), verify=genuine,
            ),
            genesis=Genesis(
                cluster="papers", founders=tuple(f"node:{node_of(one).hex()}" for one in names)
            ),
            store=self.store,
            settings=EngineSettings(
                limits=ExchangeLimits(), wanted_w=wanted, queue_bytes_max=1 << 26,
                document=limits or DocumentLimits(),
            ),
            now_ms=lambda: self.now_ms, metrics=Metrics(), log=_unheard,  # type: ignore[arg-type]  # tells nobody
            alarm=_unheard, failed=_unheard,
        )  # fmt: skip
        self.reader = StoreReader(self.engine)
        self.gate = Gate(
            state=lambda: self.engine.replica.governance.now,
            quotas=Unlimited(), fail_open=lambda: False, refused=_unheard,
        )  # fmt: skip
        self.funnel = LocalFunnel(
            engine=self.engine, gate=self.gate, reader=self.reader,
            readiness=self.engine.readiness, timeout_ms=lambda: self.timeout_ms, in_flight_max=1000,
            entropy=chance.randbytes,
        )  # fmt: skip
        self.around = Around(self.engine, self.reader)
        self.around.sides = (self,)
        self.pen = Pen(
            self.engine.shelf, entropy=chance.randbytes, now_ms=lambda: self.now_ms,
            around=self.around,
        )  # fmt: skip
        self.memories = Memories(
            funnel=self.funnel,
            rules=DraftRules(
                limits=Limits(), default_namespace="team", share_private=True,
                documents=self.pen,
            ),
            now_ms=lambda: self.now_ms, entropy=chance.randbytes,
        )  # fmt: skip
        self.documents = Documents(self.memories, self.pen)
        found(self.engine.replica, self.now_ms)
        self.engine.soon()

    def _actor(self, lane: bytes) -> bytes:
        self.births += 1
        birth = self.births.to_bytes(8, "big")
        return new_actor(lane, T0_MS // 1000, birth, node_of(self.name))

    def tick(self) -> None:
        """Look at what waits, now and then again, as a running node does."""
        self.engine.tick()
        self.ticking = asyncio.get_running_loop().call_later(0.002, self.tick)

    async def end(self) -> None:
        self.ticking.cancel()
        await self.engine.drain()
        self.engine.committer.close(5.0)
        self.store.close()

    # --- what agents do --------------------------------------------------------------

    def ask(self, agent: str = ANN, /, **body: Any) -> Ask:
        self.now_ms += 1
        return Ask(caller=Caller(agent=agent), body=body)

    async def create(self, content: str = "", agent: str = ANN, /, **body: Any) -> str:
        fields = {"title": "paper", "memory_kind": "document", **body}
        if content:
            fields["content"] = content
        return (await self.memories.create(self.ask(agent, **fields))).id

    async def edit(self, ident: str, *ops: dict[str, Any], agent: str = ANN, **body: Any) -> Edited:
        return await self.documents.edit(ident, self.ask(agent, ops=list(ops), **body), None)

    async def type(self, ident: str, text: str, at: int | None = None, agent: str = ANN) -> Edited:
        place = {} if at is None else {"index": at}
        op = {"op": "splice", "path": ["text"], **place, "insert": text}
        return await self.edit(ident, op, agent=agent)

    async def put(self, ident: str, agent: str = ANN, /, **body: Any) -> Changed:
        return await self.memories.update(ident, self.ask(agent, **body), None)

    async def add(self, ident: str, data: bytes, agent: str = ANN) -> Added:
        return await self.documents.add(ident, self.ask(agent), data, None)

    # --- looking ---------------------------------------------------------------------

    def held(self, ident: str) -> Held:
        held = self.reader.get("memory", ident)
        assert held is not None
        return held

    def text(self, ident: str) -> str:
        return str(self.held(ident).view.values["content"])

    def names(self, ident: str) -> list[str]:
        """The chunks of a record."""
        return [one.name for one in self.held(ident).view.values.get("chunk", ())]

    def document(self, ident: str) -> Document:
        """As it shows, whoever it belongs to."""
        return self.pen.opened(self.held(ident))[1]

    def minted(self) -> list[Op]:
        """Every operation in the log of this node."""
        cluster = self.engine.replica.cluster
        pages = self.store.page({}, 1 << 30).bundles
        return [op for data in pages for op in read_bundle(data, cluster=cluster, ops_max=1024).ops]

    def take_from(self, other: "Side", most: int = 1 << 30) -> None:
        """Take what another side has and this one lacks, a page of at most so many bytes."""
        replica = self.engine.replica
        for data in other.store.page(dict(replica.clock), most).bundles:
            bundle = replica.read_bundle(data)
            if replica.fit(bundle) is Fit.NEXT:
                replica.take(bundle, self.now_ms)
        self.engine.soon()


def _unheard(*_: object, **__: object) -> None:
    """Tells nobody."""


@asynccontextmanager
async def mesh(
    *names: str, seed: int = 0, limits: DocumentLimits | None = None, wanted: int = 1
) -> AsyncIterator[list[Side]]:
    """Nodes of one mesh that are cut off from each other."""
    chance = Random(seed)
    with tempfile.TemporaryDirectory(prefix="papers-") as folder:
        sides = [Side(name, names, Path(folder), chance, limits, wanted) for name in names]
        for side in sides:
            side.around.sides = sides
            side.tick()
        try:
            async with asyncio.timeout(120):
                await level(sides)
                yield sides
        finally:
            for side in sides:
                await side.end()


async def level(sides: Sequence[Side]) -> None:
    """Let everybody have everything."""
    for _ in range(len(sides) + 1):
        for side in sides:
            await side.engine.drain()
        for side in sides:
            for other in sides:
                if other is not side:
                    side.take_from(other)
    for side in sides:
        await side.engine.drain()
