"""With and without the direct way, the same bytes get the same answers."""

import asyncio
import os
import re
from itertools import pairwise
from random import Random
from typing import Any

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser

from node.http.heads import HeadReader
from node.http.routes import API, Router
from node.http.table import TABLE
from tests.unit.http.conftest import Started, World
from tests.unit.http.wire import Wire, asked

MEMORIES = f"{API}/memories"
SMALL = b'{"title":"t","content":"c","id":"mem-0001"}'
SHAPES = (
    asked("GET /livez"),
    asked("GET /readyz?require=quorum"),
    asked(f"GET {API}/health", "X-Odd: \xff\xfe"),
    asked(f"GET {MEMORIES}"),
    asked(f"GET {MEMORIES}/mem-0001", "X-Agent-Id: ai:alice"),
    asked(f"GET {MEMORIES}/mem%2D0001?a=b"),
    asked(f"GET {MEMORIES}/mem%ff"),
    asked(f"GET {MEMORIES}/mem%00"),
    asked(f"GET {MEMORIES}/mem-0001#x"),
    asked(f"GET {MEMORIES}/mem-0001?api_key=x"),
    asked("GET //livez"),
    asked("GET http://127.0.0.1/livez"),
    asked("GET /nowhere"),
    asked("PATCH /livez"),
    asked("HEAD /livez"),
    asked("GET /livez", "Connection: close"),
    asked("GET /livez", "Origin: http://evil.example"),
    asked("GET /livez", host="evil.example"),
    asked("GET /livez", "Host: 127.0.0.1"),
    asked("GET /livez").replace(b"HTTP/1.1", b"HTTP/1.0"),
    asked("GET /livez").replace(b"HTTP/1.1", b"HTTP/2.0"),
    asked("GET /livez").replace(b"\r\n", b"\n"),
    asked("GET /livez").replace(b"\r\n\r\n", b"\n\n"),
    asked("GET /livez", "A: b", " folded"),
    asked("GET /livez", "A: b\0c"),
    asked("GET /livez", "A : b"),
    asked("GET /livez", "A: " + "x" * 9000),
    asked("GET /livez", "A: " + "x" * 4500),
    asked("GET /livez", *[f"A{n}: b" for n in range(200)]),
    asked("GET /" + "x" * 9000),
    asked("GET /livez", body=b"hello"),
    asked("GET /livez", "Upgrade: websocket", "Connection: Upgrade"),
    asked(f"POST {MEMORIES}", body=SMALL),
    asked(f"POST {MEMORIES}", "Idempotency-Key: one", body=b'{"title":"t","content":"again"}'),
    asked(f"POST {MEMORIES}", body=b'{"title":"t"'),
    asked(f"POST {MEMORIES}"),
    asked(f"POST {MEMORIES}", "Expect: 100-continue", body=SMALL),
    asked(f"POST {MEMORIES}", "Expect: something", body=SMALL),
    asked(f"POST {MEMORIES}", "Content-Encoding: gzip", body=SMALL),
    asked(f"POST {MEMORIES}", "Content-Length: 5", body=SMALL),
    asked(f"POST {MEMORIES}", f"Content-Length: {len(SMALL)}", body=SMALL),
    asked(f"POST {MEMORIES}", "Transfer-Encoding: chunked", body=SMALL),
    asked(f"POST {MEMORIES}", "Transfer-Encoding: chunked", sized=False)
    + b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMALL), SMALL),
    asked(f"POST {MEMORIES}", "Transfer-Encoding: xchunked", sized=False),
    asked(f"POST {MEMORIES}", "Content-Length: +5") + b"hello",
    asked(f"POST {MEMORIES}", "Content-Length:  5 ") + b"hello",
    asked(f"POST {MEMORIES}", "Content-Length: 0x5") + b"hello",
    asked(f"POST {MEMORIES}", "Content-Length: 5, 5") + b"hello",
    asked(f"POST {MEMORIES}", "Content-Length: -1") + b"hello",
    asked(f"POST {MEMORIES}", "Content-Length: 99999999999999999999") + b"hello",
    asked(f"PUT {MEMORIES}/mem-0001", body=b'{"content":"d"}'),
    asked(f"DELETE {MEMORIES}/mem-0001"),
    asked(f"DELETE {MEMORIES}/mem-0001", body=b"{}"),
    asked(f"POST {MEMORIES}/bulk", body=b'[{"title":"a","content":"b"},{}]'),
    b"\r\n\r\n",
    b"nothing like it\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
)


