"""What came back is one of three things, and trouble of the network is never an exception."""

import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest
import trio

from chaos.client import Answer, Client, outcome_of
from chaos.network.places import Place

Serves = Callable[[trio.SocketStream, list[bytes]], Awaitable[None]]


def reply(status: int, body: bytes = b"", kind: str = "application/json", more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\ncontent-type: {kind}\r\n{more}\r\n"
    )
    return head.encode() + body


async def request(stream: trio.SocketStream, seen: list[bytes]) -> bytes:
    """Read one request, with its body."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = await stream.receive_some(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(lines.get(b"content-length", 0)):
        body += await stream.receive_some(65536)
    seen.append(head + b"\r\n\r\n" + body)
    return seen[-1]


def says(*replies: bytes) -> Serves:
    left = list(replies)

    async def serve(stream: trio.SocketStream, seen: list[bytes]) -> None:
        while left and await request(stream, seen):
            await stream.send_all(left.pop(0))
        await trio.sleep_forever()

    return serve


def play(
    serve: Serves, story: Callable[[Client, list[bytes]], Awaitable[None]], *, agent: str = "ops:c"
) -> int:
    """Tell a story of one node that serves so; returns how many connections there were."""
    connections = 0

    async def run() -> None:
        seen: list[bytes] = []

        async def each(stream: trio.SocketStream) -> None:
            nonlocal connections
            connections += 1
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await serve(stream, seen)

        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, each, [listener])
            port = listener.socket.getsockname()[1]
            place = Place(name="n1", host="127.0.0.1", port=1, agent_port=port)
            client = Client([place], agent)
            with trio.fail_after(20):
                await story(client, seen)
            client.close()
            nursery.cancel_scope.cancel()

    trio.run(run)
    return connections


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "ok"), (201, "ok"), (202, "ok"), (299, "ok"),
        (400, "fail"), (403, "fail"), (404, "fail"), (409, "fail"), (412, "fail"), (429, "fail"),
        (408, "info"), (500, "info"), (503, "info"), (507, "info"), (0, "info"), (302, "info"),
    ],
)  # fmt: skip
def test_a_status_says_what_became_of_a_write(status: int, outcome: str) -> None:
    assert outcome_of(status) == outcome


def test_an_answer_is_decoded_and_its_connection_kept() -> None:
    async def story(client: Client, seen: list[bytes]) -> None:
        got = await client.ask(0, "POST", "/memories", {"title": "é"}, headers={"If-Match": "1"})
        assert got == Answer(201, {"id": "a"}, got.headers, "ok")
        assert got.headers["etag"] == '"1"'
        head, _, body = seen[0].partition(b"\r\n\r\n")
        assert head.startswith(b"POST /api/v1/memories HTTP/1.1")
        assert b"x-agent-id: ops:c" in head
        assert b"if-match: 1" in head
        assert json.loads(body) == {"title": "é"}
        got = await client.ask(0, "GET", "/livez", headers={"X-Agent-Id": "someone"})
        assert (got.status, got.body, got.outcome) == (200, "fine", "ok")
        assert seen[1].startswith(b"GET /livez ")
        assert b"x-agent-id: someone" in seen[1]
        client.forget(0)
        got = await client.ask(0, "PUT", "/x", b"\x00\xff")
        assert (got.status, got.body, got.outcome) == (503, None, "info")
        assert seen[2].endswith(b"\r\n\r\n\x00\xff")

    first = reply(201, b'{"id":"a"}', more='etag: "1"\r\n')
    assert play(says(first, reply(200, b"fine", "text/plain"), reply(503)), story) == 2


def test_who_wishes_to_close_is_not_asked_there_again() -> None:
    async def story(client: Client, _: list[bytes]) -> None:
        for _number in range(3):
            assert (await client.ask(0, "GET", "/mesh")).outcome == "ok"

    assert play(says(*[reply(200, b"{}", more="connection: close\r\n")] * 3), story) == 3


def test_a_timeout_is_info_and_its_connection_is_not_used_again() -> None:
    async def story(client: Client, seen: list[bytes]) -> None:
        began = trio.current_time()
        got = await client.ask(0, "GET", "/mesh", timeout_s=0.2)
        assert got == Answer(0, None, {}, "info", "timeout")
        assert trio.current_time() - began < 5
        assert len(seen) == 1
        await client.ask(0, "GET", "/mesh", timeout_s=0.2)
        assert len(seen) == 2

    async def silent(stream: trio.SocketStream, seen: list[bytes]) -> None:
        while await request(stream, seen):
            pass

    assert play(silent, story) == 2


async def resets(stream: trio.SocketStream, seen: list[bytes]) -> None:
    await request(stream, seen)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


async def ends(stream: trio.SocketStream, seen: list[bytes]) -> None:
    await request(stream, seen)
    await stream.aclose()


async def ends_within(stream: trio.SocketStream, seen: list[bytes]) -> None:
    await request(stream, seen)
    await stream.send_all(reply(201, b'{"id":"abc"}')[:-3])
    await stream.aclose()


async def babbles(stream: trio.SocketStream, seen: list[bytes]) -> None:
    await request(stream, seen)
    await stream.send_all(b"\x16\x03\x01 what is this?\r\n\r\n")
    await trio.sleep_forever()


async def lies(stream: trio.SocketStream, seen: list[bytes]) -> None:
    await request(stream, seen)
    await stream.send_all(reply(201, b'{"id":'))
    await trio.sleep_forever()


@pytest.mark.parametrize("serve", [resets, ends, ends_within, babbles, lies])
def test_trouble_of_the_network_is_info_without_a_status_and_a_request_is_sent_once(
    serve: Serves,
) -> None:
    async def story(client: Client, seen: list[bytes]) -> None:
        got = await client.ask(0, "POST", "/memories", {"title": "t"})
        assert (got.status, got.body, got.outcome) == (0, None, "info")
        assert got.why
        assert len(seen) == 1

    assert play(serve, story) == 1


def test_nobody_there_is_info_too() -> None:
    async def run() -> None:
        listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        port = listener.socket.getsockname()[1]
        await listener.aclose()
        client = Client([Place(name="n1", host="127.0.0.1", port=1, agent_port=port)])
        got = await client.ask(0, "GET", "/mesh")
        assert (got.status, got.outcome) == (0, "info")
        assert "Refused" in got.why
        client.close()

    trio.run(run)


def test_who_is_cancelled_leaves_no_connection_behind() -> None:
    asked = trio.Event()

    async def story(client: Client, _: list[bytes]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.ask, 0, "GET", "/mesh")
            await asked.wait()
            nursery.cancel_scope.cancel()
        assert client._idle == [[]]

    async def serve(stream: trio.SocketStream, seen: list[bytes]) -> None:
        await request(stream, seen)
        asked.set()
        await trio.sleep_forever()

    play(serve, story)
