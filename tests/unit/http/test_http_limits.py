import asyncio
import gzip

import pytest

from tests.unit.http.conftest import API, Started, World, with_limits

MEMORIES = f"{API}/memories"


def request(world: World, head: str = "", body: bytes = b"", *, method: str = "POST") -> bytes:
    line = f"{method} {MEMORIES} HTTP/1.1\r\nHost: 127.0.0.1:{world.port}\r\n{head}\r\n"
    return line.encode() + body


async def test_a_declared_body_above_the_limit_is_413_before_it_is_read(world: World) -> None:
    async with asyncio.timeout(5):
        answer = await world.talk(request(world, f"Content-Length: {2 * 1024 * 1024 + 1}\r\n"))
    assert b" 413 " in answer.partition(b"\r\n")[0]
    assert b"body_too_large" in answer


async def test_an_undeclared_body_is_counted_as_it_comes(start: Started) -> None:
    world = await start(limits=with_limits(body_bytes_max=1024))
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    answer = await world.talk(request(world, "Transfer-Encoding: chunked\r\n", chunk * 2))
    assert b" 413 " in answer.partition(b"\r\n")[0]


async def test_a_body_at_the_limit_passes(world: World) -> None:
    body = b'{"title":"t","content":"c","x":"' + b"x" * 2_000_000
    body += b" " * (2 * 1024 * 1024 - len(body) - 2) + b'"}'
    assert (await world.ask("POST", MEMORIES, raw=body)).status == 201


async def test_a_chunked_body_passes(world: World) -> None:
    part = b'{"title":"t","content":"c"}'
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part)
    head = "Transfer-Encoding: chunked\r\nConnection: close\r\n"
    answer = await world.talk(request(world, head, chunks))
    assert b" 201 " in answer.partition(b"\r\n")[0]


async def test_compressed_bodies_are_refused(world: World) -> None:
    bomb = gzip.compress(b'{"title":"t","content":"c"}')
    for encoding in ("gzip", "deflate", "br", "zstd", "x"):
        reply = await world.ask("POST", MEMORIES, raw=bomb, content_encoding=encoding)
        assert reply.status == 415, encoding
        assert reply.json["error"] == "content_encoding_not_supported"
    body = {"title": "t", "content": "c"}
    assert (await world.ask("POST", MEMORIES, body, content_encoding="identity")).status == 201
    assert len(world.node.log) == 1


@pytest.mark.parametrize("sent", ["", "GET /api/v1/health HT", "GET / HTTP/1.1\r\nHost: loc"])
async def test_slow_headers_are_cut(start: Started, sent: str) -> None:
    world = await start(limits=with_limits(headers_timeout_ms=100))
    async with asyncio.timeout(5):
        assert await world.talk(sent.encode()) == b""


async def test_slow_headers_after_a_first_request_are_cut(start: Started) -> None:
    world = await start(limits=with_limits(headers_timeout_ms=100))
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    async with asyncio.timeout(5):
        writer.write(request(world, method="GET"))
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b'"count":0}')
        writer.write(b"GET /api/v1/hea")
        assert await reader.read() == b""
    writer.close()


async def test_a_slow_body_is_cut(start: Started) -> None:
    world = await start(limits=with_limits(body_timeout_ms=100))
    async with asyncio.timeout(5):
        answer = await world.talk(request(world, "Content-Length: 100\r\n", b'{"title"'))
    assert b" 408 " in answer.partition(b"\r\n")[0]
    assert not world.node.log


async def test_a_body_that_breaks_off_applies_nothing(world: World) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request(world, "Content-Length: 100\r\n", b'{"title":"t","content":"c"}'))
    writer.write_eof()
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    assert not world.node.log


async def test_idle_connections_are_closed(start: Started) -> None:
    world = await start(limits=with_limits(idle_timeout_ms=100))
    async with asyncio.timeout(5):
        answer = await world.talk(request(world, method="GET"))
    assert answer.startswith(b"HTTP/1.1 200")


async def test_100_continue_is_given_only_to_what_will_be_read(world: World) -> None:
    body = b'{"title":"t","content":"c"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
    writer.write(request(world, f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n"))
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 201")
    writer.close()
    huge = "Expect: 100-continue\r\nContent-Length: 99999999\r\n"
    assert b" 413 " in (await world.talk(request(world, huge))).partition(b"\r\n")[0]


async def test_what_is_not_http_gets_the_envelope(world: World) -> None:
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/9.9x\r\n\r\n",
    ):
        answer = await world.talk(garbage + b"\r\n\r\n")
        assert b" 400 " in answer.partition(b"\r\n")[0], garbage
        assert b'{"error":"bad_request"' in answer


async def test_connections_are_kept_and_pipelines_are_served_in_order(world: World) -> None:
    one = request(world, method="GET")
    last = request(world, "Connection: close\r\n", method="GET")
    answer = await world.talk(one * 3 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(b"Connection: close") == 1


async def test_http_1_0_and_declined_upgrades_are_served(world: World) -> None:
    host = f"Host: 127.0.0.1:{world.port}\r\n"
    answer = await world.talk(f"GET /livez HTTP/1.0\r\n{host}\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 200")
    head = f"{host}Connection: Upgrade, close\r\nUpgrade: h2c\r\n"
    answer = await world.talk(f"GET /livez HTTP/1.1\r\n{head}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200")


async def test_too_many_items_is_413(world: World) -> None:
    items = [{"title": "t", "content": "c"}] * 1001
    for path, body in ((f"{MEMORIES}/bulk", items), (f"{API}/import", {"memories": items})):
        reply = await world.ask("POST", path, body)
        assert (reply.status, reply.json["error"]) == (413, "too_many_items")
    assert not world.node.log
