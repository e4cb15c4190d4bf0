"""Letting time pass, where time is what is measured.

Law: the length of a window or the pace of a load is said as a moment of the monotonic clock.
Who waits for a state asks for the state (`mesh.waited`).
"""

import time


def until(moment: float) -> None:
    """Return at this moment of `time.monotonic`, at once when it is past."""
    while (left := moment - time.monotonic()) > 0:
        time.sleep(left)


def pause(seconds: float) -> None:
    """Let so much time pass."""
    until(time.monotonic() + seconds)
