"""Requests as httpx sends them, and what came back; blocking and awaiting.

Law: what is sent is byte for byte what was signed. No redirect is followed, no cookie kept, no
proxy or password taken from the environment. A try ends when its time is over, also when the
answer drips in. httpx is loaded with the first client, not with the package.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from node.client.errors import Unreachable
from node.client.exchange import Fault, Outcome, Reply, Send, no_answer
from node.client.faults import client_error
from node.client.places import Place, Settled

if TYPE_CHECKING:
    import httpx

# A few connections that are always busy carry more than many.
_CALLS_AT_ONCE: Final = 16
_CONNECTIONS_MAX: Final = 100


def _address(place: Place, target: str) -> "httpx.URL":
    import httpx  # noqa: PLC0415 -- loaded with the first client

    url = httpx.URL(place.url)
    before = url.raw_path.rstrip(b"/")
    return url.copy_with(raw_path=before + target.encode("ascii"))


def _timeout(settled: Settled, seconds: float) -> "httpx.Timeout":
    import httpx  # noqa: PLC0415 -- as above

    return httpx.Timeout(seconds, connect=min(settled.retry.connect, seconds))


def _options(settled: Settled, place: Place) -> dict[str, Any]:
    """What an httpx client is made with."""
    if settled.transport is not None:
        return {"transport": settled.transport, "trust_env": False}
    import httpx  # noqa: PLC0415 -- as above

    tls = settled.tls(place) if place.url.startswith("https:") else False
    limits = httpx.Limits(
        max_connections=_CONNECTIONS_MAX, max_keepalive_connections=_CONNECTIONS_MAX
    )
    return {"verify": tls, "trust_env": False, "limits": limits}


def _arguments(settled: Settled, send: Send) -> dict[str, Any]:
    return {
        "method": send.method,
        "url": _address(settled.places[send.node], send.target),
        "headers": dict(send.headers),
        "content": send.body,
        "timeout": _timeout(settled, send.seconds),
    }


def httpx_error() -> "type[httpx.HTTPError]":
    """The root of what httpx raises."""
    import httpx  # noqa: PLC0415 -- as above

    return httpx.HTTPError


def reply_of(response: "httpx.Response", body: bytes) -> Reply:
    """An answer whose body was read."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, body=body)


class Wires:
    """Connections of a client that blocks; may be used by several threads."""

    def __init__(self, settled: Settled) -> None:
        import httpx  # noqa: PLC0415 -- as above

        self._settled = settled
        self._clients = [httpx.Client(**_options(settled, place)) for place in settled.places]
        self._process = os.getpid()
        self._forked = threading.Lock()

    def _own(self) -> "list[httpx.Client]":
        """The clients of this process: a fork must not speak on the connections of its parent."""
        if self._process != os.getpid():
            with self._forked:
                if self._process != os.getpid():
                    import httpx  # noqa: PLC0415 -- as above

                    before, places = self._clients, self._settled.places
                    self._clients = [httpx.Client(**_options(self._settled, p)) for p in places]
                    self._process = os.getpid()
                    for client in before:
                        client.close()  # only here; nothing is said on the wire
        return self._clients

    def send(self, send: Send) -> Outcome:
        """Send one request and read its whole answer."""
        import httpx  # noqa: PLC0415 -- as above

        url = self._settled.places[send.node].url
        ends = time.monotonic() + send.seconds
        try:
            with self.open(send) as response:
                parts = []
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > ends:
                        return Fault(error=no_answer(send.seconds, url))
                return reply_of(response, b"".join(parts))
        except httpx.HTTPError as error:
            return Fault(error=client_error(error, url))

    @contextlib.contextmanager
    def open(self, send: Send) -> Iterator["httpx.Response"]:
        """An answer that is read piece by piece.

        Raises:
            httpx.HTTPError: there is none.
        """
        with self._own()[send.node].stream(**_arguments(self._settled, send)) as response:
            yield response

    def close(self) -> None:
        """Close every connection."""
        for client in self._own():
            client.close()


class _Handshake:
    """The connection that one request is making.

    httpcore leaves it open when the request is cancelled in the middle of the TLS handshake.
    """

    def __init__(self) -> None:
        self._stream: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by httpcore how far the request is."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None  # from here on its pool owns it

    async def end(self) -> None:
        """Close what did not become a connection."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()


class AsyncWires:
    """Connections of a client that awaits; belongs to one event loop."""

    def __init__(self, settled: Settled) -> None:
        import httpx  # noqa: PLC0415 -- as above

        self._settled = settled
        self._options = [_options(settled, place) for place in settled.places]
        self._clients = [httpx.AsyncClient(**given) for given in self._options]
        # Each carries one request at a time, the last used first: a pool of httpx looks at all
        # its connections at every request, which costs more than the request.
        self._idle = [[client] for client in self._clients]
        self._turns = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def send(self, send: Send) -> Outcome:
        """Send one request and read its whole answer."""
        import httpx  # noqa: PLC0415 -- as above

        url = self._settled.places[send.node].url
        ends = asyncio.get_running_loop().time() + send.seconds
        try:
            async with asyncio.timeout_at(ends):
                await self._turns.acquire()
        except TimeoutError:
            return Fault(error=Unreachable("too many calls at once: it was never this one's turn"))
        try:
            async with asyncio.timeout_at(ends), self.open(send) as response:
                return reply_of(response, await response.aread())
        except TimeoutError:
            return Fault(error=no_answer(send.seconds, url))
        except httpx.HTTPError as error:
            return Fault(error=client_error(error, url))
        finally:
            self._turns.release()

    @contextlib.asynccontextmanager
    async def open(self, send: Send) -> AsyncIterator["httpx.Response"]:
        """An answer that is read piece by piece.

        Raises:
            httpx.HTTPError: there is none.
        """
        arguments, handshake = _arguments(self._settled, send), _Handshake()
        if self._settled.places[send.node].url.startswith("https:"):
            arguments["extensions"] = {"trace": handshake.trace}
        client = self._taken(send.node)
        try:
            async with client.stream(**arguments) as response:
                yield response
        finally:
            if self._settled.transport is None:
                self._idle[send.node].append(client)
            await handshake.end()

    def _taken(self, node: int) -> "httpx.AsyncClient":
        if self._settled.transport is not None:
            return self._clients[node]  # what was brought along may not be opened twice
        if self._idle[node]:
            return self._idle[node].pop()
        import httpx  # noqa: PLC0415 -- as above

        client = httpx.AsyncClient(**self._options[node])
        self._clients.append(client)
        return client

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients:
            await client.aclose()
