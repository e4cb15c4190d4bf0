"""Entities over HTTP: registered once, found by every name."""

from typing import Any

import pytest

from node.errors import Denied
from node.graph.names import entity_id
from tests.unit.http.conftest import API, Reply, World

ENTITIES = f"{API}/entities"


async def register(world: World, name: str, agent: str = "ai:alice", **more: Any) -> Reply:
    body = {"canonical_name": name, **more}
    return await world.ask("POST", ENTITIES, body, x_agent_id=agent)


async def found(world: World, alias: str, params: str = "", agent: str = "ai:alice") -> Any:
    first, second = [
        await world.ask("GET", f"{ENTITIES}/{spelt}?alias={alias}{params}", x_agent_id=agent)
        for spelt in ("by_alias", "by-alias")
    ]
    assert (first.status, first.body) == (200, second.body)
    return first.json


async def test_registering_twice_is_registering_once_and_unites_aliases(world: World) -> None:
    first = await register(world, "Ada Lovelace", aliases=["Ada", "AAL"], namespace="people")
    assert (first.status, first.json["created"]) == (201, True)
    expected = {
        "entity_id": entity_id("people", "Ada Lovelace"),
        "canonical_name": "Ada Lovelace",
        "namespace": "people",
        "aliases": ["Ada", "AAL"],
    }
    assert {name: first.json[name] for name in expected} == expected
    assert (first.json["quorum_acks"], first.json["durability"]["needed"]) == (2, 2)
    again = await register(
        world, "Ada Lovelace", agent="ai:bob", aliases=["Countess", "Ada"], namespace="people"
    )
    assert (again.status, again.json["created"]) == (200, False)
    assert again.json["entity_id"] == expected["entity_id"]
    assert again.json["aliases"] == ["Ada", "AAL", "Countess"]
    minted = len(world.node.log)
    same = await register(world, "Ada Lovelace", aliases=["AAL"], namespace="people")
    assert (same.status, same.json["durability"]["needed"]) == (200, 0)
    assert len(world.node.log) == minted


async def test_it_is_a_memory_like_others(world: World) -> None:
    made = await register(world, "Acme", aliases=["ACME Corp"], metadata={"kind": "company"})
    path = f"{API}/memories/{made.json['entity_id']}"
    memory = (await world.ask("GET", path)).json["memory"]
    expected = {
        "title": "Acme",
        "memory_kind": "entity",
        "tier": "long",
        "namespace": "global",
        "tags": ["entity"],
        "aliases": ["ACME Corp"],
        "metadata": {"kind": "company", "agent_id": "ai:alice"},
    }
    assert {name: memory[name] for name in expected} == expected
    more = await register(world, "Acme", metadata={"city": "Paris"}, agent="ai:bob")
    assert more.json["created"] is False
    memory = (await world.ask("GET", path)).json["memory"]
    assert memory["metadata"] == {"kind": "company", "city": "Paris", "agent_id": "ai:alice"}
    moved = await world.ask("PUT", path, {"namespace": "firms"}, x_agent_id="ai:alice")
    assert moved.json["memory"]["aliases"] == ["ACME Corp"]
    assert (await found(world, "ACME%20Corp"))["namespace"] == "firms"
    clash = await register(world, "Acme")
    assert (clash.status, clash.json["existing_id"]) == (409, made.json["entity_id"])


