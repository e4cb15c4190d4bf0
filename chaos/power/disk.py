"""The disk at a moment of the log: what is on it for sure, and what is on its way.

Law: a sync brings to the disk what had *ended* before it began, and has done so when it ends;
everything else that has begun is on its way: it may be there, or not, or in part. Nothing that
has not begun is there. So an image is the sure part, and a choice among what is on its way.

The model, and where it comes from (docs/decisions/0023-power-loss.md):
- write(2), fsync(2), fdatasync(2), POSIX.1-2017 "Synchronized I/O Data Integrity Completion";
- a sector of 512 bytes is written whole or not at all, a write of several is not; a sector
  holds what the page cache held at some moment since the last sync;
- names in a folder are durable after fsync of that folder and not before (fsync(2), NOTES),
  those on their way persist in any combination, each of them atomically (Pillai et al.,
  "All File Systems Are Not Created Equal", OSDI 2014);
- O_DSYNC makes the write itself durable at its end, and no other.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from chaos.power.writelog import ROOT, Data, Incomplete, Names, Op, Size, Sync, WriteLog

SECTOR: Final = 512
WHOLE: Final = None

Kept = Mapping[int, frozenset[int] | None]
"""Which of what is on its way has arrived: place in `Disk.coming` -> `WHOLE`, or for a write
the sectors of it that have, counted from its first."""

Tree = dict[str, bytes | None]
"""Path below the root -> content; None for a folder."""


Honours = Callable[[Op], bool]
"""Whether an operation that should bring something to the disk does."""


class Half(NamedTuple):
    """A begin or an end of an operation."""

    line: int
    at_ns: int
    op: Op
    is_end: bool


def halves(log: WriteLog) -> list[Half]:
    """Begins and ends of all operations, in the order in which they happened."""
    out = []
    for op in log.ops:
        out.append(Half(op.began, op.began_ns, op, is_end=False))
        out.append(Half(op.ended, op.ended_ns, op, is_end=True))
    # Stable: of the operations of one line, in their order, each begin comes before its end.
    return sorted(out, key=lambda half: half.line)


class Disk:
    """A disk that takes begins and ends of operations, one after the other.

    Args:
        log: what was there at first.
        honours: whether an operation brings to the disk what it says; for controls, which play
            a program that forgot a sync, or a disk that lies.
    """

    def __init__(self, log: WriteLog, honours: Honours = lambda _op: True) -> None:
        self._log = log
        self._honours = honours
        self.files: dict[int, bytes] = dict(log.files)
        self.names: dict[int, dict[str, int]] = {f: dict(n) for f, n in log.names.items()}
        self.coming: list[Op] = []
        """What is on its way, oldest first."""
        self.version = 0
        """Grows whenever something has become sure."""
        self._line: list[Op] = []
        # What is on its way, and what is sure but must not be applied before older things are.
        self._sure: set[int] = set()
        self._ended: set[int] = set()
        self._covers: dict[int, list[Op]] = {}

    def begin(self, op: Op) -> None:
        """An operation may have an effect from now on."""
        if isinstance(op.what, Sync):
            self._covers[id(op)] = [one for one in self.coming if id(one) in self._ended]
        else:
            self._line.append(op)
            self.coming.append(op)

    def end(self, op: Op) -> None:
        """An operation has returned."""
        if isinstance(op.what, Sync):
            wanted = op.what.inode
            covered = self._covers.pop(id(op))
            if self._honours(op):
                self._settle([o for o in covered if wanted is None or wanted in touched(o)])
        elif isinstance(op.what, Data) and op.what.own_sync and self._honours(op):
            self._settle([op])
        else:
            self._ended.add(id(op))

    def _settle(self, ops: list[Op]) -> None:
        fresh = {id(op) for op in ops} - self._sure
        if not fresh:
            return
        self.version += 1
        self._sure |= fresh
        blocked: set[int] = set()
        ready, left = [], []
        for op in self._line:
            if id(op) in self._sure and not blocked & touched(op):
                ready.append(op)
            else:
                blocked |= touched(op)
                left.append(op)
        self._apply(ready)
        self._line = left
        gone = {id(op) for op in ready}
        self._sure -= gone
        self._ended -= gone
        self.coming = [op for op in left if id(op) not in self._sure]

    def _apply(self, ops: list[Op]) -> None:
        buffers: dict[int, bytearray] = {}
        for op in ops:
            if isinstance(op.what, Names):
                _set_names(self.names, op.what)
            elif isinstance(op.what, Data | Size):
                inode = op.what.inode
                if inode not in buffers:
                    buffers[inode] = bytearray(self.files.get(inode, b""))
                _apply(buffers[inode], op.what)
        self.files.update((inode, bytes(buffer)) for inode, buffer in buffers.items())

    # --- an image ---------------------------------------------------------------------------

    def image(self, kept: Kept, *, grown: bool = False) -> Tree:
        """The files and folders, with what has arrived of what is on its way.

        Args:
            kept: what has arrived.
            grown: files already have the size that writes on their way give them, and zeros
                where these have not arrived.
        """
        names = {folder: dict(held) for folder, held in self.names.items()}
        arrived = {id(self.coming[place]): part for place, part in kept.items()}
        arrived.update(dict.fromkeys(self._sure, WHOLE))
        for op in self._line:
            if id(op) in arrived and isinstance(op.what, Names):
                _set_names(names, op.what)
        tree: Tree = {}
        contents = self._contents(arrived, grown=grown)
        for path, inode in _walk(names, self._log.folders, ROOT, ""):
            if inode in self._log.folders:
                tree[path] = None
            elif inode in contents:
                tree[path] = contents[inode]
            else:
                tree[path] = self.files.get(inode, b"")
        return tree

    def _contents(self, arrived: Kept, *, grown: bool) -> dict[int, bytes]:
        cached: dict[int, bytearray] = {}
        stored: dict[int, bytearray] = {}
        for op in self._line:
            if not isinstance(op.what, Data | Size):
                continue
            inode = op.what.inode
            if inode not in cached:
                base = self.files.get(inode, b"")
                cached[inode], stored[inode] = bytearray(base), bytearray(base)
            _apply(cached[inode], op.what)
            if id(op) not in arrived:
                continue
            if isinstance(op.what, Size):
                _apply(stored[inode], op.what)
            else:
                _store(stored[inode], cached[inode], op.what, arrived[id(op)])
        if grown:
            for inode, buffer in stored.items():
                buffer.extend(bytes(max(0, len(cached[inode]) - len(buffer))))
        return {inode: bytes(buffer) for inode, buffer in stored.items()}

    def everywhere(self) -> dict[str, int]:
        """Path -> inode, when all that is on its way has arrived."""
        names = {folder: dict(held) for folder, held in self.names.items()}
        for op in self._line:
            if isinstance(op.what, Names):
                _set_names(names, op.what)
        return dict(_walk(names, self._log.folders, ROOT, ""))

    def everything(self) -> Kept:
        """The choice of all that is on its way."""
        return dict.fromkeys(range(len(self.coming)), WHOLE)


def touched(op: Op) -> frozenset[int]:
    """Files and folders that an operation changes."""
    if isinstance(op.what, Names):
        return frozenset(folder for folder, _, _ in op.what.sets)
    if isinstance(op.what, Sync):
        return frozenset()
    return frozenset({op.what.inode})


def sectors(what: Data) -> int:
    """How many sectors a write touches."""
    first = what.offset // SECTOR
    return -(-(what.offset + len(what.data)) // SECTOR) - first if what.data else 0


def _apply(buffer: bytearray, what: Data | Size) -> None:
    if isinstance(what, Size):
        if what.size < len(buffer) and not what.grow:
            del buffer[what.size :]
        elif what.size > len(buffer):
            buffer.extend(bytes(what.size - len(buffer)))
        return
    if what.offset > len(buffer):
        buffer.extend(bytes(what.offset - len(buffer)))
    buffer[what.offset : what.offset + len(what.data)] = what.data


def _store(stored: bytearray, cached: bytearray, what: Data, part: frozenset[int] | None) -> None:
    """Bring sectors of a write, as the page cache has them, into what is stored."""
    first = what.offset // SECTOR
    wanted = range(sectors(what)) if part is WHOLE else sorted(part or ())
    for begin, after in _runs(wanted):
        start = (first + begin) * SECTOR
        end = min((first + after) * SECTOR, len(cached))
        if start > len(stored):
            stored.extend(bytes(start - len(stored)))
        stored[start:end] = cached[start:end]


def _runs(numbers: range | list[int]) -> Iterator[tuple[int, int]]:
    """Numbers that follow each other, as (first, one past the last)."""
    if isinstance(numbers, range):
        if numbers:
            yield numbers.start, numbers.stop
        return
    start = last = None
    for number in numbers:
        if last is None or number != last + 1:
            if start is not None and last is not None:
                yield start, last + 1
            start = number
        last = number
    if start is not None and last is not None:
        yield start, last + 1


def _set_names(names: dict[int, dict[str, int]], what: Names) -> None:
    for folder, name, inode in what.sets:
        held = names.setdefault(folder, {})
        if inode is None:
            held.pop(name, None)
        else:
            held[name] = inode


def _walk(
    names: Mapping[int, Mapping[str, int]], folders: set[int], inode: int, above: str
) -> Iterator[tuple[str, int]]:
    for name, child in sorted(names.get(inode, {}).items()):
        path = f"{above}/{name}" if above else name
        yield path, child
        if child in folders:
            yield from _walk(names, folders, child, path)


def check_complete(log: WriteLog) -> int:
    """Replay the whole log and compare it with the folder, to the last byte.

    What is written through a mapping is compared by its size and learned from the folder.

    Returns:
        How many bytes were compared.

    Raises:
        Incomplete: something is there that the log does not explain, or is not there.
    """
    disk = Disk(log)
    for half in halves(log):
        (disk.end if half.is_end else disk.begin)(half.op)
    told, inodes = disk.image(disk.everything()), disk.everywhere()
    found = {str(path.relative_to(log.root)): path for path in log.root.rglob("*")}
    if set(told) != set(found):
        raise Incomplete(f"log and folder differ in names: {sorted(set(told) ^ set(found))[:8]}")
    return sum(_compare(log, path, inodes[name], told[name]) for name, path in found.items())


def _compare(log: WriteLog, path: Path, inode: int, told: bytes | None) -> int:
    if path.is_dir() or told is None:
        if path.is_dir() != (told is None):
            raise Incomplete(f"{path} is a folder in one of log and disk")
        return 0
    data = path.read_bytes()
    if inode in log.scratch:
        log.scratch[inode] = data
    if len(data) != len(told) or (data != told and inode not in log.scratch):
        raise Incomplete(f"{path}: {_difference(data, told)}")
    return len(data)


def _difference(there: bytes, told: bytes) -> str:
    if len(there) != len(told):
        return f"{len(there)} bytes there, {len(told)} by the log"
    place = next(i for i, (a, b) in enumerate(zip(there, told, strict=True)) if a != b)
    return f"byte {place} is not what the log says"
