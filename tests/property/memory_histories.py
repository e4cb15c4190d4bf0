"""One real node over a real store, and random histories of what agents do with its memories.

Law: engine, funnel, gate, store, index and log are those of a running node; the clock moves
only here, and signatures are plain hashes. A history is a function of its seed. What a step
asks for and may not have is refused by the node and changes nothing.
"""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from crdt.bundle import read_bundle
from crdt.dot import new_actor
from crdt.exchange import ExchangeLimits
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.log_rule import LogRule
from crdt.op import ERASE, Draft, Kind, Op
from crdt.replica import Fit
from crdt.standing import found
from crdt.state import Batch
from node.contracts import Caller, Held
from node.errors import NodeError
from node.events.feed import Bell
from node.events.sight import Departed
from node.events.telling import Teller
from node.gate import Gate, Unlimited
from node.lifecycle.archive import Archive
from node.limits import Limits
from node.memory.drafts import COLLECTION, DraftRules
from node.memory.memories import Ask, Memories
from node.memory.record import check_author
from node.memory.sharing import share
from node.metrics import Metrics
from node.recall.opening import RecallSide, open_recall
from node.recall.source import StoreSource
from node.replication.engine import Engine, EngineSettings
from node.replication.funnel import LocalFunnel
from node.replication.governing import StoreGoverning
from node.replication.reader import StoreReader
from tests.unit.crdt.rig import genuine, key_of, node_of, signed
from tests.unit.store.rig import open_store

T0_MS: Final = 1_770_000_000_000
NAME: Final = "lone"
LONE: Final = f"node:{node_of(NAME).hex()}"
AGENTS: Final = ("ai:ann", "ai:bea", "ai:cal")
SPACES: Final = ("team", "team/deep", "other")
WORDS: Final = ("dragon", "castle", "river", "walrus", "lantern", "C++")
TAGS: Final = ("x", "y", "lantern")
SESSIONS: Final = ("s1", "s2")
VIEWERS: Final = (
    *(Caller(agent=name) for name in AGENTS),
    Caller(agent=""),
    Caller(agent="ai:ann", namespaces=("team",)),
    Caller(agent="", namespaces=("other", "team/deep")),
)


