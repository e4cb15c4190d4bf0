"""Heads of plain requests, and which of them are answered at once.

Law: this is no parser of HTTP. Header lines are read by aiohttp's own; what it refuses, and
whatever is not plain (a version, a coding, an expectation, an upgrade, an odd address), is
refused here too, and goes to aiohttp as it came. A request line is taken here only when it is
of a form that aiohttp takes as well, and means the same there. What is remembered of a head is
what its bytes say, never what was decided about it.
"""

import asyncio
import re
from typing import Any, Final, NamedTuple, cast

from aiohttp import hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpRequestParser
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDictProxy

from node.http.routes import Route, Router

_LINE: Final = re.compile(
    rb"(GET|POST|PUT|DELETE) (/(?!/)[A-Za-z0-9\-._~%!$&'()*+,;=:@/]{0,1024})"
    rb"(?:\?([A-Za-z0-9\-._~%!$&'()*+,;=:@/?]{0,1024}))? HTTP/1\.1\r\n"
)
_NOT_PLAIN: Final = (
    hdrs.TRANSFER_ENCODING,
    hdrs.CONTENT_ENCODING,
    hdrs.EXPECT,
    hdrs.UPGRADE,
    hdrs.TE,
    hdrs.TRAILER,
)
_KEPT: Final = (None, "keep-alive", "Keep-Alive")
_LENGTH_DIGITS_MAX: Final = 10
_HEAD_BYTES_MAX: Final = 4096
_REMEMBERED_MAX: Final = 512
_BUFFER_BYTES: Final = 1 << 16


class Head(NamedTuple):
    """The head of a plain request.

    Attributes:
        method: GET, POST, PUT or DELETE.
        path: as received, without the query.
        query: as received.
        headers: as aiohttp read them.
        size: bytes of the body that follows.
        route: the row of the table; None where aiohttp's way is the way.
        params: what its pattern took out of the path.
    """

    method: str
    path: str
    query: str
    headers: CIMultiDictProxy[str]
    size: int
    route: Route | None
    params: tuple[str, ...]


_Lines = tuple[CIMultiDictProxy[str], int] | None
"""Headers of a plain request and the length of its body; None when it is not plain."""


class HeadReader:
    """Reads heads of one listener.

    Args:
        router: the routes.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._heads: dict[bytes, Head] = {}
        self._lines: dict[tuple[bytes, bytes], _Lines] = {}

    def read(self, data: bytes) -> Head | None:
        """The head in these bytes, which end with the first empty line; None: not plain."""
        head = self._heads.get(data)
        if head is not None:
            return head
        if len(data) > _HEAD_BYTES_MAX:
            return None
        match = _LINE.match(data)
        if match is None:
            return None
        method, path, query = match.groups()
        kind = (method, data[match.end() :])
        lines = self._lines[kind] if kind in self._lines else self._read_lines(*kind)
        if lines is None:
            return None
        text = path.decode()
        route, params, _ = self._router.find(method.decode(), text)
        if route is not None and not route.direct:
            route = None
        head = Head(
            method.decode(), text, (query or b"").decode(), lines[0], lines[1], route, params
        )
        if not params and not query:
            _remember(self._heads, data, head)
        return head

    def _read_lines(self, method: bytes, block: bytes) -> _Lines:
        ends = block.count(b"\r\n")
        odd = block.count(b"\n") != ends or block.count(b"\r") != ends
        lines = None if odd else _parsed(b"%b / HTTP/1.1\r\n%b" % (method, block))
        _remember(self._lines, (method, block), lines)
        return lines


def _remember(held: dict[Any, Any], key: Any, value: Any) -> None:
    if len(held) >= _REMEMBERED_MAX:
        held.clear()
    held[key] = value


def _parsed(data: bytes) -> _Lines:
    loop = asyncio.get_running_loop()
    parser = HttpRequestParser(BaseProtocol(loop), loop, _BUFFER_BYTES, auto_decompress=False)
    try:
        messages, upgraded, tail = parser.feed_data(data)
    except HttpProcessingError:
        return None
    if len(messages) != 1 or upgraded or tail:
        return None
    message = cast("Any", messages[0][0])
    headers = message.headers
    if message.should_close or message.upgrade or message.chunked or message.compression:
        return None
    if headers.get(hdrs.CONNECTION) not in _KEPT or any(name in headers for name in _NOT_PLAIN):
        return None
    length = headers.get(hdrs.CONTENT_LENGTH, "0")
    if not (length.isascii() and length.isdigit() and len(length) <= _LENGTH_DIGITS_MAX):
        return None
    return headers, int(length)
