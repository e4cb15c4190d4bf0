"""What the open-loop driver counts, and how a run is judged."""

import asyncio
from contextlib import suppress

import pytest

from tests.benchmarks.openloop import Tally, check, drive, spread, told
from tests.benchmarks.overload import judged

pytestmark = pytest.mark.thorough

SPEC = {
    "key": "k",
    "prefix": "t",
    "rate": 200,
    "seconds": 0.5,
    "connections": 4,
    "content_bytes": 64,
    "patience_seconds": 5.0,
}


class Server:
    """Answers every n-th request 503, the others 201, each after the same time."""

    def __init__(self, *, shed_every: int, seconds: float, header: str = "Retry-After: 1") -> None:
        self.shed_every, self.seconds, self.header = shed_every, seconds, header
        self.asked = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = asyncio.current_task()
        assert mine is not None
        self._serving.add(mine)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                at = head.lower().find(b"content-length: ")
                if at >= 0:
                    await reader.readexactly(int(head[at + 16 : head.find(b"\r", at)]))
                self.asked += 1
                shed = self.shed_every and self.asked % self.shed_every == 0
                reply = f"503 no\r\n{self.header}\r\n" if shed else "201 yes\r\n"
                if head.startswith(b"GET"):
                    reply = "404 no\r\n" if b"00000002" in head else "200 yes\r\n"
                worked = asyncio.Event()
                asyncio.get_running_loop().call_later(self.seconds, worked.set)
                await worked.wait()
                writer.write(f"HTTP/1.1 {reply}Content-Length: 2\r\n\r\n{{}}".encode())
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*self._serving)


async def test_arrivals_come_at_their_pace_and_answers_are_told_apart() -> None:
    async with Server(shed_every=4, seconds=0.0) as url:
        found = await drive({**SPEC, "url": url})

    assert found["arrived"] == 100
    assert found["statuses"] == {"201": 75, "503": 25}
    assert found["shed_without_retry_after"] == 0
    assert len(found["numbers"]) == 75


async def test_a_slow_server_does_not_slow_its_load_down() -> None:
    async with Server(shed_every=0, seconds=0.1) as url:
        found = await drive({**SPEC, "url": url, "connections": 2})

    # Two connections take 20 a second: arrivals queue, and latency counts from when they were due.
    assert found["arrived"] == 100
    assert found["waiting_max"] > 50
    assert found["accepted_ms"]["max"] > 1000


async def test_a_503_without_a_time_to_come_again_is_noticed() -> None:
    async with Server(shed_every=2, seconds=0.0, header="X-Other: 1") as url:
        found = await drive({**SPEC, "url": url})

    assert found["shed_without_retry_after"] == found["statuses"]["503"] == 50


async def test_what_is_not_there_is_missed_when_read_back() -> None:
    async with Server(shed_every=0, seconds=0.0) as url:
        found = await check({**SPEC, "url": url, "numbers": [0, 1, 2, 3]})

    assert found["statuses"] == {"200": 3, "404": 1}


def test_latency_is_told_by_the_second_in_which_it_was_due() -> None:
    tally = Tally(accepted=[(10.1, 0.001), (10.9, 0.002), (11.5, 0.5)])

    assert told(tally, 10.0, 2.0)["accepted_p99_ms_by_second"] == [2.0, 500.0]
    assert spread([]) == {}


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({}, None),
        ({"statuses": {"201": 9}}, "sheds"),
        ({"statuses": {"201": 9, "503": 9, "lost": 1}}, "nothing_but_201_and_503"),
        ({"shed_without_retry_after": 1}, "says_when_to_retry"),
        ({"accepted_ms": {"p99": 9000.0}}, "latency_is_bounded"),
        ({"shed_ms": {"p99": 9000.0}}, "refused_in_time"),
        ({"accepted_per_second": 700.0}, "goodput_holds"),
    ],
)
def test_a_bound_that_is_not_kept_is_named(change: dict[str, object], broken: str | None) -> None:
    good = {
        "statuses": {"201": 9, "503": 9},
        "shed_without_retry_after": 0,
        "accepted_ms": {"p99": 100.0},
        "shed_ms": {"p99": 100.0},
        "accepted_per_second": 900.0,
    }

    kept = judged({**good, **change}, 1.0, 0, sustainable=1000.0)

    assert [name for name, fine in kept.items() if not fine] == ([broken] if broken else [])


def test_growing_memory_and_lost_writes_are_named() -> None:
    good = {
        "statuses": {"201": 9, "503": 9},
        "shed_without_retry_after": 0,
        "accepted_ms": {"p99": 100.0},
        "shed_ms": {"p99": 100.0},
        "accepted_per_second": 900.0,
    }

    kept = judged(good, 500.0, 3, sustainable=1000.0)
    assert not kept["memory_is_bounded"]
    assert not kept["nothing_lost"]
