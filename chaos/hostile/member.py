"""An honest member: joins, greets, catches up, is pushed to, and acknowledges what it holds.

Law: it claims what it has, in memory, bundle by bundle, and nothing else. It keeps no records, so
it cannot add a digest up: it says the digest that a node said at the very same clock, and none
where it knows none. One instance is one process: its actors and its memory end with it. It passes
nothing on (Spread), for a mesh that it attacks is small enough to push to all.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio
from nacl.signing import SigningKey

from chaos.hostile import http, wire
from chaos.hostile.link import Link, open_link
from chaos.hostile.minting import Bundle, Dot, Line, Op, OpKind, governance_of, read_bundle
from chaos.hostile.target import Target, Victim, until
from chaos.hostile.websocket import ClosedError
from chaos.hostile.wire import Greeting, Kind, Said

__all__ = ["JoinRefusedError", "Member", "join", "key_in"]

_JOIN_TAG: Final = b"mnemesh-join\0"
_PAGE_BYTES: Final = 512 * 1024


class JoinRefusedError(RuntimeError):
    """A member did not admit it."""


def key_in(folder: Path) -> SigningKey:
    """The node key kept in a folder; made when there is none."""
    path = folder / "node.key"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(bytes(SigningKey.generate()))
    return SigningKey(path.read_bytes())


@dataclass
class Member:
    """A member of the mesh, as one process.

    Attributes:
        clock: what it holds.
        bundles: all of it, in the order in which it came.
        lies: added to every claim (Hello, Ack) that it makes.
        mute: kinds that it does not answer.
        believes: it claims what others show and reads none of it, so it is level at once
            with a mesh of any age; it has only what is pushed to it.
    """

    target: Target
    signing: SigningKey
    cluster: str
    founders: tuple[str, ...]
    process: bytes = field(default_factory=lambda: os.urandom(8))
    clock: dict[bytes, int] = field(default_factory=dict)
    hashes: dict[bytes, bytes] = field(default_factory=dict)
    bundles: list[Bundle] = field(default_factory=list)
    lies: dict[bytes, int] = field(default_factory=dict)
    mute: set[int] = field(default_factory=set)
    ready: bool = False
    believes: bool = False
    skew_ms: int = 0
    _digests: dict[bytes, bytes] = field(default_factory=dict)
    _wants: int = 0

    def __post_init__(self) -> None:
        self.key = bytes(self.signing.verify_key)
        self.node_id = hashlib.sha256(self.key).digest()
        self.rules = self.new_line("g")
        self.line = self.new_line("d")

    def new_line(self, lane: str = "d") -> Line:
        """A line of another actor of this node."""
        space = self.target.namespace
        return Line.fresh(self.cluster, self.signing, self.node_id, lane, space)

    @property
    def heads(self) -> list[Dot]:
        """The governance it has seen."""
        return sorted((actor, n) for actor, n in self.clock.items() if actor[:1] == b"g")

    def greeting(self) -> Greeting:
        """What it says of itself."""
        return Greeting(
            cluster=self.cluster,
            founders=self.founders,
            key=self.key,
            name=self.target.name,
            url=self.target.url,
            claim=f"node:{self.node_id.hex()}",
            process=self.process,
        )

    # --- links ---------------------------------------------------------------------------

    @asynccontextmanager
    async def linked(
        self,
        victim: Victim,
        *,
        greeting: Greeting | None = None,
        honest: bool = True,
        hello: bool = True,
    ) -> AsyncIterator[Link]:
        """A link on which both have greeted.

        Args:
            victim: to whom.
            greeting: another one than its own.
            honest: answer what comes as a member does; else only listen.
            hello: say Hello first.

        Raises:
            ClosedError: it was refused.
        """
        link = await open_link(self.target, victim)
        try:
            said = (greeting or self.greeting()).signed(self.signing, link.own, link.peer)
            await link.greet(said)
            async with trio.open_nursery() as nursery:
                if hello:
                    await link.send(self.hello())
                nursery.start_soon(link.hear, self._take if honest else None)
                try:
                    yield link
                finally:
                    nursery.cancel_scope.cancel()
        finally:
            await link.close()

    def hello(self) -> bytes:
        """Where it stands: the newest thirty days in full, older ones as hashes."""
        groups = self._groups()
        newest = max(groups, default=0)
        hashes = {g: wire.clock_hash(c) for g, c in groups.items() if g != newest}
        at = wire.now_ms() + self.skew_ms
        return wire.message(Kind.HELLO, groups.get(newest, {}), hashes, self.ready, at)

    def _groups(self) -> dict[int, dict[bytes, int]]:
        groups: dict[int, dict[bytes, int]] = {}
        for actor, number in {**self.clock, **self.lies}.items():
            groups.setdefault(wire.group_of(actor), {})[actor] = number
        return groups

    async def follow(self, victim: Victim) -> None:
        """Be a member of that node until cancelled; dials again when the link ends."""
        while True:
            try:
                async with self.linked(victim) as link:
                    await link.wait_ended(float("inf"))
            except (ClosedError, OSError, trio.BrokenResourceError, trio.TooSlowError):
                pass
            await trio.sleep(0.2)

    # --- what comes ----------------------------------------------------------------------

    async def _take(self, link: Link, one: Said) -> None:
        if one.kind in self.mute:
            return
        try:
            await self._answer(link, one)
        except ClosedError as closed:
            link.ended = link.ended or closed

    async def _answer(self, link: Link, one: Said) -> None:  # noqa: C901, PLR0912 - one case a kind
        kind = one.kind
        if kind == Kind.HELLO:
            newest, hashes = one[1], one[2]
            self._believe(newest)
            mine = self._groups()
            unlike = [g for g, h in hashes.items() if wire.clock_hash(mine.get(g, {})) != h]
            if unlike:
                await link.send(wire.message(Kind.ASK, unlike))
            await self._assess(link, newest)
        elif kind == Kind.FULL:
            self._believe(one[2])
            await self._assess(link, one[2])
        elif kind == Kind.ACK:
            self._believe(one[1])
        elif kind == Kind.ASK:
            groups = self._groups()
            clock = {a: n for g in one[1] for a, n in groups.get(g, {}).items()}
            await link.send(wire.message(Kind.FULL, one[1], clock))
        elif kind == Kind.PAGE:
            self._keep_all(one[2])
            await self._acknowledge(link)
            if not one[3] and one[2]:
                await self._want(link)
            else:
                await self._level(link)
        elif kind in {Kind.PUSH, Kind.SPREAD}:
            kept = self._keep(one[1])
            if kept is None:
                await self._want(link)
            else:
                await self._acknowledge(link, {kept.actor: kept.last})
        elif kind == Kind.GAP:
            await self._want(link)
        elif kind == Kind.WANT:
            await self._page(link, one[1], one[2])
        elif kind == Kind.LEVEL:
            await self._push_own(link, one[1])
        elif kind == Kind.BEAT:
            self._digests[one[4]] = one[5]
            await link.send(wire.message(Kind.ECHO, one[1]))

    async def _assess(self, link: Link, row: dict[bytes, int]) -> None:
        if any(self.clock.get(actor, 0) < number for actor, number in row.items()):
            await self._want(link)
        else:
            await self._level(link)

    async def _want(self, link: Link) -> None:
        self._wants += 1
        await link.send(wire.message(Kind.WANT, self._wants, self.clock))

    async def _level(self, link: Link) -> None:
        if not self.ready:
            self._say_ready()
        await link.send(wire.message(Kind.LEVEL, self.clock))

    async def _acknowledge(self, link: Link, entries: dict[bytes, int] | None = None) -> None:
        claimed = {**(self.clock if entries is None else entries), **self.lies}
        digest = self._digests.get(wire.clock_hash(self.clock), b"")
        await link.send(wire.message(Kind.ACK, claimed, digest))

    async def _page(self, link: Link, number: int, clock: dict[bytes, int]) -> None:
        page: list[bytes] = []
        size, last = 0, True
        for bundle in self.bundles:
            if bundle.last > clock.get(bundle.actor, 0):
                if size > _PAGE_BYTES:
                    last = False
                    break
                page.append(bundle.data)
                size += len(bundle.data)
        await link.send(wire.message(Kind.PAGE, number, page, last))

    async def _push_own(self, link: Link, clock: dict[bytes, int]) -> None:
        for bundle in [*self.rules.held, *self.line.held]:
            if bundle.last > clock.get(bundle.actor, 0):
                await link.send(wire.message(Kind.PUSH, bundle.data))

    def _believe(self, row: dict[bytes, int]) -> None:
        if self.believes:
            for actor, number in row.items():
                if self.clock.get(actor, 0) < number:
                    self.clock[actor] = number
                    self.hashes.pop(actor, None)

    # --- what it holds -------------------------------------------------------------------

    def _keep_all(self, found: list[bytes]) -> None:
        for data in found:
            self._keep(data)

    def _keep(self, data: bytes) -> Bundle | None:
        """Keep a bundle that is the next of its actor; None when something lies between."""
        bundle = read_bundle(data, self.cluster)
        at = self.clock.get(bundle.actor, 0)
        if bundle.last <= at:
            return bundle
        hashed = self.hashes.get(bundle.actor, bytes(32))
        if not self.believes and (bundle.first != at + 1 or bundle.prev != hashed):
            return None
        self.clock[bundle.actor] = bundle.last
        self.hashes[bundle.actor] = bundle.hash
        self.bundles.append(bundle)
        return bundle

    def mint(self, line: Line, *ops: Op, **lies: Any) -> Bundle:
        """Seal operations and hold them as a member does."""
        made = line.seal(*ops, **lies)
        self._keep(made.data)
        return made

    def _say_ready(self) -> None:
        """Caught up: say so in governance, once, naming the operations that added it."""
        self.ready = True
        adds, ready = [], False
        for bundle in self.bundles:
            if bundle.actor[:1] != b"g":
                continue
            for dot, row in governance_of(bundle):
                if row[0] in {OpKind.ADD, OpKind.FOUND} and row[8].get("node") == self.node_id:
                    adds.append(dot)
                ready |= row[0] == OpKind.READY and wire.node_of(dot[0]) == self.node_id
        if adds and not ready:
            op = Op(
                kind=OpKind.READY,
                collection="",
                id=self.node_id.hex(),
                owner="",
                namespace="",
                stamp=wire.now_ms() << 16,
                births=adds,
                heads=self.heads,
            )
            self.mint(self.rules, op)


async def join(target: Target, signing: SigningKey | None = None) -> Member:
    """Become a member of the mesh by way of the first victim that admits it.

    Raises:
        JoinRefusedError: nobody did.
    """
    signing = signing or key_in(target.papers.folder)
    why = "there is no node"
    for victim in target.victims:
        own, peer = target.papers.member.fingerprint, victim.fingerprint
        proof = signing.sign(_JOIN_TAG + bytes.fromhex(own) + bytes.fromhex(peer)).signature
        body = {
            "name": target.name,
            "url": target.url,
            "public_key": bytes(signing.verify_key).hex(),
            "proof": proof.hex(),
            "fingerprint": own,
        }
        try:
            stream = await target.dial(victim)
            async with stream:
                answer = await http.ask(stream, victim.host, "POST", "/api/v1/mesh/join", body)
        except (OSError, trio.BrokenResourceError, http.BadAnswerError) as error:
            why = str(error)
            continue
        told = answer.json()
        if answer.status == 200:
            genesis = told["genesis"]
            member = Member(target, signing, genesis["cluster"], tuple(genesis["founders"]))
            target.member = member
            return member
        why = f"{answer.status} {told}"
    raise JoinRefusedError(why)


async def until_counted(target: Target, seconds: float = 20.0) -> bool:
    """Wait until every victim counts the member; for use while it follows them."""

    async def counted() -> bool:
        for victim in target.victims:
            members = (await victim.mesh()).get("members", [])
            if not any(m["name"] == target.name and m["state"] == "ready" for m in members):
                return False
        return True

    return await until(counted, seconds)
