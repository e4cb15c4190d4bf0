"""A link over one WebSocket (RFC 6455), on the dialling and on the accepting side.

Law: binary messages only, one frame each, never compressed; a peer that falls silent, sends text,
breaks the frame format or a limit loses the link with a reason it is told. The fingerprint is read
from the TLS connection itself when the link is made, never from anything the peer says.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType, web
from aiohttp.http import WebSocketError

from transport.ending import drop
from transport.errors import TransportError
from transport.frames import FrameError, decode
from transport.link import LinkClosed, LinkLimits, encode_within
from transport.tls import peer_fingerprint

__all__ = ["WebSocketLink", "accept_link"]

# Bound once: every frame is compared with it.
_BINARY = WSMsgType.BINARY
# A close frame carries at most 125 bytes, two of them the code (RFC 6455 section 5.5).
_REASON_BYTES_MAX = 123
# What may wait for the peer before nothing more is sent without waiting.
_WINDOW_BYTES = 256 * 1024


class WebSocketLink:
    """One end of a WebSocket; see `transport.link.Link`.

    Whoever made the connection also disposes of it: the server's handler by returning
    `response`, the dialler by closing its session.
    """

    def __init__(
        self,
        socket: "web.WebSocketResponse[Any] | ClientWebSocketResponse[Any]",
        transport: asyncio.Transport,
        *,
        own_fingerprint: str | None,
        limits: LinkLimits,
    ) -> None:
        self._socket = socket
        self._send_bytes = socket.send_bytes
        self._receive = socket.receive
        self._transport = transport
        self._own = own_fingerprint
        self._peer = peer_fingerprint(transport)
        self._limits = limits
        self._ended: tuple[str, str] | None = None

    @property
    def own_certificate_fingerprint(self) -> str | None:
        """See `Link`."""
        return self._own

    @property
    def peer_certificate_fingerprint(self) -> str | None:
        """See `Link`."""
        return self._peer

    @property
    def peer_fingerprint(self) -> str | None:
        """See `Link`."""
        return self._peer

    @property
    def response(self) -> "web.WebSocketResponse[Any]":
        """What the server's handler returns when it is done with the link."""
        if not isinstance(self._socket, web.WebSocketResponse):
            raise TypeError("only an accepted link has a response")
        return self._socket

    async def send(self, messages: Sequence[bytes]) -> None:
        """See `Link`."""
        frame = encode_within(messages, self._limits)
        if self._ended is not None:
            raise LinkClosed(*self._ended)
        try:
            await self._send_bytes(frame)
        except (OSError, aiohttp.ClientError) as error:
            raise self._lost(error) from error

    @property
    def writable(self) -> bool:
        """See `Link`."""
        return self._transport.get_write_buffer_size() <= _WINDOW_BYTES

    def send_now(self, messages: Sequence[bytes]) -> None:
        """See `Link`."""
        frame = encode_within(messages, self._limits)
        if self._ended is not None:
            raise LinkClosed(*self._ended)
        sending = self._send_bytes(frame)
        try:
            # Its first step writes the whole frame; a second one would only wait for the peer.
            sending.send(None)
        except StopIteration:
            return
        except (OSError, aiohttp.ClientError) as error:
            raise self._lost(error) from error
        sending.close()

    async def receive(self) -> list[bytes]:
        """See `Link`."""
        if self._ended is not None:
            raise LinkClosed(*self._ended)
        try:
            message = await self._receive()
        except (OSError, aiohttp.ClientError) as error:
            # It answers pings by itself, which fails on a connection that is just ending.
            raise self._lost(error) from error
        if message.type is not _BINARY:
            raise await self._over(message)
        limits = self._limits
        try:
            return decode(
                message.data,
                frame_bytes_max=limits.frame_bytes_max,
                message_bytes_max=limits.message_bytes_max,
                messages_max=limits.messages_max,
            )
        except FrameError as error:
            ended = f"frame_{error.reason}"
            await self._finish(ended, str(error), WSCloseCode.PROTOCOL_ERROR)
            raise LinkClosed(ended, str(error)) from error

    def abort(self, reason: str) -> None:
        """See `Link`."""
        if self._ended is None:
            self._ended = ("closed_by_us", reason)
        drop(self._transport)

    async def close(self, reason: str) -> None:
        """See `Link`."""
        await self._finish("closed_by_us", reason, WSCloseCode.OK)

    async def _finish(self, reason: str, detail: str, code: WSCloseCode) -> None:
        if self._ended is not None:
            return
        self._ended = (reason, detail)
        told = detail if reason == "closed_by_us" else reason
        with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError):
            async with asyncio.timeout(self._limits.close_s):
                await self._socket.close(
                    code=code, message=told.encode("ascii", "replace")[:_REASON_BYTES_MAX]
                )
        drop(self._transport)

    async def _over(self, message: aiohttp.WSMessage) -> LinkClosed:
        if self._ended is None and message.type is WSMsgType.TEXT:
            await self._finish("text_frame", "links are binary", WSCloseCode.UNSUPPORTED_DATA)
        elif self._ended is None:
            self._ended = self._ending(message)
            drop(self._transport)
        return self._closed("lost", "")

    def _lost(self, error: Exception) -> LinkClosed:
        if self._ended is None:
            self._ended = ("lost", str(error))
        drop(self._transport)
        return LinkClosed(*self._ended)

    def _closed(self, reason: str, detail: str) -> LinkClosed:
        # What this side did first is the reason, whatever became of the connection after.
        return LinkClosed(*(self._ended or (reason, detail)))

    def _ending(self, message: aiohttp.WSMessage) -> tuple[str, str]:
        if message.type is WSMsgType.CLOSE:
            return "closed_by_peer", _printable(message.extra) or f"code {message.data}"
        error = message.data if message.type is WSMsgType.ERROR else self._socket.exception()
        if isinstance(error, TimeoutError):
            return "silent", f"no answer within {self._limits.heartbeat_s * 1.5:g} s"
        if isinstance(error, WebSocketError):
            too_big = error.code == WSCloseCode.MESSAGE_TOO_BIG
            return "frame_too_big" if too_big else "protocol", str(error)
        return "lost", str(error or "")


def _printable(text: object) -> str:
    # The other side chose these words and they may end up in a log.
    return "".join(c for c in str(text or "") if c.isascii() and c.isprintable())[
        :_REASON_BYTES_MAX
    ]


async def accept_link(
    request: web.BaseRequest, *, own_fingerprint: str | None, limits: LinkLimits
) -> WebSocketLink:
    """Answer a WebSocket upgrade and return the link.

    The caller has already decided that this peer may have one.

    Raises:
        LinkClosed: `no_upgrade` when the request is none, `lost` when it is gone by now.
    """
    socket: web.WebSocketResponse[Any] = web.WebSocketResponse(
        compress=False,
        heartbeat=limits.heartbeat_s,
        timeout=limits.close_s,
        max_msg_size=limits.frame_bytes_max + 1,  # it refuses from there on
    )
    transport = request.transport
    if transport is None:
        raise LinkClosed("lost", "the connection ended before the upgrade")
    try:
        await socket.prepare(request)
    except web.HTTPException as error:
        raise LinkClosed("no_upgrade", _printable(error.text)) from error
    except (OSError, aiohttp.ClientError, TransportError) as error:
        raise LinkClosed("lost", str(error)) from error
    return WebSocketLink(socket, transport, own_fingerprint=own_fingerprint, limits=limits)
