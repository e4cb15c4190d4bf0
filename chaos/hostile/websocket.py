"""The client side of WebSocket (RFC 6455), as much of it as a link needs.

Law: whole binary messages, masked, never compressed; a ping is answered, a close frame ends the
socket with its reason. Every field of a frame can be set otherwise, for that is what it is for.
"""

import base64
import os
import struct
from typing import Final

import trio

from chaos.hostile import http

__all__ = ["BINARY", "CLOSE", "PING", "TEXT", "ClosedError", "WebSocket", "frame_bytes", "upgrade"]

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_FIN: Final = 0x80
_MASKED: Final = 0x80
_SHORT_MAX: Final = 125
_LONG: Final = 126
_LONGER: Final = 127
_MESSAGE_BYTES_MAX: Final = 64 * 2**20


class ClosedError(ConnectionError):
    """The socket is over: with the reason of the close frame, or what broke the connection."""

    def __init__(self, reason: str, code: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def frame_bytes(
    payload: bytes,
    opcode: int = BINARY,
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    declared: int | None = None,
) -> bytes:
    """One frame.

    Args:
        payload: what it carries.
        opcode: of RFC 6455 section 5.2.
        fin: whether it is the last one of its message.
        reserved: the three reserved bits, 0 to 7.
        masked: as a client must.
        declared: a length other than that of the payload.
    """
    length = len(payload) if declared is None else declared
    first = (_FIN if fin else 0) | reserved << 4 | opcode
    mask_bit = _MASKED if masked else 0
    if length <= _SHORT_MAX:
        head = struct.pack(">BB", first, mask_bit | length)
    elif length < 1 << 16:
        head = struct.pack(">BBH", first, mask_bit | _LONG, length)
    else:
        head = struct.pack(">BBQ", first, mask_bit | _LONGER, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + _xor(payload, mask)


def _xor(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


class WebSocket:
    """One open socket over a stream."""

    def __init__(self, stream: trio.abc.Stream, held: bytes = b"") -> None:
        self.stream = stream
        self._held = bytearray(held)
        self._sending = trio.Lock()

    async def send(self, payload: bytes, opcode: int = BINARY) -> None:
        """Send one message.

        Raises:
            ClosedError: the connection is gone.
        """
        await self.send_raw(frame_bytes(payload, opcode))

    async def send_raw(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            ClosedError: the connection is gone.
        """
        try:
            async with self._sending:
                await self.stream.send_all(data)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ClosedError(f"lost: {error}") from error

    async def receive(self) -> bytes:
        """The next binary message; pings are answered on the way.

        Raises:
            ClosedError: there will be none.
        """
        whole = b""
        while True:
            opcode, fin, payload = await self._frame()
            if opcode == PING:
                await self.send(payload, PONG)
            elif opcode == CLOSE:
                code = int.from_bytes(payload[:2])
                raise ClosedError(payload[2:].decode("utf-8", "replace"), code)
            elif opcode in {BINARY, TEXT, CONTINUATION}:
                whole += payload
                if fin:
                    return whole

    async def _frame(self) -> tuple[int, bool, bytes]:
        first, second = await self._take(2)
        length = second & 0x7F
        if length == _LONG:
            length = int.from_bytes(await self._take(2))
        elif length == _LONGER:
            length = int.from_bytes(await self._take(8))
        if length > _MESSAGE_BYTES_MAX:
            raise ClosedError(f"a frame of {length} bytes")
        return first & 0x0F, bool(first & _FIN), await self._take(length)

    async def _take(self, size: int) -> bytes:
        held = self._held
        while len(held) < size:
            try:
                data = await self.stream.receive_some(65536)
            except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ClosedError(f"lost: {error}") from error
            if not data:
                raise ClosedError("lost: the end of the stream")
            held += data
        taken = bytes(held[:size])
        del held[:size]
        return taken

    async def close(self) -> None:
        """Hang up."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self.stream)


def upgrade_headers() -> dict[str, str]:
    """The headers of an upgrade (RFC 6455 section 4.1)."""
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Version": "13",
    }


async def upgrade(stream: trio.abc.Stream, host: str, path: str) -> WebSocket:
    """Ask for a WebSocket on an open connection.

    Raises:
        ClosedError: it was refused; the reason holds the status.
    """
    try:
        await stream.send_all(http.request_bytes(host, "GET", path, headers=upgrade_headers()))
        answer, rest = await http.read_answer(stream)
    except (OSError, trio.BrokenResourceError, http.BadAnswerError) as error:
        raise ClosedError(f"lost: {error}") from error
    if answer.status != 101:
        raise ClosedError(f"status {answer.status}", answer.status)
    return WebSocket(stream, rest)
