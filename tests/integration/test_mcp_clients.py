"""The tools as clients start and call them: a spawned server, and /mcp on a running node."""

import base64
import http.client
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from node.auth.identities import FOLDER, Identities
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level
from tests.integration.rig_commands import told

pytestmark = [pytest.mark.integration, pytest.mark.slow]

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "probe", "version": "1"},
    },
}


@pytest.fixture
def node(keyed: RealNode) -> RealNode:
    return keyed


def entry(node: RealNode, client: str = "claude-code", *options: object) -> dict[str, Any]:
    """The server's entry, as the command prints it for a client."""
    printed = told("mcp", "config", "--client", client, *options, node=node)["entry"]
    (servers,) = printed.values()
    server: dict[str, Any] = servers["mnemesh"]
    return server


@asynccontextmanager
async def spawned(server: dict[str, Any], folder: Path) -> AsyncIterator[Client]:
    """The SDK's client, with the server started under `env -i` in another folder."""
    env = [f"{name}={value}" for name, value in server["env"].items()]
    # The SDK hands a few variables of its own on; `env -i` takes those away too.
    start = StdioServerParameters(
        command="/usr/bin/env",
        args=["-i", *env, server["command"], *server["args"]],
        cwd=folder,
    )
    with (folder / "stderr").open("w") as errors:
        async with Client(stdio_client(start, errlog=errors)) as client:
            yield client
    assert (folder / "stderr").read_text() == ""


@asynccontextmanager
async def over_http(node: RealNode, query: str = "", **headers: str) -> AsyncIterator[Client]:
    """The SDK's client at /mcp; header names are given with underscores."""
    host, port = node.agent
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    if node.api_key:
        sent.setdefault("x-api-key", node.api_key)
    async with httpx2.AsyncClient(headers=sent) as http_client:
        url = f"http://{host}:{port}/mcp{query}"
        async with Client(streamable_http_client(url, http_client=http_client)) as client:
            yield client


