"""What indexing takes of the machine, and when it steps back.

Law: what holds the interpreter runs at the priority of everything else, a short slice at a
time: a thread that is not run while it holds the interpreter holds up the node. What needs
no interpreter, the threads that tantivy starts with a writer and with each commit, runs at a
low priority. Where the system refuses, all of it runs as anything else does.
"""

import ctypes
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

NICE: Final = 10
_TASKS: Final = Path("/proc/self/task")
_FOREIGN: Final = ("thrd-tantivy", "thread-tantivy", "merge_thread", "segment_updater")
_STEP_SECONDS: Final = 0.0001
_REST_FACTOR: Final = 8.0
_REST_SECONDS_MAX: Final = 0.1


def hush() -> None:
    """Lower the priority of the threads that tantivy has started, those alone.

    They never hold the interpreter. A thread that does must not be of low priority, nor start
    them for that: when it gets the interpreter while others have the processors, the event
    loop waits for as long as it is not run (a quarter of a second at times, with three nodes
    on two cores).
    """
    with suppress(OSError, AttributeError):
        for task in _TASKS.iterdir():
            with suppress(OSError):  # it may have ended meanwhile
                name = (task / "comm").read_text(encoding="utf-8", errors="replace")
                number = int(task.name)
                if name.startswith(_FOREIGN) and os.getpriority(os.PRIO_PROCESS, number) < NICE:
                    os.setpriority(os.PRIO_PROCESS, number, NICE)


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