async def test_every_name_leads_to_it(world: World) -> None:
    made = (await register(world, "Ada Lovelace", aliases=["Ada"], namespace="people")).json
    for name in ("Ada", "Ada%20Lovelace"):
        for params in ("", "&namespace=people"):
            told = await found(world, name, params)
            assert (told["found"], told["entity_id"]) == (True, made["entity_id"])
            assert (told["canonical_name"], told["aliases"]) == ("Ada Lovelace", ["Ada"])
    unknown = {
        "found": False, "entity_id": None, "canonical_name": None, "namespace": None,
        "aliases": [], "others": [],
    }  # fmt: skip
    assert await found(world, "ada") == unknown
    assert await found(world, "Ada", "&namespace=elsewhere") == unknown
    memory = f"{API}/memories/{made['entity_id']}"
    await world.ask("PUT", memory, {"title": "Augusta Ada King"}, x_agent_id="ai:alice")
    assert (await found(world, "Ada%20Lovelace", "&namespace=people"))["found"]
    assert (await world.ask("DELETE", memory, x_agent_id="ai:alice")).status == 200
    assert await found(world, "Ada") == unknown
    anew = await register(world, "Ada Lovelace", namespace="people")
    assert (anew.status, anew.json["aliases"]) == (201, [])


async def test_a_name_of_several_leads_to_the_canonical_one_and_names_the_others(
    world: World,
) -> None:
    first = (await register(world, "Mercury (planet)", aliases=["Mercury"])).json["entity_id"]
    world.node.clock.ms += 1000
    second = (await register(world, "Hydrargyrum", aliases=["Mercury"])).json["entity_id"]
    told = await found(world, "Mercury")
    assert (told["entity_id"], told["others"]) == (first, [second])
    world.node.clock.ms += 1000
    third = (await register(world, "Mercury", namespace="gods")).json["entity_id"]
    told = await found(world, "Mercury")
    assert (told["entity_id"], told["others"]) == (third, [first, second])
    told = await found(world, "Mercury", "&namespace=global")
    assert (told["entity_id"], told["others"]) == (first, [second])


async def test_a_name_is_kept_as_it_is(world: World) -> None:
    name, alias = "\u202eΩ' OR 1=1 -- {{7*7}}", "a/b+c d\u200b"
    made = await register(world, name, aliases=[alias, "  ", name])
    assert (made.json["canonical_name"], made.json["aliases"]) == (name, [alias])
    told = await found(world, "a%2Fb%2Bc%20d%E2%80%8B")
    assert told["canonical_name"] == name


async def test_a_private_one_is_found_by_its_author_alone(world: World) -> None:
    made = await register(world, "Secret", aliases=["Hush"])
    path = f"{API}/memories/{made.json['entity_id']}"
    assert (await world.ask("PUT", path, {"scope": "private"}, x_agent_id="ai:alice")).status == 200
    for name in ("Hush", "Secret"):
        for params in ("", "&namespace=global"):
            assert (await found(world, name, params, "ai:eve"))["found"] is False
            assert (await found(world, name, params, "ai:alice"))["found"] is True
    hers = await register(world, "Secret", agent="ai:eve", aliases=["Mine"])
    assert (hers.status, hers.json["aliases"]) == (201, ["Mine"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "canonical_name"),
        ({"canonical_name": ""}, "canonical_name"),
        ({"canonical_name": 7}, "canonical_name"),
        ({"canonical_name": "x" * 513}, "canonical_name"),
        ({"canonical_name": "x", "namespace": "a//b"}, "namespace"),
        ({"canonical_name": "x", "aliases": "y"}, "aliases"),
        ({"canonical_name": "x", "aliases": [7]}, "aliases"),
        ({"canonical_name": "x", "aliases": ["y" * 129]}, "aliases"),
        ({"canonical_name": "x", "aliases": [f"y{n}" for n in range(51)]}, "aliases"),
        ({"canonical_name": "x", "metadata": []}, "metadata"),
        ({"canonical_name": "x", "agent_id": "a b"}, "agent_id"),
    ],
)
async def test_what_cannot_be_registered_names_the_field(
    world: World, body: dict[str, Any], field: str
) -> None:
    reply = await world.ask("POST", ENTITIES, body)
    assert (reply.status, reply.json["field"]) == (400, field)
    assert not world.node.log


