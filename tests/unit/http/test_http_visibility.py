"""A private memory of somebody else shows nowhere: every route that reads, one by one.

Law: the routes are taken from the table, so a new one is asked as soon as it is there. An
answer may be anything but a sign of the memory; routes with endless answers are read for a
moment.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from node.contracts import Reader
from node.http.routes import Route, Touches
from node.http.table import TABLE
from node.metrics import Metrics
from node.recall.document import key_of_stored
from node.recall.opening import RecallSide, open_recall
from tests.unit.http.conftest import API, Reply, Started, World
from tests.unit.http.fake_node import Clock, FakeNode

READING = [route for route in TABLE if route.touches is Touches.READS]
QUERIES = (
    "",
    "?namespace=hushed",
    "?agent_id=ai:alice",
    "?tags=hush-tag",
    "?session_id=hush-session",
    "?q=hush&context=hush&topic=hush&prefix=hushed&root=hushed&alias=hush&limit=1000",
    "?direction=descendants&inherit=true&trust_source=true",
)
_MOMENT_SECONDS = 0.3


def names(route: Route) -> str:
    return f"{route.method} {route.path}"


class Recalling:
    """A world with a real index over its node."""

    def __init__(self, world: World, side: RecallSide) -> None:
        self.world, self.side = world, side

    async def follow(self, *, flush: bool) -> None:
        """Tell recall of every change; it lies in the index, or beside it until then."""
        for key in self.world.node.records:
            ident = key_of_stored(key)
            if ident is not None:
                self.side.feeding._overlay.mark(ident)
        if flush:
            await self.side.feeding._round()


@pytest.fixture
async def recalling(start: Started, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts worlds that recall, as `start` starts those that do not."""
    sides: list[RecallSide] = []

    async def start_one(**fields: Any) -> Recalling:
        late: list[FakeNode] = []
        side = open_recall(
            tmp_path,
            reader=lambda: cast("Reader", (late or [FakeNode()])[0].reader()),
            metrics=Metrics(),
            log=lambda *_, **__: None,
            now_ms=Clock().now_ms,
        )
        sides.append(side)
        parts = {"recall": side.recall, "alike": side.recall.alike}
        world: World = await start(parts=parts, **fields)
        late.append(world.node)
        await side.feeding._round()
        return Recalling(world, side)

    yield start_one
    for side in sides:
        side.close()


async def hushed(world: World) -> dict[str, str]:
    """A private memory that has every mark a search could find, and links both ways."""
    open_one = (await world.store("for all"))["id"]
    made = await world.store(
        "hush title",
        content="hush content",
        namespace="hushed",
        scope="private",
        tags=["hush-tag"],
        metadata={"session_id": "hush-session", "topic": "hush", "note": "hush"},
    )
    path = f"{API}/memories/{made['id']}"
    change = {"content": "hush again"}
    assert (await world.ask("PUT", path, change, x_agent_id="ai:alice")).status == 200
    for pair in ((open_one, made["id"]), (made["id"], open_one)):
        body = dict(zip(("source_id", "target_id"), pair, strict=True)) | {
            "relation": "derived_from"
        }
        reply = await world.ask("POST", f"{API}/links", body, x_agent_id="ai:alice")
        assert reply.status == 201
    return {"secret": made["id"], "open": open_one}


async def glimpse(world: World, path: str, **headers: str) -> Reply:
    """What a route answers; of one that does not end, what it says first."""
    assert world.session is not None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{world.port}{path}"
    said = b""
    async with world.session.get(url, headers=sent) as response:
        try:
            async with asyncio.timeout(_MOMENT_SECONDS if path.endswith("stream") else 10):
                async for piece in response.content.iter_any():
                    said += piece
        except TimeoutError:
            pass
        return Reply(response.status, response.headers, said)


def test_there_are_routes_to_ask() -> None:
    paths = {route.path for route in READING}
    assert {f"{API}/stats", f"{API}/export", f"{API}/memories/{{id}}/lineage"} <= paths


@pytest.mark.parametrize("route", READING, ids=names)
@pytest.mark.parametrize(
    "share_private",
    [
        pytest.param(False, id="own lane"),
        pytest.param(True, id="shared lane", marks=pytest.mark.thorough),
    ],
)
async def test_a_private_memory_of_another_shows_nowhere(
    recalling: Callable[..., Any], route: Route, *, share_private: bool
) -> None:
    recall: Recalling = await recalling(
        tls=True, fingerprint="peer", allowed=frozenset(["peer"]), share_private=share_private
    )
    world = recall.world
    ids = await hushed(world)
    await recall.follow(flush=not share_private)
    shown = []
    for agent in ({"x_agent_id": "ai:eve"}, {}):
        for name, ident in (*ids.items(), ("prefix", ids["secret"][:8])):
            base = route.path.replace("{id}", ident).replace("{ns}", "hushed")
            queries = QUERIES if not base.endswith("stream") else ("",)
            for query in queries:
                reply = await glimpse(world, f"{base}{query}", **agent)
                assert reply.status != 500, reply.body
                told = reply.body.decode()
                asked = base.rpartition("/api/v1")[2] + query
                if "hush " in told or ids["secret"] in _without_echo(told, asked, name):
                    shown.append(f"{agent} {asked}: {told[:200]}")
            if "{id}" not in route.path:
                break
    assert not shown


def _without_echo(told: str, asked: str, name: str) -> str:
    """An answer may repeat the id that was asked for in saying that there is no such thing."""
    return "" if name in ("secret", "prefix") and "not_found" in told else told.replace(asked, "")


@pytest.mark.parametrize("route", READING, ids=names)
@pytest.mark.parametrize("flush", [False, True], ids=["not indexed", "indexed"])
async def test_its_author_sees_it_where_it_belongs(
    recalling: Callable[..., Any], route: Route, *, flush: bool
) -> None:
    """The check above sees something: what it looks for is there for the author."""
    recall: Recalling = await recalling()
    world = recall.world
    ids = await hushed(world)
    await recall.follow(flush=flush)
    showing: dict[str, Any] = {
        f"{API}/memories": ids["secret"],
        f"{API}/memories/{{id}}": "hush content",
        f"{API}/memories/{{id}}/history": "hush again",
        f"{API}/memories/{{id}}/lineage": ids["open"],
        f"{API}/links/{{id}}": ids["open"],
        f"{API}/export": "hush title",
        f"{API}/recall": ids["secret"],
        f"{API}/search": ids["secret"],
    }
    wanted = showing.get(route.path)
    if wanted is None:
        pytest.skip("shows no memory")
    if route.path == f"{API}/memories/{{id}}":
        wanted = "hush again"
    query = "?q=hush&context=hush" if route.path in (f"{API}/recall", f"{API}/search") else ""
    path = route.path.replace("{id}", ids["secret"]) + query
    reply = await glimpse(world, path, x_agent_id="ai:alice")
    assert reply.status != 503, reply.body
    assert wanted in reply.body.decode()
