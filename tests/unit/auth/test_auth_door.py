"""Keys with roles and agents, as a request meets them."""

from typing import Any

import pytest

from node.auth.keys import GRADES, KeyRing
from node.http.routes import Needs
from node.http.table import TABLE
from tests.unit.auth.rig import API, NODE_KEY, World

MEMORY = {"title": "t", "content": "c"}


async def stored(world: World, body: dict[str, Any] | None = None, **headers: str) -> Any:
    return await world.ask("POST", "/memories", {**MEMORY, **(body or {})}, **headers)


async def test_every_key_admits_and_others_do_not(world: World) -> None:
    text = world.give("agent-writer")
    for key, status in ((NODE_KEY, 201), (text, 201), (text + "x", 401), ("", 401)):
        assert (await stored(world, x_api_key=key)).status == status
    bearer = {"authorization": f"Bearer {text}", "x-api-key": ""}
    assert (await world.send("GET", f"{API}/stats", headers=bearer)).status == 200
    assert world.rejected("key") == 1
    assert world.rejected("no_key") == 1


async def test_keys_are_demanded_when_only_given_out_ones_exist(world: World) -> None:
    world.keys = ()
    text = world.give("agent-writer", name="w")
    assert (await stored(world, x_api_key="")).status == 401
    assert (await stored(world, x_api_key=text)).status == 201
    world.ring = KeyRing(lasting=True)
    assert (await stored(world, x_api_key=text)).status == 401


async def test_an_expired_key_is_refused_from_that_moment_on(world: World) -> None:
    text = world.give("agent-writer", expires_days=1)
    assert (await stored(world, x_api_key=text)).status == 201
    world.node.clock.ms += 86_400_000
    assert (await stored(world, x_api_key=text)).status == 401


async def test_a_key_names_its_agent(world: World) -> None:
    text = world.give("agent-writer", agent_id="ai:alice")
    for body, headers in (
        ({}, {}),
        ({"agent_id": "ai:alice"}, {}),
        ({"metadata": {"agent_id": "ai:alice"}}, {}),
        ({}, {"x_agent_id": "ai:alice"}),
    ):
        reply = await stored(world, body, x_api_key=text, **headers)
        assert (reply.status, reply.json["agent_id"]) == (201, "ai:alice")
    for body, headers in (
        ({"agent_id": "ai:bob"}, {}),
        ({"metadata": {"agent_id": "ai:bob"}}, {}),
        ({}, {"x_agent_id": "ai:bob"}),
        ({"agent_id": "ai:alice"}, {"x_agent_id": "ai:bob"}),
        ({"agent_id": "ai:bob"}, {"x_agent_id": "ai:alice"}),
        ({}, {"x_agent_id": "AI:ALICE"}),
    ):
        before = len(world.node.log)
        reply = await stored(world, body, x_api_key=text, **headers)
        assert reply.outcome == (403, "agent_not_of_key"), (body, headers)
        assert len(world.node.log) == before
    reply = await world.ask("GET", "/memories", x_api_key=text, x_agent_id="ai:bob")
    assert reply.outcome == (403, "agent_not_of_key")
    assert world.rejected("agent_not_of_key") == 7


async def test_items_of_a_bulk_that_name_others_are_refused_one_by_one(world: World) -> None:
    text = world.give("agent-writer", agent_id="ai:alice")
    items = [MEMORY, {**MEMORY, "agent_id": "ai:bob"}, {**MEMORY, "agent_id": "ai:alice"}]
    reply = await world.ask("POST", "/memories/bulk", items, x_api_key=text)
    assert (reply.status, reply.json["created"]) == (207, 2)
    assert [error["index"] for error in reply.json["errors"]] == [1]
    assert {op.agent for op in world.node.log} == {"ai:alice"}


