"""Walks, timelines and ends of links over HTTP, and the tree of namespaces."""

from typing import Any

import pytest

from node.errors import Denied
from node.memory.times import format_ms
from tests.unit.http.conftest import API, Reply, Started, World, with_limits

DAY_MS = 86_400_000


async def memories(world: World, *names: str, **fields: Any) -> list[str]:
    return [(await world.store(name, **fields))["id"] for name in names]


async def link(world: World, source: str, target: str, agent: str = "ai:alice", **more: Any) -> Any:
    body = {"source_id": source, "target_id": target, **more}
    reply = await world.ask("POST", f"{API}/links", body, x_agent_id=agent)
    assert reply.status == 201, reply.body
    return reply.json


async def query(world: World, source: str, agent: str = "ai:alice", **more: Any) -> Reply:
    body = {"source_id": source, **more}
    return await world.ask("POST", f"{API}/kg/query", body, x_agent_id=agent)


async def reached(world: World, source: str, **more: Any) -> list[str]:
    reply = await query(world, source, **more)
    assert reply.status == 200, reply.body
    assert reply.json["count"] == len(reply.json["memories"])
    return [one["id"] for one in reply.json["memories"]]


async def timeline(world: World, source: str, query: str = "") -> list[tuple[str, str, str]]:
    reply = await world.ask("GET", f"{API}/kg/timeline?source_id={source}{query}")
    assert reply.status == 200, reply.body
    assert reply.json["count"] == len(reply.json["events"])
    return [(one["type"], one["timestamp"], one["target_id"]) for one in reply.json["events"]]


async def end(world: World, source: str, target: str, **more: Any) -> Reply:
    body = {"source_id": source, "target_id": target, **more}
    headers = {"x_agent_id": more.pop("agent", "ai:alice")}
    return await world.ask("POST", f"{API}/kg/invalidate", body, **headers)


async def test_a_walk_tells_memories_paths_and_edges(world: World) -> None:
    a, b, c = await memories(world, "a", "b", "c")
    await link(world, a, b, relation="supersedes")
    await link(world, b, c, relation="knows")
    await link(world, c, a)
    one = (await query(world, a)).json
    assert (one["count"], one["paths"], one["truncated"]) == (1, [f"{a}->{b}"], False)
    first = one["memories"][0]
    expected = {
        "id": b,
        "target_id": b,
        "title": "b",
        "relation": "supersedes",
        "depth": 1,
        "path": f"{a}->{b}",
        "observed_by": "ai:alice",
        "target_namespace": "global",
        "valid_until": None,
    }
    assert {name: first[name] for name in expected} == expected
    assert [edge["target_id"] for edge in one["edges"]] == [b]
    whole = (await query(world, a[:8], max_depth=5)).json
    assert whole["paths"] == [f"{a}->{b}", f"{a}->{b}->{c}"]
    assert [one["depth"] for one in whole["memories"]] == [1, 2]
    assert [edge["relation"] for edge in whole["edges"]] == ["supersedes", "knows", "related_to"]


async def test_a_link_holds_from_its_beginning_until_just_before_its_end(world: World) -> None:
    a, b = await memories(world, "a", "b")
    await link(world, a, b, valid_from="2020-01-01T00:00:00Z", valid_until="2021-01-01T00:00:00Z")
    assert await reached(world, a) == []
    for at, there in (
        ("2019-12-31T23:59:59.999Z", False),
        ("2020-01-01T00:00:00Z", True),
        ("2020-12-31T23:59:59.999Z", True),
        ("2021-01-01T00:00:00Z", False),
    ):
        for name in ("valid_at", "as_of"):
            assert await reached(world, a, **{name: at}) == ([b] if there else []), (name, at)
    both = {"valid_at": "2020-06-01T00:00:00Z", "as_of": "2019-01-01T00:00:00Z"}
    assert await reached(world, a, **both) == [b]


