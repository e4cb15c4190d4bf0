"""Answers: whole, small, and written in one piece.

Law: an answer knows its status, its bytes and whether the connection may be kept. The usual
case leaves this node as one write of ready bytes; anything unusual (HTTP/1.0, a declined
upgrade, a stream) goes through aiohttp's own response.
"""

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
SERVER: Final = "mnemesh"

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class Answer:
    """One complete answer.

    Attributes:
        status: HTTP status.
        body: the bytes.
        content_type: of the body.
        headers: further ones.
        cut: the connection ends with this answer at once.
        keep_alive: set when it is written; aiohttp's loop asks for it.
    """

    __slots__ = ("body", "content_type", "cut", "headers", "keep_alive", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str = JSON,
        *,
        headers: Mapping[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.cut = cut
        self.keep_alive = True

    def slow_form(self) -> web.Response:
        """The same answer as aiohttp's response."""
        headers = {"Content-Type": self.content_type, "Server": SERVER, **(self.headers or {})}
        response = web.Response(status=self.status, body=self.body, headers=headers)
        if self.cut:
            response.force_close()
        return response


def json_bytes(value: Any) -> bytes:
    """A value in JSON; what JSON cannot say is told as Python writes it."""
    return orjson.dumps(value, default=repr)


def json_answer(
    value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, cut: bool = False
) -> Answer:
    """An answer in JSON."""
    return Answer(status, json_bytes(value), headers=headers, cut=cut)


class Heads:
    """Ready-made heads of answers, renewed once a second for their date."""

    __slots__ = ("_date", "_heads", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._date = ""
        self._heads: dict[tuple[int, str], bytes] = {}

    def whole(self, answer: Answer, now_ms: int) -> bytes:
        """The bytes of an answer."""
        if answer.headers or not answer.keep_alive:
            return b"%b\r\n%b" % (self.head(answer, now_ms), answer.body)
        body = answer.body
        return b"%b%d\r\n\r\n%b" % (self._begun(answer, now_ms), len(body), body)

    def head(self, answer: Answer, now_ms: int) -> bytes:
        """The bytes before the body, up to the empty line."""
        head = b"%b%d\r\n" % (self._begun(answer, now_ms), len(answer.body))
        if answer.headers:
            for name, value in answer.headers.items():
                head += f"{name}: {value}\r\n".encode()
        return head if answer.keep_alive else head + b"Connection: close\r\n"

    def _begun(self, answer: Answer, now_ms: int) -> bytes:
        second = now_ms // 1000
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True)
            self._heads.clear()
        key = (answer.status, answer.content_type)
        start = self._heads.get(key)
        if start is None:
            start = self._heads[key] = self._start(*key)
        return start

    def _start(self, status: int, content_type: str) -> bytes:
        return (
            f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n"
            f"Content-Type: {content_type}\r\nServer: {SERVER}\r\nDate: {self._date}\r\n"
            "Content-Length: "
        ).encode()
