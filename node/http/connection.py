"""One client's connection: aiohttp's handler with deadlines and a short way out.

Law: a client that takes too long over its headers is cut; so is one whose connection idles.
Whole answers leave as one write. What aiohttp itself refuses is answered in our envelope.
This file alone leans on the inside of aiohttp's `RequestHandler`.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.web_protocol import RequestHandler

from node.http.answer import Answer, Heads
from node.http.problems import Problem


class _SameTask:
    """The loop as `RequestHandler.start` sees it: a handler runs in its connection's own task.

    aiohttp makes a task for every request so that context variables do not leak from one to
    the next. Nothing here keeps any, and a task costs two turns of the loop. From Python 3.12
    on aiohttp starts it eagerly, which comes to the same.
    """

    __slots__ = ("call_at", "create_future", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.call_at = loop.call_at
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

    __slots__ = ("_heads", "_now_ms", "head_since")

    def __init__(
        self,
        manager: web.Server,
        *,
        heads: Heads,
        now_ms: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        **settings: Any,
    ) -> None:
        super().__init__(manager, loop=loop, **settings)
        self._heads = heads
        self._now_ms = now_ms
        self.head_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count from now on: who connects and says nothing is cut as well."""
        super().connection_made(transport)
        self.head_since = self._loop.time()
        if sys.version_info < (3, 12):
            self._loop = cast("asyncio.AbstractEventLoop", _SameTask(self._loop))

    def data_received(self, data: bytes) -> None:
        """Parse, and note when a head begins or is complete."""
        super().data_received(data)
        if self._messages or self._request_in_progress or self._upgraded:
            self.head_since = None
        elif self.head_since is None:
            self.head_since = self._loop.time()

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
        if self._upgraded or request.version != HttpVersion11:
            return await super().finish_response(request, answer.slow_form(), start_time)
        if transport is None or transport.is_closing():
            return resp, True
        answer.keep_alive = request.keep_alive and not answer.cut and not self._close
        head = self._heads.head(answer, self._now_ms())
        if request.method == "HEAD":
            transport.write(head + b"\r\n")
        else:
            transport.write(b"%b\r\n%b" % (head, answer.body))
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
