from typing import Any

import pytest

from node.errors import Denied
from tests.unit.http.conftest import API, Reply, World

LINKS = f"{API}/links"


async def memories(world: World, *names: str, **fields: Any) -> list[str]:
    return [(await world.store(name, **fields))["id"] for name in names]


async def link(world: World, source: str, target: str, agent: str = "ai:alice", **more: Any) -> Any:
    body = {"source_id": source, "target_id": target, **more}
    return await world.ask("POST", LINKS, body, x_agent_id=agent)


async def linked(world: World, memory: str, agent: str = "ai:alice") -> list[tuple[str, str, str]]:
    reply = await world.ask("GET", f"{LINKS}/{memory}", x_agent_id=agent)
    assert reply.status == 200, reply.body
    assert reply.json["count"] == len(reply.json["links"])
    return [(one["source_id"], one["relation"], one["target_id"]) for one in reply.json["links"]]


async def test_a_link_is_told_whole_and_shown_from_both_ends(world: World) -> None:
    a, b = await memories(world, "a", "b")
    reply = await link(world, a, b, relation="supersedes", valid_from="2026-01-01T00:00:00Z")
    assert reply.status == 201
    told = reply.json
    expected = {
        "source_id": a,
        "target_id": b,
        "relation": "supersedes",
        "created_at": "2026-02-02T02:40:00.000Z",
        "valid_from": "2026-01-01T00:00:00.000Z",
        "observed_by": "ai:alice",
        "attest_level": "claimed",
    }
    assert {name: told[name] for name in expected} == expected
    assert told["quorum_acks"] == 2
    assert told["durability"]["dot"]
    for one in (a, b):
        assert (await world.ask("GET", f"{LINKS}/{one}")).json["links"] == [expected]
        assert (await world.ask("GET", f"{API}/memories/{one}")).json["links"] == [expected]
    assert (await world.ask("GET", f"{API}/stats")).json["links_count"] == 1


async def test_what_is_left_out_takes_its_default(world: World) -> None:
    a, b = await memories(world, "a", "b")
    told = (await link(world, a[:8], b[:8], valid_until="2030-01-01T00:00:00+01:00")).json
    assert (told["source_id"], told["target_id"], told["relation"]) == (a, b, "related_to")
    assert told["valid_from"] == told["created_at"]
    assert told["valid_until"] == "2029-12-31T23:00:00.000Z"


async def test_saying_it_twice_is_saying_it_once(world: World) -> None:
    a, b = await memories(world, "a", "b")
    first = await link(world, a, b)
    world.node.clock.ms += 1000
    again = await link(world, a, b, agent="ai:bob")
    assert (first.status, again.status) == (201, 201)
    assert again.json["created_at"] == first.json["created_at"]
    assert again.json["observed_by"] == "ai:alice"
    assert again.json["durability"]["needed"] == 0
    assert len(world.node.actions) == 3
    for other in ({"relation": "contradicts"}, {"source_id": b, "target_id": a}):
        body = {"source_id": a, "target_id": b, **other}
        assert (await world.ask("POST", LINKS, body, x_agent_id="ai:alice")).status == 201
    assert len(await linked(world, a)) == 3


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "source_id"),
        ({"source_id": "A"}, "target_id"),
        ({"source_id": 7, "target_id": "B"}, "source_id"),
        ({"source_id": "A", "target_id": "A"}, "target_id"),
        ({"source_id": "A", "target_id": "B", "relation": "Not a word"}, "relation"),
        ({"source_id": "A", "target_id": "B", "relation": ""}, "relation"),
        ({"source_id": "A", "target_id": "B", "relation": "r" * 65}, "relation"),
        ({"source_id": "A", "target_id": "B", "relation": ["r"]}, "relation"),
        ({"source_id": "A", "target_id": "B", "valid_from": "soon"}, "valid_from"),
        (
            {"source_id": "A", "target_id": "B", "valid_until": "2001-01-01T00:00:00Z"},
            "valid_until",
        ),
    ],
)
async def test_bad_input_names_its_field_and_changes_nothing(
    world: World, body: dict[str, Any], field: str
) -> None:
    a, b = await memories(world, "a", "b")
    names = {"A": a, "B": b}
    body = {
        name: names.get(value, value) if isinstance(value, str) else value
        for name, value in body.items()
    }
    reply = await world.ask("POST", LINKS, body, x_agent_id="ai:alice")
    assert (reply.status, reply.json["field"]) == (400, field)
    assert len(world.node.actions) == 2


async def test_ends_must_be_there_for_the_caller(world: World) -> None:
    (a,) = await memories(world, "a")
    (secret,) = await memories(world, "s", scope="private", agent="ai:bob")
    for source, target in ((a, "nothing-here"), ("nothing-here", a), (a, secret), (secret, a)):
        assert (await link(world, source, target)).status == 404
    assert await linked(world, a) == []


