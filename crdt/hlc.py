"""The hybrid logical clock: shows time and breaks ties, never causality.

Law: stamps from one clock only grow, and the clock never runs more than `skew_max_ms` ahead
of the wall clock it is given, whatever stamps it sees (Kulkarni et al., "Logical Physical
Clocks", 2014, with their drift bound made a hard one).

A stamp is an integer: milliseconds since the epoch, shifted left by 16 bits, plus a counter.
"""

from typing import Final

COUNTER_BITS: Final = 16
STAMP_MAX: Final = 2**63 - 1


def stamp_of(ms: int, counter: int = 0) -> int:
    """The stamp of a millisecond and a counter."""
    return ms << COUNTER_BITS | counter


def millis(stamp: int) -> int:
    """The wall-clock part of a stamp, milliseconds since the epoch."""
    return stamp >> COUNTER_BITS


class HybridClock:
    """One node's clock. The wall time is an argument, never read here."""

    __slots__ = ("_last", "_skew_max_ms")

    def __init__(self, *, skew_max_ms: int, last: int = 0) -> None:
        self._skew_max_ms = skew_max_ms
        self._last = last

    @property
    def last(self) -> int:
        """The largest stamp given out or accepted."""
        return self._last

    def tick(self, now_ms: int) -> int:
        """A stamp for a new event, larger than every earlier one."""
        self._last = max(self._last + 1, stamp_of(now_ms))
        return self._last

    def observe(self, stamp: int, now_ms: int) -> None:
        """Follow a stamp seen elsewhere, but never beyond now plus the allowed skew."""
        bound = stamp_of(now_ms + self._skew_max_ms)
        if self._last < stamp <= bound:
            self._last = stamp