async def test_what_was_just_said_holds_although_the_clock_stepped_back(world: World) -> None:
    a, b = await memories(world, "a", "b")
    await link(world, a, b)
    world.node.clock.ms -= 2000
    assert await reached(world, a) == [b]
    assert (await end(world, a, b)).status == 200
    assert await reached(world, a) == []


async def test_only_links_of_allowed_agents_are_followed(world: World) -> None:
    a, b, c, d = await memories(world, "a", "b", "c", "d")
    await link(world, a, b, agent="ai:bob")
    await link(world, a, c, agent="ai:carol")
    await link(world, b, d, agent="ai:carol")
    assert set(await reached(world, a, max_depth=2)) == {b, c, d}
    assert await reached(world, a, max_depth=2, allowed_agents=["ai:bob"]) == [b]
    assert set(await reached(world, a, allowed_agents="ai:bob, ai:carol")) == {b, c}
    assert await reached(world, a, allowed_agents=[]) == []
    assert len(await reached(world, a, allowed_agents="")) == 2


async def test_a_limit_cuts_the_memories_and_says_so(world: World) -> None:
    a, *others = await memories(world, "a", *"bcdef")
    for one in others:
        await link(world, a, one)
    cut = (await query(world, a, limit=2)).json
    assert (cut["count"], len(cut["paths"]), cut["truncated"]) == (2, 2, True)
    assert (await query(world, a, limit=5)).json["truncated"] is False
    assert (await query(world, a, limit=0)).json["memories"] == []
    assert (await query(world, a, limit=10**9)).json["count"] == 5


async def test_nothing_is_reached_through_what_the_caller_may_not_see(world: World) -> None:
    a, c = await memories(world, "a", "c", agent="ai:bob")
    (hidden,) = await memories(world, "b", scope="private", agent="ai:bob")
    await link(world, a, hidden, agent="ai:bob")
    await link(world, hidden, c, agent="ai:bob")
    mine = (await query(world, a, agent="ai:bob", max_depth=3)).json
    assert [one["id"] for one in mine["memories"]] == [hidden, c]
    seen = await query(world, a, agent="ai:eve", max_depth=3)
    assert (seen.json["memories"], seen.json["edges"], seen.json["paths"]) == ([], [], [])
    assert hidden not in seen.body.decode()
    assert await timeline(world, a) == []
    assert (await query(world, hidden, agent="ai:eve")).status == 404
    hers = await world.ask("POST", f"{API}/kg/invalidate", {"source_id": a, "target_id": hidden},
                           x_agent_id="ai:eve")  # fmt: skip
    assert (hers.status, hers.json["found"]) == (404, False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "source_id"),
        ({"source_id": 7}, "source_id"),
        ({"source_id": "A", "max_depth": 0}, "max_depth"),
        ({"source_id": "A", "max_depth": 6}, "max_depth"),
        ({"source_id": "A", "max_depth": "2"}, "max_depth"),
        ({"source_id": "A", "max_depth": True}, "max_depth"),
        ({"source_id": "A", "limit": -1}, "limit"),
        ({"source_id": "A", "valid_at": "yesterday"}, "valid_at"),
        ({"source_id": "A", "as_of": 7}, "as_of"),
        ({"source_id": "A", "allowed_agents": 7}, "allowed_agents"),
        ({"source_id": "A", "allowed_agents": ["a b"]}, "allowed_agents"),
        ({"source_id": "A", "allowed_agents": "a b"}, "allowed_agents"),
    ],
)
async def test_a_walk_that_cannot_be_meant_names_the_field(
    world: World, body: dict[str, Any], field: str
) -> None:
    reply = await world.ask("POST", f"{API}/kg/query", body)
    assert (reply.status, reply.json["error"], reply.json["field"]) == (
        400, "invalid_field", field,
    )  # fmt: skip
    assert (await query(world, "no-such-memory")).status == 404


