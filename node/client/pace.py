"""How patient a client is, and where it takes time and chance from.

Law: values only. Every wait of a client is bounded by one deadline for the whole call, however
many tries and nodes it takes; the time between rounds grows and is spread by chance (full
jitter: Brooker, "Exponential Backoff and Jitter", 2015).
"""

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Bounds of one call, in seconds.

    Attributes:
        total: for all tries together.
        attempt: for one try on one node.
        connect: for a connection to one node.
        first_pause: upper bound of the pause after the first round over all nodes.
        longest_pause: upper bound of every later pause.
        causal_wait: how long one node may take to reach what this session has seen.
    """

    total: float = 30.0
    attempt: float = 10.0
    connect: float = 3.0
    first_pause: float = 0.2
    longest_pause: float = 4.0
    causal_wait: float = 2.0

    def pause(self, completed: int, chance: float) -> float:
        """Seconds before the next round.

        Args:
            completed: rounds over all nodes so far, 1 or more.
            chance: from 0 to 1.
        """
        most = min(self.first_pause * 2.0 ** min(completed - 1, 16), self.longest_pause)
        return most * chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambience:
    """Time and entropy; tests bring their own.

    Attributes:
        monotonic: seconds on a clock that never goes back.
        chance: a number from 0 to 1.
        entropy: so many random bytes.
        pause: waits so many seconds; the asynchronous client waits on its loop instead
            unless another one is given.
    """

    monotonic: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    entropy: Callable[[int], bytes] = os.urandom
    pause: Callable[[float], None] = time.sleep