def _drawn(chance: Random) -> list[bytes]:
    """Some requests, one of them perhaps damaged."""
    drawn = chance.choices(SHAPES, k=chance.randint(1, 4))
    if chance.random() < 0.3:
        place = chance.randrange(len(drawn))
        data = drawn[place]
        at = chance.randrange(len(data))
        drawn[place] = data[:at] + chance.randbytes(chance.randint(0, 2)) + data[at + 1 :]
    return drawn


def _cut(chance: Random, drawn: list[bytes]) -> list[bytes]:
    """The bytes in random parts."""
    data = b"".join(drawn)
    count = chance.choice((0, 0, 1, 2, 5))
    ends = sorted({0, len(data), *(chance.randrange(len(data) + 1) for _ in range(count))})
    return [data[a:b] for a, b in pairwise(ends)]


def _each(answers: bytes) -> list[bytes]:
    """One by one; aiohttp's own have the date of today, and their headers in another order."""
    found = []
    for answer in re.split(rb"(?=HTTP/1\.\d \d{3} )", answers)[1:]:
        head, _, body = re.sub(rb"Date: [^\r]*", b"Date: -", answer).partition(b"\r\n\r\n")
        line, *headers = head.split(b"\r\n")
        found.append(b"\r\n".join([line, *sorted(headers), b"", body]))
    return found


async def _answered(world: World, parts: list[bytes]) -> tuple[list[bytes], bool]:
    wire = Wire(world)
    await wire.send(*parts)
    found = _each(await wire.settle()), wire.transport.closing
    wire.transport.close()
    await wire.settle()
    return found


async def test_each_shape_alone_and_among_others(start: Started) -> None:
    direct, ordinary = await start(), await start(direct=False)
    for shape in SHAPES:
        for parts in ([shape], [shape, shape], [SHAPES[0], shape, SHAPES[0]]):
            assert await _answered(direct, parts) == await _answered(ordinary, parts), parts


async def test_random_streams_in_random_parts(start: Started) -> None:
    """The one difference: aiohttp forgets what came in one part with something it refuses."""
    seed = int(os.environ.get("SEED", "0")) or Random().randrange(1 << 32)
    print(f"SEED={seed}")
    chance = Random(seed)
    for _ in range(4):
        direct, ordinary = await start(), await start(direct=False)
        for _ in range(30):
            parts = _cut(chance, _drawn(chance))
            answers, ended = await _answered(direct, parts)
            expected, closing = await _answered(ordinary, parts)
            assert ended == closing, parts
            if answers != expected:
                *before, last = expected
                assert last.partition(b"\r\n")[0] == b"HTTP/1.0 400 Bad Request", parts
                assert answers[-1].partition(b"\r\n")[0] == last.partition(b"\r\n")[0], parts
                assert answers[: len(before)] == before, parts
                break  # one of them has stored more than the other


async def test_what_is_read_of_a_head_is_what_aiohttp_reads() -> None:
    """A head that is taken here was taken by aiohttp as well, and says the same there."""
    seed = int(os.environ.get("SEED", "0")) or Random().randrange(1 << 32)
    print(f"SEED={seed}")
    chance = Random(seed)
    reader, taken = HeadReader(Router(TABLE)), 0
    for _ in range(3000):
        shape = chance.choice(SHAPES)
        head = shape[: shape.find(b"\r\n\r\n") + 4]
        for _ in range(chance.randint(0, 2)):
            at = chance.randrange(len(head) + 1)
            head = head[:at] + bytes([chance.randrange(256)]) + head[at + chance.randint(0, 1) :]
        end = head.find(b"\r\n\r\n")
        found = reader.read(head[: end + 4]) if end >= 0 else None
        if found is None:
            continue
        taken += 1
        message = _message(head[: end + 4])
        target = f"{found.path}?{found.query}" if "?" in message.path else found.path
        assert (message.method, message.path) == (found.method, target)
        assert message.headers == found.headers
        assert not any((message.should_close, message.upgrade, message.chunked))
    assert taken > 100


def _message(data: bytes) -> Any:
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(BaseProtocol(loop), loop, 1 << 16)
    messages, upgraded, tail = parser.feed_data(data)
    assert (len(messages), upgraded, tail) == (1, False, b"")
    return messages[0][0]