async def test_the_timeline_tells_beginnings_and_ends_oldest_first(world: World) -> None:
    a, b, c = await memories(world, "a", "b", "c")
    await link(world, a, c, valid_from="2022-01-01T00:00:00Z")
    await link(world, a, b, valid_from="2020-01-01T00:00:00Z", valid_until="2023-01-01T00:00:00Z")
    await link(world, b, a)
    whole = [
        ("edge_added", "2020-01-01T00:00:00.000Z", b),
        ("edge_added", "2022-01-01T00:00:00.000Z", c),
        ("edge_invalidated", "2023-01-01T00:00:00.000Z", b),
    ]
    assert await timeline(world, a) == whole
    assert await timeline(world, a, "&since=2022-01-01T00:00:00Z") == whole[1:]
    assert await timeline(world, a, "&until=2022-01-01T00:00:00Z") == whole[:2]
    assert await timeline(world, a, "&limit=1") == whole[:1]
    assert await timeline(world, a, "&limit=0") == []
    event = (await world.ask("GET", f"{API}/kg/timeline?source_id={a}")).json["events"][0]
    expected = {"source_id": a, "relation": "related_to", "title": "b", "observed_by": "ai:alice"}
    assert {name: event[name] for name in expected} == expected
    for bad, field in (("&since=x", "since"), ("&until=x", "until"), ("&limit=x", "limit")):
        reply = await world.ask("GET", f"{API}/kg/timeline?source_id={a}{bad}")
        assert (reply.status, reply.json["field"]) == (400, field)
    missing = await world.ask("GET", f"{API}/kg/timeline")
    assert (missing.status, missing.json["field"]) == (400, "source_id")
    assert (await world.ask("GET", f"{API}/kg/timeline?source_id=no-such-one")).status == 404


async def test_an_invalidated_link_stays_and_says_until_when_it_held(world: World) -> None:
    a, b = await memories(world, "a", "b")
    made = await link(world, a, b, relation="knows")
    world.node.clock.ms += DAY_MS
    now = format_ms(world.node.clock.ms)
    reply = await end(world, a[:8], b[:8], relation="knows")
    assert (reply.status, reply.json["found"]) == (200, True)
    assert (reply.json["valid_until"], reply.json["previous_valid_until"]) == (now, None)
    assert (reply.json["source_id"], reply.json["target_id"]) == (a, b)
    assert (reply.json["quorum_acks"], reply.json["durability"]["acks"]) == (2, 2)
    assert await reached(world, a) == []
    assert await reached(world, a, valid_at=made["valid_from"]) == [b]
    shown = (await world.ask("GET", f"{API}/links/{a}")).json["links"]
    assert [one["valid_until"] for one in shown] == [now]
    assert await timeline(world, a) == [
        ("edge_added", made["valid_from"], b),
        ("edge_invalidated", now, b),
    ]
    later = "2027-01-01T00:00:00.000Z"
    again = await end(world, a, b, relation="knows", valid_until=later)
    assert (again.json["valid_until"], again.json["previous_valid_until"]) == (later, now)
    assert await reached(world, a) == [b]


async def test_what_is_not_there_cannot_be_invalidated(world: World) -> None:
    a, b = await memories(world, "a", "b")
    await link(world, a, b, relation="knows")
    count = len(world.node.log)
    missing = await end(world, a, b)
    assert (missing.status, missing.json["found"]) == (404, False)
    assert missing.json["relation"] == "related_to"
    for more, field in (
        ({"valid_until": "x"}, "valid_until"),
        ({"valid_until": "2001-01-01T00:00:00Z"}, "valid_until"),
        ({"relation": "No"}, "relation"),
        ({"target_id": None}, "target_id"),
    ):
        reply = await end(world, a, b, **{"relation": "knows", **more})
        assert (reply.status, reply.json["field"]) == (400, field)
    assert len(world.node.log) == count


