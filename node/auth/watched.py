"""A small file that a command rewrites while a node reads it.

Law: the reader looks at the file's stamp at most so often as it was told, so that what every
request needs costs none of them a system call; a file that cannot be read leaves what was
read last in force and says so, so a slip neither opens a door nor closes one. Writers
replace the file whole, one at a time.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Generic, TypeVar

from node.auth.places import make_private
from node.paths import Stamp, stamp_of
from transport.errors import TransportError
from transport.secret_files import read_secret, replace_file

T = TypeVar("T")
LOOK_SECONDS: Final = 0.5


class Watched(Generic[T]):
    """The content of a file as it is now, or was so many seconds ago.

    Args:
        path: the file; it may be absent.
        parse: reads its bytes; b"" stands for an absent file. Raises ValueError.
        log: writes events.
        monotonic: seconds that only grow.
        look_seconds: shortest time between two looks; 0 looks at every use.

    Raises:
        ValueError: the file is there and cannot be read or parsed at the start.
        transport.errors.LooseModeError: others can reach it.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[bytes], T],
        *,
        log: Callable[..., None],
        monotonic: Callable[[], float],
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._path = path
        self._parse = parse
        self._log = log
        self._monotonic = monotonic
        self._stamp = self._look()
        self._value = parse(read_file(path))
        self._look_seconds = look_seconds
        self._due = monotonic() + look_seconds

    def __call__(self) -> T:
        """What the file says."""
        now = self._monotonic()
        if now >= self._due:
            self._due = now + self._look_seconds
            self._refresh()
        return self._value

    def newest(self) -> T:
        """What the file says this very moment; for whoever it would otherwise turn away."""
        self._refresh()
        return self._value

    def _refresh(self) -> None:
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._value = self._parse(read_file(self._path))
        except (ValueError, OSError, TransportError) as error:
            self._log("auth_file_refused", file=self._path.name, error=str(error))
            return
        self._log("auth_file_loaded", file=self._path.name)

    def _look(self) -> Stamp:
        return stamp_of(self._path)


def read_file(path: Path) -> bytes:
    """The bytes of such a file; b"" when it is absent.

    Raises:
        transport.errors.KeyFileError: it cannot be read.
        transport.errors.LooseModeError: others can reach it.
    """
    if not path.exists():
        return b""
    return read_secret(path)


@contextlib.contextmanager
def rewriting(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Be the only writer; gives a function that puts new content in place, 0600.

    The folder is made (0700) when absent, and locked, because the file itself is replaced.
    """
    make_private(path.parent)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield lambda data: replace_file(path, data)
    finally:
        os.close(descriptor)
