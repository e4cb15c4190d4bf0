"""The line in which requests wait when a turn of the event loop has no time left for them.

Law: who came first is served first. A turn gives clients a bounded time; then acknowledgements,
commits and peers' frames have theirs, and the rest waits for the next turn. What waits here is
bounded in bytes: beyond that its connection is not read, so TCP holds its sender back.

A request that comes while the turn is young and nobody waits is served at once, at the price of
two looks at a clock: the loop's own stands still since it last asked the system for events.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from node.replication.pressure import Line

TURN_SECONDS: Final = 0.004
"""Time of clients in one turn of the loop: less than half of the lag that is allowed."""
HELD_BYTES_MAX: Final = 32 * 2**20


class Waiter(Protocol):
    """A connection that holds the bytes of a request."""

    def take_turn(self) -> None:
        """Serve it; it does not raise."""
        ...


class Intake:
    """The line of one event loop, for all of its listeners.

    Args:
        turn_seconds: time of clients in one turn.
        now: monotonic clock of which the loop's is a snapshot, seconds.

    Attributes:
        held_bytes: what connections hold of requests that wait.
    """

    __slots__ = ("_loop", "_now", "_since", "_standing", "_turn_seconds", "_waiting", "held_bytes")

    def __init__(
        self,
        *,
        turn_seconds: float = TURN_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._turn_seconds = turn_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[tuple[float, Waiter]] = deque()
        self._since = 0.0
        self._standing = 0.0
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether a connection that waits is not to be read any further."""
        return self.held_bytes > HELD_BYTES_MAX

    def has_time(self) -> bool:
        """Whether a request that is here now is served at once; else it is put into the line."""
        if self._waiting:
            return False
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        return self._now() - loop.time() < self._turn_seconds

    def put(self, waiter: Waiter) -> None:
        """Let a connection wait; it is in the line once."""
        now = self._now()
        if not self._waiting:
            self._standing = now
            loop = self._loop
            if loop is None:
                loop = self._loop = asyncio.get_running_loop()
            loop.call_soon(self._turn)
        self._waiting.append((now, waiter))

    def line(self) -> Line | None:
        """How long the request at hand has waited; None when it did not."""
        if not self._since:
            return None
        now = self._now()
        return Line(now - self._since, now - self._standing)

    def _turn(self) -> None:
        waiting, now = self._waiting, self._now
        ends = now() + self._turn_seconds
        try:
            while waiting:
                self._since, waiter = waiting[0]
                try:
                    waiter.take_turn()
                finally:
                    waiting.popleft()  # only now: as long as it stands there nobody overtakes it
                if now() >= ends:
                    break
        finally:
            self._since = 0.0
            if waiting:
                asyncio.get_running_loop().call_soon(self._turn)
