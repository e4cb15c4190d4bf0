"""Server-sent events: a long answer of small ones (WHATWG HTML, section 9.2).

Law: a stream keeps no queue. It asks its source for what is next, writes that, and waits to
be woken; who reads too slowly is cut, not buffered. A silent stream says so now and then. All
streams of a node end together, in order, when it drains.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiohttp import web

from node.documents.warming import Opens, settled, warmed
from node.event_stream import Event, Source
from node.http.answer import SERVER, Answer
from node.http.call import Call
from node.http.streams import OpenStreams

CONTENT_TYPE: Final = "text/event-stream; charset=utf-8"
STALL_SECONDS: Final = 20.0
RETRY_MS: Final = 2000
_LAST_EVENT_ID: Final = "Last-Event-ID"
_CURSOR_CHARS_MAX: Final = 256


def cursor_of(call: Call) -> str | None:
    """The place a client wants to go on from; None for a fresh start."""
    given = call.query.get("cursor") or call.headers.get(_LAST_EVENT_ID)
    return given[:_CURSOR_CHARS_MAX] if given else None


async def stream(
    call: Call,
    source: Source,
    streams: OpenStreams,
    over: Callable[[], bool] = lambda: False,
    shelf: Opens | None = None,
) -> Answer | web.StreamResponse:
    """Write the events of a source until the client goes, the node drains or the source is over.

    With `shelf` the source reads documents of it, and moves on only once it has read.
    """
    if call.method == "HEAD":
        return Answer(200, b"", CONTENT_TYPE)
    wake = asyncio.Event()
    streams.enter(wake)
    unfollow = source.follow(wake.set)
    try:
        return await _pump(call, source, streams, wake, over, shelf)
    finally:
        unfollow()
        streams.leave(wake)


async def _pump(
    call: Call,
    source: Source,
    streams: OpenStreams,
    wake: asyncio.Event,
    over: Callable[[], bool],
    shelf: Opens | None,
) -> web.StreamResponse:
    headers = {
        "Content-Type": CONTENT_TYPE,
        "Cache-Control": "no-store",
        "X-Accel-Buffering": "no",  # a proxy that gathers would turn news into history
        "Server": SERVER,
    }
    response = web.StreamResponse(headers=headers)
    settled()
    await response.prepare(call.request)
    await _write(call, response, f"retry: {RETRY_MS}\n\n".encode())
    while not (streams.closed or over()) and call.still_admitted:
        wake.clear()
        events = await _taken(source, streams, shelf)
        if events:
            await _write(call, response, b"".join([event.encoded() for event in events]))
        elif not await _woken(wake, source.seconds(), streams.heartbeat_seconds):
            await _write(call, response, b": nothing new\n\n")
    response.force_close()
    return response


async def _taken(source: Source, streams: OpenStreams, shelf: Opens | None) -> list[Event]:
    """What is next, when it is this stream's turn; while a long document is opened it is not."""

    async def take() -> list[Event]:
        async with streams.turn:
            events = source.take()
            await asyncio.sleep(0)
        return events

    return await take() if shelf is None else await warmed(take, shelf)


async def _woken(wake: asyncio.Event, due: float | None, heartbeat: float) -> bool:
    """Wait for a reason to ask the source again; False when only the silence grew long."""
    early = due is not None and due < heartbeat
    try:
        async with asyncio.timeout(due if early else heartbeat):
            await wake.wait()
    except TimeoutError:
        return early
    return True


async def _write(call: Call, response: web.StreamResponse, data: bytes) -> None:
    """Write, and wait until the client has taken most of it.

    Raises:
        ConnectionError: the client is gone, or has read nothing for too long.
    """
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await response.write(data)
    except TimeoutError as error:
        if call.request.transport is not None:
            call.request.transport.abort()
        raise ConnectionResetError("the client reads too slowly") from error
