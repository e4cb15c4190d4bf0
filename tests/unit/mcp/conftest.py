"""A server over a node in memory, with the tools at /mcp, and the ways to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from node.client.errors import api_error
from node.http.routes import Router
from node.http.table import TABLE
from node.live import Tasks
from node.mcp.face import McpFace
from node.mcp.server import build_server
from node.settings.sections import Mcp
from tests.unit.http.conftest import Started, World, start

__all__ = ["start"]

Served = Callable[..., Awaitable["Tools"]]


@dataclass(frozen=True)
class Asked:
    """An `Api` over the network, without the memory of causal tokens that a client has."""

    world: World
    agent: str

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        target = f"{path}?{urlencode(params)}" if params else path
        headers = {"x_agent_id": self.agent}
        if idempotency_key:
            headers["idempotency_key"] = idempotency_key
        reply = await self.world.ask(method, target, body, **headers)
        if reply.status >= 400:
            raise api_error(reply.status, reply.json)
        answer: dict[str, Any] = reply.json
        return answer


@dataclass
class Tools:
    """A node with its tools.

    Attributes:
        world: the node.
        settings: of the section; tests change them before the first request.
        anonymous: whether programs that name nobody stay nameless.
    """

    world: World
    settings: Mcp
    anonymous: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.world.port}"

    def api(self, agent: str = "ai:alice") -> Asked:
        """The node over the network, in the name of an agent."""
        return Asked(self.world, agent)

    def near(self, profile: str = "full", agent: str = "ai:alice") -> Client:
        """The SDK's client, joined to a server of the profile."""
        api = self.api(agent)
        return Client(build_server(profile, lambda _context: api))

    @asynccontextmanager
    async def far(
        self, query: str = "", mode: Any = "auto", **headers: str
    ) -> AsyncIterator[Client]:
        """The SDK's client, over HTTP; header names are given with underscores."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        async with httpx2.AsyncClient(headers=sent) as http:
            over = streamable_http_client(f"{self.url}/mcp{query}", http_client=http)
            async with Client(over, mode=mode) as client:
                yield client


@pytest.fixture
async def serve(start: Started) -> AsyncIterator[Served]:
    """Starts a node with tools; keywords are those of `start`, and `settings`."""
    tasks, over, open_ = Tasks(), asyncio.Event(), asyncio.Event()

    async def own() -> None:
        async with asyncio.TaskGroup() as group:
            tasks.open(group)
            open_.set()
            await over.wait()
            tasks.close()

    async def one(*, settings: Mcp = Mcp(), **fields: Any) -> Tools:  # noqa: B008 -- frozen
        face = McpFace(lambda: made.settings, Router(TABLE), tasks.spawn, lambda: made.anonymous)
        parts = {**fields.pop("parts", {}), "mcp": face}
        made = Tools(await start(parts=parts, **fields), settings)
        return made

    owner = asyncio.create_task(own())
    await open_.wait()
    try:
        yield one
    finally:
        over.set()
        await owner
