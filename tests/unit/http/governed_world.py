"""A server on loopback over a governed node in memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from aiohttp import ClientSession

from node.http import Door, HostRule, HttpServer, Services, build_server
from node.http.streams import OpenStreams
from node.limits import Limits
from node.memory.access import AccessLedger
from node.metrics import Metrics
from tests.unit.governing.rig import Governed
from tests.unit.http.conftest import API, Reply, World
from tests.unit.http.fake_node import FakeMesh, FakeNode


@dataclass
class GovernedWorld(World):
    """A `World` whose node governs.

    Attributes:
        governed: the node.
        streams: what is open.
        server: the server.
    """

    governed: Governed = field(default_factory=Governed)
    streams: OpenStreams = field(default_factory=OpenStreams)
    server: HttpServer | None = None

    async def tell(self, method: str, path: str, body: Any = None, agent: str = "") -> Reply:
        """Like `ask`, below the API, in the name of an agent."""
        headers = {"x_agent_id": agent} if agent else {}
        return await self.ask(method, API + path, body, **headers)

    async def people(self) -> None:
        """Some agents, and a namespace `team` in which writes are held."""
        for agent, kind in (("hana", "human"), ("hugo", "human"), ("bob", "ai:model")):
            reply = await self.tell("POST", "/agents", {"agent_id": agent, "agent_type": kind})
            assert reply.status == 201, reply.body
        reply = await self.tell(
            "POST", "/namespaces/team/standard", {"governance": {"write": "approve"}}, "ann"
        )
        assert reply.status == 201, reply.body

    async def held(self, **fields: Any) -> str:
        """Ask for a memory that has to wait; the id of the action, ready for a path."""
        body = {"title": "t", "content": "c", "namespace": "team", **fields}
        reply = await self.tell("POST", "/memories", body, "bob")
        assert reply.status == 202, reply.body
        return quote(str(reply.json["pending_id"]), safe="")


@asynccontextmanager
async def governed_world(**fields: Any) -> AsyncIterator[GovernedWorld]:
    """A running one; each keyword is a field of it."""
    world = GovernedWorld(FakeNode(), FakeMesh(), Metrics(), [], **fields)
    governed = world.governed
    services = Services(
        memories=governed.memories,
        mesh=world.mesh,
        limits=Limits(),
        access=AccessLedger(),
        metrics=world.metrics,
        log=lambda event, **facts: world.events.append((event, facts)),
        version="1.2.3",
        protocol_version=1,
        now_ms=lambda: governed.node.now_ms,
        monotonic=time.monotonic,
        administrators=lambda: governed.state().admins,
        store_trouble=lambda: None,
        governing=governed,
        approval_times=lambda: governed.times,
        last_seen=governed.seen,
        pending_feed=governed.feed,
        streams=world.streams,
    )
    rule = HostRule(bound=["127.0.0.1"], names=[])
    door = Door(tls=False, hosts=lambda: rule, api_keys=lambda: world.keys)
    world.server = build_server(services, door, linger_seconds=0.05)
    listener = await asyncio.get_running_loop().create_server(world.server, "127.0.0.1", 0)
    world.port = listener.sockets[0].getsockname()[1]
    world.session = ClientSession(auto_decompress=False)
    try:
        yield world
    finally:
        await world.session.close()
        listener.close()
        await world.server.shutdown(1)
        await listener.wait_closed()