class LoneNode:
    """A member of a mesh of one.

    Args:
        folder: empty or not yet there.
        share_private: whether private memories travel in the shared lane.
        chance: draws what a real node takes from the system.
    """

    def __init__(self, folder: Path, chance: Random, *, share_private: bool = False) -> None:
        self.folder, self.chance = folder, chance
        self.now_ms = T0_MS
        self.share_private = share_private
        self.metrics = Metrics()
        self.arrived: list[tuple[int, Op]] = []
        self.commits = 0
        self.stores = 0
        self.births = 0
        self.departed, self.bell = Departed(), Bell()
        self.recall: RecallSide | None = None
        self.open()

    # --- its life --------------------------------------------------------------------

    def open(self) -> None:
        """Begin, over what is on the disk."""
        self.store = open_store(self.folder / f"store-{self.stores}")
        self.engine = Engine(
            me=Self(
                node_id=node_of(NAME), key=key_of(NAME), claim=LONE, name=NAME, url="",
                draw_actor=self._actor, sign=lambda message: signed(NAME, message),
                verify=genuine,
            ),
            genesis=Genesis(cluster="laws", founders=(LONE,)),
            store=self.store,
            settings=EngineSettings(
                limits=ExchangeLimits(), wanted_w=1, queue_bytes_max=1 << 24
            ),
            now_ms=lambda: self.now_ms, metrics=self.metrics, log=_unheard,  # type: ignore[arg-type]  # tells nobody
            alarm=_unheard, failed=_unheard,
        )  # fmt: skip
        self.reader = StoreReader(self.engine)
        gate = Gate(
            state=lambda: self.engine.replica.governance.now,
            quotas=Unlimited(), fail_open=lambda: False, refused=_unheard,
        )  # fmt: skip
        self.funnel = LocalFunnel(
            engine=self.engine, gate=gate, reader=self.reader, readiness=self.engine.readiness,
            timeout_ms=lambda: 5000, in_flight_max=1000, entropy=self.chance.randbytes,
        )  # fmt: skip
        self.memories = Memories(
            funnel=self.funnel,
            rules=DraftRules(
                limits=Limits(), default_namespace="team", share_private=self.share_private
            ),
            now_ms=lambda: self.now_ms, entropy=self.chance.randbytes,
        )  # fmt: skip
        self.archive = Archive(self.memories)
        self.governing = StoreGoverning(self.engine)
        self.teller = Teller(lambda: self.reader, self.governing, self.departed)
        self.engine.on_commit += [self.departed.saw, self._heard, self.bell.saw]
        if not self.engine.replica.joined:
            found(self.engine.replica, self.now_ms)
            self.engine.soon()

    def _actor(self, lane: bytes) -> bytes:
        self.births += 1
        return new_actor(lane, T0_MS // 1000, self.births.to_bytes(8, "big"), node_of(NAME))

    def _heard(self, batch: Batch) -> None:
        replica = self.engine.replica
        for bundle in batch.bundles:
            self.commits += 1
            ops = read_bundle(bundle.data, cluster=replica.cluster, ops_max=replica.me.ops_max).ops
            self.arrived += [(self.commits, op) for op in ops]
        if self.recall is not None:
            self.recall.feeding.saw(batch)

    def tick(self) -> None:
        """Look at what waits, now and then again, as a running node does."""
        self.engine.tick()
        self.ticking = asyncio.get_running_loop().call_later(0.002, self.tick)

    async def end(self) -> None:
        """Put everything on the disk and let go of it."""
        await self.engine.drain()
        self.engine.committer.close(5.0)
        self.store.close()

    async def restart(self) -> None:
        """End this process and begin the next over the same disk."""
        await self.end()
        self.departed = Departed()
        self.open()
        await self.engine.drain()

    async def lose_store(self) -> None:
        """Go on over another store that holds what the shared lane held, as after a join."""
        pages = self.store.page({}, 1 << 30).bundles
        await self.end()
        self.stores += 1
        self.commits, self.arrived = 0, []
        self.open()
        replica = self.engine.replica
        for data in pages:
            bundle = replica.read_bundle(data)
            if replica.fit(bundle) is Fit.NEXT:
                replica.take(bundle, self.now_ms)
        await self.engine.drain()

    def truncate(self, keep_ms: int) -> None:
        """Cut the log of what arrived longer ago."""
        self.store.truncate(
            LogRule(rows=(), log_bytes_max=1 << 30, log_bytes_min=1 << 30, log_ms_max=keep_ms),
            self.now_ms,
        )

    # --- recall ----------------------------------------------------------------------

    async def index(self) -> None:
        """Open the index anew: what was not flushed before is gone from memory."""
        if self.recall is not None:
            self.recall.close()
        self.recall = open_recall(
            self.folder, reader=lambda: self.reader, metrics=self.metrics, log=_unheard,
            now_ms=lambda: self.now_ms, source=StoreSource(lambda: self.engine),
        )  # fmt: skip
        await self.flush()

    async def flush(self) -> None:
        """Let the index take what has changed."""
        assert self.recall is not None
        await self.recall.feeding._round()

    # --- looking ---------------------------------------------------------------------

    def everything(self, ids: set[str]) -> Iterator[Held]:
        """Every memory that shows to somebody, by the plainest reads there are."""
        for ident in sorted(ids):
            own = self.reader.own("memory", ident)
            if own is not None:
                yield own
            shared = self.reader.get("memory", ident)
            if shared is not None and not shared.private:
                yield shared


def _unheard(*_: object, **__: object) -> None:
    """Tells nobody."""


Deed = Callable[["History"], Coroutine[Any, Any, None]]


class History:
    """What happens to one node, drawn by a seed."""

    def __init__(self, node: LoneNode, chance: Random) -> None:
        self.node, self.chance = node, chance
        self.ids: list[str] = []
        self.refused = 0

    @property
    def some(self) -> str:
        """An id that was used before, mostly a late one."""
        return self.chance.choice(self.ids[-8:] if self.chance.random() < 0.7 else self.ids)

    def by(self, ident: str) -> str:
        """Who acts on a memory: its author mostly."""
        reader = self.node.reader
        held = reader.get("memory", ident) or reader.archived("memory", ident)
        if held is None or self.chance.random() < 0.3:
            return self.chance.choice(AGENTS)
        return held.view.owner

    def ask(self, agent: str | None = None, /, **body: Any) -> Ask:
        return Ask(caller=Caller(agent=agent or self.chance.choice(AGENTS)), body=body)

    def text(self) -> str:
        return " ".join(self.chance.choices(WORDS, k=self.chance.choice((1, 2, 3, 9))))

    async def step(self, deeds: dict[str, int]) -> str:
        """Do one thing; what the node refuses is refused."""
        self.node.now_ms += self.chance.choice((1, 1, 7, 40))
        name = self.chance.choices(list(deeds), list(deeds.values()))[0]
        if not self.ids:
            name = "create"
        try:
            await getattr(self, name)()
        except NodeError:
            self.refused += 1
        return name

    # --- deeds -----------------------------------------------------------------------

    async def create(self) -> None:
        draw = self.chance
        body: dict[str, Any] = {
            "title": self.text(),
            "content": self.text(),
            "namespace": draw.choice(SPACES),
            "tags": draw.sample(TAGS, draw.randrange(3)),
            "tier": draw.choice(("short", "mid", "long")),
            "priority": draw.randint(1, 10),
        }
        if draw.random() < 0.5:
            body["scope"] = "private"
        if draw.random() < 0.5:
            body["metadata"] = {"session_id": draw.choice(SESSIONS)}
        if draw.random() < 0.2:
            body["ttl_secs"] = 1
        if self.ids and draw.random() < 0.15:
            body["id"] = self.some
        made = await self.node.memories.create(self.ask(**body))
        if made.id not in self.ids:
            self.ids.append(made.id)

    async def edit(self) -> None:
        draw = self.chance
        fields: dict[str, Any] = {
            "content": self.text(),
            "title": self.text(),
            "tags": draw.sample(TAGS, draw.randrange(3)),
            "priority": draw.randint(1, 10),
        }
        names = draw.sample(sorted(fields), draw.randint(1, 3))
        await self._update({name: fields[name] for name in names})

    async def move(self) -> None:
        await self._update({"namespace": self.chance.choice(SPACES)})

    async def rescope(self) -> None:
        await self._update({"scope": self.chance.choice(("private", "team", "collective"))})

    async def _update(self, body: dict[str, Any]) -> None:
        ident = self.some
        await self.node.memories.update(ident, self.ask(self.by(ident), **body), None)

    async def put_away(self) -> None:
        ident = self.some
        await self.node.archive.put(ident, self.ask(self.by(ident)), "enough")

    async def restore(self) -> None:
        ident = self.some
        await self.node.archive.take_out(ident, self.ask(self.by(ident)))

    async def promote(self) -> None:
        ident = self.some
        await self.node.memories.promote(ident, self.ask(self.by(ident)))

    async def delete(self) -> None:
        ident = self.some
        await self.node.memories.delete(ident, self.ask(self.by(ident)), None)

    async def forget(self) -> None:
        ident, memories = self.some, self.node.memories
        ask = self.ask(self.by(ident))
        held = memories.finder.anywhere(ident, ask.caller)
        check_author(held, ask.agent)
        erase = Draft(
            kind=Kind.DELETE, collection=COLLECTION, id=held.id, private=held.private,
            set={ERASE: True},
        )  # fmt: skip
        await memories.commit([erase], ask, "delete", id=held.id)

    async def let_in(self) -> None:
        ident, draw = self.some, self.chance
        await share(
            self.node.memories, ident, self.ask(self.by(ident)), draw.choice(AGENTS),
            allowed=draw.random() < 0.7, administrator=False,
        )  # fmt: skip

    async def wait(self) -> None:
        self.node.now_ms += self.chance.choice((300, 1100))

    async def flush(self) -> None:
        await self.node.flush()

    async def kill_index(self) -> None:
        await self.node.index()

    async def rebuild(self) -> None:
        assert self.node.recall is not None
        self.node.recall.recall.rebuild()
        await self.node.flush()

    async def restart(self) -> None:
        await self.node.restart()

    async def restart_both(self) -> None:
        await self.node.restart()
        await self.node.index()

    async def lose_store(self) -> None:
        await self.node.lose_store()
        await self.node.flush()

    async def truncate(self) -> None:
        await self.node.engine.drain()
        self.node.truncate(self.chance.choice((0, 50, 500)))


CHANGES: Final = {
    "create": 8, "edit": 5, "move": 2, "rescope": 3, "put_away": 2, "restore": 2, "promote": 1,
    "delete": 1, "forget": 1, "let_in": 3, "wait": 1,
}  # fmt: skip


def lived(seed: int, story: Callable[[History], Coroutine[Any, Any, None]], **options: Any) -> None:
    """Run a story on a fresh node; the draws are those of the seed."""

    async def run() -> None:
        chance = Random(seed)
        with tempfile.TemporaryDirectory(prefix="laws-") as folder:
            node = LoneNode(Path(folder), chance, **options)
            node.tick()
            await node.engine.drain()
            try:
                async with asyncio.timeout(120):
                    await story(History(node, chance))
            finally:
                node.ticking.cancel()
                if node.recall is not None:
                    node.recall.close()
                await node.end()

    print(f"seed {seed}")
    asyncio.run(run())
