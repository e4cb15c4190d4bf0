"""The protocol factory of one listener.

Law: whoever accepts sockets calls it once per connection; it owns no socket. Deadlines that
aiohttp does not give (headers, silence after connecting) are kept by one sweep over the
connections, not by a timer per request.
"""

import asyncio
from typing import Any, Final, cast

from aiohttp import web

from node.http.answer import Heads
from node.http.connection import Connection
from node.http.dispatch import Dispatcher
from node.http.heads import HeadReader
from node.http.routes import Router
from node.http.services import Door, Services
from node.http.table import TABLE

LINGER_SECONDS: Final = 2.0
_SWEEPS_PER_DEADLINE: Final = 10


class HttpServer(web.Server):
    """Makes a `Connection` for every accepted socket; call it inside a running loop."""

    def __init__(
        self, services: Services, door: Door, linger_seconds: float, *, direct: bool
    ) -> None:
        router = Router(TABLE)
        self._dispatcher = Dispatcher(services, door, router)
        self._reader = HeadReader(router) if direct else None
        # aiohttp takes any answer that `Connection.finish_response` understands.
        super().__init__(cast("Any", self._dispatcher.answer))
        self._streams = services.streams
        self._intake = services.intake
        limits = services.limits
        self._now_ms = services.now_ms
        self._heads = Heads()
        self._linger_seconds = linger_seconds
        self._head_seconds = limits.headers_timeout_ms / 1000
        self._idle_seconds = limits.idle_timeout_ms / 1000
        self._sweep: asyncio.TimerHandle | None = None
        self._ended = False

    def __call__(self) -> Connection:
        """A protocol for one accepted connection."""
        return Connection(
            self,
            loop=self._loop,
            heads=self._heads,
            now_ms=self._now_ms,
            intake=self._intake,
            reader=self._reader,
            direct=self._dispatcher.direct,
            keepalive_timeout=self._idle_seconds,
            access_log=None,
            auto_decompress=False,
            lingering_time=self._linger_seconds,
        )

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Watch the connection's deadlines."""
        super().connection_made(handler, transport)
        if self._sweep is None and not self._ended:
            self._sweep = self._loop.call_later(self._period(), self._look)

    def _period(self) -> float:
        return self._head_seconds / _SWEEPS_PER_DEADLINE

    def _look(self) -> None:
        self._sweep = None
        deadline = self._loop.time() - self._head_seconds
        for connection in self.connections:
            cast("Connection", connection).cut_if_slow(deadline)
        if self.connections and not self._ended:
            self._sweep = self._loop.call_later(self._period(), self._look)

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Finish what is in flight, at most for so many seconds, then close."""
        self._ended = True
        self._streams.close()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        await super().shutdown(timeout)


def build_server(
    services: Services,
    door: Door,
    *,
    linger_seconds: float = LINGER_SECONDS,
    direct: bool = True,
) -> HttpServer:
    """The protocol factory of a listener, to be called inside a running loop.

    Args:
        services: the node behind the API.
        door: what is particular to the listener.
        linger_seconds: how long a refused body is read and dropped, so that its sender gets to
            see the refusal.
        direct: whether plain requests may be served without aiohttp's machinery.
    """
    return HttpServer(services, door, linger_seconds, direct=direct)
