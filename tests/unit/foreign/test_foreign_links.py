"""Links between meshes."""

from typing import Any

import pytest

from node.contracts import Caller
from node.foreign.writing import Sender
from node.links.index import COLLECTION, LinkIndex, link_id
from node.links.links import Links
from node.memory.memories import Ask
from tests.unit.foreign.rig import Side, level
from tests.unit.http.fake_node import Clock

PEER = Sender(key="ab" * 32, name="peer-x")
Pair = tuple[Side, Side]


@pytest.fixture
def pair() -> Pair:
    clock = Clock()
    return Side("node-a", clock), Side("node-p", clock)


def links_of(side: Side) -> Links:
    return Links(side.memories, LinkIndex())


async def state(side: Side, source: str, target: str, **fields: Any) -> str:
    body = {"source_id": source, "target_id": target, "relation": "derived_from", **fields}
    ask = Ask(caller=Caller(agent="ai:alice"), body=body)
    return (await links_of(side).create(ask)).link.id


def link(side: Side, ident: str) -> dict[str, Any] | None:
    found = links_of(side).read(ident)
    return None if found is None else found.shown()


async def test_links_cross_with_their_memories_and_end_there_too(pair: Pair) -> None:
    a, p = pair
    one, two = await a.store("one"), await p.store("two")
    await level(a, p)
    ident = await state(a, one, two, valid_until="2099-01-01T00:00:00Z")
    await level(a, p)
    assert link(p, ident) == link(a, ident)
    assert link(p, ident) is not None
    before = (a.ops, p.ops)
    await level(a, p)
    assert (a.ops, p.ops) == before
    body = {"source_id": one, "target_id": two, "relation": "derived_from"}
    await links_of(p).remove(Ask(caller=Caller(agent="ai:alice"), body=body))
    await level(a, p)
    assert link(a, ident) is None
    assert link(p, ident) is None


async def test_a_link_without_its_ends_is_invalid(pair: Pair) -> None:
    a, _ = pair
    one, secret = await a.store("one"), await a.store("secret", scope="private")
    for target in ("nothing", secret, one):
        answer = await a.take(PEER, links=[{"source_id": one, "target_id": target}])
        assert [r["status"] for r in answer["results"]] == ["invalid"]
        assert (answer["links_applied"], answer["skipped"]) == (0, 1)
    bad = {"source_id": one, "target_id": one, "relation": "Not A Relation"}
    assert await a.statuses(PEER, links=[bad, 7]) == ["invalid", "invalid"]


async def test_the_end_of_a_link_is_taken_and_a_stale_copy_brings_nothing_back(pair: Pair) -> None:
    a, _ = pair
    one, two = await a.store("one"), await a.store("two")
    row = {"source_id": one, "target_id": two, "relation": "supersedes", "observed_by": "ai:zoe"}
    answer = await a.take(PEER, links=[row, row])
    assert [r["status"] for r in answer["results"]] == ["applied", "duplicate"]
    assert answer["results"][0]["id"] == link_id(one, "supersedes", two)
    ended = {**row, "valid_until": "2027-01-01T00:00:00Z"}
    assert await a.statuses(PEER, links=[ended]) == ["applied"]
    shown = link(a, link_id(one, "supersedes", two))
    assert shown is not None
    assert (shown["valid_until"], shown["observed_by"]) == ("2027-01-01T00:00:00.000Z", "ai:zoe")
    ident = link_id(one, "supersedes", two)
    body = {"source_id": one, "target_id": two, "relation": "supersedes"}
    await links_of(a).remove(Ask(caller=Caller(agent="ai:zoe"), body=body))
    assert await a.statuses(PEER, links=[ended]) == ["duplicate"]
    assert a.node.reader().get(COLLECTION, ident) is None


async def test_a_link_is_only_taken_back_by_who_has_seen_it(pair: Pair) -> None:
    a, _ = pair
    one, two = await a.store("one"), await a.store("two")
    ident = await state(a, one, two)
    assert await a.statuses(PEER, link_deletions=[ident]) == ["duplicate"]
    assert link(a, ident) is not None
    row = {"source_id": one, "target_id": two, "relation": "derived_from"}
    assert await a.statuses(PEER, links=[row]) == ["duplicate"]
    answer = await a.take(PEER, link_deletions=[ident, ""])
    assert [r["status"] for r in answer["results"]] == ["applied", "invalid"]
    assert answer["links_deleted"] == 1
    assert link(a, ident) is None
