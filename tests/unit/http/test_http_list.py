import asyncio

import pytest

from tests.unit.http.conftest import API, Started, World, with_limits

MEMORIES = f"{API}/memories"


async def titles(world: World, query: str, agent: str = "ai:alice") -> list[str]:
    reply = await world.ask("GET", f"{MEMORIES}{query}", x_agent_id=agent)
    assert reply.status == 200, reply.body
    assert reply.json["count"] == len(reply.json["memories"])
    return [memory["title"] for memory in reply.json["memories"]]


@pytest.fixture
async def shelf(world: World) -> World:
    for number in range(1, 6):
        world.node.clock.ms += 1000
        await world.store(
            f"m{number}",
            namespace="even" if number % 2 == 0 else "odd",
            priority=number,
            tier="long" if number > 3 else "mid",
            tags=["t", f"t{number}"],
            agent=f"ai:a{number}",
            metadata={"session_id": f"s{number % 2}"},
        )
    return world


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["m5", "m4", "m3", "m2", "m1"]),
        ("?limit=2", ["m5", "m4"]),
        ("?limit=2&offset=1", ["m4", "m3"]),
        ("?limit=0", []),
        ("?limit=99999999", ["m5", "m4", "m3", "m2", "m1"]),
        ("?namespace=even", ["m4", "m2"]),
        ("?namespace=none", []),
        ("?tier=long", ["m5", "m4"]),
        ("?min_priority=4", ["m5", "m4"]),
        ("?tags=t,t2", ["m2"]),
        ("?tags=t&tags=t3", ["m3"]),
        ("?agent_id=ai:a1", ["m1"]),
        ("?session_id=s0", ["m4", "m2"]),
        ("?since=2026-02-02T02:40:04Z", ["m5", "m4"]),
        ("?until=2026-02-02T02:40:02.000Z", ["m2", "m1"]),
        ("?since=2026-02-02T03:40:02%2B01:00&until=2026-02-02T02:40:03Z", ["m3", "m2"]),
        ("?colour=red&namespace=", ["m5", "m4", "m3", "m2", "m1"]),
    ],
)
async def test_filters_narrow(shelf: World, query: str, expected: list[str]) -> None:
    assert await titles(shelf, query) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=1e3", "limit"),
        ("offset=-2", "offset"),
        ("tier=huge", "tier"),
        ("min_priority=high", "min_priority"),
        ("since=yesterday", "since"),
        ("until=2026-13-01T00:00:00Z", "until"),
        ("agent_id=a%20b", "agent_id"),
        ("namespace=a//b", "namespace"),
    ],
)
async def test_bad_filters_are_named(world: World, query: str, field: str) -> None:
    reply = await world.ask("GET", f"{MEMORIES}?{query}")
    assert (reply.status, reply.json["field"]) == (400, field)


async def test_a_page_is_cut(start: Started) -> None:
    world = await start(limits=with_limits(page_items_max=3))
    for number in range(5):
        await world.store(f"m{number}")
    assert await titles(world, "?limit=5") == ["m4", "m3", "m2"]


async def test_queries_that_cannot_be_read_are_refused(world: World) -> None:
    for query in ("tags=%FF", "tags=%00", "&".join(f"a{n}=1" for n in range(101))):
        reply = await world.ask("GET", f"{MEMORIES}?{query}")
        assert (reply.status, reply.json["error"]) == (400, "invalid_query"), query


async def test_a_causal_token_waits_or_is_behind(world: World) -> None:
    made = await world.store("Tea")
    token = made["durability"]["token"]
    reply = await world.ask("GET", MEMORIES, x_causal_token=token)
    assert reply.status == 200
    assert reply.headers["X-Causal-Token"]
    ahead = world.node.token_of({world.node.actors[False]: 2})
    behind = await world.ask("GET", MEMORIES, x_causal_token=ahead)
    assert (behind.status, behind.json["error"]) == (412, "behind")
    assert behind.json["token"] == token
    waited = await world.ask("GET", MEMORIES, x_causal_token=ahead, x_causal_wait_ms="1")
    assert waited.status == 412
    reply = await world.ask("GET", MEMORIES, x_causal_token="nonsense")  # noqa: S106 - a bad one
    assert reply.status == 400
    reply = await world.ask("GET", MEMORIES, x_causal_token=ahead, x_causal_wait_ms="-1")
    assert reply.status == 400


async def test_a_causal_wait_ends_when_the_write_arrives(world: World) -> None:
    ahead = world.node.token_of({world.node.actors[False]: 1})
    waiting = asyncio.ensure_future(
        world.ask("GET", MEMORIES, x_causal_token=ahead, x_causal_wait_ms="9000")
    )
    await world.store("Tea")
    async with asyncio.timeout(5):
        reply = await waiting
    assert (reply.status, reply.json["count"]) == (200, 1)


async def test_joining_refuses_reads_and_writes(world: World) -> None:
    world.mesh.state = "joining"
    for method, path in (("GET", MEMORIES), ("POST", MEMORIES), ("GET", f"{API}/export")):
        reply = await world.ask(method, path, {"title": "t", "content": "c"})
        assert (reply.status, reply.json["error"]) == (503, "joining")
        assert reply.headers["Retry-After"]
    assert (await world.ask("GET", f"{API}/mesh")).status == 200
