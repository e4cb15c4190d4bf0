"""Addresses a node listens on, with real sockets and real refusals of the system."""

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.unit.transport.rig import on_both_loops, until
from transport.errors import (
    AddressUnavailableError,
    ListenError,
    PlainListenError,
    PortDeniedError,
    PortInUseError,
)
from transport.listener import Listener
from transport.refusals import Refusal
from transport.sockets import open_sockets

pytestmark = pytest.mark.integration


class Echo(asyncio.Protocol):
    """Sends back what it gets."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@contextlib.asynccontextmanager
async def echoing(*addresses: tuple[str, int]) -> AsyncIterator[Listener]:
    listener = Listener(Echo, addresses, tls=None)
    await listener.bind()
    running = asyncio.create_task(listener.run())
    try:
        yield listener
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        await until(lambda: listener.connections == 0)


async def echoed(address: tuple[str, int]) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"hello")
    answer = await reader.readexactly(5)
    writer.close()
    await writer.wait_closed()
    return answer


@on_both_loops
async def test_plain_on_several_loopback_addresses() -> None:
    async with echoing(("127.0.0.1", 0), ("127.0.0.2", 0), ("localhost", 0)) as listener:
        assert len(listener.addresses) >= 3
        for address in listener.addresses:
            assert await echoed(address) == b"hello"
        await until(lambda: listener.connections == 0)


@on_both_loops
async def test_stop_accepting_leaves_open_connections_alone() -> None:
    async with echoing(("127.0.0.1", 0)) as listener:
        address = listener.addresses[0]
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        listener.stop_accepting()

        async def refused() -> bool:
            try:
                _, other = await asyncio.open_connection(*address)
            except ConnectionError:  # refused, or reset in the closing queue
                return True
            other.transport.abort()
            return False

        async with asyncio.timeout(10):
            while not await refused():
                pass
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"
        writer.close()
        await writer.wait_closed()


@on_both_loops
async def test_cancelling_the_listener_ends_everything() -> None:
    async with echoing(("127.0.0.1", 0)) as listener:
        reader, writer = await asyncio.open_connection(*listener.addresses[0])
        await until(lambda: listener.connections == 1)
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""
    writer.transport.abort()


@on_both_loops
@pytest.mark.parametrize("turns", range(8))
async def test_cancelling_at_any_moment_forgets_no_connection(turns: int) -> None:
    listener = Listener(Echo, [("127.0.0.1", 0)], tls=None)
    await listener.bind()
    running = asyncio.create_task(listener.run())
    await asyncio.sleep(0)
    with socket.create_connection(listener.addresses[0]):
        for _ in range(turns):
            await asyncio.sleep(0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await until(lambda: listener.connections == 0)


@on_both_loops
async def test_running_out_of_descriptors_is_counted_and_survived() -> None:
    refused: list[Refusal] = []
    listener = Listener(
        Echo, [("127.0.0.1", 0)], tls=None, on_refused=lambda reason, _: refused.append(reason)
    )
    await listener.bind()
    running = asyncio.create_task(listener.run())
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as client:
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        free = os.dup(client.fileno())
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            await loop.sock_connect(client, listener.addresses[0])
            await until(lambda: refused)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await until(lambda: listener.connections == 1)
        await loop.sock_sendall(client, b"hello")
        assert await loop.sock_recv(client, 5) == b"hello"
    assert set(refused) == {Refusal.DESCRIPTORS_FULL}
    await until(lambda: listener.connections == 0)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@on_both_loops
async def test_a_port_in_use_is_worded_and_nothing_stays_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError, match=rf"127\.0\.0\.1:{port}.*another process"):
            await open_sockets(
                [("127.0.0.3", port), ("127.0.0.1", port)], backlog=1, loopback_only=True
            )
        with socket.create_server(("127.0.0.3", port)):
            pass  # the first one was released


@pytest.mark.skipif(os.geteuid() == 0 or sys.platform != "linux", reason="root may bind every port")
async def test_a_forbidden_port_is_worded() -> None:
    with pytest.raises(PortDeniedError, match="does not permit"):
        await open_sockets([("127.0.0.1", 1)], backlog=1, loopback_only=True)


async def test_an_address_of_another_machine_is_worded() -> None:
    with pytest.raises(AddressUnavailableError, match="no such address"):
        await open_sockets([("192.0.2.1", 0)], backlog=1, loopback_only=False)
    with pytest.raises(AddressUnavailableError, match="does not resolve"):
        await open_sockets([("no-such-host.invalid", 0)], backlog=1, loopback_only=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "*", "", "192.0.2.1"])  # noqa: S104
async def test_plain_http_stays_on_loopback(host: str) -> None:
    with pytest.raises(PlainListenError, match="other machines"):
        await Listener(Echo, [(host, 0)], tls=None).bind()


async def test_a_wildcard_binds_every_family_on_one_port() -> None:
    opened = await open_sockets([("*", 0)], backlog=1, loopback_only=False)
    with contextlib.ExitStack() as stack:
        for sock in opened:
            stack.enter_context(sock)
        assert len({sock.getsockname()[1] for sock in opened}) == 1
        assert opened[0].getsockname()[0] == "0.0.0.0"  # noqa: S104


def test_every_listen_error_is_one_kind() -> None:
    for kind in (PortInUseError, PortDeniedError, AddressUnavailableError, PlainListenError):
        assert issubclass(kind, ListenError)