async def test_the_agent_of_a_key_reads_what_is_private_to_it(world: World) -> None:
    made = await stored(world, {"scope": "private"}, x_agent_id="ai:alice")
    path = f"/memories/{made.json['id']}"
    own = world.give("agent-reader", agent_id="ai:alice")
    other = world.give("agent-reader", agent_id="ai:bob")
    assert (await world.ask("GET", path, x_api_key=own)).status == 200
    assert (await world.ask("GET", path, x_api_key=other)).status == 404


@pytest.mark.parametrize("role", GRADES)
async def test_each_route_asks_for_its_role_and_no_more(world: World, role: str) -> None:
    """Walks the whole table: a key is let in exactly where it is strong enough."""
    text = world.give(role)
    for route in TABLE:
        if route.needs is Needs.PEER or route.path.endswith("/stream"):
            continue
        path = route.path.replace("{id}", "abcdef").replace("{ns}", "team")
        headers = {"x-api-key": text}
        reply = await world.send(route.method, path, b"{}", headers)
        if route.needs is Needs.OPEN or GRADES.index(role) >= GRADES.index(route.role):
            assert reply.status != 401, (route.path, reply.body)
            assert b"role_forbids" not in reply.body, route.path
        else:
            assert reply.outcome == (403, "role_forbids"), (route.method, route.path)
            assert route.role in reply.json["detail"]


def test_the_roles_of_the_table_are_those_of_the_contract() -> None:
    least = {(route.method, route.path.removeprefix(API)): route.role for route in TABLE}
    for want, rows in {
        "metrics": [("GET", "/metrics")],
        "agent-reader": [("GET", "/memories"), ("GET", "/memories/{id}"), ("GET", "/export")],
        "agent-writer": [
            ("POST", "/memories"),
            ("PUT", "/memories/{id}"),
            ("POST", "/memories/bulk"),
            ("DELETE", "/memories/{id}"),
        ],
        "system-admin": [("POST", "/import"), ("POST", "/mesh/remove")],
    }.items():
        assert {row: least[row] for row in rows} == dict.fromkeys(rows, want)
    known = {route.role for route in TABLE}
    assert known <= set(GRADES)
    assert [row for row, role in least.items() if role == "metrics"] == [("GET", "/metrics")]


async def test_a_key_for_less_makes_no_administrator(world: World) -> None:
    world.administrators = frozenset(["ai:root"])
    await stored(world, {"scope": "private"}, x_agent_id="ai:alice")

    async def exported(key: str) -> int:
        reply = await world.ask("GET", "/export", x_api_key=key, x_agent_id="ai:root")
        return int(reply.json["count"])

    assert await exported(NODE_KEY) == 1
    assert await exported(world.give("agent-reader", agent_id="ai:root")) == 0
    assert await exported(world.give("team-admin")) == 0
    assert await exported(world.give("system-admin")) == 1


async def test_the_caller_that_reaches_the_funnel_says_by_what_right(world: World) -> None:
    text = world.give("agent-writer", agent_id="ai:alice", namespaces=("team/a",))
    await stored(world, {"namespace": "team/a"}, x_api_key=text)
    caller = world.node.callers[-1]
    assert (caller.agent, caller.role, caller.namespaces) == (
        "ai:alice",
        "agent-writer",
        ("team/a",),
    )
    assert caller.local
    assert not caller.attested
    await stored(world, x_agent_id="ai:alice")
    caller = world.node.callers[-1]
    assert (caller.role, caller.namespaces) == (None, None)
    await stored(world)
    assert world.node.callers[-1].nameless


async def test_what_is_refused_names_no_key(world: World) -> None:
    text = world.give("agent-reader", agent_id="ai:alice")
    for key in (text, "s3cret-guess"):
        await stored(world, x_api_key=key, x_agent_id="ai:bob")
    assert world.events
    assert text not in repr(world.events)
    assert "s3cret-guess" not in repr(world.events)


async def test_with_a_certificate_and_no_key_there_is_no_role(world: World) -> None:
    world.keys = ()
    assert (await stored(world, x_api_key="", x_agent_id="ai:alice")).status == 201
    world.fingerprint = None
    assert (await stored(world, x_api_key="")).outcome == (401, "certificate_required")
