"""A real HTTP server over a node in memory, with keys, enrolments and nonces of the test."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
from aiohttp import ClientSession, ClientTimeout

from crdt.governance_state import GovernanceState
from crdt.op import Draft
from node.auth.credentials import Credentials
from node.auth.enrolments import Enrolments
from node.auth.keys import KeyRing, KeyWish, key_digest, make_key
from node.auth.nonces import NonceStore
from node.contracts import Caller, Receipt, RetryKey
from node.http import Door, HostRule, Services, build_server
from node.http.services import NothingGoverned
from node.limits import Limits
from node.memory.access import AccessLedger
from node.memory.drafts import DraftRules
from node.memory.memories import Memories
from node.metrics import Metrics
from tests.unit.http.fake_node import FakeMesh, FakeNode
from transport.identity import NodeKey

API = "/api/v1"
NODE_KEY = "the node's own key"
CERT = "ab" * 32
PUSH_BODY = orjson.dumps({"sender_agent_id": "peer-b", "memories": []})
ALICE, BOB, PEER = (NodeKey(bytes([n]) * 32) for n in (1, 2, 3))


class Registered(NothingGoverned):
    """Governance in which only agents are registered."""

    def __init__(self) -> None:
        self.agents: dict[str, dict[str, Any]] = {}

    def state(self) -> GovernanceState:
        return replace(super().state(), agents=self.agents)


class Recording(FakeNode):
    """A node that remembers who wrote."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.callers: list[Caller] = []

    async def write(
        self, drafts: Sequence[Draft], *, caller: Caller, action: str, retry: RetryKey | None = None
    ) -> Receipt:
        self.callers.append(caller)
        return await super().write(drafts, caller=caller, action=action, retry=retry)


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def outcome(self) -> tuple[int, str]:
        return self.status, self.json.get("error", "")


@dataclass
class World:
    """One server and everything behind it; tests change fields before they ask."""

    node: Recording
    nonces: NonceStore
    metrics: Metrics = field(default_factory=Metrics)
    governing: Registered = field(default_factory=Registered)
    ring: KeyRing = field(default_factory=KeyRing)
    enrolments: Enrolments = field(default_factory=Enrolments)
    keys: tuple[bytes, ...] = (key_digest(NODE_KEY),)
    administrators: frozenset[str] = frozenset()
    fingerprint: str | None = CERT
    demands_signature: bool = True
    demands_nonce: bool = True
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    port: int = 0
    session: ClientSession | None = None
    drawn: int = 0

    def bind(self, agent: str, key: NodeKey) -> None:
        """Bind a public key to an agent."""
        self.governing.agents[agent] = {"agent_type": "system", "public_key": key.public}

    def give(self, role: str, **wish: Any) -> str:
        """Make a key and return its text."""

        def entropy(size: int) -> bytes:
            self.drawn += 1
            return self.drawn.to_bytes(size, "big")

        now_ms = self.node.clock.now_ms()
        text, grant = make_key(
            self.ring, KeyWish(role=role, **wish), now_ms=now_ms, entropy=entropy
        )
        self.ring = self.ring.with_key(grant)
        return text

    def credentials(self) -> Credentials:
        """What the face is given; asks this world anew each time."""
        return Credentials(
            key_ring=lambda: self.ring,
            enrolments=lambda: self.enrolments,
            nonces=self.nonces,
            demands_signature=lambda: self.demands_signature,
            demands_nonce=lambda: self.demands_nonce,
        )

    def rejected(self, reason: str) -> float:
        """How many requests were refused for that reason."""
        wanted = f'mnemesh_auth_rejected_total{{reason="{reason}"}} '
        for line in self.metrics.render(process=False).decode().splitlines():
            if line.startswith(wanted):
                return float(line.removeprefix(wanted))
        return 0.0

    async def send(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Reply:
        """Send a request as given, with a key if the test brings none; "" leaves a header out."""
        assert self.session is not None
        given = {"x-api-key": NODE_KEY, **(headers or {})}
        sent = {name: value for name, value in given.items() if value}
        url = f"http://127.0.0.1:{self.port}{path}"
        async with self.session.request(method, url, data=body or None, headers=sent) as response:
            return Reply(response.status, response.headers, await response.read())

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send JSON; header names are given with underscores."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = b"" if body is None else orjson.dumps(body)
        return await self.send(method, f"{API}{path}", data, sent)


@dataclass
class FakeCall:
    """What a handler is given, without the socket."""

    services: Any
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = PUSH_BODY
    peer: str | None = CERT
    method: str = "POST"
    path: str = "/api/v1/sync/push"
    query_text: str = ""

    @property
    def fields(self) -> Any:
        return orjson.loads(self.body)


def peer_call(world: World, headers: dict[str, str], **more: Any) -> Any:
    """A request of a REST peer; "" leaves a header out."""
    kept = {name: value for name, value in headers.items() if value}
    return FakeCall(SimpleNamespace(credentials=world.credentials()), kept, **more)


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[World]:
    """A server that ends with the test."""
    loop = asyncio.get_running_loop()
    node = Recording()
    nonces = NonceStore(folder, post=loop.call_soon_threadsafe, now_ms=node.clock.now_ms)
    world = World(node, nonces)
    rules = DraftRules(limits=Limits(), default_namespace="global", share_private=False)
    drawn = iter(range(1, 1 << 30))
    memories = Memories(
        funnel=node,
        rules=rules,
        now_ms=node.clock.now_ms,
        entropy=lambda size: next(drawn).to_bytes(size, "big"),
    )
    services = Services(
        memories=memories,
        mesh=FakeMesh(),
        limits=Limits(),
        access=AccessLedger(),
        metrics=world.metrics,
        log=lambda event, **facts: world.events.append((event, facts)),
        version="1.2.3",
        protocol_version=1,
        now_ms=node.clock.now_ms,
        monotonic=time.monotonic,
        administrators=lambda: world.administrators,
        store_trouble=lambda: None,
        governing=world.governing,
        credentials=world.credentials(),
    )
    rule = HostRule(bound=["127.0.0.1"], names=[])
    door = Door(
        tls=True,
        hosts=lambda: rule,
        api_keys=lambda: world.keys,
        key_ring=lambda: world.ring,
        peer_allowed=lambda fingerprint: fingerprint in (CERT, "cd" * 32),
        peer_fingerprint=lambda _transport: world.fingerprint,
    )
    server = build_server(services, door, linger_seconds=0.05)
    listener = await loop.create_server(server, "127.0.0.1", 0)
    world.port = listener.sockets[0].getsockname()[1]
    world.session = ClientSession(auto_decompress=False, timeout=ClientTimeout(total=20))
    try:
        yield world
    finally:
        await world.session.close()
        listener.close()
        await server.shutdown(1)
        await listener.wait_closed()
        nonces.close()
