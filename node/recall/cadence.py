"""When the index catches up.

Law: at rest at once; while there are many writes seldom and in large pieces, so that an
acknowledgement waits for nothing derived; and never so late that what waits could be more, or
older, than its bounds. Whoever asks makes it catch up sooner, now and for a while.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from node.recall.threads import Manners

FLUSH_SECONDS: Final = 0.5
CALM_OPS_PER_SECOND: Final = 200
PIECE_OPS: Final = 20_000
"""So many are worth a piece of the index of their own."""

LATE_SECONDS: Final = 5.0
LATE_OPS: Final = 200_000
"""From here on the index steps back for nothing; before, a writer's latency comes first."""

_ASKED_SECONDS: Final = 10.0
_IDLE_SECONDS: Final = 30.0


class Cadence:
    """Decides when the next round begins.

    Args:
        least_seconds: between two rounds.
        waiting: how many keys wait to be indexed.
    """

    def __init__(self, least_seconds: float, waiting: Callable[[], int]) -> None:
        self._least_seconds = least_seconds
        self._waiting = waiting
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._asked = -_ASKED_SECONDS
        self.manners = Manners()

    def saw(self, ops: int) -> None:
        """Something changed."""
        self.manners.written += ops
        self._wake.set()

    def wake(self) -> None:
        """Begin a round, soon."""
        self._wake.set()

    def hurry(self) -> None:
        """Somebody waits for a round: begin it at once; one that runs steps back no more."""
        self.manners.urgent = True
        self._hurry.set()
        self._wake.set()

    def asked(self) -> None:
        """Somebody asks; the index is close behind for a while."""
        self._asked = asyncio.get_running_loop().time()

    def begin(self) -> None:
        """A round begins."""
        self.manners.urgent = self._waiting() > LATE_OPS or self._hurry.is_set()
        self._wake.clear()
        self._hurry.clear()

    async def rest(self) -> None:
        """Wait until the next round shall begin."""
        loop = asyncio.get_running_loop()
        rested = loop.time() + self._least_seconds
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_SECONDS):
                await self._wake.wait()
        began = loop.time()
        while not self._hurry.is_set():
            before, now = self.manners.written, loop.time()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(max(rested, now + self._least_seconds / 2)):
                    await self._hurry.wait()
            now, since = loop.time(), now
            calm = self.manners.written - before <= CALM_OPS_PER_SECOND * (now - since)
            late = now - began >= LATE_SECONDS or self._waiting() >= PIECE_OPS
            if calm or late or now - self._asked < _ASKED_SECONDS:
                return
