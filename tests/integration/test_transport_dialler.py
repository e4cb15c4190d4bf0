"""The dialler and the link's watchfulness, over real sockets."""

import asyncio
import contextlib
import functools
import itertools
import random
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.unit.transport.rig import (
    DEADLINE_S,
    LINK_PATH,
    Party,
    client_of,
    linked,
    make_party,
    on_both_loops,
    serving,
    trusting,
    until,
)
from transport.dial import DialError, DialFailure, dial
from transport.dialler import Dialler, DialTiming
from transport.errors import PeerUrlError
from transport.link import Link, LinkClosed, LinkLimits
from transport.pinned import ClientTls

pytestmark = pytest.mark.integration

QUICK = DialTiming(backoff_min_s=0.01, backoff_max_s=0.05, connect_s=DEADLINE_S)


@pytest.fixture
def alice(tmp_path: Path) -> Party:
    return make_party(tmp_path, "alice")


@pytest.fixture
def bob(tmp_path: Path) -> Party:
    return make_party(tmp_path, "bob")


class Log:
    """What a dialler reported."""

    def __init__(self) -> None:
        self.failures: list[tuple[DialFailure, int]] = []
        self.links: list[Link] = []
        self.ends: list[str] = []

    def fail(self, _url: str, error: DialError, in_a_row: int) -> None:
        self.failures.append((error.reason, in_a_row))

    async def serve(self, _url: str, link: Link) -> float:
        self.links.append(link)
        try:
            while True:
                await link.receive()
        except LinkClosed as end:
            self.ends.append(end.reason)
            raise


@contextlib.asynccontextmanager
async def dialling(
    tls: ClientTls, log: Log, *urls: str, timing: DialTiming = QUICK, **options: Any
) -> AsyncIterator[Dialler]:
    reach = options.pop("reach", {})
    dialler = Dialler(
        tls=tls,
        place=lambda url: f"{reach.get(url, url)}{LINK_PATH}",
        serve=options.pop("serve", log.serve),
        jitter=random.Random(7).random,
        on_failure=log.fail,
        timing=timing,
        **options,
    )
    for url in urls:
        dialler.add(url)
    running = asyncio.create_task(dialler.run())
    try:
        yield dialler
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@on_both_loops
async def test_it_links_and_links_again_after_a_loss(alice: Party, bob: Party) -> None:
    log = Log()
    async with (
        serving(alice, trusting(bob)) as server,
        dialling(client_of(bob, alice), log, server.url) as dialler,
    ):
        await until(lambda: server.links and log.links)
        assert dialler.links == {server.url: log.links[0]}
        server.links[0].abort("dropped")
        await until(lambda: len(server.links) == 2)
        await until(lambda: len(log.links) == 2)
        assert log.ends == ["lost"]
        assert log.failures == []


@on_both_loops
async def test_a_member_is_dialled_the_other_way_and_known_by_what_it_tells(
    alice: Party, bob: Party
) -> None:
    log = Log()
    told = "https://nowhere.invalid:9077"
    async with (
        serving(alice, trusting(bob)) as server,
        dialling(client_of(bob, alice), log, told, reach={told: server.url}) as dialler,
    ):
        await until(lambda: server.links and log.links)
        assert dialler.links == {told: log.links[0]}


@on_both_loops
async def test_failures_in_a_row_are_counted_until_a_link_comes_about(
    alice: Party, bob: Party
) -> None:
    log = Log()
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    url = f"https://127.0.0.1:{port}"
    async with dialling(client_of(bob, alice), log, url):
        await until(lambda: len(log.failures) >= 3)
        assert log.failures[:3] == [(DialFailure.UNREACHABLE, n) for n in (1, 2, 3)]


def linked_times(log: Log, times: int) -> bool:
    return len(log.links) == times


@on_both_loops
async def test_a_nudge_cuts_the_pause_short(alice: Party, bob: Party) -> None:
    log = Log()
    timing = DialTiming(backoff_min_s=0.01, backoff_max_s=3600.0, connect_s=DEADLINE_S)

    async def hold(_url: str, link: Link) -> float:
        log.links.append(link)
        return 3600.0

    async with (
        serving(alice, trusting(bob)) as server,
        dialling(client_of(bob, alice), log, server.url, timing=timing, serve=hold) as dialler,
    ):
        for number in range(1, 4):
            await until(functools.partial(linked_times, log, number))
            await until(lambda: dialler.links[server.url] is None)
            dialler.nudge(server.url)


