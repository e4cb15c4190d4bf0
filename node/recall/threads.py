"""What indexing takes of the machine, and when it steps back.

Law: what holds the interpreter runs at the priority of everything else, a short slice at a
time: a thread that is not run while it holds the interpreter holds up the node. What needs
no interpreter runs at a low priority: threads inherit it from the one that starts them, and
tantivy starts its own with a writer and with each commit. Where the system refuses, all of it
runs as anything else does.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

T = TypeVar("T")

NICE: Final = 10
_STEP_SECONDS: Final = 0.0001
_REST_FACTOR: Final = 3.0
_REST_SECONDS_MAX: Final = 0.02


def quietly(work: Callable[[], T]) -> T:
    """Run something in a thread of low priority; so do the threads that it starts."""
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        with suppress(OSError, AttributeError):
            own = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, own, max(NICE, os.getpriority(os.PRIO_PROCESS, own)))
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            failed.append(error)

    thread = threading.Thread(target=run, name="recall-quiet")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]


def give_back() -> None:
    """Return memory that is free in this process to the system, where the C library can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Manners:
    """How a thread that derives gives way to what is acknowledged.

    Attributes:
        written: operations that were told of, in all; the loop counts.
        urgent: whether somebody waits, or so much that nothing else counts.
    """

    def __init__(self) -> None:
        self.written = 0
        self.urgent = False
        self._seen = 0

    def give_way(self, worked_seconds: float) -> None:
        """Let go of the interpreter after a slice: for longer while there are writes."""
        written, self._seen = self._seen != self.written, self.written
        rest = worked_seconds * _REST_FACTOR if written and not self.urgent else _STEP_SECONDS
        time.sleep(min(rest, _REST_SECONDS_MAX))
