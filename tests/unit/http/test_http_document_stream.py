"""The changes of a document as server-sent events, over a real connection."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from crdt.document.change import read_change
from crdt.document.gathering import gather
from crdt.document.model import Change, DocumentLimits, Stored
from crdt.document.opened import Document
from crdt.dot import Dot
from node.documents.sheet import Sheet
from node.documents.warming import Cold
from node.event_stream import Event
from node.events.feed import Bell
from node.events.streaming import Events
from node.http import document_stream, sse
from node.http.streams import OpenStreams
from tests.integration.rig_documents import change_of, change_upon, in_base64
from tests.unit.http.conftest import API, Started, World
from tests.unit.http.test_http_documents import EVE, patched, splice, written
from tests.unit.http.test_http_governance_stream import Follower

EVENTS = "text/event-stream"
H0 = "00" * 32
DOT = Dot(b"d" * 20, 1)


@pytest.fixture
async def world(start: Started) -> World:
    """A node whose bell rings after each write."""
    return await ringing(start)


async def ringing(start: Started, **parts: Any) -> World:
    bell = Bell()
    made: World = await start(parts={"events": Events(bell=bell), **parts})
    arrive = made.node.arrive

    def arrive_and_ring(op: Any) -> None:
        arrive(op)
        bell.ring()

    made.node.arrive = arrive_and_ring  # type: ignore[method-assign]  # what a commit does
    return made


@asynccontextmanager
async def watched(
    world: World, path: str, query: str = "", **headers: str
) -> AsyncIterator[Follower]:
    assert world.session is not None
    sent = {"Accept": EVENTS, **{k.replace("_", "-"): v for k, v in headers.items()}}
    url = f"http://127.0.0.1:{world.port}{path}/document/changes{query}"
    async with world.session.get(url, headers=sent) as response:
        assert response.status == 200, await response.read()
        assert response.headers["Content-Type"].startswith(EVENTS)
        yield Follower(response)


def hashes_in(data: dict[str, Any]) -> list[str]:
    """What the changes of an event are called by their bytes."""
    chunks = [base64.b64decode(one) for one in data["changes"]]
    return [read_change(one, DocumentLimits()).hash.hex() for one in chunks]


async def test_a_stream_begins_with_all_there_is_and_goes_on(world: World) -> None:
    path = await written(world)
    first = (await patched(world, path, splice("a"))).json
    async with watched(world, path) as stream:
        assert await stream.block() == ["retry: 2000"]
        event = await stream.event()
        assert (event["event"], event["id"]) == ("change", first["change"])
        told = event["data"]
        assert told["hashes"] == hashes_in(told)
        assert (told["agents"], told["heads"]) == (["ai:alice", "ai:bob"], first["heads"])
        body = {"changes": in_base64(change_of("k"))}
        reply = await world.ask("POST", f"{path}/document/changes", body, **EVE)
        told = (await stream.event())["data"]
        assert (told["agents"], told["heads"]) == (["ai:eve"], reply.json["heads"])
        assert told["hashes"] == [change_of("k").hash.hex()]


@pytest.mark.parametrize("how", ["since", "header", "both"])
async def test_who_comes_back_is_sent_what_it_lacks(world: World, how: str) -> None:
    path = await written(world)
    first = (await world.ask("GET", f"{path}/document")).json["heads"][0]
    second = (await patched(world, path, splice("a"))).json["change"]
    third = (await patched(world, path, splice("b"))).json["change"]
    query = f"?since={first}" if how != "header" else ""
    headers = {} if how == "since" else {"Last_Event_ID": second if how == "both" else first}
    async with watched(world, path, query, **headers) as stream:
        told = (await stream.event())["data"]
    assert told["hashes"] == ([third] if how == "both" else [second, third])
    assert told["heads"] == [third]


async def test_who_has_all_is_told_so(world: World) -> None:
    path = await written(world)
    head = (await world.ask("GET", f"{path}/document")).json["heads"][0]
    async with watched(world, path, f"?since={head}") as stream:
        event = await stream.event()
    assert event["id"] == head
    assert event["data"] == {"changes": [], "hashes": [], "agents": [], "heads": [head]}


async def test_heads_of_a_node_that_is_ahead_only_bring_more(world: World) -> None:
    path = await written(world)
    heads = (await world.ask("GET", f"{path}/document")).json["heads"]
    second = (await patched(world, path, splice("a"))).json["change"]
    async with watched(world, path, Last_Event_ID=f"{H0},{heads[0]}") as stream:
        assert (await stream.event())["data"]["hashes"] == [second]
    async with watched(world, path, Last_Event_ID=H0) as stream:
        assert (await stream.event())["data"]["hashes"] == [*heads, second]


@pytest.mark.parametrize(
    ("query", "headers", "status", "error"),
    [
        (f"?since={H0}", {}, 409, "heads_unknown"),
        ("?since=abc", {}, 400, "invalid_field"),
        ("", {"Last-Event-ID": "abc"}, 400, "invalid_field"),
        ("", {"X-Agent-Id": "a b"}, 400, "invalid_field"),
    ],
)
async def test_what_is_wrong_is_told_before_the_stream_begins(
    world: World, query: str, headers: dict[str, str], status: int, error: str
) -> None:
    path = f"{await written(world)}/document/changes{query}"
    reply = await world.ask("GET", path, accept=EVENTS, **headers)
    assert (reply.status, reply.json["error"]) == (status, error)


async def test_what_does_not_change_the_document_is_not_told(world: World) -> None:
    path = await written(world)
    async with watched(world, path) as stream:
        await stream.event()
        await world.ask("PUT", path, {"title": "other"}, x_agent_id="ai:alice")
        await world.store("elsewhere")
        change = (await patched(world, path, splice("a"))).json["change"]
        assert (await stream.event())["data"]["hashes"] == [change]


async def ended(stream: Follower) -> str:
    """How a stream says that it is over; nothing follows."""
    event = await stream.event()
    assert event["event"] == "end"
    assert "id" not in event
    assert await stream.block() == []
    return str(event["data"]["reason"])


async def test_a_stream_ends_with_its_memory(world: World) -> None:
    path = await written(world)
    async with watched(world, path) as stream:
        await stream.event()
        await world.ask("DELETE", path, x_agent_id="ai:alice")
        assert await ended(stream) == "not_found"


async def test_a_stream_ends_with_the_right_to_see(world: World) -> None:
    path = await written(world)
    async with watched(world, path, **EVE) as hers, watched(world, path) as others:
        for stream in (hers, others):
            await stream.event()
        body = {"scope": "private"}
        assert (await world.ask("PUT", path, body, x_agent_id="ai:alice")).status == 200
        for stream in (hers, others):
            assert await ended(stream) == "not_found"


async def test_a_stream_ends_with_the_document(world: World) -> None:
    path = await written(world)
    async with watched(world, path) as stream:
        await stream.event()
        await world.ask("PUT", path, {"memory_kind": "claim"}, x_agent_id="ai:alice")
        assert await ended(stream) == "not_a_document"


async def test_a_stream_sees_by_its_heartbeat_that_a_life_is_over(start: Started) -> None:
    world = await ringing(start, streams=OpenStreams(heartbeat_seconds=0.01))
    path = await written(world, ttl_secs=60)
    async with watched(world, path) as stream:
        await stream.event()
        assert await stream.block() == [": nothing new"]
        world.node.clock.ms += 61_000
        assert await ended(stream) == "not_found"


async def test_all_streams_end_when_the_node_drains(start: Started) -> None:
    streams = OpenStreams()
    world = await ringing(start, streams=streams)
    path = await written(world)
    async with watched(world, path) as stream:
        await stream.event()
        streams.close()
        assert await stream.block() == []
    reply = await world.ask("GET", f"{path}/document/changes", accept=EVENTS)
    assert (reply.status, reply.json["error"]) == (503, "draining")


@pytest.mark.parametrize("seed", range(20))
def test_whoever_goes_on_from_any_place_ends_with_everything(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Random(seed)
    print("seed", seed)
    monkeypatch.setattr(document_stream, "PIECE_CHANGES", chance.randint(1, 5))
    changes: list[Change] = []
    for number in range(30):
        upon = chance.sample(changes, min(len(changes), chance.randint(0, 2)))
        changes.append(change_upon(upon, number))
    gathered = gather(
        [Stored(f"chunk/{one.hash.hex()}", one.data, "ai:a", 1, DOT) for one in changes],
        DocumentLimits(),
    )
    document = Document.opened(gathered)
    assert document.changes == len(changes)
    heads: frozenset[bytes] = frozenset()
    have: set[bytes] = set()
    while have != {one.hash for one in changes}:
        # It may come back with a part of its heads, and with some that nobody knows.
        if heads and chance.random() < 0.3:
            heads = frozenset(chance.sample(sorted(heads), len(heads) - 1)) | {bytes(32)}
        heads, kept = document_stream.beyond(document, heads)
        piece = next(document_stream.pieces(kept))
        for one in piece:
            assert have | {p.change.hash for p in piece} >= set(one.change.deps)
        have.update(one.change.hash for one in piece)
        heads = document_stream.moved(heads, piece)
        if chance.random() < 0.5:
            assert {one.change.hash for one in document.since(heads)} == {
                one.hash for one in changes
            } - past(document, heads)
    assert document_stream.beyond(document, document.heads)[1] == []


def past(document: Document, heads: frozenset[bytes]) -> set[bytes]:
    """What whoever has these heads has seen, found the dull way."""
    by_hash = {one.change.hash: one.change for one in document.history()}
    seen: set[bytes] = set()
    waiting = list(heads)
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += by_hash[one].deps
    return seen


async def test_what_is_much_comes_in_pieces_each_of_which_can_be_gone_on_from(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document_stream, "PIECE_CHANGES", 3)
    path = await written(world)
    made = [(await patched(world, path, splice(str(n)))).json["change"] for n in range(9)]
    places: list[str] = []
    async with watched(world, path) as stream:
        for _ in range(4):
            event = await stream.event()
            places.append(event["id"])
            assert event["data"]["heads"] == [event["id"]] == event["data"]["hashes"][-1:]
    assert places == [made[1], made[4], made[7], made[8]]
    async with watched(world, path, Last_Event_ID=places[1]) as stream:
        assert (await stream.event())["data"]["hashes"] == made[5:8]


async def test_an_id_of_many_heads_fits_into_a_header(world: World) -> None:
    path = await written(world)
    changes = [change_of(f"k{n}", actor=bytes((n,)) * 16) for n in range(70)]
    body = {"changes": in_base64(*changes)}
    assert (await world.ask("POST", f"{path}/document/changes", body)).json["added"] == 70
    raw = await world.ask("GET", f"{path}/document", accept="application/vnd.automerge")
    assert "X-Document-Heads" not in raw.headers
    async with watched(world, path) as stream:
        event = await stream.event()
        assert len(event["data"]["heads"]) == 71
        assert len(event["id"].split(",")) == 64
    async with watched(world, path, Last_Event_ID=event["id"]) as stream:
        again = (await stream.event())["data"]
        assert len(again["hashes"]) == 7
        assert again["heads"] == event["data"]["heads"]


async def test_head_tells_the_kind_of_answer(world: World) -> None:
    path = await written(world)
    reply = await world.ask("HEAD", f"{path}/document/changes", accept=EVENTS)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Content-Type"].startswith(EVENTS)
    assert (await world.ask("HEAD", f"{API}/memories")).status == 200


async def test_a_stream_whose_document_is_opened_holds_up_no_other() -> None:
    sheet, open_now, asked = Sheet(b"k", "d", (), None), asyncio.Event(), asyncio.Event()

    class Opens:
        async def brought(self, _sheet: Sheet, _said: object) -> None:
            asked.set()
            await open_now.wait()

    class Quick:
        def take(self) -> list[Event]:
            return [Event(name="one")]

    class Long(Quick):
        def take(self) -> list[Event]:
            if not open_now.is_set():
                raise Cold(sheet)
            return super().take()

    streams = OpenStreams()
    waits = asyncio.create_task(sse._taken(Long(), streams, Opens()))  # type: ignore[arg-type]  # all it asks
    async with asyncio.timeout(5):
        await asked.wait()
        events = await sse._taken(Quick(), streams, None)  # type: ignore[arg-type]  # as above
        open_now.set()
        assert await waits == events == [Event(name="one")]
