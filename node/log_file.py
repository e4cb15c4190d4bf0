"""A log file that stays small, belongs to its owner alone, and stops nothing.

Law: a line is written whole or counted as lost; what goes wrong with the disk is returned, never
raised. No line is kept for longer than the days that were asked for, nor more than so many bytes
in so many files. Another program may rotate the file too: `reopen` goes on in a new one.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

_SECONDS_PER_DAY: Final = 86_400.0
_SECONDS_PER_HOUR: Final = 3_600.0
# A file of at most a tenth of the time that lines may be kept: then they go in small portions.
_PORTIONS: Final = 10
_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_HEAD_BYTES: Final = 256
_MODE: Final = 0o600


class LogFile:
    """Appends lines to `path`; full or old files become `path.1`, `path.2` ...

    Args:
        path: of the file in use; its folder is made when it is missing.
        rotate_bytes: size at which it is set aside.
        retention_days: age at which a file that was set aside goes.
        files_kept_max: most files that are set aside.
        now: seconds since the epoch.

    Attributes:
        trouble: why the last line was lost; empty when it was written.
        lost: lines lost since the file was last told of it.
        lost_total: lines lost since the process began.
    """

    def __init__(
        self,
        path: Path,
        *,
        rotate_bytes: int,
        retention_days: float,
        files_kept_max: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._rotate_bytes = rotate_bytes
        self._keep_seconds = retention_days * _SECONDS_PER_DAY
        self._portion_seconds = max(self._keep_seconds / _PORTIONS, 1.0)
        self._files_kept_max = files_kept_max
        self._now = now
        self._descriptor = -1
        self._size = 0
        self._began = self._look_at = 0.0
        self.trouble = ""
        self.lost = self.lost_total = 0

    def write(self, line: str) -> bool:
        """Append a line; returns whether it is in the file."""
        data = line.encode(errors="replace") + b"\n"
        try:
            self._make_ready(len(data))
            self._append(data)
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.lost += 1
            self.lost_total += 1
            return False
        self.trouble = ""
        return True

    def tend(self) -> None:
        """Set aside and delete what has grown old, though no line may come for long."""
        if self._now() < self._look_at:
            return
        with suppress(OSError):
            if self._descriptor < 0:
                self._open()
            else:
                self._look()

    def reopen(self) -> None:
        """Let go of the file; the next line opens what lies at its path then."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _make_ready(self, size: int) -> None:
        if self._descriptor < 0:
            self._open()
        if self._size and self._size + size > self._rotate_bytes:
            self._rotate()
        elif self._now() >= self._look_at:
            self._look()

    def _append(self, data: bytes) -> None:
        written = os.write(self._descriptor, data)
        if written < len(data):
            # A full disk takes the beginning of a line: half a line is none, so it is taken back.
            os.ftruncate(self._descriptor, self._size)
            raise OSError(0, "no room for a whole line")
        self._size += written

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags | os.O_NONBLOCK, _MODE)
        try:
            status = _of_file(descriptor)
            os.fchmod(descriptor, _MODE)
            self._size = status.st_size
            self._began = self._first_stamp(descriptor, status.st_mtime)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._look()

    def _first_stamp(self, descriptor: int, otherwise: float) -> float:
        """When the first line of the file was written, seconds since the epoch."""
        if not self._size:
            return self._now()
        found = _STAMP.search(os.pread(descriptor, _HEAD_BYTES, 0))
        return datetime.fromisoformat(found[0].decode()).timestamp() if found else otherwise

    def _look(self) -> None:
        """Set aside what has grown old, delete what is too old."""
        now = self._now()
        self._look_at = now + min(_SECONDS_PER_HOUR, self._portion_seconds)
        if self._size and now - self._began >= self._portion_seconds:
            self._rotate()
            return
        for number in range(1, self._files_kept_max + 1):
            self._drop_if_old(self._numbered(number), now)

    def _rotate(self) -> None:
        self.close()
        self._numbered(self._files_kept_max).unlink(missing_ok=True)
        for number in range(self._files_kept_max - 1, 0, -1):
            _move(self._numbered(number), self._numbered(number + 1))
        _move(self._path, self._numbered(1))
        self._open()

    def _drop_if_old(self, path: Path, now: float) -> None:
        # Its last line was written when it changed last; its first may be a portion older.
        try:
            if now - path.stat().st_mtime > self._keep_seconds - self._portion_seconds:
                path.unlink()
        except FileNotFoundError:
            return

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _of_file(descriptor: int) -> os.stat_result:
    """The status of what is open; a pipe is refused, for a full one makes its writer wait."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    return status


def _move(old: Path, new: Path) -> None:
    try:
        old.replace(new)
    except FileNotFoundError:
        return
