"""Real parts put together for the tests of the transport: certificates, a listening server, links.

Law: nothing here is a fake; a test that passes over the rig passed over TLS on loopback. Waiting
is always for a state, with a deadline.
"""

import asyncio
import contextlib
import datetime as dt
import functools
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
import uvloop
from aiohttp import web

from transport.certificate import make_certificate
from transport.dial import dial
from transport.link import LinkLimits
from transport.listener import Listener, ListenerLimits, ListenerTls
from transport.pinned import ClientTls
from transport.refusals import Refusal
from transport.tls import OwnCertificate, Trust, server_context
from transport.websocket import WebSocketLink, accept_link

DEADLINE_S = 10.0
LINK_PATH = "/link"


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test once under asyncio's own loop and once under uvloop."""

    @functools.wraps(test)
    def run(*args: Any, loop_factory: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(asyncio.wait_for(test(*args, **kwargs), 3 * DEADLINE_S))

    signature = inspect.signature(test)
    extra = inspect.Parameter("loop_factory", inspect.Parameter.KEYWORD_ONLY)
    shown: Any = run
    del shown.__wrapped__  # else pytest looks through to the coroutine
    shown.__signature__ = signature.replace(parameters=[*signature.parameters.values(), extra])
    factories = [asyncio.new_event_loop, uvloop.new_event_loop]
    marked: Callable[..., None] = pytest.mark.parametrize(
        "loop_factory", factories, ids=["asyncio", "uvloop"]
    )(shown)
    return marked


@dataclass(frozen=True, kw_only=True)
class Party:
    """Somebody with a certificate on disk."""

    own: OwnCertificate
    der: bytes

    @property
    def fingerprint(self) -> str:
        return self.own.fingerprint


def make_party(
    folder: Path, name: str, *, algorithm: Literal["p256", "ed25519"] = "p256", stem: str = ""
) -> Party:
    stem = stem or name
    made = make_certificate(
        name, ["localhost", "127.0.0.1"], dt.datetime.now(dt.UTC), os.urandom, algorithm=algorithm
    )
    certificate, key = folder / f"{stem}.crt", folder / f"{stem}.key"
    made.save(certificate, key)
    return Party(own=OwnCertificate.load(certificate, key), der=made.der)


def trusting(*parties: Party, known: bool = True) -> Trust:
    pins = {party.fingerprint: party.der for party in parties} if known else {}
    return Trust(allowed=frozenset(party.fingerprint for party in parties), pins=pins)


def client_of(party: Party | None, *trusted: Party, known: bool = True) -> ClientTls:
    return ClientTls.make(party.own if party else None, trusting(*trusted, known=known))


async def until(state: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait until `state()` is true; the loop is yielded to, no time is guessed."""
    async with asyncio.timeout(deadline_s):
        while not state():  # noqa: ASYNC110  # states of a socket's other end set no event
            await asyncio.sleep(0)


@dataclass(kw_only=True)
class Server:
    """A listener that upgrades `/link` and answers all else with the peer's fingerprint."""

    listener: Listener
    party: Party
    trust: Trust
    limits: LinkLimits
    links: list[WebSocketLink] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    learned: list[bytes] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    serve: Callable[[WebSocketLink], Awaitable[None]] | None = None

    @property
    def url(self) -> str:
        host, port = self.listener.addresses[0]
        return f"https://{host}:{port}"

    @property
    def address(self) -> tuple[str, int]:
        return self.listener.addresses[0]

    def tls(self, trust: Trust, *, demand: bool = False) -> ListenerTls:
        context = server_context(
            self.party.own, trust, demand_certificate=demand, on_certificate=self.learned.append
        )
        return ListenerTls(context=context, allowed=trust.allowed)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request.path)
        if request.path != LINK_PATH:
            return web.json_response({"peer": self.listener.peer_of(request.transport)})
        link = await accept_link(
            request, own_fingerprint=self.party.fingerprint, limits=self.limits
        )
        self.links.append(link)
        if self.serve is not None:
            await self.serve(link)
        else:
            await asyncio.get_running_loop().create_future()
        return link.response


@contextlib.asynccontextmanager
async def serving(
    party: Party,
    trust: Trust,
    *,
    demand: bool = False,
    limits: ListenerLimits | None = None,
    link_limits: LinkLimits | None = None,
    serve: Callable[[WebSocketLink], Awaitable[None]] | None = None,
    tls: bool = True,
) -> AsyncIterator[Server]:
    refused: list[Refusal] = []

    def handler(request: web.BaseRequest) -> Any:
        return server.handle(request)

    web_server = web.Server(handler, access_log=None, handler_cancellation=True)
    listener = Listener(
        web_server,
        [("127.0.0.1", 0)],
        tls=None,
        limits=limits,
        on_refused=lambda refusal, _address: refused.append(refusal),
    )
    server = Server(
        listener=listener,
        party=party,
        trust=trust,
        limits=link_limits or LinkLimits(),
        refused=refused,
        serve=serve,
    )
    if tls:
        listener.swap(server.tls(trust, demand=demand))
    await listener.bind()
    running = asyncio.create_task(listener.run())
    try:
        yield server
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await web_server.shutdown(1.0)
        await until(lambda: listener.connections == 0)


@contextlib.asynccontextmanager
async def linked(
    server_party: Party, client_party: Party, limits: LinkLimits | None = None
) -> AsyncIterator[tuple[WebSocketLink, WebSocketLink]]:
    """Give the dialling and the accepting end of one link over TLS."""
    limits = limits or LinkLimits()
    async with (
        serving(server_party, trusting(client_party), link_limits=limits) as server,
        dial(
            f"{server.url}{LINK_PATH}",
            client_of(client_party, server_party),
            limits=limits,
            connect_s=DEADLINE_S,
        ) as link,
    ):
        await until(lambda: server.links)
        yield link, server.links[0]
