"""Requests that are served without aiohttp's machinery, and those that are not."""

import asyncio
import re
from typing import Any

import pytest

from node.http import memory_routes
from node.http.routes import API, Route
from node.http.table import TABLE
from node.memory.problems import NotFound
from tests.unit.http.conftest import Started, World
from tests.unit.http.wire import Wire, asked

MEMORIES = f"{API}/memories"
BODY = b'{"title":"t","content":"c","id":"mem-0001"}'
CREATE = asked(f"POST {MEMORIES}", body=BODY)
READ = asked(f"GET {MEMORIES}/mem-0001")
LIVE = asked("GET /livez")
LIST = asked(f"GET {MEMORIES}")


def statuses(answers: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


def _example(route: Route) -> bytes:
    path = route.path.replace("{id}", "mem-0001")
    if route.handler.__name__ == "bulk":
        return asked(f"POST {path}", body=b'[{"title":"a","content":"b","on_conflict":"update"}]')
    if route.method in ("POST", "PUT"):
        body = b'{"title":"u","content":"c"}' if route.path != MEMORIES else BODY
        return asked(f"{route.method} {path}", body=body)
    return asked(f"{route.method} {path}")


DIRECT = sorted((row for row in TABLE if row.direct), key=lambda row: row.handler.__name__)


def test_the_routes_that_need_no_task_are_these() -> None:
    assert {row.handler.__name__ for row in DIRECT} == {
        *("livez", "readyz", "health"),
        *("create", "read", "update", "delete", "promote", "bulk"),
    }


@pytest.mark.parametrize("route", DIRECT, ids=lambda row: row.handler.__name__)
async def test_every_direct_route_is_served_without_a_task(world: World, route: Route) -> None:
    wire = Wire(world)
    first = [CREATE] if "{id}" in route.path else []
    answers = statuses(await wire.send(*first, _example(route)))
    assert all(status in (200, 201) for status in answers), answers
    assert len(answers) == len(first) + 1
    assert wire.ordinary == 0
    assert world.events == []


@pytest.mark.parametrize(
    "head",
    [
        ("Idempotency-Key: k1",),
        ("X-Agent-Id: ai:alice", "If-Match: *"),
        ("Connection: keep-alive",),
        ("X-Causal-Token: e30=", "X-Causal-Wait-Ms: 0"),
    ],
)
async def test_headers_that_agents_send_change_nothing_of_that(world: World, head: Any) -> None:
    wire = Wire(world)
    found = await wire.send(CREATE, asked(f"GET {MEMORIES}/mem-0001", *head))
    assert statuses(found) == [201, 200]
    assert wire.ordinary == 0


@pytest.mark.parametrize(
    "request_",
    [
        LIST,
        asked("GET /livez", "Connection: close"),
        asked("GET /livez", "Connection: Keep-Alive, TE"),
        asked("GET /livez", "TE: trailers"),
        asked("HEAD /livez"),
        asked("OPTIONS /livez"),
        asked("GET /livez").replace(b"1.1", b"1.0"),
        asked("GET /livez", "X: " + "y" * 5000),
        asked("GET http://127.0.0.1/livez"),
        asked("GET /livez#part"),
        asked(f"POST {MEMORIES}", "Expect: 100-continue", body=BODY),
        asked(f"POST {MEMORIES}", "Content-Encoding: identity", body=BODY),
        asked(f"POST {MEMORIES}", "Transfer-Encoding: chunked", sized=False)
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
        asked(f"POST {MEMORIES}", body=BODY).replace(b"Content-Length: ", b"Content-Length: +"),
        asked(f"POST {MEMORIES}", "Content-Length: 43", body=BODY),
        b"\r\n" + LIVE,
    ],
)
async def test_what_is_not_plain_goes_the_ordinary_way(world: World, request_: bytes) -> None:
    wire = Wire(world)
    await wire.send(request_)
    assert wire.ordinary >= 1


async def test_both_ways_take_turns_on_one_connection(world: World) -> None:
    wire = Wire(world)
    order = [LIVE, LIST, CREATE, LIST, READ, LIST, LIVE]
    assert statuses(await wire.send(*order)) == [200, 200, 201, 200, 200, 200, 200]
    assert wire.ordinary == order.count(LIST)


async def test_a_body_that_comes_later_goes_the_ordinary_way_and_the_next_is_direct(
    world: World,
) -> None:
    wire = Wire(world)
    head, body = CREATE[: -len(BODY)], BODY
    assert statuses(await wire.send(head, body[:7], body[7:], READ)) == [201, 200]
    assert wire.ordinary == 1


async def test_a_head_may_come_in_any_two_parts(world: World) -> None:
    for cut in range(1, len(READ)):
        wire = Wire(world)
        assert statuses(await wire.send(READ[:cut], READ[cut:], LIVE)) == [404, 200], cut


async def test_a_request_may_come_byte_by_byte(world: World) -> None:
    parts = [CREATE[at : at + 1] for at in range(len(CREATE))]
    assert statuses(await Wire(world).send(*parts, turns=1)) in ([], [201])
    assert statuses(await Wire(world).send(READ)) == [200]


async def test_pipelined_requests_are_answered_in_their_order(world: World) -> None:
    wire = Wire(world)
    answers = statuses(await wire.send(CREATE + READ + LIVE + LIST + READ, turns=60))
    assert answers == [201, 200, 200, 200, 200]


async def test_a_long_row_of_requests_gives_way_to_others(world: World) -> None:
    wire = Wire(world)
    wire.connection.data_received(LIVE * 100)
    assert len(statuses(wire.taken())) < 100
    assert len(statuses(await wire.settle())) > 50


async def test_who_reads_slowly_is_asked_nothing_more_of(world: World) -> None:
    wire = Wire(world)
    wire.connection.pause_writing()
    assert statuses(await wire.send(LIVE, LIVE)) == []
    wire.connection.resume_writing()
    assert statuses(wire.taken()) == [200, 200]


async def test_what_comes_before_its_turn_is_bounded(world: World) -> None:
    wire = Wire(world)
    wire.connection.pause_writing()
    await wire.send(asked("GET /livez", "X: " + "y" * 1000) * 100)
    assert not wire.transport.reading
    wire.connection.resume_writing()
    assert len(statuses(await wire.settle())) == 100
    assert wire.transport.reading


async def test_a_large_body_goes_on_although_its_sender_reads_slowly(world: World) -> None:
    wire = Wire(world)
    request = asked(f"POST {MEMORIES}", body=b'{"title":"t","content":"%b"}' % (b"x" * 60_000))
    await wire.send(request[:300])
    wire.connection.pause_writing()
    await wire.send(*(request[at : at + 9000] for at in range(300, len(request), 9000)))
    wire.connection.resume_writing()
    assert statuses(await wire.settle()) == [201]
    assert statuses(await wire.send(LIVE)) == [201, 200]
    assert wire.ordinary == 1


async def test_a_write_whose_client_has_gone_still_counts(world: World) -> None:
    wire = Wire(world)
    wire.connection.data_received(CREATE)
    wire.transport.close()
    assert await wire.settle() == b""
    assert len(world.node.log) == 1
    assert statuses(await Wire(world).send(READ)) == [200]


async def test_a_shutdown_waits_for_the_write_at_hand(world: World) -> None:
    wire = Wire(world)
    wire.connection.data_received(CREATE)
    await wire.connection.shutdown(5)
    assert statuses(wire.taken()) == [201]
    assert wire.transport.closing


@pytest.mark.parametrize("before", [(), (LIVE,), (LIST,), (LIVE, LIST, CREATE)])
async def test_a_shutdown_does_not_wait_for_who_asks_nothing(
    world: World, before: tuple[bytes, ...]
) -> None:
    wire = Wire(world)
    await wire.send(*before)
    async with asyncio.timeout(10):
        await wire.connection.shutdown(3600)
    assert wire.transport.closing


async def test_a_shutdown_does_not_wait_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def stuck(*_: object, **__: object) -> None:
        await never

    monkeypatch.setattr(world.node, "write", stuck)
    wire = Wire(world)
    wire.connection.data_received(CREATE)
    await wire.connection.shutdown(0.01)
    assert wire.transport.closing
    never.set_result(None)
    assert await wire.settle() == b""


async def test_an_idle_connection_is_cut_and_a_waiting_one_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def slow(*_: object, **__: object) -> None:
        await answer
        raise NotFound("gone")

    monkeypatch.setattr(world.node, "write", slow)
    wire = Wire(world)
    await wire.send(CREATE)
    wire.connection._next_keepalive_close_time = 0.0
    wire.connection._process_keepalive()
    assert not wire.transport.closing
    answer.set_result(None)
    assert statuses(await wire.settle()) == [404]
    wire.connection._process_keepalive()
    assert not wire.transport.closing  # it answered just now
    wire.connection._next_keepalive_close_time = 0.0
    wire.connection._process_keepalive()
    assert wire.transport.closing


async def test_what_only_a_task_could_await_is_an_error_that_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def timed(*_: object, **__: object) -> None:
        async with asyncio.timeout(1):
            await asyncio.sleep(0)

    monkeypatch.setattr(world.node, "write", timed)
    wire = Wire(world)
    assert statuses(await wire.send(CREATE, LIVE)) == [500, 200]
    assert world.events[0][1]["error"] == "RuntimeError"


async def test_checks_are_made_for_every_request_of_a_known_head(start: Started) -> None:
    world = await start()
    wire = Wire(world)
    assert statuses(await wire.send(CREATE, READ)) == [201, 200]
    world.keys = (bytes(32),)
    wire.taken()
    assert statuses(await wire.send(READ, LIVE)) == [401, 200]
    world.keys = ()
    world.mesh.state = "joining"
    wire.taken()
    assert statuses(await wire.send(READ)) == [503]
    assert wire.ordinary == 0


async def test_a_handler_that_is_no_longer_flagged_is_noticed() -> None:
    flagged = {row.handler for row in TABLE if row.direct}
    assert memory_routes.page not in flagged
