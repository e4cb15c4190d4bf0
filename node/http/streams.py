"""The streams of events that are open on a node.

Law: their number is bounded, and all of them end together when the node drains; a stream that
comes too late is told so.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from node.errors import Draining, Overloaded

STREAMS_MAX: Final = 256
HEARTBEAT_SECONDS: Final = 15.0


@dataclass(slots=True)
class OpenStreams:
    """All streams of a node.

    Attributes:
        most: how many there may be.
        heartbeat_seconds: longest silence of a stream.
        closed: set for good when the node drains.
        turn: taken by a stream while it looks for what is next, so that however many there are
            and however far behind, each turn of the loop serves one of them, and requests.
    """

    most: int = STREAMS_MAX
    heartbeat_seconds: float = HEARTBEAT_SECONDS
    closed: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _wakes: set[asyncio.Event] = field(default_factory=set)

    def close(self) -> None:
        """End every stream after what it is writing."""
        self.closed = True
        for wake in self._wakes:
            wake.set()

    def enter(self, wake: asyncio.Event) -> None:
        """Count a stream in.

        Raises:
            node.errors.Draining: the node goes down.
            node.errors.Overloaded: there are too many.
        """
        if self.closed:
            raise Draining("this node is shutting down", fix="Use another node")
        if len(self._wakes) >= self.most:
            raise Overloaded(f"{self.most} streams are open", fix="Close one, or use another node")
        self._wakes.add(wake)

    def leave(self, wake: asyncio.Event) -> None:
        """Count it out."""
        self._wakes.discard(wake)
