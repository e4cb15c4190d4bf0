"""Entities and messages over histories of several nodes that write apart and then level.

Law: a name in a namespace is one entity with one id, whoever registers it where and when, and
its aliases are those that anybody gave it, on every node after any order of levelling. A
message shows to whom it is for and to nobody else, in any way of reading; what was read on one
side of a cut is read on both.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, cast

import orjson
import pytest

from crdt.dot import DATA, PRIVATE, new_actor
from node.contracts import Caller, Funnel
from node.errors import NodeError
from node.events import sight
from node.events.messages import Messages
from node.graph import entities
from node.graph.entities import Entities
from node.graph.names import EntityIndex, entity_id
from node.limits import Limits
from node.memory.drafts import DraftRules
from node.memory.memories import Ask, Memories
from node.memory.problems import NotFound
from node.memory.query import Query
from tests.property.memory_histories import AGENTS, VIEWERS, History, lived
from tests.property.test_governance_planted import Patch, planted
from tests.property.test_memory_events import drained, source
from tests.unit.http.fake_node import FakeNode

NAMES = ("Ada", "Bo")
ALIASES = ("ada", "countess", "bo", "Ada", "x")
SPACES = ("team", "other")


class Side:
    """One of several nodes."""

    def __init__(self, number: int, chance: Random) -> None:
        self.node = FakeNode()
        me = bytes([number + 1]) * 32
        self.node.actors = {
            private: new_actor(PRIVATE if private else DATA, 1_770_000_000, bytes(8), me)
            for private in (False, True)
        }
        drawn = Random(chance.random())
        self.node.draw_id = lambda _retry, _index: drawn.randbytes(8).hex()  # type: ignore[method-assign]  # ids of its own
        self.memories = Memories(
            funnel=cast("Funnel", self.node),
            rules=DraftRules(limits=Limits(), default_namespace="team", share_private=True),
            now_ms=self.node.clock.now_ms,
            entropy=drawn.randbytes,
        )
        self.messages = Messages(self.memories)

    @property
    def entities(self) -> Entities:
        """Over an index that is read anew."""
        records = self.node.records
        index = EntityIndex(lambda: list(records), records.get, lambda: "s")
        return Entities(self.memories, index)

    def pull(self, other: "Side") -> None:
        """Everything that the other has and this one lacks."""
        self.node.clock.ms = max(self.node.clock.ms, other.node.clock.ms)
        known = {op.dot for op in self.node.log}
        for op in other.node.log:
            if op.dot not in known and op.dot.actor[:1] == DATA:
                self.node.arrive(op)


def level(sides: list[Side], chance: Random) -> None:
    """All pull from all, in any order."""
    pairs = [(one, other) for one in sides for other in sides if one is not other]
    chance.shuffle(pairs)
    for one, other in pairs * 2:
        one.pull(other)


def asked(agent: str, **body: Any) -> Ask:
    return Ask(caller=Caller(agent=agent), body=body)


async def entities_unite(seed: int) -> None:
    chance = Random(seed)
    sides = [Side(number, chance) for number in range(3)]
    given: dict[tuple[str, str], set[str]] = {}
    for _ in range(25):
        side = chance.choice(sides)
        side.node.clock.ms += chance.choice((0, 1, 900))
        if chance.random() < 0.2:
            side.pull(chance.choice([one for one in sides if one is not side]))
        name, space = chance.choice(NAMES), chance.choice(SPACES)
        aliases = chance.sample(ALIASES, chance.randrange(4))
        ask = asked(chance.choice(AGENTS), canonical_name=name, namespace=space, aliases=aliases)
        made = await side.entities.register(ask)
        assert made.entity.id == entity_id(space, name)
        given.setdefault((space, name), set()).update(one for one in aliases if one != name)
    level(sides, chance)
    for (space, name), aliases in given.items():
        for side in sides:
            found = side.entities.read(entity_id(space, name), Caller(agent=""))
            assert found is not None, f"seed {seed}: {name} in {space} is lost"
            assert (found.name, found.namespace) == (name, space)
            assert set(found.aliases) == aliases, f"seed {seed}: aliases of {name} in {space}"
    for alias in (*NAMES, *ALIASES):
        for space in (None, *SPACES):
            said = [await one.entities.by_alias(alias, space, Caller(agent="")) for one in sides]
            assert all(one == said[0] for one in said), f"seed {seed}: {alias} in {space}"
            having = [
                entity_id(where, name)
                for (where, name), aliases in given.items()
                if space in (None, where) and alias in {name, *aliases}
            ]
            first, others = said[0]
            assert sorted([*([first.id] if first else []), *others]) == sorted(having)


async def marks_unite(seed: int) -> None:
    chance = Random(seed)
    sides = [Side(number, chance) for number in range(2)]
    sent: list[tuple[str, str]] = []
    for _ in range(8):
        side, to = chance.choice(sides), chance.choice(AGENTS)
        ask = asked(chance.choice(AGENTS), target_agent_id=to, title="t", content="c")
        sent.append(((await side.messages.send(ask)).id, to))
    level(sides, chance)
    read: set[str] = set()
    for ident, to in sent:
        for side in sides:
            if chance.random() < 0.4:
                await side.messages.mark_read([ident], asked(to))
                read.add(ident)
    level(sides, chance)
    for side in sides:
        for agent in AGENTS:
            mine = {one for one, to in sent if to == agent}
            viewer = Caller(agent=agent)
            every = await side.messages.inbox(viewer, limit=100)
            fresh = await side.messages.inbox(viewer, limit=100, unread_only=True)
            assert {one["id"] for one in every} == mine
            assert {one["id"] for one in fresh} == mine - read, f"seed {seed}: marks"


async def letters_are_secret(history: History) -> None:
    """Nobody but the addressee sees a message: in the inbox, in reads, in the stream."""
    node, chance = history.node, history.chance
    messages, sent = Messages(node.memories), list[tuple[str, str]]()
    for _ in range(15):
        to = chance.choice(AGENTS)
        ask = history.ask(target_agent_id=to, title="hush", content="hush", namespace="team")
        sent.append(((await messages.send(ask)).id, to))
        ident, owner = chance.choice(sent)
        try:
            reader = chance.choice(AGENTS)
            await messages.mark_read([ident], history.ask(reader))
            assert reader == owner, "somebody else's message was marked"
        except NotFound:
            assert reader != owner
        if chance.random() < 0.2:
            await node.restart()
            messages = Messages(node.memories)
    await node.engine.drain()
    for viewer in VIEWERS:
        mine = {one for one, to in sent if to == viewer.agent}
        if viewer.namespaces is not None and "team" not in viewer.namespaces:
            mine = set()
        shown = {one["id"] for one in await messages.inbox(viewer, limit=100)}
        assert shown == mine, f"{viewer}: inbox"
        told = [orjson.loads(one.data) for one in drained(source(history, viewer, "0")) if one.name]
        assert {one["message_id"] for one in told if "message_id" in one} == mine
        assert not await node.memories.page(Query(limit=100), viewer)
        for ident, _ in sent:
            with pytest.raises(NodeError):
                node.memories.find(ident, viewer)


LAWS: dict[str, Callable[[int], None]] = {
    "entities": lambda seed: asyncio.run(entities_unite(seed)),
    "marks": lambda seed: asyncio.run(marks_unite(seed)),
    "letters": lambda seed: lived(seed, letters_are_secret),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("seed", range(5))
def test_entities_and_messages_over_histories(law: str, seed: int) -> None:
    LAWS[law](seed)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS)
def test_entities_and_messages_over_many_histories(law: str) -> None:
    for seed in range(1000, 1300):
        LAWS[law](seed)


# --- planted bugs ------------------------------------------------------------------------


def eldest_alone() -> Patch:
    """Of two births of an entity one shows, with its aliases alone."""
    plain = entities.united
    return entities, "united", lambda births: plain(births[:1])


def drawn_ids() -> Patch:
    """The namespace is not in the id."""
    return entities, "entity_id", lambda _space, name: entity_id("", name)


def told_to_all() -> Patch:
    return sight.Sight, "_is_for", lambda *_: True


BUGS: dict[str, tuple[Callable[[], Patch], str]] = {
    "entities: one birth hides another": (eldest_alone, "entities"),
    "entities: namespaces share an id": (drawn_ids, "entities"),
    "letters: told to all": (told_to_all, "letters"),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_law_notices(bug: str) -> None:
    plant, law = BUGS[bug]
    with planted(plant()):
        for seed in range(20):
            try:
                LAWS[law](seed)
            except (AssertionError, NodeError):
                print(f"{bug}: caught by seed {seed}")
                return
    pytest.fail("the law sleeps")
