"""What the listener for probes answers, and to how little."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from node.http.probe import Probe, answer_to
from node.settings.checks import Address, probe_address
from node.settings.sections import Listen
from transport.errors import PlainListenError
from transport.listener import Listener


class Standing:
    def __init__(self) -> None:
        self.ready = True


@pytest.fixture
async def place() -> AsyncIterator[tuple[int, Standing]]:
    standing = Standing()
    listener = Listener(
        lambda: Probe(lambda: standing.ready), [("127.0.0.1", 0)], tls=None, for_anybody=True
    )
    port = (await listener.bind())[0][1]
    running = asyncio.create_task(listener.run())
    yield port, standing
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def say(port: int, data: bytes) -> bytes:
    """Everything that is answered until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_the_two_probes_are_answered_and_the_connection_ends(
    place: tuple[int, Standing],
) -> None:
    port, standing = place
    live = await say(port, b"GET /livez HTTP/1.1\r\nHost: anything.example\r\n\r\n")
    assert live.startswith(b"HTTP/1.1 200 OK\r\n")
    assert live.endswith(b"\r\n\r\nok\n")
    assert (await say(port, b"GET /readyz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    standing.ready = False
    assert (await say(port, b"GET /readyz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
    assert (await say(port, b"GET /livez HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_a_request_in_pieces_is_one_request(place: tuple[int, Standing]) -> None:
    port, _ = place
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for byte in b"GET /livez HTTP/1.1\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /livez HTTP/1.1", 200),
        (b"HEAD /readyz HTTP/1.1", 200),
        (b"POST /livez HTTP/1.1", 405),
        (b"GET /metrics HTTP/1.1", 404),
        (b"GET / HTTP/1.1", 404),
        (b"GET /livez/ HTTP/1.1", 404),
        (b"GET /livez/../metrics HTTP/1.1", 404),
        (b"GET /readyz?require=quorum HTTP/1.1", 404),
        (b"GET /api/v1/memories HTTP/1.1", 404),
        (b"GET http://host/livez HTTP/1.1", 404),
        (b"GET /livez", 400),
        (b"", 400),
    ],
)
def test_nothing_else_is_there(line: bytes, status: int) -> None:
    assert answer_to(line + b"\r\nHost: h", ready=lambda: True)[0] == status


async def test_who_says_too_much_is_refused(place: tuple[int, Standing]) -> None:
    port, _ = place
    answer = await say(port, b"GET /livez HTTP/1.1\r\nX: " + b"x" * 5000)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_any_bytes_get_an_answer_or_an_end(place: tuple[int, Standing]) -> None:
    port, _ = place
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(50):
        junk = rng.randbytes(rng.randrange(1, 200)).replace(b"livez", b"") + b"\r\n\r\n"
        answer = await say(port, junk)
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 404")
    assert (await say(port, b"GET /livez HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_only_a_listener_that_is_for_anybody_may_stand_open() -> None:
    with pytest.raises(PlainListenError):
        await Listener(lambda: Probe(lambda: True), [("0.0.0.0", 0)], tls=None).bind()  # noqa: S104 - it is refused
    anywhere = Listener(
        lambda: Probe(lambda: True),
        [("0.0.0.0", 0)],  # noqa: S104 - what an operator asks for
        tls=None,
        for_anybody=True,
    )
    assert await anywhere.bind()
    anywhere.stop_accepting()


def test_the_address_is_read_from_the_settings() -> None:
    class _Settings:
        listen = Listen(probe="[::]:9079")

    assert probe_address(_Settings()) == Address(host="::", port=9079)  # type: ignore[arg-type]  # it looks at no more
