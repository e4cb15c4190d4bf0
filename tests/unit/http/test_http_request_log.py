"""The line per request: who, route, outcome; nothing of what was asked."""

import io
import json
from typing import Any

import pytest

from node.auth.keys import key_digest
from node.http.request_log import EVENT, RequestLog
from node.logs import make_log
from node.settings import Logging
from tests.unit.http.conftest import API, Started, World

PRIVATE = "purple elephants"


def lines_of(stream: io.StringIO) -> list[dict[str, Any]]:
    return list(map(json.loads, stream.getvalue().splitlines()))


async def logged(start: Started, **fields: Any) -> tuple[World, io.StringIO]:
    stream = io.StringIO()
    log = make_log(Logging(format="json"), stream)
    world: World = await start(parts={"requests": RequestLog(log, lambda: True)}, **fields)
    return world, stream


@pytest.mark.parametrize("direct", [True, False])
async def test_a_line_says_who_and_what_and_nothing_of_the_content(
    start: Started,
    direct: bool,  # noqa: FBT001 - a case of the test
) -> None:
    world, stream = await logged(start, direct=direct)
    stored = await world.store(PRIVATE, content=PRIVATE, tags=["violet"], namespace="zoo")
    ident = stored["id"]
    await world.ask("GET", f"{API}/memories/{ident}", x_agent_id="ai:bob")
    await world.ask("GET", f"{API}/recall?context=purple%20elephants")
    await world.ask("GET", f"/nowhere/{ident}")
    lines = lines_of(stream)
    assert {line["event"] for line in lines} == {EVENT}
    assert [(line["method"], line["route"], line["status"], line["agent"]) for line in lines] == [
        ("POST", f"{API}/memories", 201, "ai:alice"),
        ("GET", f"{API}/memories/{{id}}", 200, "ai:bob"),
        ("GET", f"{API}/recall", lines[2]["status"], ""),
        ("GET", "unmatched", 404, ""),
    ]
    assert all(line["ms"] >= 0 and line["bytes_out"] > 0 for line in lines)
    assert lines[0]["bytes_in"] > len(PRIVATE)
    for word in (PRIVATE, "purple", "violet", "zoo", ident):
        assert word not in stream.getvalue()


async def test_who_is_refused_is_noted_without_the_key(start: Started) -> None:
    world, stream = await logged(start, keys=(key_digest("right"),))
    await world.ask("GET", f"{API}/memories", x_api_key="wrong-key")
    await world.ask("GET", f"{API}/memories?api_key=wrong-key")
    assert [line["status"] for line in lines_of(stream)] == [401, 400]
    assert "wrong-key" not in stream.getvalue()


@pytest.mark.parametrize("name", ["x" * 129, 'a"b', "a b", "<script>"])
async def test_a_name_that_is_none_is_not_repeated(start: Started, name: str) -> None:
    world, stream = await logged(start)
    await world.ask("GET", "/livez", x_agent_id=name)
    assert [line["agent"] for line in lines_of(stream)] == [""]


async def test_nothing_is_written_unless_asked_for(start: Started) -> None:
    wanted = [False]
    world: World = await start()
    world.parts["requests"] = RequestLog(
        lambda event, **facts: world.events.append((event, facts)), lambda: wanted[0]
    )
    second: World = await start(parts=world.parts)
    await second.ask("GET", "/livez")
    assert world.events == []
    wanted[0] = True  # as a reload does
    await second.ask("GET", "/livez")
    assert [event for event, _ in world.events] == [EVENT]
