"""A member that has gone bad: real TLS, a real greeting, and then whatever a test wants.

Law: it holds the keys of a node that was stopped, so everything it is refused for is what it
says, not who it is.
"""

import asyncio
import base64
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crdt import messages as m
from crdt.bundle import NO_PREV, Bundle, cluster_hash, seal_bundle
from crdt.dot import GOVERNANCE, Dot, new_actor
from crdt.hlc import stamp_of
from crdt.op import Kind, Op
from node.founding import DEFAULT_CLUSTER
from node.peers.greeting import Genesis, Greeting, encode_greeting
from tests.integration.rig import WAIT_SECONDS, RealNode
from transport.certificate import load_der
from transport.dial import dial
from transport.identity import NodeKey
from transport.link import LinkClosed, LinkLimits
from transport.pinned import ClientTls
from transport.tls import OwnCertificate, Trust
from transport.websocket import WebSocketLink

LIMITS = LinkLimits(frame_bytes_max=64 << 20, message_bytes_max=64 << 20)


def flag(node: RealNode, name: str) -> str:
    return node.flags[node.flags.index(name) + 1]


@dataclass
class Rogue:
    """Speaks with the identity of `worn` to the node `to`.

    Attributes:
        founders: of the mesh, as the greeting names them.
        heard: what the node said, decoded.
        ended: why the link ended, once it has.
    """

    worn: RealNode
    to: RealNode
    founders: Sequence[str]
    cluster: str = DEFAULT_CLUSTER
    heard: list[m.Message] = field(default_factory=list)
    ended: LinkClosed | None = None
    actor: bytes = b""
    heads: tuple[Dot, ...] = ()
    _seq: int = 0
    _prev: bytes = NO_PREV

    def __post_init__(self) -> None:
        self.key = NodeKey.load(self.worn.data_dir / "keys" / "node.key")
        self.actor = new_actor(b"d", int(time.time()), os.urandom(8), self.key.node_id)
        certificate = Path(flag(self.worn, "--tls-cert"))
        self.own = OwnCertificate.load(certificate, Path(flag(self.worn, "--tls-key")))
        theirs = load_der(Path(flag(self.to, "--tls-cert")))
        pins = {self.to.fingerprint: theirs}
        # The governance that everybody knows; an operation that names none has no effect.
        clock = self.to.mesh()["clock"].items()
        known = {base64.urlsafe_b64decode(text): seq for text, seq in clock}
        self.heads = tuple(sorted(Dot(a, n) for a, n in known.items() if a[:1] == GOVERNANCE))
        self.tls = ClientTls.make(self.own, Trust(allowed=frozenset(pins), pins=pins))

    def greeting(self, **changes: Any) -> bytes:
        """The first message; `changes` makes it another one than it should be."""
        fields: dict[str, Any] = {
            "genesis": Genesis(cluster=self.cluster, founders=tuple(self.founders)),
            "key": self.key.public,
            "name": self.worn.name,
            "url": self.worn.url,
            "claim": self.worn.url,
            "process": os.urandom(8),
            "settled": True,
        }
        return encode_greeting(
            Greeting(**{**fields, **changes}),
            self.key.sign,
            own_certificate=self.own.fingerprint,
            peer_certificate=self.to.fingerprint,
        )

    @contextlib.asynccontextmanager
    async def linked(self, greeting: bytes | None = None) -> AsyncIterator[WebSocketLink]:
        """An open link on which both have greeted; hears in the background."""
        async with dial(f"{self.to.url}/api/v1/peer", self.tls, limits=LIMITS, connect_s=5) as link:
            hearing = asyncio.create_task(self._hear(link))
            try:
                await link.send([greeting or self.greeting()])
                yield link
            finally:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)

    async def _hear(self, link: WebSocketLink) -> None:
        greeted = False
        try:
            while True:
                for data in await link.receive():
                    if greeted:
                        self.heard.append(m.decode(data))
                    greeted = True
        except LinkClosed as closed:
            self.ended = closed

    async def settle(self, link: WebSocketLink) -> None:
        """Say a Hello that makes the node ask for what this side mints, and wait for that."""
        await self.until(lambda: any(isinstance(one, m.Hello) for one in self.heard), "a Hello")
        await link.send(
            [m.encode(m.Hello({}, {}, joined=True, now_ms=time.time_ns() // 1_000_000))]
        )
        await self.until(lambda: any(isinstance(one, m.Level) for one in self.heard), "a Level")

    async def until(self, state: Any, what: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not state():
            assert time.monotonic() < deadline, f"{what}; heard {self.heard}, {self.ended}"
            assert self.ended is None or what == "the end", f"{what}: {self.ended}"
            await asyncio.sleep(0.01)

    async def until_ended(self) -> LinkClosed:
        """Wait until the node ends the link."""
        await self.until(lambda: self.ended is not None, "the end")
        assert self.ended is not None
        return self.ended

    def create(self, ident: str, *, ahead_ms: int = 0, kind: Any = Kind.CREATE) -> Op:
        """The next operation of this process: a memory."""
        self._seq += 1
        return Op(
            dot=Dot(self.actor, self._seq),
            kind=kind,
            collection="memory",
            id=ident,
            owner="ai:rogue",
            namespace="global",
            agent="ai:rogue",
            hlc=stamp_of(time.time_ns() // 1_000_000 + ahead_ms),
            heads=self.heads,
            set={"title": f"title of {ident}", "content": "text", "tier": "mid", "rev": 1},
        )

    def seal(self, *ops: Op, cluster: str | None = None, sign: Any = None) -> Bundle:
        """A bundle of these, chained to the last one."""
        made = seal_bundle(
            cluster=cluster_hash(cluster or self.cluster),
            actor=self.actor,
            first=ops[0].dot.seq,
            prev=self._prev,
            ops=ops,
            sign=sign or self.key.sign,
        )
        self._prev = made.hash
        return made
