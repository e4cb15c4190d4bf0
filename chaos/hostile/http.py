"""HTTP/1.1 as few lines as a peer needs (RFC 9112), and raw bytes for what a client must not send.

Law: one request a connection; an answer is read to its end or is an error. What a server says is
bounded, since the harness is not to fall over what it tests.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import trio

__all__ = ["BadAnswerError", "Response", "ask", "read_answer", "request_bytes"]

_ANSWER_BYTES_MAX: Final = 64 * 2**20
_CHUNK_BYTES: Final = 65536


class BadAnswerError(ValueError):
    """Bytes that are no whole HTTP answer."""


class Response(NamedTuple):
    """An answer; status 0 when there was none."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body; None when it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def request_bytes(
    host: str, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one request; a body that is not bytes is sent as JSON."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Host": host, "Connection": "close", **(headers or {})}
    if body is not None:
        sent = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **sent}
    head = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in sent.items())]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + raw


async def ask(
    stream: trio.abc.Stream,
    host: str,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send one request and read its answer.

    Raises:
        BadAnswerError: no whole answer. trio.BrokenResourceError: the connection broke.
    """
    await stream.send_all(request_bytes(host, method, path, body, headers))
    answer, _ = await read_answer(stream)
    return answer


async def read_answer(stream: trio.abc.ReceiveStream) -> tuple[Response, bytes]:
    """Read one answer; returns it and what came after it.

    Raises:
        BadAnswerError: no whole answer. trio.BrokenResourceError: the connection broke.
    """
    held = b""
    while b"\r\n\r\n" not in held:
        held += await _more(stream, held)
    head, _, rest = held.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): text.strip() for name, _, text in pairs}
    try:
        status = int(first.split(" ")[1])
    except (IndexError, ValueError) as error:
        raise BadAnswerError(f"no status line: {first[:40]!r}") from error
    if status == 101:
        return Response(status, headers, b""), rest
    if "chunked" in headers.get("transfer-encoding", ""):
        return Response(status, headers, await _chunks(stream, rest)), b""
    length = int(headers.get("content-length", "0"))
    while len(rest) < length:
        rest += await _more(stream, rest)
    return Response(status, headers, rest[:length]), rest[length:]


async def _chunks(stream: trio.abc.ReceiveStream, held: bytes) -> bytes:
    body = b""
    while True:
        while b"\r\n" not in held:
            held += await _more(stream, held)
        line, _, held = held.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        while len(held) < size + 2:
            held += await _more(stream, held)
        if not size:
            return body
        body += held[:size]
        held = held[size + 2 :]


async def _more(stream: trio.abc.ReceiveStream, held: bytes) -> bytes:
    if len(held) > _ANSWER_BYTES_MAX:
        raise BadAnswerError("an answer without end")
    data = await stream.receive_some(_CHUNK_BYTES)
    if not data:
        raise BadAnswerError(f"the answer ended after {len(held)} bytes")
    return bytes(data)
