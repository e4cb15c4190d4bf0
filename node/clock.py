"""The time that a node goes by.

Law: the wall clock is followed while it runs as time does. A jump, a second or more that the
machine's steady clock did not see, is followed only when the mesh agrees with where it leads:
stamps from a clock that leapt ahead would reach no peer until the world is that late, and all
that the node writes afterwards would wait behind them. A node with nobody beside it follows.
Until then time goes on from where it was.
"""

import time
from collections.abc import Callable
from typing import Final

JUMP_MS_MIN: Final = 1_000
_NS_PER_MS: Final = 1_000_000
# Counts the time in which the machine slept, where the system has such a clock.
_STEADY: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def steady_ms() -> int:
    """Milliseconds since some moment, by a clock that nobody sets."""
    return time.clock_gettime_ns(_STEADY) // _NS_PER_MS


class Clock:
    """Milliseconds since the epoch; called like a function.

    Args:
        wall: the clock of the machine, ms since the epoch.
        steady: ms by a clock that nobody sets.

    Attributes:
        agrees: asked whether a jump of so many ms is to be followed; told of it when it was.
        followed: told of a jump that was followed.
        ahead_ms: how far the machine's clock is from this one, because of a jump that is not
            followed; 0 when it is not.
    """

    __slots__ = ("_offset", "_steady", "_wall", "agrees", "ahead_ms", "followed")

    def __init__(self, wall: Callable[[], int], steady: Callable[[], int] = steady_ms) -> None:
        self._wall, self._steady = wall, steady
        self._offset = wall() - steady()
        self.ahead_ms = 0
        self.agrees: Callable[[int], bool] = _always
        self.followed: Callable[[int], None] = _nothing

    def __call__(self) -> int:
        """The time now."""
        wall = self._wall()
        known = self._steady() + self._offset
        jump = wall - known
        if -JUMP_MS_MIN < jump < JUMP_MS_MIN:
            self._offset += jump  # it drifts, or is slewed
            self.ahead_ms = 0
            return wall
        if not self.agrees(jump):
            self.ahead_ms = jump
            return known
        self._offset += jump
        self.ahead_ms = 0
        self.followed(jump)
        return wall


def _always(_jump_ms: int) -> bool:
    return True


def _nothing(_jump_ms: int) -> None:
    pass
