"""What a node did to its files: the words of a write log.

Law: a value says what happened and when, nothing of how it was learned.

Files and folders are numbered as they come into being; 0 is the root of the log. A name is set
in a folder by an operation that may set several at once (rename), and is then atomic.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = 0
SCRATCH: Final = ("lock.mdb",)
"""Files that are shared memory, not storage: LMDB's table of readers, begun anew by whoever
opens an environment first. They are written through a mapping, so an image gives them anything."""


class Incomplete(Exception):  # noqa: N818 - it says what is wrong with the log
    """The log does not explain what happened to the files."""


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes written into a file; `own_sync`: they are on the disk when the call ends."""

    inode: int
    offset: int
    data: bytes
    own_sync: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """A file cut or lengthened to a size; only lengthened when `grow`."""

    inode: int
    size: int
    grow: bool = False


@dataclass(frozen=True, slots=True)
class Names:
    """Names set, all at once: (folder, name, what it names now; None for nothing)."""

    sets: tuple[tuple[int, str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Sync:
    """What was done before to a file, or to the names in a folder, comes to the disk."""

    inode: int | None
    """None: to all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation, with the lines of the trace between which it happened."""

    what: Data | Size | Names | Sync
    began: int
    ended: int
    began_ns: int
    ended_ns: int
    thread: int


@dataclass(slots=True)
class WriteLog:
    """What was there at first, and all that happened to it since.

    Attributes:
        root: the folder, absolute.
        files: inode -> bytes it held at first.
        names: folder -> name -> inode at first; every folder has an entry here or in `folders`.
        folders: inodes that are folders.
        ops: in the order in which they ended.
        scratch: inodes that are written through a mapping, with what they held in the end.
    """

    root: Path
    files: dict[int, bytes] = field(default_factory=dict)
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    folders: set[int] = field(default_factory=lambda: {ROOT})
    ops: list[Op] = field(default_factory=list)
    scratch: dict[int, bytes] = field(default_factory=dict)