async def ask(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refused(client: Client, name: str, **arguments: Any) -> Any:
    result = await client.call_tool(name, arguments)
    assert result.is_error, result.content
    return result.structured_content


async def test_the_printed_entry_starts_a_server_that_inherits_nothing(
    node: RealNode, tmp_path: Path
) -> None:
    async with spawned(entry(node), tmp_path) as client:
        stored = await ask(client, "memory_store", title="Harbour", content="the ferry is at nine")
        assert stored["agent_id"] == "ai:claude-code"
        recalled = await ask(client, "memory_recall", context="when does the ferry leave?")
        assert recalled["memories"][0]["id"] == stored["id"]
        found = await ask(client, "memory_search", query="ferry nine")
        assert [one["id"] for one in found["results"]] == [stored["id"]]
    assert node.get(stored["id"])["content"] == "the ferry is at nine"


async def test_a_server_outlives_its_node(node: RealNode, tmp_path: Path) -> None:
    server = entry(node, "zed", "--profile", "full")
    node.stop()
    async with spawned(server, tmp_path) as client:
        gone = await refused(client, "memory_stats")
        assert gone["error"] == "unreachable"
        assert "mnemesh serve" in gone["detail"]
        node.start()
        until(node.ready, "ready again", seen=node.tail)
        assert (await ask(client, "memory_stats"))["total"] == 0
        node.stop()
        assert (await refused(client, "memory_stats"))["error"] == "unreachable"
        node.start()
        until(node.ready, "ready a third time", seen=node.tail)
        await ask(client, "memory_store", title="t", content="c")


def bound(node: RealNode, agent: str) -> None:
    """Make a key for an agent beside the node and bind it."""
    keys = Identities(node.data_dir / "keys" / FOLDER)
    public = keys.generate(agent, os.urandom, force=False).public_key
    body = {
        "agent_id": agent,
        "agent_type": "system",
        "public_key": base64.b64encode(public).decode(),
    }
    node.tell("POST", "/agents", body, x_agent_id=agent)


async def test_an_agent_that_has_bound_a_key_signs_over_stdio(
    node: RealNode, tmp_path: Path
) -> None:
    bound(node, "ai:signer")
    over = {"x_agent_id": "ai:signer"}
    async with over_http(node, **over) as client:
        unsigned = await refused(client, "memory_store", title="t", content="c")
        assert unsigned["error"] == "agent_signature_missing"
        assert "stdio" in unsigned["fix"]
    server = entry(node, "zed", "--agent-id", "ai:signer")
    async with spawned(server, tmp_path) as client:
        stored = await ask(client, "memory_store", title="t", content="c")
        assert stored["agent_id"] == "ai:signer"


def post(node: RealNode, **headers: str) -> tuple[int, Any]:
    """Open a session with exactly these headers beside the usual ones."""
    connection = http.client.HTTPConnection(*node.agent, timeout=15)
    sent = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    sent |= {name.replace("_", "-"): text for name, text in headers.items()}
    try:
        connection.request("POST", "/mcp", body=json.dumps(INITIALIZE), headers=sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


async def test_the_key_opens_mcp_and_nothing_else_does(node: RealNode) -> None:
    async with over_http(node, "?profile=full", x_agent_id="ai:web") as client:
        stored = await ask(client, "memory_store", title="t", content="c", tags=["x"])
        assert stored["agent_id"] == "ai:web"
        assert (await ask(client, "memory_list", tags=["x"]))["count"] == 1
        other = await ask(client, "memory_store", title="u", content="d")
        await ask(client, "memory_link", source_id=stored["id"], target_id=other["id"])
        assert len((await ask(client, "memory_get_links", id=other["id"]))["links"]) == 1
    assert post(node, x_api_key=node.api_key)[0] == 200
    for headers, status, error in (
        ({}, 401, "missing or invalid API key"),
        ({"x_api_key": "wrong"}, 401, "missing or invalid API key"),
        ({"x_api_key": node.api_key, "Origin": "https://evil.example"}, 403, "origin_not_allowed"),
        ({"x_api_key": node.api_key, "Host": "evil.example"}, 403, "host_not_allowed"),
    ):
        seen, body = post(node, **headers)
        assert (seen, body["error"]) == (status, error)


async def test_a_key_that_only_reads_stores_nothing_through_a_tool(node: RealNode) -> None:
    made = told("key", "create", "--role", "agent-reader", "--agent-id", "ai:reader", node=node)
    node.store("there")
    until(lambda: post(node, x_api_key=made["key"])[0] == 200, "the key counts")
    async with over_http(node, x_api_key=made["key"]) as client:
        assert (await ask(client, "memory_list"))["count"] == 1
        told_ = await refused(client, "memory_store", title="t", content="c")
        assert (told_["error"], told_["status"]) == ("role_forbids", 403)
    assert node.tell("GET", "/stats")["total"] == 1


async def test_a_node_with_open_sessions_stops_in_time(node: RealNode) -> None:
    assert post(node, x_api_key=node.api_key)[0] == 200
    assert node.stop() == 0


async def test_one_graph_on_three_nodes(found: Found) -> None:
    first, second, third = nodes = found(3)
    ada = {"name": "Ada", "entityType": "person", "observations": ["wrote notes"]}
    engine = {"name": "Engine", "entityType": "machine", "observations": []}
    works = {"from": "Ada", "to": "Engine", "relationType": "works on"}
    graph = "?profile=knowledge-graph"
    async with over_http(first, graph, x_agent_id="ai:a") as client:
        await ask(client, "create_entities", entities=[ada, engine])
    until_level(nodes)
    async with over_http(second, graph, x_agent_id="ai:b") as client:
        await ask(client, "create_relations", relations=[works])
        said = [{"entityName": "Ada", "contents": ["wrote notes", "died young"]}]
        added = await ask(client, "add_observations", observations=said)
        assert added["results"][0]["addedObservations"] == ["died young"]
    until_level(nodes)
    async with over_http(third, graph) as client:
        assert await ask(client, "read_graph") == {
            "entities": [{**ada, "observations": ["wrote notes", "died young"]}, engine],
            "relations": [works],
        }


async def test_the_file_of_the_reference_server_is_taken_in(node: RealNode, tmp_path: Path) -> None:
    entity = {"type": "entity", "name": "Ada", "entityType": "person", "observations": ["a", "b"]}
    other = {"type": "entity", "name": "Engine", "entityType": "machine", "observations": []}
    works = {"type": "relation", "from": "Ada", "to": "Engine", "relationType": "works on"}
    file = tmp_path / "memory.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in (entity, other, works)))
    first = told("mcp", "import-graph", file, node=node)
    assert (first["entities"], first["observations"], first["relations"]) == (2, 2, 1)
    again = told("mcp", "import-graph", file, node=node)
    assert (again["entities"], again["observations"], again["relations"]) == (0, 0, 0)
    async with spawned(entry(node, "cursor", "--profile", "knowledge-graph"), tmp_path) as client:
        opened = await ask(client, "open_nodes", names=["Ada"])
        assert opened["entities"][0]["observations"] == ["a", "b"]
        assert opened["relations"][0]["to"] == "Engine"
