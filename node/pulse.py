"""How late the event loop runs, told so that nothing hides.

Law: time is the system's monotonic clock; the loop's own stands still for as long as a turn
lasts and counts whole milliseconds. A late tick stands for those that it swallowed: each is
counted with the lag it would have had, else a long stall were one bad moment among many good
ones. The gauge shows the longest lag of the last ten to twenty seconds, so that a scrape sees
what happened since the one before.
"""

import time
from collections.abc import Callable
from typing import Final

from node.metrics import Metrics

_WINDOW_SECONDS: Final = 10.0
_SWALLOWED_MAX: Final = 1_000


class Pulse:
    """The ticks of one loop.

    Args:
        metrics: where their lag is shown.
        tick_seconds: time between two of them.
        idle_seconds: the same while nothing waits for one; None for no longer.
        now: monotonic clock, seconds.

    Attributes:
        late_seconds: how late the last one was.
    """

    def __init__(
        self,
        metrics: Metrics,
        *,
        tick_seconds: float,
        idle_seconds: float | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gauge = metrics.gauge("event_loop_lag_seconds")
        self._histogram = metrics.histogram("event_loop_delay_seconds")
        self.late_seconds = 0.0
        self._tick_seconds = tick_seconds
        self._idle_seconds = tick_seconds if idle_seconds is None else idle_seconds
        self._now = now
        self._due = self._window_from = now()
        self._longest = self._longest_before = 0.0

    def pause_seconds(self, *, idle: bool = False) -> float:
        """How long to sleep until the next tick."""
        now = self._now()
        self._due = max(self._due + (self._idle_seconds if idle else self._tick_seconds), now)
        return self._due - now

    def hurry_seconds(self) -> float:
        """Something waits after all: how long to sleep from now on."""
        now = self._now()
        self._due = max(min(self._due, now + self._tick_seconds), now)
        return self._due - now

    def beat(self) -> None:
        """A tick came."""
        now = self._now()
        late = self.late_seconds = max(now - self._due, 0.0)
        if now - self._window_from >= _WINDOW_SECONDS:
            self._window_from = now
            self._longest, self._longest_before = 0.0, self._longest
        self._longest = max(self._longest, late)
        self._gauge.set(max(self._longest, self._longest_before))
        for _ in range(_SWALLOWED_MAX):
            self._histogram.observe(late)
            late -= self._tick_seconds
            if late <= 0:
                return
