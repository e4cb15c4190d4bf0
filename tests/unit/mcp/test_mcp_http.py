"""The tools at /mcp: who comes in, whose a session is, and how it ends."""

import asyncio

import orjson
import pytest

from node.auth.keys import key_digest
from node.settings.sections import Mcp
from tests.unit.http.conftest import Reply, World
from tests.unit.mcp.conftest import Served, Tools

KEY = "the-key-of-the-node"
HEADERS = {"accept": "application/json, text/event-stream"}
SESSION = "mcp-session-id"


def rpc(method: str, ident: int = 1, **params: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}


def opening(name: str = "probe") -> dict[str, object]:
    return rpc(
        "initialize",
        protocolVersion="2025-06-18",
        capabilities={},
        clientInfo={"name": name, "version": "1"},
    )


async def post(world: World, body: object, path: str = "/mcp", **headers: str) -> Reply:
    sent = {**HEADERS, "content_type": "application/json", **headers}
    return await world.ask("POST", path, body, **sent)


async def opened(world: World, **headers: str) -> str:
    """Open a session and give its id."""
    reply = await post(world, opening(), **headers)
    assert reply.status == 200, reply.body
    ident: str = reply.headers[SESSION]
    note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert (await post(world, note, mcp_session_id=ident, **headers)).status == 202
    return ident


async def called(world: World, ident: str, name: str, **arguments: object) -> Reply:
    body = rpc("tools/call", 2, name=name, arguments=arguments)
    return await post(world, body, mcp_session_id=ident)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_s_client_works_in_both_ages_of_the_protocol(
    serve: Served, mode: str
) -> None:
    made = await serve(keys=(key_digest(KEY),))
    async with made.far(mode=mode, x_api_key=KEY, x_agent_id="ai:bob") as client:
        assert len((await client.list_tools()).tools) == 8
        stored = await client.call_tool("memory_store", {"title": "t", "content": "c"})
        assert stored.structured_content["agent_id"] == "ai:bob"
    assert (await made.world.ask("GET", "/api/v1/memories", x_api_key=KEY)).json["count"] == 1


async def test_the_profile_may_stand_in_the_address(serve: Served) -> None:
    made = await serve(settings=Mcp(profile="full"))
    async with made.far("?profile=knowledge-graph") as client:
        assert len((await client.list_tools()).tools) == 9
    async with made.far() as client:
        assert len((await client.list_tools()).tools) > 40
    refused = await post(made.world, opening(), "/mcp?profile=most")
    assert (refused.status, refused.json["field"]) == (400, "profile")


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({}, 401, "missing or invalid API key"),
        ({"x_api_key": "wrong"}, 401, "missing or invalid API key"),
        ({"x_api_key": KEY, "origin": "http://evil.example"}, 403, "origin_not_allowed"),
        ({"x_api_key": KEY, "host": "evil.example"}, 403, "host_not_allowed"),
    ],
)
async def test_the_door_is_that_of_the_api(
    serve: Served, headers: dict[str, str], status: int, error: str
) -> None:
    made = await serve(keys=(key_digest(KEY),))
    reply = await post(made.world, opening(), **headers)
    assert (reply.status, reply.json["error"]) == (status, error)


async def test_a_key_in_the_address_is_refused(serve: Served) -> None:
    made = await serve(keys=(key_digest(KEY),))
    assert (await post(made.world, opening(), f"/mcp?api_key={KEY}")).status == 400


async def test_the_page_of_the_same_host_may_call(serve: Served) -> None:
    made = await serve()
    origin = f"http://127.0.0.1:{made.world.port}"
    assert (await post(made.world, opening(), origin=origin)).status == 200


async def test_a_session_belongs_to_who_opened_it(serve: Served) -> None:
    made = await serve()
    ident = await opened(made.world, x_agent_id="ai:alice")
    tools = rpc("tools/list", 2)
    for agent in ("ai:bob", None):
        headers = {"x_agent_id": agent} if agent else {}
        other = await post(made.world, tools, mcp_session_id=ident, **headers)
        assert other.status == 404
    own = await post(made.world, tools, mcp_session_id=ident, x_agent_id="ai:alice")
    assert own.status == 200


