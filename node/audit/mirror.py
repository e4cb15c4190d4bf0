"""The chain once more, for whoever collects the logs of this machine.

Law: the file gets the very lines of the chain, after the chain has them. When it is rotated
away it is made anew; while it cannot be written the lines wait, within bounds. The chain never
waits for it; what is missing there shows as a gap in the numbers.
"""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

LINES_MAX: Final = 10_000
_MODE: Final = 0o640


class Mirror:
    """Appends lines to a file that others rotate.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dropped = 0
        self._waiting: deque[bytes] = deque()
        self._handle: int | None = None

    @property
    def waiting(self) -> bool:
        """Whether lines wait for the file to be writable."""
        return bool(self._waiting)

    def write(self, lines: Sequence[bytes]) -> OSError | None:
        """Append lines (with their line breaks); returns why they have to wait."""
        self._waiting.extend(lines)
        try:
            handle = self._open()
            while self._waiting:
                _write_all(handle, self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            self.close()
            while len(self._waiting) > LINES_MAX:
                self._waiting.popleft()
                self.dropped += 1
            return error
        return None

    def _open(self) -> int:
        if self._handle is not None and not self._is_current(self._handle):
            self.close()
        if self._handle is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
            self._handle = os.open(self.path, flags, _MODE)
        return self._handle

    def _is_current(self, handle: int) -> bool:
        """Whether the open file is still the one under that name."""
        try:
            there = self.path.stat()
        except OSError:
            return False
        held = os.fstat(handle)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def close(self) -> None:
        """Let go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _write_all(handle: int, line: bytes) -> None:
    done = os.write(handle, line)
    while done < len(line):
        done += os.write(handle, line[done:])
