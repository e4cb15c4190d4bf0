"""A descriptor has one owner: a loop that keeps its own handles shares none with Python.

Law: two owners of one number both close it, the second one when the number already names another
connection. A campaign ended a node that way. Every socket object of Python's is watched from its
making on; over uvloop none may hold a descriptor that the loop has a handle for.
"""

import asyncio
import contextlib
import socket
import weakref
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import uvloop

from tests.unit.transport.rig import (
    DEADLINE_S,
    LINK_PATH,
    Party,
    Server,
    client_of,
    make_party,
    serving,
    trusting,
    until,
)
from transport.dial import dial
from transport.link import LinkLimits
from transport.pinned import ClientTls, pinned_session

pytestmark = pytest.mark.integration


class Objects:
    """Socket objects that Python holds, by who made them."""

    def __init__(self) -> None:
        self.made: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self.accepted: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        real = socket.socket.__init__

        def init(this: socket.socket, *args: Any, **options: Any) -> None:
            real(this, *args, **options)
            old = options.get("fileno", args[3] if len(args) > 3 else None)
            (self.made if old is None else self.accepted).add(this)

        patch.setattr(socket.socket, "__init__", init)

    @staticmethod
    def open(among: "weakref.WeakSet[socket.socket]") -> list[int]:
        """Descriptors of those that have one and are of the network."""
        alive = [one for one in among if one.family == socket.AF_INET]
        return [one.fileno() for one in alive if one.fileno() >= 0 and not _listens(one)]


def _listens(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Objects:
    watched = Objects()
    watched.watch(monkeypatch)
    return watched


@pytest.fixture
def parties(tmp_path: Path) -> tuple[Party, Party]:
    return make_party(tmp_path, "alice"), make_party(tmp_path, "bob")


def play(story: Any) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(story, 3 * DEADLINE_S))


async def ask(server: Server, tls: ClientTls) -> None:
    async with pinned_session(tls) as session, session.get(server.url) as response:
        await response.read()


def linked_to(server: Server, tls: ClientTls) -> Any:
    return dial(f"{server.url}{LINK_PATH}", tls, limits=LinkLimits(), connect_s=DEADLINE_S)


def test_a_dial_that_is_given_up_at_any_moment_leaves_no_second_owner(
    objects: Objects, parties: tuple[Party, Party]
) -> None:
    alice, bob = parties
    through: list[int] = []

    async def story() -> None:
        async with serving(alice, trusting(bob)) as server:
            tls = client_of(bob, alice)
            for turns in range(0, 60, 3):
                dialling = asyncio.ensure_future(ask(server, tls))
                for _ in range(turns):
                    await asyncio.sleep(0)
                    assert objects.open(objects.made) == [], f"while it dials, {turns} turns"
                if dialling.done():
                    through.append(turns)
                dialling.cancel()
                with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
                    await dialling
                assert objects.open(objects.made) == [], f"given up after {turns} turns"
            await ask(server, tls)
            assert objects.open(objects.made) == []
            await until(lambda: server.listener.connections == 0)
            await until(lambda: objects.open(objects.accepted) == [])

    play(story())
    assert len(through) < 20, "some were given up in the middle"


def test_an_accepted_connection_belongs_to_the_loop_alone(
    objects: Objects, parties: tuple[Party, Party]
) -> None:
    alice, bob = parties

    async def story() -> None:
        async with serving(alice, trusting(bob)) as server, aiohttp.ClientSession() as plain:
            tls = client_of(bob, alice)
            async with linked_to(server, tls) as link:
                await until(lambda: server.links)
                assert server.listener.connections == 1
                assert objects.open(objects.accepted) == []
                await link.send([b"it works"])
                assert await server.links[0].receive() == [b"it works"]
            with pytest.raises(aiohttp.ClientError):
                await plain.get(server.url)  # a handshake that fails
            await until(lambda: objects.open(objects.accepted) == [])

    play(story())