@on_both_loops
async def test_a_peer_that_only_takes_the_call_does_not_set_the_pace(
    alice: Party, bob: Party
) -> None:
    log = Log()
    pauses: list[float] = []

    def jitter() -> float:
        pauses.append(asyncio.get_running_loop().time())
        return 0.5

    async def drop(link: Any) -> None:
        link.abort("go away")

    async with serving(alice, trusting(bob), serve=drop) as server:
        dialler = Dialler(
            tls=client_of(bob, alice),
            place=lambda url: f"{url}{LINK_PATH}",
            serve=log.serve,
            jitter=jitter,
            on_failure=log.fail,
            timing=DialTiming(backoff_min_s=0.02, backoff_max_s=0.2),
        )
        dialler.add(server.url)
        running = asyncio.create_task(dialler.run())
        await until(lambda: len(pauses) >= 6)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    gaps = [after - before for before, after in itertools.pairwise(pauses)]
    assert gaps[4] >= 0.14  # 0.2 s, half jittered
    assert gaps[0] < gaps[2] < gaps[4]


@on_both_loops
async def test_a_peer_taken_off_the_list_loses_its_link(
    alice: Party, bob: Party, tmp_path: Path
) -> None:
    carol, log = make_party(tmp_path, "carol"), Log()
    async with (
        serving(alice, trusting(bob)) as server,
        dialling(client_of(bob, alice), log, server.url) as dialler,
    ):
        await until(lambda: log.links)
        assert dialler.swap(client_of(bob, carol)) == 1
        await until(lambda: log.failures)
        assert log.ends == ["closed_by_us"]
        assert log.failures[0] == (DialFailure.NOT_ALLOWLISTED, 1)
        assert dialler.swap(client_of(bob, alice)) == 0
        await until(lambda: len(log.links) == 2)


@on_both_loops
async def test_removing_a_url_ends_its_link_and_its_dials(alice: Party, bob: Party) -> None:
    log = Log()
    async with (
        serving(alice, trusting(bob)) as server,
        dialling(client_of(bob, alice), log, server.url) as dialler,
    ):
        dialler.add(server.url + "/")  # the same URL again
        await until(lambda: log.links)
        dialler.remove(server.url)
        dialler.remove(server.url)
        await until(lambda: server.listener.connections == 0)
        assert dialler.links == {}
        dialler.add(server.url)
        await until(lambda: len(log.links) == 2)


@on_both_loops
async def test_a_bug_above_is_not_swallowed(alice: Party, bob: Party) -> None:
    async def broken(_url: str, _link: Link) -> float:
        raise ZeroDivisionError

    async with serving(alice, trusting(bob)) as server:
        dialler = Dialler(
            tls=client_of(bob, alice),
            place=lambda url: f"{url}{LINK_PATH}",
            serve=broken,
            jitter=random.Random(7).random,
            on_failure=Log().fail,
        )
        dialler.add(server.url)
        with pytest.raises(ExceptionGroup) as caught:
            await dialler.run()
        assert caught.group_contains(ZeroDivisionError)


@on_both_loops
async def test_an_unknown_but_allowed_server_is_learned(alice: Party, bob: Party) -> None:
    log, learned = Log(), list[bytes]()
    async with (
        serving(alice, trusting(bob)) as server,
        dialling(
            client_of(bob, alice, known=False), log, server.url, on_certificate=learned.append
        ),
    ):
        await until(lambda: log.links)
        assert learned == [alice.der]


async def failure(url: str, tls: ClientTls, connect_s: float = DEADLINE_S) -> DialError:
    with pytest.raises(DialError) as caught:
        async with dial(url, tls, limits=LinkLimits(), connect_s=connect_s):
            pass
    return caught.value


@on_both_loops
async def test_every_refusal_has_its_reason(alice: Party, bob: Party) -> None:
    tls = client_of(bob, alice)
    async with serving(alice, trusting(bob)) as server:
        answered = await failure(f"{server.url}/elsewhere", tls)
        assert (answered.reason, answered.status) == (DialFailure.UPGRADE, 200)
    async with serving(alice, trusting(), tls=False) as server:
        plain = await failure(f"{server.url}{LINK_PATH}", tls)
        assert plain.reason is DialFailure.NOT_TLS
        assert server.requests == []
    unresolved = await failure("https://no-such-host.invalid:1", tls)
    assert unresolved.reason is DialFailure.UNRESOLVED
    with socket.create_server(("127.0.0.1", 0)) as mute:
        silent = await failure(f"https://127.0.0.1:{mute.getsockname()[1]}", tls, 0.1)
        assert silent.reason is DialFailure.TIMEOUT


