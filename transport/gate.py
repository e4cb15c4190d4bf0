"""The door of one connection: it stands between the event loop and the protocol behind it.

Law: the protocol behind the door is not made, and sees no byte, before the listener said yes; once
it was made, it hears everything the loop says, unchanged and in order.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from transport.ending import drop

__all__ = ["Gate"]


class Gate(asyncio.Protocol):
    """Asks the listener when the connection is there, then passes everything on.

    Attributes:
        host: address of the other side.
        peer: fingerprint of its certificate, set by the listener.
        asked: whether the handshake got as far as asking.
    """

    __slots__ = (
        "_deaf",
        "_enter",
        "_factory",
        "_inner",
        "_leave",
        "_transport",
        "asked",
        "host",
        "peer",
    )

    def __init__(
        self,
        host: str,
        factory: Callable[[], asyncio.Protocol],
        enter: "Callable[[Gate, asyncio.Transport], bool]",
        leave: "Callable[[Gate, asyncio.BaseTransport], None]",
    ) -> None:
        self.host = host
        self.peer: str | None = None
        self.asked = False
        self._deaf = False
        self._factory = factory
        self._enter = enter
        self._leave = leave
        self._inner: asyncio.Protocol | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in, or abort it before a byte was read."""
        self.asked = True
        stream = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        if self._deaf or not self._enter(self, stream):
            drop(stream)
            return
        self._transport = stream
        self._inner = self._factory()
        self._inner.connection_made(stream)

    def data_received(self, data: bytes) -> None:
        """Pass on, unless the connection was not let in or has been aborted."""
        if self._inner is not None and not self._deaf:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass on."""
        return self._inner.eof_received() if self._inner is not None else None

    def pause_writing(self) -> None:
        """Pass on."""
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on."""
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the listener, then pass on."""
        inner, self._inner = self._inner, None
        transport, self._transport = self._transport, None
        if transport is not None:
            self._leave(self, transport)
        if inner is not None:
            inner.connection_lost(exc)

    def shut(self) -> None:
        """Let nothing in from now on, and say goodbye for an event loop that will not."""
        self.abort()
        self.connection_lost(ConnectionAbortedError("the listener is going away"))

    def abort(self) -> None:
        """End the connection now; what the loop has already read is dropped."""
        self._deaf = True
        if self._transport is not None:
            drop(self._transport)
