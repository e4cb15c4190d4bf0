"""Who may see what: the predicate, the past of a memory, attestation, declared times."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller, Held
from node.limits import Limits
from node.memory.batch import create_many
from node.memory.drafts import DraftRules
from node.memory.memories import Ask, Memories
from node.memory.problems import NotFound
from node.memory.record import content_id, record_of, visible_to
from tests.unit.http.fake_node import FakeNode

ALICE, BOB, EVE = (Caller(agent=f"ai:{name}") for name in ("alice", "bob", "eve"))
NOBODY = Caller(agent="")


def signed(who: Caller) -> Caller:
    return replace(who, attested=True)


class Desk:
    """Memories over a node in memory."""

    def __init__(self, *, share_private: bool = False, keyed: frozenset[str] = frozenset()) -> None:
        self.node = FakeNode()
        rules = DraftRules(limits=Limits(), default_namespace="global", share_private=share_private)
        self.memories = Memories(
            funnel=self.node,
            rules=rules,
            now_ms=self.node.clock.now_ms,
            entropy=bytes,
            requires_signature=lambda agent: agent in keyed,
        )

    async def store(self, who: Caller = ALICE, **fields: Any) -> str:
        body = {"title": "t", "content": "c", **fields}
        return (await self.memories.create(Ask(caller=who, body=body))).id

    async def update(self, ident: str, who: Caller = ALICE, **fields: Any) -> dict[str, Any]:
        changed = await self.memories.update(ident, Ask(caller=who, body=fields), None)
        assert changed.held is not None
        return record_of(changed.held)

    def held(self, ident: str) -> Held:
        found = self.node.reader().get("memory", ident)
        assert found is not None
        return found

    def past(self, ident: str, who: Caller) -> list[dict[str, Any]]:
        return [dict(op.set) for op in self.memories.history(ident, who, 100)[1]]


@pytest.mark.parametrize(
    ("scope", "spaces", "everything"),
    list(
        itertools.product(
            ["collective", "team", "private", None],
            [None, ("a",), ("a/b",), ("*",), ("a/b/c",), ("ab",), ()],
            [False, True],
        )
    ),
)
async def test_the_rule_in_a_table(
    scope: str | None, spaces: tuple[str, ...] | None, *, everything: bool
) -> None:
    desk = Desk()
    given = {} if scope is None else {"scope": scope}
    held = desk.held(await desk.store(namespace="a/b", **given))
    held.view.values["grants"] = ["ai:bob"]
    inside = spaces in (None, ("a",), ("a/b",), ("*",))
    for viewer in (ALICE, BOB, EVE, NOBODY, Caller(agent="anonymous:req-1")):
        party = viewer in (ALICE, BOB)
        expected = inside and (everything or scope != "private" or party)
        limited = replace(viewer, namespaces=spaces)
        assert visible_to(held, limited, everything=everything) is expected, viewer


async def test_a_private_memory_of_another_cannot_be_found_changed_or_deleted() -> None:
    desk = Desk()
    ident = await desk.store(scope="private")
    before = desk.held(ident)
    for who in (EVE, NOBODY):
        ask = Ask(caller=who, body={"title": "mine"})
        for name in (ident, ident[:8]):
            with pytest.raises(NotFound):
                desk.memories.find(name, who)
            with pytest.raises(NotFound):
                await desk.memories.update(name, ask, None)
            with pytest.raises(NotFound):
                await desk.memories.promote(name, ask)
            with pytest.raises(NotFound):
                await desk.memories.delete(name, ask, None)
    assert desk.held(ident) == before


async def test_a_key_of_one_subtree_finds_nothing_outside_it() -> None:
    desk = Desk()
    inside = await desk.store(namespace="team/x")
    outside = await desk.store(namespace="other")
    limited = replace(ALICE, namespaces=("team",))
    assert desk.memories.find(inside, limited).id == inside
    with pytest.raises(NotFound):
        desk.memories.find(outside, limited)


@pytest.mark.parametrize("share_private", [False, True])
async def test_sharing_does_not_publish_what_was_said_in_private(*, share_private: bool) -> None:
    desk = Desk(share_private=share_private)
    ident = await desk.store(content="first secret", scope="private")
    await desk.update(ident, content="second secret")
    await desk.update(ident, content="for all", scope="collective")
    await desk.update(ident, content="later")
    assert "secret" not in str(desk.past(ident, EVE))
    assert desk.past(ident, EVE)[0]["content"] == "later"
    assert len(desk.past(ident, EVE)) >= 2
    assert "first secret" in str(desk.past(ident, ALICE))
    await desk.update(ident, content="third secret", scope="private")
    await desk.update(ident, content="open again", scope="team")
    assert "third secret" not in str(desk.past(ident, EVE))


async def test_what_the_log_no_longer_explains_is_taken_for_private() -> None:
    desk = Desk(share_private=True)
    ident = await desk.store(content="secret", scope="private")
    await desk.update(ident, content="more secret")
    await desk.update(ident, content="open", scope="collective")
    del desk.node.log[0]
    assert "secret" not in str(desk.past(ident, EVE))


async def test_a_limited_key_learns_nothing_of_the_time_before_a_move() -> None:
    desk = Desk()
    ident = await desk.store(namespace="closed", content="before")
    await desk.update(ident, namespace="team/x", content="after")
    limited = replace(ALICE, namespaces=("team",))
    assert "before" not in str(desk.past(ident, limited))
    assert "before" in str(desk.past(ident, ALICE))


async def test_only_what_its_author_signed_is_attested() -> None:
    desk = Desk()
    claimed = await desk.store()
    ident = await desk.store(signed(ALICE))
    for_bob = await create_many(
        desk.memories,
        [{"title": "t", "content": "c", "agent_id": "ai:bob"}, {"title": "t", "content": "c"}],
        Ask(caller=signed(ALICE), body={}),
    )
    levels = [
        record_of(desk.held(one))["attest_level"] for one in (claimed, ident, *for_bob.batch.ids)
    ]
    assert levels == ["claimed", "attested", "claimed", "attested"]
    assert (await desk.update(ident, signed(ALICE), title="u"))["attest_level"] == "attested"
    moved = await desk.update(ident, signed(ALICE), namespace="else")
    assert moved["attest_level"] == "attested"
    assert (await desk.update(ident, signed(BOB), title="v"))["attest_level"] == "claimed"
    assert (await desk.update(ident, signed(ALICE), title="w"))["attest_level"] == "claimed"
    forged = await desk.store(attest_level="attested")
    assert record_of(desk.held(forged))["attest_level"] == "claimed"


async def test_an_item_in_the_name_of_an_agent_with_a_key_is_refused() -> None:
    desk = Desk(keyed=frozenset(["ai:bob"]))
    items = [
        {"title": "t", "content": "c", "agent_id": "ai:bob"},
        {"title": "t", "content": "c", "metadata": {"agent_id": "ai:bob"}},
        {"title": "t", "content": "c"},
    ]
    written = await create_many(desk.memories, items, Ask(caller=signed(ALICE), body={}))
    assert [error["index"] for error in written.batch.errors] == [0, 1]
    assert all("agent_signature_missing" in e["error"] for e in written.batch.errors)
    assert len(written.batch.ids) == 1
    written = await create_many(desk.memories, items, Ask(caller=signed(BOB), body={}))
    assert not written.batch.errors


async def test_a_declared_time_of_change_holds_until_the_next_change_here() -> None:
    desk = Desk()
    now = desk.node.clock.ms

    async def brought() -> str:
        draft = Draft(
            kind=Kind.CREATE,
            collection="memory",
            id=f"brought-{len(desk.node.log)}",
            namespace="global",
            owner="ai:alice",
            set={"title": "t", "content": "c", "tier": "mid", "updated_at": now - 5000},
        )
        await desk.node.write([draft], caller=ALICE, action="store")
        return draft.id

    ident = await brought()
    declared = record_of(desk.held(ident))["updated_at"]
    desk.node.clock.ms += 1000
    changed = await desk.update(ident, title="u")
    assert declared < changed["updated_at"]
    assert "updated_at" not in desk.held(ident).view.values
    for fields in ({"namespace": "else"}, {"scope": "private"}):
        ident = await brought()
        assert (await desk.update(ident, **fields))["updated_at"] > declared
    ident = await brought()
    changed_tier = await desk.memories.promote(ident, Ask(caller=ALICE, body={}))
    assert changed_tier.held is not None
    assert record_of(changed_tier.held)["updated_at"] > declared


async def test_the_content_hash_is_of_what_was_said_and_of_nothing_else() -> None:
    desk = Desk()
    one, two = [await desk.store(tags=tags) for tags in (["a", "b"], ["b", "a"])]
    assert content_id(desk.held(one)) == content_id(desk.held(two))
    before = content_id(desk.held(one))
    await desk.update(one, tier="long", priority=9)
    assert content_id(desk.held(one)) == before
    await desk.update(one, content="other")
    assert content_id(desk.held(one)) != before
    assert content_id(desk.held(await desk.store(BOB, tags=["a", "b"]))) != before
