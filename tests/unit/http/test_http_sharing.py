"""Grants of private memories, and quotas as clients meet them."""

from typing import Any

import pytest

from tests.unit.http.conftest import API, Started, World

BOB, EVE, ROOT = "ai:bob", "ai:team/eve", "ai:root"


async def secret(world: World, **fields: Any) -> str:
    made = await world.store("secret", scope="private", **fields)
    return f"{API}/memories/{made['id']}"


async def sees(world: World, path: str, agent: str) -> bool:
    return (await world.ask("GET", path, x_agent_id=agent)).status == 200


@pytest.mark.parametrize("path_of", [lambda path: path, lambda path: path[: len(API) + 18]])
async def test_a_grant_lets_in_and_a_revoke_shuts_out(world: World, path_of: Any) -> None:
    path = await secret(world)
    for agent in (BOB, EVE):
        assert not await sees(world, path, agent)
        reply = await world.ask(
            "POST", f"{path_of(path)}/grant", {"agent_id": agent}, x_agent_id="ai:alice"
        )
        assert (reply.status, reply.json["granted"]) == (200, True)
        assert reply.json["quorum_acks"] == 2
        assert await sees(world, path, agent)
    assert reply.json["grants"] == sorted([BOB, EVE])
    listed = await world.ask("GET", f"{API}/memories", x_agent_id=BOB)
    assert listed.json["count"] == 1
    for method, body in (("PUT", {"title": "x"}), ("DELETE", None)):
        assert (await world.ask(method, path, body, x_agent_id="ai:nobody")).status == 404
    reply = await world.ask("POST", f"{path}/revoke", {"agent_id": BOB}, x_agent_id="ai:alice")
    assert (reply.json["granted"], reply.json["grants"]) == (False, [EVE])
    assert not await sees(world, path, BOB)
    assert await sees(world, path, EVE)


async def test_doing_it_twice_writes_once(world: World) -> None:
    path = await secret(world)
    for action in ("grant", "grant", "revoke", "revoke"):
        body = {"agent_id": BOB}
        reply = await world.ask("POST", f"{path}/{action}", body, x_agent_id="ai:alice")
        assert reply.status == 200
    assert len(world.node.actions) == 3


async def test_only_the_author_and_administrators_let_in(world: World) -> None:
    path = await secret(world)
    open_path = f"{API}/memories/{(await world.store('open'))['id']}"
    world.administrators = frozenset([ROOT])
    body = {"agent_id": EVE}
    assert (await world.ask("POST", f"{path}/grant", body, x_agent_id=EVE)).status == 404
    assert (await world.ask("POST", f"{path}/grant", body)).status == 404
    reply = await world.ask("POST", f"{open_path}/grant", body, x_agent_id=EVE)
    assert (reply.status, reply.json["error"]) == (403, "owner_only")
    # Being let in is not letting in; naming the author in the body is naming who is let in.
    await world.ask("POST", f"{path}/grant", {"agent_id": BOB}, x_agent_id="ai:alice")
    assert (await world.ask("POST", f"{path}/grant", body, x_agent_id=BOB)).status == 403
    mine = {"agent_id": "ai:alice"}
    assert (await world.ask("POST", f"{path}/grant", mine, x_agent_id=EVE)).status == 404
    assert (await world.ask("POST", f"{path}/grant", body, x_agent_id=ROOT)).status == 200
    assert await sees(world, path, EVE)
    assert not await sees(world, path, ROOT)


@pytest.mark.parametrize("body", [{}, {"agent_id": 7}, {"agent_id": "a b"}, {"agent_id": "../x"}])
async def test_a_grantee_has_the_shape_of_a_name(world: World, body: dict[str, Any]) -> None:
    path = await secret(world)
    reply = await world.ask("POST", f"{path}/grant", body, x_agent_id="ai:alice")
    assert (reply.status, reply.json["field"]) == (400, "agent_id")


async def test_grants_stay_with_a_memory_that_moves(world: World) -> None:
    path = await secret(world)
    await world.ask("POST", f"{path}/grant", {"agent_id": BOB}, x_agent_id="ai:alice")
    for change in ({"namespace": "else"}, {"scope": "collective"}, {"scope": "private"}):
        reply = await world.ask("PUT", path, change, x_agent_id="ai:alice")
        assert reply.status == 200
        assert await sees(world, path, BOB), change
    assert not await sees(world, path, EVE)


async def test_a_grant_can_be_retried(world: World) -> None:
    path = await secret(world)
    sent = {"x_agent_id": "ai:alice", "idempotency_key": "k"}
    first, again = [
        await world.ask("POST", f"{path}/grant", {"agent_id": BOB}, **sent) for _ in range(2)
    ]
    assert first.json["durability"]["dot"] == again.json["durability"]["dot"]
    assert again.json["grants"] == [BOB]


async def test_the_quota_of_the_caller_is_told(world: World) -> None:
    reply = await world.ask("GET", f"{API}/quota", x_agent_id=BOB)
    assert reply.status == 200
    assert reply.json["agent_id"] == BOB
    assert reply.json["limits"] == {
        "max_memories_per_day": 0,
        "max_links_per_day": 0,
        "max_storage_bytes": 0,
    }
    assert reply.json["use"] == {"memories_today": 0, "links_today": 0, "storage_bytes": None}


async def test_figures_leave_out_what_is_private_to_others(start: Started) -> None:
    world: World = await start(share_private=True)
    await world.store("open", tier="long")
    path = await secret(world, namespace="hushed", ttl_secs=60)
    await world.ask("POST", f"{path}/grant", {"agent_id": BOB}, x_agent_id="ai:alice")
    both = [{"namespace": name, "count": 1} for name in ("global", "hushed")]
    for agent in ("ai:alice", BOB):
        told = (await world.ask("GET", f"{API}/stats", x_agent_id=agent)).json
        assert (told["total"], told["expiring_soon"]) == (2, 1)
        assert told["by_namespace"] == both
    for agent in (EVE, ""):
        told = (await world.ask("GET", f"{API}/stats", x_agent_id=agent)).json
        assert (told["total"], told["expiring_soon"]) == (1, 0)
        assert told["by_namespace"] == both[:1]
        assert told["by_tier"] == [{"tier": "long", "count": 1}]
    # What is over is in neither count, so it is not taken off twice.
    world.node.clock.ms += 61_000
    told = (await world.ask("GET", f"{API}/stats", x_agent_id=EVE)).json
    assert (told["total"], told["expiring_soon"]) == (1, 0)
