"""Server-sent events over a real connection."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from node.http import sse
from node.http.streams import OpenStreams
from tests.unit.http.conftest import API
from tests.unit.http.governed_world import GovernedWorld, governed_world

STREAM = f"{API}/pending/stream"


class Follower:
    """Reads a stream event by event."""

    def __init__(self, response: Any) -> None:
        self.response = response

    async def block(self) -> list[str]:
        """The lines up to the next empty one; empty at the end of the stream."""
        lines: list[str] = []
        async with asyncio.timeout(10):
            while line := await self.response.content.readline():
                text = line.decode().rstrip("\n")
                if not text:
                    return lines
                lines.append(text)
        return lines

    async def event(self) -> dict[str, Any]:
        """The next event that carries data: its id, name and data."""
        while lines := await self.block():
            found = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "data" in found:
                return {**found, "data": json.loads(found["data"])}
        raise EOFError


@asynccontextmanager
async def followed(
    world: GovernedWorld, path: str = STREAM, **headers: str
) -> AsyncIterator[Follower]:
    assert world.session is not None
    sent = {"X-Agent-Id": "hana", **{k.replace("_", "-"): v for k, v in headers.items()}}
    url = f"http://127.0.0.1:{world.port}{path}"
    async with world.session.get(url, headers=sent) as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/event-stream")
        assert response.headers["Cache-Control"] == "no-store"
        yield Follower(response)


async def eventually(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - what is looked at has no event
            await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[GovernedWorld]:
    async with governed_world() as world:
        await world.people()
        yield world


async def test_what_waits_and_what_changes_is_told(world: GovernedWorld) -> None:
    await world.held(id="m-1")
    async with followed(world) as stream:
        assert await stream.block() == ["retry: 2000"]
        first = await stream.event()
        assert (first["event"], first["data"]["memory_id"]) == ("pending", "m-1")
        ident = await world.held(id="m-2")
        assert (await stream.event())["data"]["memory_id"] == "m-2"
        await world.tell("POST", f"/pending/{ident}/approve", {}, "hana")
        last = await stream.event()
        assert (last["event"], last["data"]["decided_by"]) == ("approved", "hana")


@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_client_goes_on_where_it_was(world: GovernedWorld, how: str) -> None:
    async with followed(world) as stream:
        await world.held(id="m-1")
        place = (await stream.event())["id"]
    await world.held(id="m-2")
    path = f"{STREAM}?cursor={place}" if how == "query" else STREAM
    headers = {"Last_Event_ID": place} if how == "header" else {}
    async with followed(world, path, **headers) as stream:
        assert (await stream.event())["data"]["memory_id"] == "m-2"


async def test_private_ones_are_told_to_those_who_may_see_them(world: GovernedWorld) -> None:
    async with followed(world) as hers, followed(world, X_Agent_Id="bob") as his:
        await world.held(id="secret", scope="private")
        await world.held(id="open")
        assert (await his.event())["data"]["memory_id"] == "secret"
        assert (await hers.event())["data"]["memory_id"] == "open"


async def test_a_silent_stream_says_so() -> None:
    async with (
        governed_world(streams=OpenStreams(heartbeat_seconds=0.01)) as world,
        followed(world) as stream,
    ):
        blocks = [await stream.block() for _ in range(4)]
    assert blocks[0] == ["retry: 2000"]
    assert blocks[1][0].startswith("id: ")
    assert blocks[2:] == [[": nothing new"]] * 2


async def test_all_streams_end_when_the_node_drains(world: GovernedWorld) -> None:
    async with followed(world) as one, followed(world) as two:
        for stream in (one, two):
            await stream.block()
            await stream.block()
        assert world.server is not None
        async with asyncio.timeout(0.9):  # well before anything would be cancelled
            await world.server.shutdown(1)
            assert [await stream.block() for stream in (one, two)] == [[], []]
    assert world.streams._wakes == set()


async def test_a_stream_after_the_drain_is_503(world: GovernedWorld) -> None:
    world.streams.close()
    reply = await world.ask("GET", STREAM)
    assert (reply.status, reply.json["error"]) == (503, "draining")


async def test_the_number_of_streams_is_bounded() -> None:
    async with governed_world(streams=OpenStreams(most=1)) as world, followed(world) as stream:
        await stream.block()
        reply = await world.ask("GET", STREAM)
        assert (reply.status, reply.json["error"]) == (503, "overloaded")
        assert reply.headers["Retry-After"]


async def test_the_place_of_a_client_that_left_is_free_again() -> None:
    async with governed_world(streams=OpenStreams(most=1, heartbeat_seconds=0.01)) as world:
        async with followed(world) as stream:
            await stream.block()
        await eventually(lambda: not world.streams._wakes)


async def test_a_client_that_does_not_read_is_cut(
    world: GovernedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "STALL_SECONDS", 0.05)
    _, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1024)
    writer.write(f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Agent-Id: hana\r\n\r\n".encode())
    await eventually(lambda: bool(world.streams._wakes))
    async with asyncio.timeout(10):
        while world.streams._wakes:
            await world.held(content="x" * 500_000)
    writer.close()


async def test_head_tells_the_kind_of_answer(world: GovernedWorld) -> None:
    reply = await world.ask("HEAD", STREAM)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Type"].startswith("text/event-stream")