async def test_an_ended_session_is_gone(serve: Served) -> None:
    made = await serve()
    ident = await opened(made.world)
    ended = await made.world.ask("DELETE", "/mcp", mcp_session_id=ident)
    assert ended.status == 200
    assert (await called(made.world, ident, "memory_stats")).status == 404


async def test_sessions_are_bounded(serve: Served) -> None:
    made = await serve(settings=Mcp(sessions_max=2))
    first = await opened(made.world)
    await opened(made.world)
    assert (await post(made.world, opening())).status == 503
    await made.world.ask("DELETE", "/mcp", mcp_session_id=first)
    assert (await post(made.world, opening())).status == 200


async def test_a_silent_session_ends(serve: Served) -> None:
    made = await serve(settings=Mcp(sessions_max=1, session_idle_secs=0.05))
    silent = await opened(made.world)

    async with asyncio.timeout(10):
        while (await post(made.world, opening())).status != 200:
            pass  # each round is a request, so nothing spins
    assert (await called(made.world, silent, "memory_list")).status == 404


async def test_a_listening_get_is_told_that_nothing_will_come(serve: Served) -> None:
    made = await serve()
    reply = await made.world.ask("GET", "/mcp", accept="text/event-stream")
    assert reply.status == 405
    assert reply.headers["Allow"] == "DELETE, POST"


async def test_who_names_nobody_is_named_after_the_program(serve: Served) -> None:
    made = await serve()
    ident = await opened(made.world)
    reply = await called(made.world, ident, "memory_store", title="t", content="c")
    told = reply.json["result"]["structuredContent"]
    assert told["agent_id"] == "ai:probe"


async def test_who_names_nobody_stays_nameless_where_that_is_wanted(serve: Served) -> None:
    made = await serve()
    made.anonymous = True
    ident = await opened(made.world)
    reply = await called(made.world, ident, "memory_store", title="t", content="c")
    told = reply.json["result"]["structuredContent"]
    assert told["agent_id"].startswith("anonymous:")
    async with made.far(x_agent_id="ai:alice") as client:
        named = await client.call_tool("memory_store", {"title": "t", "content": "c"})
        assert named.structured_content["agent_id"] == "ai:alice"


async def test_what_is_private_stays_hidden_from_other_callers(serve: Served) -> None:
    made = await serve()
    async with made.far(x_agent_id="ai:alice") as client:
        facts = {"title": "t", "content": "c", "scope": "private"}
        ident = (await client.call_tool("memory_store", facts)).structured_content["id"]
        assert not (await client.call_tool("memory_get", {"id": ident})).is_error
    async with made.far(x_agent_id="ai:bob") as client:
        told = await client.call_tool("memory_get", {"id": ident})
        assert told.structured_content["status"] == 404
        assert (await client.call_tool("memory_list", {})).structured_content["count"] == 0


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b'{"jsonrpc":"2.0"}', b"\xff\xfe", b"[" * 5000, b"9" * 6000],
)
async def test_nonsense_is_a_clear_refusal(serve: Served, body: bytes) -> None:
    made = await serve()
    for extra in ({}, {"mcp_protocol_version": "2026-07-28"}):
        reply = await made.world.ask(
            "POST", "/mcp", raw=body, content_type="application/json", **HEADERS, **extra
        )
        assert 400 <= reply.status < 500, (extra, reply.body)


async def test_a_body_above_the_limit_is_413(serve: Served) -> None:
    made = await serve()
    body = orjson.dumps(opening("x" * (3 << 20)))
    reply = await made.world.ask(
        "POST", "/mcp", raw=body, content_type="application/json", **HEADERS
    )
    assert reply.status == 413


async def test_each_call_is_counted_under_the_route_that_it_takes(serve: Served) -> None:
    made = await serve()
    async with made.far() as client:
        await client.call_tool("memory_list", {})
    page = (await made.world.ask("GET", "/metrics")).body.decode()
    counted = [line for line in page.splitlines() if line.startswith("mnemesh_http_requests_total")]
    assert any("/api/v1/memories" in line and line.endswith(" 1.0") for line in counted), counted
    assert any("/mcp" in line for line in counted), counted


async def test_a_node_that_is_joining_says_so_through_the_tool(serve: Served) -> None:
    made: Tools = await serve()
    made.world.mesh.state = "joining"
    async with made.far() as client:
        told = (await client.call_tool("memory_list", {})).structured_content
    assert (told["error"], told["retryable"]) == ("joining", True)
