"""One process per data directory, and how the others find it.

Law: an advisory `flock` on `D/lock` is held for as long as the process lives, so the kernel
lets go of it after any death, kill -9 and power loss included: there is nothing to clean and
no pid to guess. The file's text says who holds it and is believed only while it is held.
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from node.errors import LockHeld, Refused

# A `status` that looks at the lock holds it, shared, for microseconds; a starting node must
# not take that for another node.
_PROBE_SECONDS: Final = 0.25
_STEP_SECONDS: Final = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a data directory.

    Attributes:
        pid: process id; 0 while the holder has not written its name yet.
        started_ms: when it took the lock, milliseconds since the epoch.
    """

    pid: int
    started_ms: int


class DirectoryLock:
    """The lock of one process; a context manager, or `acquire()` and `release()`.

    Args:
        path: the lock file; its folder is made (0700) when absent.
        now_ms: wall clock, milliseconds since the epoch.
        monotonic: clock for the short grace given to probes, seconds.
        pause: sleeps that many seconds between two tries.
    """

    def __init__(
        self,
        path: Path,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = path
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._pause = pause
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock and write who we are.

        Raises:
            LockHeld: another process has it; the message names it.
            Refused: the folder cannot be made or written to.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Refused(
                f"cannot use the data directory {self._path.parent}",
                why=error.strerror or str(error),
                fix="Give it to this user, or name another one with --data-dir",
            ) from error
        try:
            self._take(fd)
            _write_holder(fd, Holder(pid=os.getpid(), started_ms=self._now_ms()))
        except BaseException:
            os.close(fd)
            raise
        self._fd = fd

    def _take(self, fd: int) -> None:
        deadline = self._monotonic() + _PROBE_SECONDS
        while not _try_lock(fd, fcntl.LOCK_EX):
            if self._monotonic() >= deadline:
                raise held_error(self._path, _read_holder(fd))
            self._pause(_STEP_SECONDS)

    def release(self) -> None:
        """Let go; doing so twice is harmless."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def held_error(path: Path, holder: Holder) -> LockHeld:
    """The refusal of a second process."""
    who = f"process {holder.pid}" if holder.pid else "another process that is just starting"
    return LockHeld(
        f"{path.parent} is in use",
        why=f"{who} runs a node on it",
        fix="Stop it with mnemesh stop, or name another --data-dir",
    )


def find_holder(path: Path) -> Holder | None:
    """Who holds the lock now; None when nobody does. Never blocks, leaves nothing behind."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Refused(
            f"cannot look at {path}",
            why=error.strerror or str(error),
            fix="Run this as the user that runs the node",
        ) from error
    try:
        if _try_lock(fd, fcntl.LOCK_SH):
            return None
        return _read_holder(fd)
    finally:
        os.close(fd)


def _try_lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _write_holder(fd: int, holder: Holder) -> None:
    os.ftruncate(fd, 0)
    text = json.dumps({"pid": holder.pid, "started_ms": holder.started_ms})
    os.pwrite(fd, text.encode(), 0)


def _read_holder(fd: int) -> Holder:
    try:
        data = json.loads(os.pread(fd, 4096, 0))
        return Holder(pid=int(data["pid"]), started_ms=int(data["started_ms"]))
    except (ValueError, KeyError, TypeError):
        return Holder(pid=0, started_ms=0)