@pytest.mark.parametrize(
    "url",
    [
        "http://a:1",
        "a:1",
        "https://",
        "https://a:1/path",
        "https://a:1?x=1",
        "https://me@a:1",
        "https://a:99999",
        "wss://a:1",
        "",
    ],
)
async def test_a_bad_peer_url_is_refused_when_it_is_added(
    alice: Party, bob: Party, url: str
) -> None:
    async with dialling(client_of(bob, alice), Log()) as dialler:
        with pytest.raises(PeerUrlError, match="expected https://host:port"):
            dialler.add(url)


@contextlib.asynccontextmanager
async def stallable(
    address: tuple[str, int],
) -> AsyncIterator[tuple[tuple[str, int], Callable[[], None]]]:
    """Relay bytes to `address` until told to stall; the connections then stay open and mute."""
    flowing = asyncio.Event()
    flowing.set()
    writers: list[asyncio.StreamWriter] = []

    async def one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_connection(*address)
        writers.extend((writer, back_writer))
        await asyncio.gather(one_way(reader, back_writer), one_way(back_reader, writer))

    front = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield front.sockets[0].getsockname()[:2], flowing.clear
    finally:
        front.close()
        flowing.set()
        for writer in writers:
            writer.transport.abort()
        await until(lambda: all(writer.transport.is_closing() for writer in writers))


@on_both_loops
async def test_a_peer_that_falls_silent_loses_the_link_on_both_sides(
    alice: Party, bob: Party
) -> None:
    limits = LinkLimits(heartbeat_s=0.5, close_s=0.1)
    async with (
        serving(alice, trusting(bob), link_limits=limits) as server,
        stallable(server.address) as ((host, port), stall),
        dial(
            f"https://{host}:{port}{LINK_PATH}",
            client_of(bob, alice),
            limits=limits,
            connect_s=DEADLINE_S,
        ) as link,
    ):
        await until(lambda: server.links)
        accepted = server.links[0]
        await link.send([b"before"])
        assert await accepted.receive() == [b"before"]
        stall()
        for end in (link, accepted):
            with pytest.raises(LinkClosed) as caught:
                await end.receive()
            assert caught.value.reason in {"silent", "lost"}


@on_both_loops
async def test_an_idle_link_lives_on_heartbeats(alice: Party, bob: Party) -> None:
    limits = LinkLimits(heartbeat_s=1.0)  # asked after 1 s, lost after 1.5 s without an answer
    async with linked(alice, bob, limits) as (dialled, accepted):
        with pytest.raises(TimeoutError):
            await asyncio.gather(
                asyncio.wait_for(dialled.receive(), 1.8), asyncio.wait_for(accepted.receive(), 1.8)
            )
        await dialled.send([b"alive"])
        assert await accepted.receive() == [b"alive"]


@on_both_loops
async def test_text_messages_end_the_link(alice: Party, bob: Party) -> None:
    async with linked(alice, bob) as (dialled, accepted):
        assert isinstance(dialled._socket, aiohttp.ClientWebSocketResponse)
        await dialled._socket.send_str("hello")
        with pytest.raises(LinkClosed) as here:
            await asyncio.gather(accepted.receive(), dialled.receive())
        assert here.value.reason in {"text_frame", "closed_by_peer"}
        with pytest.raises(LinkClosed) as there:
            await accepted.receive()
        assert there.value.reason == "text_frame"


@on_both_loops
async def test_links_are_not_compressed(alice: Party, bob: Party) -> None:
    async with linked(alice, bob) as (dialled, accepted):
        assert isinstance(dialled._socket, aiohttp.ClientWebSocketResponse)
        assert not dialled._socket.compress
        assert isinstance(accepted.response, web.WebSocketResponse)
        assert not accepted.response.compress
        with pytest.raises(TypeError):
            _ = dialled.response


@on_both_loops
@pytest.mark.parametrize("side", [0, 1], ids=["dialled", "accepted"])
async def test_a_ping_that_cannot_be_answered_ends_the_link(
    alice: Party, bob: Party, side: int
) -> None:
    """A process that stood still wakes up to pings, and to a connection that is over."""
    async with linked(alice, bob) as pair:
        asked, other = pair[side], pair[1 - side]
        await other._socket.ping()
        await until(lambda: asked._socket._reader._buffer)
        asked._transport.close()
        with pytest.raises(LinkClosed) as over:
            await asked.receive()
        assert over.value.reason == "lost"