async def test_a_link_shows_only_to_who_sees_both_ends(world: World) -> None:
    (a,) = await memories(world, "a", agent="ai:bob")
    (secret,) = await memories(world, "s", scope="private", agent="ai:bob")
    assert (await link(world, a, secret, agent="ai:bob")).status == 201
    assert await linked(world, a, "ai:bob") == [(a, "related_to", secret)]
    assert await linked(world, a, "ai:eve") == []
    assert (await world.ask("GET", f"{API}/memories/{a}")).json["links"] == []
    assert (await world.ask("GET", f"{LINKS}/{secret}", x_agent_id="ai:eve")).status == 404
    # The link lies in the lane of its private end, so it does not leave the node either.
    op = world.node.log[-1]
    assert (op.collection, op.dot.actor) == ("link", world.node.actors[True])
    assert (await world.ask("GET", f"{API}/stats")).json["links_count"] == 0


async def test_a_link_is_shared_when_its_ends_are_and_it_is_said_again(world: World) -> None:
    (a,) = await memories(world, "a")
    (secret,) = await memories(world, "s", scope="private")
    first = await link(world, a, secret, valid_until="2030-01-01T00:00:00Z")
    world.node.clock.ms += 1000
    change = await world.ask(
        "PUT", f"{API}/memories/{secret}", {"scope": "collective"}, x_agent_id="ai:alice"
    )
    assert change.status == 200
    moved = await link(world, a, secret, agent="ai:bob")
    assert moved.status == 201
    for name in ("created_at", "valid_from", "valid_until", "observed_by"):
        assert moved.json[name] == first.json[name], name
    assert (await link(world, a, secret)).status == 201
    assert await linked(world, a, "ai:eve") == [(a, "related_to", secret)]


async def test_links_of_deleted_memories_are_not_shown_and_their_author_may_end_them(
    world: World,
) -> None:
    a, b, c = await memories(world, "a", "b", "c")
    await link(world, a, b)
    await link(world, c, a)
    await world.ask("DELETE", f"{API}/memories/{b}", x_agent_id="ai:alice")
    assert await linked(world, a) == [(c, "related_to", a)]
    ended = {"source_id": a, "target_id": b}
    assert (await world.ask("DELETE", LINKS, ended, x_agent_id="ai:eve")).status == 404
    assert (await world.ask("DELETE", LINKS, ended, x_agent_id="ai:alice")).status == 200


async def test_a_link_is_taken_back_by_body_or_by_query(world: World) -> None:
    a, b = await memories(world, "a", "b")
    for way in ("body", "query", "prefix"):
        assert (await link(world, a, b, relation="derived_from")).status == 201
        named = {"source_id": a, "target_id": b, "relation": "derived_from"}
        if way == "prefix":
            named |= {"source_id": a[:8], "target_id": b[:8]}
        query = "?" + "&".join(f"{key}={value}" for key, value in named.items())
        reply: Reply
        if way == "query":
            reply = await world.ask("DELETE", f"{LINKS}{query}", x_agent_id="ai:alice")
        else:
            reply = await world.ask("DELETE", LINKS, named, x_agent_id="ai:alice")
        assert (reply.status, reply.json["deleted"]) == (200, True), way
        assert reply.json["quorum_acks"] == 2
        assert await linked(world, a) == []
        assert (await world.ask("DELETE", LINKS, named, x_agent_id="ai:alice")).status == 404
    missing = await world.ask("DELETE", LINKS, {"source_id": a}, x_agent_id="ai:alice")
    assert (missing.status, missing.json["field"]) == (400, "target_id")


