"""The end of a process that has said how it ended.

Law: what is over is over within seconds. At its end Python waits for every thread of every pool,
and one that waits for work, because what should have ended it failed, is waited for without end:
after an error in the middle of a shutdown, or when there is no memory left. Nothing acknowledged
hangs on it: what was confirmed is on the disk.
"""

import os
import threading
import time
from typing import Final

SECONDS: Final = 5.0


class Leaving:
    """Ends this process some seconds after it said that it is over, if it is still there.

    Made while there is memory for a thread.

    Args:
        seconds: how long threads may take.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self._over = threading.Event()
        self._code = 1
        self._seconds = seconds
        threading.Thread(target=self._watch, name="leaving", daemon=True).start()

    def begin(self, code: int) -> None:
        """The process is over; it has so many seconds to be gone.

        Args:
            code: the exit code it shall have.
        """
        self._code = code
        self._over.set()

    def _watch(self) -> None:
        self._over.wait()
        time.sleep(self._seconds)
        os._exit(self._code)
