"""A client of the streaming way in, for tests: one connection, asked from ordinary code."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp

from tests.integration.rig import WAIT_SECONDS, RealNode

Socket = aiohttp.ClientWebSocketResponse
Talk = Callable[[Socket], Awaitable[Any]]


def _small(address: Any) -> socket.socket:
    """A socket whose kernel holds little for who does not read."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    return made


def connected(node: RealNode, talk: Talk, *, agent: str = "ann", **headers: str) -> Any:
    """Open a connection to a node, talk over it, and return what that returns."""
    sent = {"X-Agent-Id": agent, **{name.replace("_", "-"): text for name, text in headers.items()}}
    if node.api_key:
        sent.setdefault("x-api-key", node.api_key)
    host, port = node.agent

    async def run() -> Any:
        url = f"http://{host}:{port}/api/v1/ingest"
        async with (
            asyncio.timeout(WAIT_SECONDS),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=_small)) as session,
            session.ws_connect(url, headers=sent, max_msg_size=0) as opened,
        ):
            return await talk(opened)

    return asyncio.run(run())


async def answers(socket: Socket, count: int) -> dict[str | int, dict[str, Any]]:
    """So many answers, by the `ref` of their messages."""
    found: dict[str | int, dict[str, Any]] = {}
    while len(found) < count:
        for one in json.loads(await socket.receive_str()):
            assert one["ref"] not in found, f"answered twice: {one}"
            found[one["ref"]] = one
    return found


def ingested(
    node: RealNode, messages: Sequence[Any], **options: str
) -> dict[str | int, dict[str, Any]]:
    """Send messages in one go and wait for all their answers."""

    async def talk(socket: Socket) -> dict[str | int, dict[str, Any]]:
        for message in messages:
            await socket.send_str(message if isinstance(message, str) else json.dumps(message))
        return await answers(socket, len(messages))

    told: dict[str | int, dict[str, Any]] = connected(node, talk, **options)
    return told
