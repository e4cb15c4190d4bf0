"""The probe listener: is the process alive, is it ready. Nothing else.

Law: it answers `GET` and `HEAD` of `/livez` and `/readyz` with a word each, and 404 to everything
else; it knows no key, no memory and no peer, so it may stand where an orchestrator reaches it. A
connection gives one answer and ends; its request has few bytes and little time.
"""

import asyncio
from collections.abc import Callable
from typing import Final, cast

LIVE: Final = b"/livez"
READY: Final = b"/readyz"

_REQUEST_BYTES_MAX: Final = 4096
_SECONDS_MAX: Final = 5.0
_END: Final = b"\r\n\r\n"
_WORDS: Final = 3
_REASONS: Final = {
    200: b"OK",
    400: b"Bad Request",
    404: b"Not Found",
    405: b"Method Not Allowed",
    431: b"Request Header Fields Too Large",
    503: b"Service Unavailable",
}


class Probe(asyncio.Protocol):
    """One connection of whoever probes.

    Args:
        ready: whether reads are served now.
    """

    def __init__(self, ready: Callable[[], bool]) -> None:
        self._ready = ready
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give it its time."""
        self._transport = cast("asyncio.Transport", transport)
        self._deadline = asyncio.get_running_loop().call_later(_SECONDS_MAX, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        """Answer as soon as the head of the request is there."""
        if self._transport is None or self._transport.is_closing():
            return
        self._received += data
        head, found, _ = self._received.partition(_END)
        if len(head) > _REQUEST_BYTES_MAX:
            self._answer(431, b"")
        elif found:
            self._answer(*answer_to(head, ready=self._ready))

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of it."""
        del exc
        self._transport = None
        if self._deadline is not None:
            self._deadline.cancel()

    def _answer(self, status: int, body: bytes) -> None:
        transport = self._transport
        if transport is not None:
            transport.write(
                b"HTTP/1.1 %d %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
                b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
                % (status, _REASONS[status], len(body))
                + body
            )
            transport.close()


def answer_to(head: bytes, *, ready: Callable[[], bool]) -> tuple[int, bytes]:
    """Status and body for the head of a request (RFC 9112 section 3)."""
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != _WORDS or not words[2].startswith(b"HTTP/1."):
        return 400, b""
    method, target, _ = words
    if target not in (LIVE, READY):
        return 404, b""
    if method not in (b"GET", b"HEAD"):
        return 405, b""
    if target == READY and not ready():
        return 503, b"" if method == b"HEAD" else b"not ready\n"
    return 200, b"" if method == b"HEAD" else b"ok\n"