async def test_a_retry_gets_the_answer_of_the_first(world: World) -> None:
    a, b = await memories(world, "a", "b")
    body = {"source_id": a, "target_id": b}
    sent = {"x_agent_id": "ai:alice", "idempotency_key": "k1"}
    first, again = [await world.ask("POST", LINKS, body, **sent) for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    assert first.json["durability"]["dot"] == again.json["durability"]["dot"]
    sent["idempotency_key"] = "k2"
    first, again = [await world.ask("DELETE", LINKS, body, **sent) for _ in range(2)]
    assert (first.status, again.status) == (200, 200)
    assert len(world.node.actions) == 4


async def test_links_are_governed_and_tell_a_shortfall(world: World) -> None:
    a, b = await memories(world, "a", "b", namespace="team")
    world.node.refuse = Denied("governance says no")
    assert (await link(world, a, b)).status == 403
    assert (await world.ask("GET", f"{API}/stats")).json["links_count"] == 0
    world.node.refuse, world.node.pending_id = None, "actor:9"
    held = await link(world, a, b, relation="supersedes")
    assert (held.status, held.json["pending_id"], held.json["action"]) == (202, "actor:9", "store")
    assert world.node.log[-1].namespace == "team"
    world.node.pending_id, world.node.acks = None, 1
    short = await link(world, a, b, relation="contradicts")
    assert (short.status, short.json["error"]) == (503, "quorum_not_met")
    assert short.json["source_id"] == a
    assert len(await linked(world, b)) == 2


async def test_lineage_walks_both_ways_and_ends_in_cycles(world: World) -> None:
    a, b, c, d = await memories(world, "a", "b", "c", "d")
    await link(world, a, b, relation="derived_from")
    await link(world, b, c, relation="derives_from")
    await link(world, c, d, relation="reflects_on")
    await link(world, d, a, relation="derived_from")
    await link(world, a, d, relation="related_to")

    async def walk(memory: str, query: str = "") -> list[tuple[str, str, int]]:
        reply = await world.ask("GET", f"{API}/memories/{memory}/lineage{query}")
        assert reply.status == 200, reply.body
        assert reply.json["count"] == len(reply.json["nodes"])
        assert all(len(node["cid"]) == 64 for node in reply.json["nodes"])
        return [(node["id"], node["relation"], node["depth"]) for node in reply.json["nodes"]]

    whole = [(b, "derived_from", 1), (c, "derives_from", 2), (d, "reflects_on", 3)]
    assert await walk(a) == whole
    assert await walk(a, "?max_depth=2") == whole[:2]
    assert await walk(a, "?max_depth=0") == []
    back = [(d, "derived_from", 1), (c, "reflects_on", 2), (b, "derives_from", 3)]
    assert await walk(a, "?direction=descendants") == back
    bad = await world.ask("GET", f"{API}/memories/{a}/lineage?direction=up")
    assert (bad.status, bad.json["field"]) == (400, "direction")
    bad = await world.ask("GET", f"{API}/memories/{a}/lineage?max_depth=-1")
    assert (bad.status, bad.json["field"]) == (400, "max_depth")
    assert (await world.ask("GET", f"{API}/memories/nothing-here/lineage")).status == 404


async def test_lineage_does_not_lead_through_what_the_caller_may_not_see(world: World) -> None:
    a, c = await memories(world, "a", "c", agent="ai:bob")
    (hidden,) = await memories(world, "b", scope="private", agent="ai:bob")
    await link(world, a, hidden, agent="ai:bob", relation="derived_from")
    await link(world, hidden, c, agent="ai:bob", relation="derived_from")
    path = f"{API}/memories/{a}/lineage"
    assert (await world.ask("GET", path, x_agent_id="ai:bob")).json["count"] == 2
    seen = await world.ask("GET", path, x_agent_id="ai:eve")
    assert (seen.json["nodes"], seen.json["count"]) == ([], 0)
    assert (await world.ask("GET", f"{API}/memories/{hidden}/lineage")).status == 404


async def test_an_export_carries_its_links_and_an_import_brings_them_back(world: World) -> None:
    a, b = await memories(world, "a", "b", agent="ai:bob")
    (secret,) = await memories(world, "s", scope="private", agent="ai:bob")
    await link(world, a, b, agent="ai:bob", relation="supersedes")
    await link(world, a, secret, agent="ai:bob")
    seen = (await world.ask("GET", f"{API}/export", x_agent_id="ai:eve")).json
    assert [one["relation"] for one in seen["links"]] == ["supersedes"]
    whole = (await world.ask("GET", f"{API}/export", x_agent_id="ai:bob")).json
    assert len(whole["links"]) == 2

    world.node.clock.ms += 60_000
    for one in whole["links"]:
        await world.ask("DELETE", LINKS, one, x_agent_id="ai:bob")
    for memory in whole["memories"]:
        await world.ask("DELETE", f"{API}/memories/{memory['id']}", x_agent_id="ai:bob")
    got = await world.ask("POST", f"{API}/import", whole, x_agent_id="ai:bob")
    assert (got.json["imported"], got.json["links_imported"], got.json["errors"]) == (3, 2, [])
    back = (await world.ask("GET", f"{API}/export", x_agent_id="ai:bob")).json
    assert sorted(map(str, back["links"])) == sorted(map(str, whole["links"]))
    seen = (await world.ask("GET", f"{API}/export", x_agent_id="ai:eve")).json
    assert [one["relation"] for one in seen["links"]] == ["supersedes"]

    wrong = {"memories": [], "links": [*whole["links"], {"source_id": a, "target_id": "gone-id"}]}
    again = (await world.ask("POST", f"{API}/import", wrong, x_agent_id="ai:bob")).json
    assert (again["links_imported"], again["links_skipped"]) == (0, 2)
    assert [error["link"] for error in again["errors"]] == [2]
