"""A real HTTP server on loopback over a node in memory, and a client that talks to it."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from crdt.document.model import DocumentLimits
from crdt.view import NothingPending
from node.documents.documents import Documents
from node.documents.pen import Pen
from node.documents.shelf import Shelf
from node.foreign.exchange import Foreign
from node.foreign.memory import BriefMemory
from node.foreign.side import here_of
from node.foreign.sight import Sight
from node.http import Door, HostRule, HttpServer, Services, build_server
from node.lifecycle.sweeping import SweepRules
from node.limits import Limits
from node.memory.access import AccessLedger
from node.memory.census import PrivateCensus
from node.memory.drafts import DraftRules
from node.memory.memories import Memories
from node.metrics import Metrics
from tests.unit.http.fake_node import FakeMesh, FakeNode

API = "/api/v1"


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class World:
    """One server and everything behind it; tests change fields before they ask."""

    node: FakeNode
    mesh: FakeMesh
    metrics: Metrics
    events: list[tuple[str, dict[str, Any]]]
    port: int = 0
    keys: tuple[bytes, ...] = ()
    administrators: frozenset[str] = frozenset()
    trouble: str | None = None
    fingerprint: str | None = None
    allowed: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    document_limits: DocumentLimits | None = None
    session: ClientSession | None = None
    server: HttpServer | None = None
    parts: dict[str, Any] = field(default_factory=dict)
    """Further fields of `Services`."""

    async def ask(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str
    ) -> Reply:
        """Send a request; header names are given with underscores."""
        assert self.session is not None
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw if raw is not None else b"" if body is None else orjson.dumps(body)
        if data:
            sent.setdefault("Content-Type", "application/json")
            sent["Content-Length"] = str(len(data))
        url = f"http://127.0.0.1:{self.port}{path}"
        stream = io.BytesIO(data) if data else None
        async with self.session.request(method, url, data=stream, headers=sent) as response:
            return Reply(response.status, response.headers, await response.read())

    async def store(self, title: str = "A title", **fields: Any) -> dict[str, Any]:
        """Create a memory and expect that to work."""
        agent = fields.pop("agent", "ai:alice")
        body = {"title": title, "content": "Some content", **fields}
        reply = await self.ask("POST", f"{API}/memories", body, x_agent_id=agent)
        assert reply.status == 201, reply.body
        result: dict[str, Any] = reply.json
        return result

    async def talk(self, data: bytes) -> bytes:
        """Send raw bytes and read until the server ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        try:
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()


Started = Callable[..., Any]


def foreign_over(node: FakeNode, services: Services) -> Foreign:
    """The exchange with foreign peers over a node in memory."""
    here = here_of(services, Sight(node.records.get, NothingPending), BriefMemory())
    return Foreign(
        here=here,
        mesh=services.mesh,
        is_own=lambda _fingerprint: False,
        items_max=services.limits.bulk_items_max,
        metrics=services.metrics,
    )


def census_over(node: FakeNode) -> PrivateCensus:
    """What the figures of a node in memory leave out."""

    def scan() -> Iterator[str]:
        reader = node.reader()
        for listed in (reader.recent(), reader.archive()):
            yield from (held.id for held in listed)

    return PrivateCensus(node.reader, scan, node.clock.now_ms)


def listener_door(world: "World", *, tls: bool, accept_peer: Any) -> Door:
    """The listener of a world, as its fields say."""
    rule = HostRule(bound=["127.0.0.1"], names=["node-a.example"])
    return Door(
        tls=tls,
        hosts=lambda: rule,
        api_keys=lambda: world.keys,
        peer_allowed=lambda fingerprint: fingerprint in world.allowed,
        peer_fingerprint=lambda _transport: world.fingerprint,
        accept_peer=accept_peer,
    )


def counted_entropy() -> Callable[[int], bytes]:
    """Bytes that are never twice the same, and the same in every run."""
    drawn = iter(range(1, 1 << 20))
    return lambda size: next(drawn).to_bytes(size, "big")


@pytest.fixture
async def start() -> AsyncIterator[Started]:
    """Starts servers; each keyword is a field of `World`, or `tls`, `accept_peer`."""
    stack: list[Callable[[], Any]] = []

    async def start_one(
        *,
        tls: bool = False,
        accept_peer: Any = None,
        share_private: bool = False,
        archive_on_delete: bool = False,
        direct: bool = True,
        sweep: SweepRules | None = None,
        **fields: Any,
    ) -> World:
        world = World(FakeNode(), FakeMesh(), Metrics(), [])
        for name, value in fields.items():
            setattr(world, name, value)
        entropy = counted_entropy()
        world.node.shelf = Shelf(limits=world.document_limits)
        pen = Pen(world.node.shelf, entropy=entropy, now_ms=world.node.clock.now_ms)
        rules = DraftRules(
            limits=world.limits,
            default_namespace="global",
            share_private=share_private,
            archive_on_delete=archive_on_delete,
            documents=pen,
        )
        memories = Memories(
            funnel=world.node, rules=rules, now_ms=world.node.clock.now_ms, entropy=entropy
        )
        services = Services(
            memories=memories,
            documents=Documents(memories, pen),
            mesh=world.mesh,
            limits=world.limits,
            access=AccessLedger(),
            metrics=world.metrics,
            log=lambda event, **facts: world.events.append((event, facts)),
            version="1.2.3",
            protocol_version=1,
            now_ms=world.node.clock.now_ms,
            monotonic=time.monotonic,
            administrators=lambda: world.administrators,
            store_trouble=lambda: world.trouble,
            sweep_rules=sweep or SweepRules(),
            census=census_over(world.node),
        )
        services = replace(services, foreign=foreign_over(world.node, services), **world.parts)
        door = listener_door(world, tls=tls, accept_peer=accept_peer)
        world.server = server = build_server(services, door, linger_seconds=0.05, direct=direct)
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        world.port = listener.sockets[0].getsockname()[1]
        world.session = ClientSession(auto_decompress=False)

        async def stop() -> None:
            await world.session.close()
            listener.close()
            server.pre_shutdown()  # who idles is not waited for
            await server.shutdown(1)
            await listener.wait_closed()

        stack.append(stop)
        return world

    yield start_one
    for stop in reversed(stack):
        await stop()


@pytest.fixture
async def world(start: Started) -> World:
    """A server with ordinary settings."""
    result: World = await start()
    return result


def with_limits(**changes: int) -> Limits:
    """The usual limits with some changed."""
    return replace(Limits(), **changes)