async def test_invalidating_is_governed_retried_and_tells_a_shortfall(world: World) -> None:
    a, b = await memories(world, "a", "b")
    await link(world, a, b)
    world.node.refuse = Denied("governance says no")
    assert (await end(world, a, b)).status == 403
    world.node.refuse = None
    body = {"source_id": a, "target_id": b}
    sent = {"x_agent_id": "ai:bob", "idempotency_key": "k1"}
    path = f"{API}/kg/invalidate"
    first = await world.ask("POST", path, body, **sent)
    world.node.clock.ms += DAY_MS
    await end(world, a, b)
    again = await world.ask("POST", path, body, **sent)
    for name in ("valid_until", "previous_valid_until", "durability"):
        assert first.json[name] == again.json[name]
    world.node.acks = 1
    short = await end(world, a, b)
    assert (short.status, short.json["error"], short.json["source_id"]) == (
        503, "quorum_not_met", a,
    )  # fmt: skip
    world.node.acks, world.node.pending_id = 2, "actor:9"
    held = await end(world, a, b)
    assert (held.status, held.json["pending_id"]) == (202, "actor:9")


async def tree(world: World, params: str = "", **headers: str) -> Any:
    reply = await world.ask("GET", f"{API}/taxonomy{params}", **headers)
    assert reply.status == 200, reply.body
    told = reply.json
    assert told["tree"] == [{name: told[name] for name in told["tree"][0]}]
    assert told["total_count"] == told["subtree_count"]
    return told


def outline(node: Any) -> Any:
    below = [outline(child) for child in node["children"]]
    return (node["namespace"], node["count"], node["subtree_count"], below)


async def furnish(world: World) -> None:
    for space, count in (("a", 1), ("a/b", 2), ("a/b/c", 3), ("ab", 1), ("z/y", 1)):
        await memories(world, *[f"m{n}" for n in range(count)], namespace=space)


async def test_the_taxonomy_nests_namespaces_and_sums_them_up(world: World) -> None:
    await furnish(world)
    told = await tree(world)
    assert outline(told) == (
        "", 0, 8,
        [
            ("a", 1, 6, [("a/b", 2, 5, [("a/b/c", 3, 3, [])])]),
            ("ab", 1, 1, []),
            ("z", 0, 1, [("z/y", 1, 1, [])]),
        ],
    )  # fmt: skip
    assert told["truncated"] is False
    for name in ("root", "prefix"):
        for text in ("a", "a/"):
            below = await tree(world, f"?{name}={text}")
            assert outline(below) == ("a", 1, 6, [("a/b", 2, 5, [("a/b/c", 3, 3, [])])])
    assert outline(await tree(world, "?root=none")) == ("none", 0, 0, [])


async def test_depth_and_limit_cut_the_tree_and_no_sum(world: World) -> None:
    await furnish(world)
    flat = await tree(world, "?depth=0")
    assert (outline(flat), flat["truncated"]) == (("", 0, 8, []), False)
    level = await tree(world, "?depth=1")
    assert [outline(one)[2] for one in level["children"]] == [6, 1, 1]
    assert outline(await tree(world, "?root=a&depth=1")) == ("a", 1, 6, [("a/b", 2, 5, [])])
    cut = await tree(world, "?limit=2")
    assert (outline(cut), cut["truncated"]) == (
        ("", 0, 8, [("a", 1, 6, [("a/b", 2, 5, [])])]), True,
    )  # fmt: skip
    for bad, field in (("root=a//b", "root"), ("prefix=/a", "prefix"), ("depth=-1", "depth")):
        reply = await world.ask("GET", f"{API}/taxonomy?{bad}")
        assert (reply.status, reply.json["field"]) == (400, field)


async def test_the_taxonomy_does_not_count_what_is_hidden(start: Started) -> None:
    world: World = await start(limits=with_limits())
    await world.store("open", namespace="shared")
    await world.store("own", namespace="shared/own", scope="private")
    assert (await tree(world, x_agent_id="ai:eve"))["total_count"] == 1
    assert outline(await tree(world, "?root=shared", x_agent_id="ai:eve"))[3] == []
    assert (await tree(world, x_agent_id="ai:alice"))["total_count"] == 2
