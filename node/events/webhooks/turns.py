"""Whose delivery is under way, and whose waits.

Law: a receiver that is slow, fails, or has never answered takes only from its like: half of all
turns are kept for those that answered quickly the last time. No agent has more than a quarter,
so that many subscriptions of one hold up no other.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

QUICK_SECONDS: Final = 1.0
"""Longest time of a delivery that counts as quick."""

_DOUBTFUL_SHARE: Final = 2
_OWNER_SHARE: Final = 4


@dataclass(slots=True)
class _Owner:
    free: asyncio.Semaphore
    users: int = 0


class Turns:
    """Turns of deliveries.

    Args:
        most: how many there are at once.
    """

    def __init__(self, most: int) -> None:
        self._all = asyncio.Semaphore(most)
        self._doubtful = asyncio.Semaphore(max(1, most // _DOUBTFUL_SHARE))
        self._of_owner = max(1, most // _OWNER_SHARE)
        self._owners: dict[str, _Owner] = {}

    @asynccontextmanager
    async def turn(self, owner: str, *, proven: bool) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Args:
            owner: whose subscription it is.
            proven: whether its receiver answered quickly the last time.
        """
        own = self._owners.setdefault(owner, _Owner(asyncio.Semaphore(self._of_owner)))
        own.users += 1
        try:
            async with own.free:
                if proven:
                    async with self._all:
                        yield
                else:
                    async with self._doubtful, self._all:
                        yield
        finally:
            own.users -= 1
            if not own.users:
                self._owners.pop(owner, None)
