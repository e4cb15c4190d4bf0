"""System calls turned into what they do to files and names under one folder.

Law: what cannot be followed exactly is refused (`Incomplete`), never left out: a call of an
unknown kind on a file of the folder, a writable shared mapping of a file that is not known to
be scratch, a write through a descriptor that nobody opened. Whether the whole was followed is
proved afterwards, by `chaos.power.disk.check_complete`.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chaos.power.syscalls import NEVER, Call, descriptor, text_bytes, vector_bytes
from chaos.power.writelog import ROOT, SCRATCH, Data, Incomplete, Names, Op, Size, Sync, WriteLog


@dataclass(slots=True)
class _Handle:
    """An open file description."""

    inode: int
    flags: str
    position: int = 0


class Follower:
    """Follows the calls of one or more traced processes, one after the other.

    Args:
        root: the folder whose files count; it is there and holds what a log begins with.
    """

    def __init__(self, root: Path) -> None:
        self.log = WriteLog(root.resolve())
        self._base = str(self.log.root)
        self._names: dict[int, dict[str, int]] = {ROOT: {}}
        self._sizes: dict[int, int] = {}
        self._next = ROOT + 1
        self._handles: dict[tuple[int, int], _Handle] = {}
        self._programs: set[int] = set()
        self._scan(self.log.root, ROOT)
        self.log.names = {folder: dict(names) for folder, names in self._names.items()}

    def _scan(self, folder: Path, inode: int) -> None:
        for entry in sorted(folder.iterdir()):
            number = self._new(folder=entry.is_dir())
            self._names[inode][entry.name] = number
            if entry.is_dir():
                self._scan(entry, number)
            else:
                self.log.files[number] = entry.read_bytes()
                self._sizes[number] = len(self.log.files[number])

    def _new(self, *, folder: bool) -> int:
        number, self._next = self._next, self._next + 1
        if folder:
            self._names[number] = {}
            self.log.folders.add(number)
        else:
            self._sizes[number] = 0
        return number

    def follow(self, calls: Iterable[Call]) -> None:
        """Take the calls of one traced process and of its children.

        Raises:
            Incomplete: something cannot be followed.
        """
        self._handles.clear()
        self._programs.clear()
        first: int | None = None
        for call in calls:
            first = call.thread if first is None else first
            if call.name == "execve":
                if call.thread != first:
                    self._programs.add(call.thread)
                continue
            if call.value < 0 and call.ended != NEVER:
                continue
            act = _ACTS.get(call.name)
            if act is not None:
                act(self, call)

    # --- where something is -------------------------------------------------------------

    def _inside(self, path: str) -> str | None:
        """The path below the root; None when it lies elsewhere."""
        plain = os.path.normpath(path)
        if plain == self._base:
            return ""
        return plain.removeprefix(f"{self._base}/") if plain.startswith(f"{self._base}/") else None

    def _path(self, call: Call, at: int, *, relative_to: int | None = None) -> str | None:
        name = text_bytes(call.args[at]).decode(errors="surrogateescape")
        if not name.startswith("/"):
            base = str(Path.cwd()) if relative_to is None else descriptor(call.args[relative_to])[1]
            name = f"{base}/{name}"
        return self._inside(name)

    def _find(self, inside: str) -> int | None:
        inode: int | None = ROOT
        for part in inside.split("/") if inside else ():
            inode = self._names.get(inode, {}).get(part) if inode is not None else None
        return inode

    def _place(self, inside: str) -> tuple[int, str]:
        folder, _, name = inside.rpartition("/")
        inode = self._find(folder)
        if inode is None or inode not in self._names:
            raise Incomplete(f"{inside}: nobody made its folder")
        return inode, name

    def _owner(self, thread: int) -> int:
        """The process a thread belongs to: one that ran a program, or the first one."""
        return thread if thread in self._programs else 0

    def _handle(self, call: Call, at: int = 0) -> _Handle | None:
        """The open file of an argument; None when it lies elsewhere."""
        number, path = descriptor(call.args[at])
        if self._inside(path) is None:
            return None
        found = self._handles.get((self._owner(call.thread), number))
        if found is None:
            raise Incomplete(f"{call.name} on {path}: nobody opened it")
        inside = self._inside(path) or ""
        if self._find(inside) != found.inode and self._is_named(found.inode):
            raise Incomplete(f"{call.name}: descriptor {number} is {path} and something else")
        return found

    def _is_named(self, inode: int) -> bool:
        return any(inode in names.values() for names in self._names.values())

    # --- what happens ---------------------------------------------------------------------

    def _add(self, call: Call, what: Data | Size | Names | Sync) -> None:
        self.log.ops.append(
            Op(
                what=what,
                began=call.began,
                ended=call.ended,
                began_ns=call.began_ns,
                ended_ns=call.ended_ns,
                thread=call.thread,
            )
        )

    def _set(self, call: Call, *sets: tuple[int, str, int | None]) -> None:
        for folder, name, inode in sets:
            if inode is None:
                self._names[folder].pop(name, None)
            else:
                self._names[folder][name] = inode
        self._add(call, Names(sets))

    def _write(self, call: Call, handle: _Handle, offset: int, data: bytes) -> None:
        if call.ended == NEVER:
            raise Incomplete(f"{call.name} never ended")
        data = data[: call.value]
        own = "O_SYNC" in handle.flags or "O_DSYNC" in handle.flags
        self._add(call, Data(handle.inode, offset, data, own))
        end = offset + len(data)
        self._sizes[handle.inode] = max(self._sizes[handle.inode], end)

    def open(self, call: Call) -> None:
        """open, openat, creat."""
        where = {"openat": 1}.get(call.name, 0)
        path = self._path(call, where, relative_to=0 if where else None)
        if path is None:
            return
        creat = "O_WRONLY|O_CREAT|O_TRUNC"
        flags = creat if call.name == "creat" else call.args[where + 1]
        inode = self._find(path)
        if inode is None:
            if "O_CREAT" not in flags:
                raise Incomplete(f"{path} was opened and nobody made it")
            inode = self._new(folder=False)
            self._set(call, (*self._place(path), inode))
        elif "O_TRUNC" in flags and self._sizes[inode]:
            self._add(call, Size(inode, 0))
            self._sizes[inode] = 0
        self._handles[self._owner(call.thread), call.value] = _Handle(inode, flags)

    def duplicate(self, call: Call) -> None:
        """Dup and its kind."""
        if call.name == "fcntl" and not call.args[1].startswith("F_DUPFD"):
            return
        handle = self._handle(call)
        if handle is not None:
            self._handles[self._owner(call.thread), call.value] = handle

    def write(self, call: Call) -> None:
        """write, writev: where the file stands."""
        handle = self._handle(call)
        if handle is None:
            return
        data = (vector_bytes if call.name == "writev" else text_bytes)(call.args[1])
        if "O_APPEND" in handle.flags:
            handle.position = self._sizes[handle.inode]
        self._write(call, handle, handle.position, data)
        handle.position += call.value

    def write_at(self, call: Call) -> None:
        """pwrite64, pwritev, pwritev2: at an offset."""
        handle = self._handle(call)
        if handle is None:
            return
        if call.name == "pwrite64":
            self._write(call, handle, int(call.args[3], 0), text_bytes(call.args[1]))
            return
        if call.name == "pwritev2" and call.args[4:] not in {(), ("0",)}:
            raise Incomplete("pwritev2 with flags")
        self._write(call, handle, int(call.args[3], 0), vector_bytes(call.args[1]))

    def seek(self, call: Call) -> None:
        """Lseek."""
        handle = self._handle(call)
        if handle is not None:
            handle.position = call.value

    def resize(self, call: Call) -> None:
        """ftruncate, truncate, fallocate."""
        if call.name == "truncate":
            path = self._path(call, 0)
            inode = None if path is None else self._find(path)
        else:
            handle = self._handle(call)
            inode = None if handle is None else handle.inode
        if inode is None:
            return
        if call.name == "fallocate":
            if call.args[1] != "0":
                raise Incomplete(f"fallocate with mode {call.args[1]}")
            end = int(call.args[2]) + int(call.args[3])
            self._add(call, Size(inode, end, grow=True))
            self._sizes[inode] = max(self._sizes[inode], end)
            return
        size = int(call.args[1])
        self._add(call, Size(inode, size))
        self._sizes[inode] = size

    def make_folder(self, call: Call) -> None:
        """mkdir, mkdirat."""
        at = int(call.name == "mkdirat")
        path = self._path(call, at, relative_to=0 if at else None)
        if path is not None:
            place = self._place(path)
            self._set(call, (*place, self._new(folder=True)))

    def rename(self, call: Call) -> None:
        """rename, renameat, renameat2, link, linkat."""
        at = call.name not in {"rename", "link"}
        old = self._path(call, 1 if at else 0, relative_to=0 if at else None)
        new = self._path(call, 3 if at else 1, relative_to=2 if at else None)
        if old is None and new is None:
            return
        inode = None if old is None else self._find(old)
        if old is None or new is None or inode is None:
            raise Incomplete(f"{call.name} across the edge of the log")
        if call.name == "renameat2" and call.args[4] not in {"0", "RENAME_NOREPLACE"}:
            raise Incomplete(f"renameat2 with {call.args[4]}")
        gone = () if call.name.startswith("link") else ((*self._place(old), None),)
        self._set(call, *gone, (*self._place(new), inode))

    def unlink(self, call: Call) -> None:
        """unlink, unlinkat, rmdir."""
        at = int(call.name == "unlinkat")
        path = self._path(call, at, relative_to=0 if at else None)
        if path is not None:
            self._set(call, (*self._place(path), None))

    def sync(self, call: Call) -> None:
        """fsync, fdatasync, sync, syncfs."""
        if call.name in {"sync", "syncfs"}:
            self._add(call, Sync(None))
            return
        handle = self._handle(call)
        if handle is not None:
            self._add(call, Sync(handle.inode))

    def map(self, call: Call) -> None:
        """Mmap: a shared one that can be written may change a file unseen."""
        if len(call.args) < 5 or "MAP_SHARED" not in call.args[3]:
            return
        if "PROT_WRITE" not in call.args[2] or call.args[4].startswith("-1"):
            return
        handle = self._handle(call, 4)
        if handle is None:
            return
        name = Path(descriptor(call.args[4])[1]).name
        if name not in SCRATCH:
            raise Incomplete(f"{name} is written through a mapping, which leaves no trace")
        self.log.scratch.setdefault(handle.inode, b"")

    def refuse(self, call: Call) -> None:
        """What is not followed must not touch the folder."""
        for argument in call.args:
            if re.match(r"-?\d+<", argument) and self._inside(descriptor(argument)[1]) is not None:
                raise Incomplete(f"{call.name} on a file of the log is not followed")
            if argument.startswith('"') and self._inside(_text(argument)) is not None:
                raise Incomplete(f"{call.name} on a file of the log is not followed")


def _text(argument: str) -> str:
    return text_bytes(argument).decode(errors="surrogateescape")


_ACTS: Final = {
    **dict.fromkeys(("open", "openat", "creat"), Follower.open),
    **dict.fromkeys(("dup", "dup2", "dup3", "fcntl"), Follower.duplicate),
    **dict.fromkeys(("write", "writev"), Follower.write),
    **dict.fromkeys(("pwrite64", "pwritev", "pwritev2"), Follower.write_at),
    "lseek": Follower.seek,
    **dict.fromkeys(("ftruncate", "truncate", "fallocate"), Follower.resize),
    **dict.fromkeys(("mkdir", "mkdirat"), Follower.make_folder),
    **dict.fromkeys(("rename", "renameat", "renameat2", "link", "linkat"), Follower.rename),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), Follower.unlink),
    **dict.fromkeys(("fsync", "fdatasync", "sync", "syncfs"), Follower.sync),
    "mmap": Follower.map,
    **dict.fromkeys(
        (
            "symlink",
            "symlinkat",
            "mknod",
            "mknodat",
            "copy_file_range",
            "sendfile",
            "splice",
        ),
        Follower.refuse,
    ),
}
