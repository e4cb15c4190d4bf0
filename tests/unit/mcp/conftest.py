"""A server over a node in memory, with the tools at /mcp, and the ways to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from node.client import AsyncClient
from node.http.routes import Router
from node.http.table import TABLE
from node.live import Tasks
from node.mcp.face import McpFace
from node.mcp.server import build_server
from node.settings.sections import Mcp
from tests.unit.http.conftest import Started, World, start

__all__ = ["start"]

Served = Callable[..., Awaitable["Tools"]]


@dataclass
class Tools:
    """A node with its tools.

    Attributes:
        world: the node.
        settings: of the section; tests change them before the first request.
    """

    world: World
    settings: Mcp
    clients: list[AsyncClient] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.world.port}"

    def api(self, agent: str = "ai:alice", **options: Any) -> AsyncClient:
        """The node over the network, in the name of an agent."""
        client = AsyncClient(self.url, agent_id=agent, **options)
        self.clients.append(client)
        return client

    def near(self, profile: str = "full", agent: str = "ai:alice") -> Client:
        """The SDK's client, joined to a server of the profile."""
        api = self.api(agent)
        return Client(build_server(profile, lambda _context: api))

    def far(self, query: str = "", mode: Any = "auto", **headers: str) -> Client:
        """The SDK's client, over HTTP; header names are given with underscores."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        http = create_mcp_http_client(headers=sent)
        return Client(streamable_http_client(f"{self.url}/mcp{query}", http_client=http), mode=mode)


@pytest.fixture
async def serve(start: Started) -> AsyncIterator[Served]:
    """Starts a node with tools; keywords are those of `start`, and `settings`."""
    tasks, over, open_ = Tasks(), asyncio.Event(), asyncio.Event()
    every: list[Tools] = []

    async def own() -> None:
        async with asyncio.TaskGroup() as group:
            tasks.open(group)
            open_.set()
            await over.wait()
            tasks.close()

    async def one(*, settings: Mcp = Mcp(), **fields: Any) -> Tools:  # noqa: B008 -- frozen
        face = McpFace(lambda: made.settings, Router(TABLE), tasks.spawn)
        parts = {**fields.pop("parts", {}), "mcp": face}
        made = Tools(await start(parts=parts, **fields), settings)
        every.append(made)
        return made

    owner = asyncio.create_task(own())
    await open_.wait()
    try:
        yield one
    finally:
        for made in every:
            for client in made.clients:
                await client.aclose()
        over.set()
        await owner
