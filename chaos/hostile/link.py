"""One link to a node: open, greeted, heard in the background.

Law: what was heard is kept in order; whoever waits for something waits for a state with a deadline.
A link that ended says why.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from chaos.hostile import wire
from chaos.hostile.websocket import BINARY, ClosedError, WebSocket, upgrade
from chaos.hostile.wire import Greeting, Kind, Said

__all__ = ["Link", "open_link"]

PATH: Final = "/api/v1/peer"
WAIT_S: Final = 10.0


class Link:
    """An open WebSocket to a node, frames in and out.

    Attributes:
        theirs: the greeting of the node, once it came.
        heard: messages, in order.
        raw: the frames as they came, and those that were sent, for replays.
        ended: why it is over; None while it is not.
    """

    def __init__(self, socket: WebSocket, own: str, peer: str) -> None:
        self.socket = socket
        self.own = own
        self.peer = peer
        self.theirs: Greeting | None = None
        self.heard: list[Said] = []
        self.sent: list[bytes] = []
        self.ended: ClosedError | None = None
        self._news = trio.Condition()
        self._beats = 1_000_000

    async def greet(self, greeting: bytes) -> None:
        """Send a greeting and read the other one.

        Raises:
            ClosedError: refused. ValueError: what came is no proven greeting.
        """
        await self.send(greeting)
        with trio.move_on_after(WAIT_S) as scope:
            (first,) = wire.messages_of(await self.socket.receive())
            self.theirs = wire.read_greeting(first, self.own, self.peer)
        if scope.cancelled_caught:
            raise ClosedError("no greeting came")

    async def send(self, *messages: bytes) -> None:
        """Send messages as one frame.

        Raises:
            ClosedError: the link is over.
        """
        await self.send_frame(wire.frame(messages))

    async def send_frame(self, data: bytes) -> None:
        """Send a frame as it is."""
        self.sent.append(data)
        await self.socket.send(data, BINARY)

    async def hear(self, take: Callable[["Link", Said], Awaitable[None]] | None = None) -> None:
        """Read until the link is over; `take` is told of every message."""
        try:
            while True:
                for data in wire.messages_of(await self.socket.receive()):
                    one = wire.said(data)
                    if take is not None:
                        await take(self, one)
                    async with self._news:
                        self.heard.append(one)
                        self._news.notify_all()
        except ClosedError as closed:
            self.ended = self.ended or closed
        async with self._news:
            self._news.notify_all()

    async def wait(self, state: Callable[[], object], seconds: float = WAIT_S) -> bool:
        """Wait until `state` is true or the link is over; tells whether it is true."""
        with trio.move_on_after(seconds):
            async with self._news:
                while not state() and self.ended is None:
                    await self._news.wait()
        return bool(state())

    async def wait_heard(self, kind: Kind, seconds: float = WAIT_S) -> bool:
        """Wait for a message of a kind."""
        return await self.wait(lambda: any(one.kind == kind for one in self.heard), seconds)

    async def alive(self, seconds: float = WAIT_S) -> bool:
        """Whether the node answers a Beat on this link, which is after all that came before."""
        self._beats += 1
        number = self._beats
        beat = wire.message(Kind.BEAT, number, wire.now_ms(), True, b"", b"")
        try:
            await self.send(beat)
        except ClosedError:
            await self.wait(lambda: False, 1.0)  # its reason may still be on the way
            return False
        return await self.wait(
            lambda: any(one.kind == Kind.ECHO and one[1] == number for one in self.heard), seconds
        )

    async def wait_ended(self, seconds: float = WAIT_S) -> bool:
        """Wait until the node ended the link."""
        await self.wait(lambda: self.ended is not None, seconds)
        return self.ended is not None

    async def close(self) -> None:
        """Hang up."""
        await self.socket.close()


async def open_link(target: Any, victim: Any, pair: Any = None) -> Link:
    """Connect and upgrade; nobody has greeted yet.

    Args:
        target: a `chaos.hostile.target.Target`.
        victim: which node.
        pair: the certificate to show; the member's own without.

    Raises:
        ClosedError: not let in. OSError, trio.BrokenResourceError: nor connected.
    """
    stream = await target.dial(victim, pair)
    try:
        with trio.fail_after(WAIT_S):
            socket = await upgrade(stream, victim.host, PATH)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return Link(socket, (pair or target.papers.member).fingerprint, victim.fingerprint)
