"""One client's connection: aiohttp's handler with deadlines, a short way in and a short way out.

Law: a client that takes too long over its headers is cut; so is one whose connection idles.
Whole answers leave as one write. What aiohttp itself refuses is answered in our envelope.
This file alone leans on the inside of aiohttp's `RequestHandler`.

A plain request that is here as a whole, for a route that is flagged so, is served directly:
its handler runs in the step that received it, and in the callbacks of the futures it waits
for, without a task. Everything else goes to aiohttp with its bytes untouched. Requests are
answered in their order whichever way they go: a direct one begins only when aiohttp is known
to stand between two messages and has none in hand; when that cannot be told any more, the
connection is aiohttp's for good.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Final, cast

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestHandler

from node.http.answer import Answer, Heads
from node.http.heads import Head, HeadReader
from node.http.intake import Intake
from node.http.problems import Problem

Direct = Callable[[Head, bytes, Any], Coroutine[Any, Any, Any]]
"""Serves one request: its head, its body, the connection."""

_END: Final = b"\r\n\r\n"
_HELD_BYTES_MAX: Final = 1 << 16
_AT_A_STRETCH: Final = 16
"""Most pipelined requests of one connection before others get a turn."""


class _SameTask:
    """The loop as `RequestHandler.start` sees it: a handler runs in its connection's own task.

    aiohttp makes a task for every request so that context variables do not leak from one to
    the next. Nothing here keeps any, and a task costs two turns of the loop. From Python 3.12
    on aiohttp starts it eagerly, which comes to the same.
    """

    __slots__ = ("call_at", "call_soon", "create_future", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.call_at = loop.call_at
        self.call_soon = loop.call_soon
        self.create_future = loop.create_future
        self.time = loop.time

    def create_task(self, handling: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """What `start` awaits."""
        return handling


class Connection(RequestHandler):
    """One connection of a client.

    Attributes:
        head_since: loop time at which the headers that are awaited began; None between
            requests and while one is served.
    """

    __slots__ = (
        "_alone",
        "_direct",
        "_heads",
        "_held",
        "_intake",
        "_left",
        "_now_ms",
        "_reader",
        "_running",
        "head_since",
    )

    def __init__(
        self,
        manager: web.Server,
        *,
        heads: Heads,
        now_ms: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        intake: Intake,
        reader: HeadReader | None = None,
        direct: Direct | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(manager, loop=loop, **settings)
        self._heads = heads
        self._now_ms = now_ms
        self._reader = reader
        self._direct = direct
        self._intake = intake
        self._running: Coroutine[Any, Any, Any] | None = None
        self._held = b""
        self._left = 0
        self._alone = reader is None
        self.head_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count from now on: who connects and says nothing is cut as well."""
        super().connection_made(transport)
        self.head_since = self._loop.time()
        if sys.version_info < (3, 12):
            self._loop = cast("asyncio.AbstractEventLoop", _SameTask(self._loop))

    def data_received(self, data: bytes) -> None:
        """Serve what can be served directly; aiohttp parses the rest."""
        if self._alone or not data:  # without data aiohttp tells its parser to go on
            self._pass_on(data)
        elif self._running is not None or self._held or (self._paused and not self._left):
            self._hold(data)
        elif self._left or self._intake.has_time():
            self._take(data)
        else:
            self._hold(data)
            self._intake.put(self)

    def _pass_on(self, data: bytes) -> None:
        """Let aiohttp parse, and note when a head begins or is complete."""
        super().data_received(data)
        if self._messages or self._request_in_progress or self._upgraded:
            self.head_since = None
        elif self.head_since is None:
            self.head_since = self._loop.time()

    def _hold(self, data: bytes) -> None:
        """Keep what comes before its turn."""
        self._held += data
        self._intake.held_bytes += len(data)
        if not self._buffer_paused and (self._intake.full or len(self._held) > _HELD_BYTES_MAX):
            self._pause_reading_for_buffer()

    def take_turn(self) -> None:
        """Go on with what is held: the line has come to this connection."""
        if self._running is None and not self._paused:
            self._go_on()

    def _ask_for_turn(self) -> None:
        if self._intake.has_time():
            self._go_on()
        else:
            self._intake.put(self)

    def _go_on(self) -> None:
        """Take what was held."""
        data, self._held = self._held, b""
        self._intake.held_bytes -= len(data)
        if self._buffer_paused:
            self._resume_reading_for_buffer()
        if data:
            self._take(data)

    def _take(self, data: bytes) -> None:
        """Share bytes out, at the beginning of a message or in one that aiohttp has begun."""
        reader = cast("HeadReader", self._reader)
        for _ in range(_AT_A_STRETCH):
            if self._force_close or self._close:
                return
            if self._left:
                part, data = data[: self._left], data[self._left :]
                self._left -= len(part)
                self._pass_on(part)
                if not data:
                    return
            at = data.find(_END) + len(_END)
            head = reader.read(data[:at]) if at >= len(_END) else None
            if head is None or not self._is_between():
                self._alone = True
                self._pass_on(data)
                return
            end = at + head.size
            if head.route is None or len(data) < end:
                self._left = end
                continue
            body, data = data[at:end], data[end:]
            self.head_since = None
            self._running = cast("Direct", self._direct)(head, body, self)
            if not self._step() or (self._paused and data):
                if data:
                    self._hold(data)
                return
            if not data:
                return
        self._hold(data)
        self._intake.put(self)

    def _is_between(self) -> bool:
        """Whether aiohttp waits for the first byte of a message and has none in hand.

        It was given whole messages only, so nothing of one is left in its parser.
        """
        waiter = self._waiter
        return not self._request_count or (waiter is not None and not waiter.done())

    def _step(self) -> bool:
        """Run the request at hand as far as it goes; whether it was answered."""
        running = cast("Coroutine[Any, Any, Any]", self._running)
        try:
            awaited = running.send(None)
            while awaited is not None and not _begins_to_wait(awaited):
                # What a task would say as well; the dispatcher makes an answer of it.
                awaited = running.throw(RuntimeError(f"a direct route awaits {awaited!r}"))
        except StopIteration as ended:
            self._running = None
            self._write(ended.value)
            return True
        except BaseException as error:
            self._running = None
            self.force_close()
            if not isinstance(error, (ConnectionError, asyncio.CancelledError)):
                self.log_exception("Unhandled exception", exc_info=error)
            if not isinstance(error, (Exception, asyncio.CancelledError)):
                raise
            return True
        self._request_in_progress = True
        if awaited is None:
            self._loop.call_soon(self._wake)
        else:
            awaited.add_done_callback(self._wake)
        return False

    def _wake(self, _awaited: object = None) -> None:
        """Go on with the request at hand: what it waited for has happened."""
        if self._running is None or not self._step():
            return
        self._request_in_progress = False
        waiter = self._handler_waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        if self._held and not self._paused:
            self._ask_for_turn()

    def _write(self, answer: Answer) -> None:
        """Send the answer to a direct request, if anybody is there to get it."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        answer.keep_alive = not answer.cut
        transport.write(self._heads.whole(answer, self._now_ms()))
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if answer.cut:
            self.force_close()

    def resume_writing(self) -> None:
        """The client reads again: go on with what it asked meanwhile."""
        super().resume_writing()
        if self._held and self._running is None:
            self._ask_for_turn()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody is there any more for what was held."""
        super().connection_lost(exc)
        self._intake.held_bytes -= len(self._held)
        self._held = b""

    def _process_keepalive(self) -> None:
        """Cut who idles, but not who waits for an answer or is slow to take one."""
        if self._running is not None or self._paused:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Finish what is in flight, at most for so many seconds, then close."""
        waiter = self._waiter
        if waiter is not None:
            waiter.cancel()  # aiohttp has no message in hand, and would wait for the next one
        await super().shutdown(timeout)
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's signature
        """Go on reading, if it was ever stopped: aiohttp asks after every body."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def cut_if_slow(self, deadline: float) -> bool:
        """End the connection if its headers began before the deadline (loop time)."""
        if self.head_since is None or self.head_since > deadline:
            return False
        if self._messages or self._request_in_progress or self._upgraded:
            self.head_since = None
            return False
        self.force_close()
        return True

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Write an answer; the usual kind in one piece."""
        self.head_since = None
        answer: object = resp
        if not isinstance(answer, Answer):
            return await super().finish_response(request, resp, start_time)
        transport = self.transport
        bodiless = answer.status == HTTPStatus.NOT_MODIFIED
        if self._upgraded or bodiless or request.version != HttpVersion11:
            return await super().finish_response(request, answer.slow_form(), start_time)
        if transport is None or transport.is_closing():
            return resp, True
        answer.keep_alive = request.keep_alive and not answer.cut and not self._close
        if request.method == "HEAD":
            transport.write(self._heads.head(answer, self._now_ms()) + b"\r\n")
        else:
            transport.write(self._heads.whole(answer, self._now_ms()))
        if answer.cut:
            self.force_close()
        elif self._paused:
            await self._drain_helper()
        return resp, False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,  # noqa: ARG002 - aiohttp's signature
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp cannot parse or serve, in our envelope; ends the connection."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun; it cannot become an error any more")
        if status == 400:  # noqa: PLR2004 - bad request
            problem = Problem(400, "bad_request", (message or "not HTTP")[:200], cut=True)
        else:
            problem = Problem(status, "internal", "the node failed to serve this", cut=True)
        return cast("web.StreamResponse", problem.answer())


def _begins_to_wait(awaited: Any) -> bool:
    """Whether this is a future that was just awaited; it is told that somebody waits."""
    if getattr(awaited, "_asyncio_future_blocking", None) is not True:
        return False
    awaited._asyncio_future_blocking = False  # noqa: SLF001 - what a task does with it
    return True