async def test_an_entity_has_a_bound_on_its_aliases(world: World) -> None:
    for part in range(2):
        names = [f"{part}-{n}" for n in range(50)]
        assert (await register(world, "Hydra", aliases=names)).status in (200, 201)
    minted = len(world.node.log)
    reply = await register(world, "Hydra", aliases=[f"more-{n}" for n in range(29)])
    assert (reply.status, reply.json["field"]) == (400, "aliases")
    assert len(world.node.log) == minted


async def test_a_lookup_needs_a_name(world: World) -> None:
    for params, field in (
        ("", "alias"),
        ("?alias=", "alias"),
        ("?alias=a&namespace=/", "namespace"),
    ):
        reply = await world.ask("GET", f"{ENTITIES}/by_alias{params}")
        assert (reply.status, reply.json["field"]) == (400, field)


async def test_an_id_that_another_memory_has_is_a_conflict(world: World) -> None:
    await world.store("squatter", id=entity_id("global", "Acme"))
    reply = await register(world, "Acme")
    assert (reply.status, reply.json["error"]) == (409, "conflict")
    assert (await found(world, "Acme"))["found"] is False


async def test_it_is_governed_retried_and_tells_a_shortfall(world: World) -> None:
    world.node.refuse = Denied("governance says no")
    assert (await register(world, "Acme")).status == 403
    world.node.refuse, world.node.pending_id = None, "actor:9"
    held = await register(world, "Held")
    assert (held.status, held.json["pending_id"]) == (202, "actor:9")
    assert held.json["id"] == entity_id("global", "Held")
    world.node.pending_id, world.node.acks = None, 1
    short = await register(world, "Acme", aliases=["A"])
    assert (short.status, short.json["entity_id"]) == (503, entity_id("global", "Acme"))
    assert (await found(world, "A"))["found"] is True
    world.node.acks = 2
    sent = {"x_agent_id": "ai:alice", "idempotency_key": "k1"}
    body = {"canonical_name": "Once", "aliases": ["One"]}
    first, again = [await world.ask("POST", ENTITIES, body, **sent) for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    for name in ("entity_id", "aliases", "created", "durability"):
        assert first.json[name] == again.json[name]
    reused = await world.ask("POST", ENTITIES, {"canonical_name": "Other"}, **sent)
    assert (reused.status, reused.json["error"]) == (409, "idempotency_key_reused")


async def test_a_change_of_the_memory_states_its_aliases(world: World) -> None:
    made = (await register(world, "Acme", aliases=["A", "B"])).json
    path = f"{API}/memories/{made['entity_id']}"
    reply = await world.ask("PUT", path, {"aliases": ["B", "C", " "]}, x_agent_id="ai:alice")
    assert reply.json["memory"]["aliases"] == ["B", "C"]
    assert (await found(world, "A"))["found"] is False
    assert (await found(world, "B"))["aliases"] == ["B", "C"]
    for bad in ("A", [7], ["y" * 129], [f"y{n}" for n in range(129)]):
        reply = await world.ask("PUT", path, {"aliases": bad}, x_agent_id="ai:alice")
        assert (reply.status, reply.json["field"]) == (400, "aliases")
    assert (await found(world, "B"))["aliases"] == ["B", "C"]


async def test_an_export_carries_entities_and_an_import_brings_them_back(world: World) -> None:
    made = (await register(world, "Acme", aliases=["A", "B"])).json
    whole = (await world.ask("GET", f"{API}/export", x_agent_id="ai:alice")).json
    path = f"{API}/memories/{made['entity_id']}"
    assert (await world.ask("DELETE", path, x_agent_id="ai:alice")).status == 200
    reply = await world.ask("POST", f"{API}/import", whole, x_agent_id="ai:alice")
    assert (reply.json["imported"], reply.json["errors"]) == (1, [])
    assert (await found(world, "A"))["entity_id"] == made["entity_id"]
    again = await register(world, "Acme", aliases=["C"])
    assert (again.status, again.json["aliases"]) == (200, ["A", "B", "C"])
