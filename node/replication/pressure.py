"""Whether one write more may come in: judged by the time that it would wait.

Law: a write is refused only when many wait already, the first of them has waited for long, and
at the pace of late one more would wait longer than the bound; or when what waits weighs too
much. So a burst is taken, a steady excess is not, and what was taken is answered in bounded
time. A pace is of busy time alone: an idle hour says nothing about the next burst.

There are two lines, and half of the bound is for either: requests wait for their turn of the
event loop, then writes for their quorum. In the first a write is refused when it has waited for
so long in a line that has not been empty for longer still: as in CoDel (RFC 8289) it is the
line that stands which tells of overload, not the one that a stall left behind. Those refused
cost little, so the line moves on at the pace of what is served, and is as long as the bound.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

# Fewer are no queue: a few slow peers or a stopped process must not turn writers away.
_FEW: Final = 256
_RETRY_SECONDS_MAX: Final = 30


class Queue(NamedTuple):
    """What waits for its quorum.

    Attributes:
        writes: how many.
        size_bytes: about how many bytes of operations they have made.
        since: loop time at which the first of them came; meaningless when there are none.
    """

    writes: int
    size_bytes: int
    since: float


class Line(NamedTuple):
    """What waits for its turn, as the request at hand sees it.

    Attributes:
        waited_seconds: how long that one has waited.
        standing_seconds: for how long there has been a line.
    """

    waited_seconds: float
    standing_seconds: float


class Shed(NamedTuple):
    """Why a write is refused.

    Attributes:
        reason: `line`, `bytes` or `wait`; fit for a metric label.
        detail: what to tell whoever sent it.
        retry_seconds: when there will be room again.
    """

    reason: str
    detail: str
    retry_seconds: int


@dataclass(slots=True)
class Pressure:
    """The pace at which writes are confirmed, and what follows from it.

    Attributes:
        wait_seconds_max: longest wait that a write is let in to.
        bytes_max: most bytes of operations that may wait.
        lag_seconds: how late the loop runs, as last measured.
    """

    wait_seconds_max: float
    bytes_max: int
    lag_seconds: float = 0.0
    _writes: float = 0.0
    _seconds: float = 0.0
    _last: float = -math.inf

    def settled(self, writes: int, since: float, now: float) -> None:
        """Some were confirmed together.

        Args:
            writes: how many.
            since: loop time at which the first of them came.
            now: loop time.
        """
        busy = max(now - max(self._last, since), 0.0)
        kept = 0.5**busy  # a second of work later it counts half
        self._writes = self._writes * kept + writes
        self._seconds = self._seconds * kept + busy
        self._last = now

    def wait_seconds(self, queue: Queue, now: float) -> float:
        """How long one write more would wait."""
        if not queue.writes:
            return self.lag_seconds
        stalled = max(now - max(self._last, queue.since), 0.0)
        each = (self._seconds + stalled) / max(self._writes, 1.0)
        return self.lag_seconds + queue.writes * each

    def keeps_waiting(self, line: Line) -> Shed | None:
        """Why a write that has waited for its turn is not taken; None when it is."""
        waited = line.waited_seconds
        if waited <= self.wait_seconds_max / 2 or line.standing_seconds <= self.wait_seconds_max:
            return None
        told = f"it has waited {waited:.1f} s for its turn"
        return Shed("line", told, _seconds(waited))

    def refuses(self, queue: Queue, now: float) -> Shed | None:
        """Why one write more is not taken now; None when it is."""
        if queue.writes and queue.size_bytes > self.bytes_max:
            expected = self.wait_seconds(queue, now)
            told = f"{queue.size_bytes} bytes wait for their quorum"
            return Shed("bytes", told, _seconds(expected / 2))
        if queue.writes < _FEW or now - queue.since < self.wait_seconds_max / 2:
            return None
        expected = self.wait_seconds(queue, now)
        if expected <= self.wait_seconds_max:
            return None
        told = f"{queue.writes} writes wait, one more would wait about {expected:.1f} s"
        return Shed("wait", told, _seconds(expected - self.wait_seconds_max))


def _seconds(wait: float) -> int:
    return min(1 + int(wait), _RETRY_SECONDS_MAX)
