"""A client's end of a connection without a socket: bytes go in, bytes come out."""

import asyncio
from typing import Any, Final

from node.http.connection import Connection
from tests.unit.http.conftest import World

_TURNS: Final = 30
"""More turns of the loop than any request of these tests takes."""


class WireTransport(asyncio.Transport):
    """Takes what a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.out = bytearray()
        self.reading = True
        self.closing = False
        self.protocol: Connection | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def write(self, data: Any) -> None:
        if not self.closing:
            self.out += data

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self._lost)

    abort = close

    def _lost(self) -> None:
        assert self.protocol is not None
        self.protocol.connection_lost(None)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Wire:
    """One connection to a world."""

    def __init__(self, world: World) -> None:
        assert world.server is not None
        self.world = world
        self.transport = WireTransport()
        self.connection = world.server()
        self.transport.protocol = self.connection
        self.connection.connection_made(self.transport)

    async def send(self, *parts: bytes, turns: int = _TURNS) -> bytes:
        """Give bytes, part by part, with turns of the loop after each; everything answered."""
        for part in parts:
            if self.transport.closing:
                break
            # From the loop, as a socket does it: what is called from a test has its task.
            asyncio.get_running_loop().call_soon(self.connection.data_received, part)
            for _ in range(turns + 1):
                await asyncio.sleep(0)
        return bytes(self.transport.out)

    async def settle(self) -> bytes:
        """Let everything happen that can; everything answered."""
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return bytes(self.transport.out)

    def taken(self) -> bytes:
        """What was answered since the last call."""
        out = bytes(self.transport.out)
        self.transport.out.clear()
        return out

    @property
    def ordinary(self) -> int:
        """How many requests went aiohttp's way, over all connections of the world."""
        assert self.world.server is not None
        return self.world.server.requests_count


def asked(
    line: str, *lines: str, body: bytes = b"", host: str = "127.0.0.1", sized: bool = True
) -> bytes:
    """A request; `Content-Length` is added where there is a body."""
    more = [*lines, f"Content-Length: {len(body)}"] if body and sized else list(lines)
    head = "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", *more, "", ""])
    return head.encode("latin-1") + body
