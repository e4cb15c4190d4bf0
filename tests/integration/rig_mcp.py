"""The tools at /mcp, spoken to by hand: JSON-RPC over plain HTTP requests.

Law: nothing of the SDK is used here, so a test may send what no well-behaved client would.
"""

import http.client
import json
from typing import Any

from tests.integration.rig import RealNode, Reply

ACCEPT = "application/json, text/event-stream"
VERSION = "2025-06-18"


def posted(
    node: RealNode, message: Any, *, method: str = "POST", path: str = "/mcp", **headers: str
) -> Reply:
    """One request at /mcp; header names are given with underscores."""
    sent = {name.replace("_", "-"): text for name, text in headers.items()}
    sent = {"content-type": "application/json", "accept": ACCEPT, **sent}
    if node.api_key:
        sent.setdefault("x-api-key", node.api_key)
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    connection = http.client.HTTPConnection(*node.agent, timeout=30)
    try:
        connection.request(method, path, body=raw, headers=sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        told = {key.lower(): value for key, value in answer.getheaders()}
        body = json.loads(text) if text and "json" in told.get("content-type", "") else text
        return Reply(status=answer.status, headers=told, body=body)
    finally:
        connection.close()


def opened(node: RealNode, *, client: str = "probe", **headers: str) -> dict[str, str]:
    """A session: the headers with which it is spoken to."""
    params = {
        "protocolVersion": VERSION,
        "capabilities": {},
        "clientInfo": {"name": client, "version": "1"},
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    path = headers.pop("path", "/mcp?profile=full")
    reply = posted(node, message, path=path, **headers)
    assert reply.status == 200, reply
    session = {"mcp_session_id": reply.headers["mcp-session-id"], "mcp_protocol_version": VERSION}
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert posted(node, ready, path=path, **headers, **session).status == 202
    return session


def call_of(tool: str, arguments: dict[str, Any], number: int = 2) -> dict[str, Any]:
    """The message that calls a tool."""
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


def called(node: RealNode, tool: str, arguments: dict[str, Any], **headers: str) -> Any:
    """The result of one tool, called in a session of its own."""
    session = opened(node, **headers)
    message = call_of(tool, arguments)
    reply = posted(node, message, path="/mcp?profile=full", **headers, **session)
    assert reply.status == 200, reply
    posted(node, b"", method="DELETE", path="/mcp?profile=full", **headers, **session)
    return reply.body["result"]
