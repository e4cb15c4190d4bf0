"""The growing end of a chain on the disk.

Law: what `append` returned from is on the disk, whole. A write that failed leaves the file as
long as it was. One process writes, under the lock of the data directory.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from node.audit.chain import Link, Owner, Sign, write_anchor
from node.audit.segments import (
    Named,
    Tail,
    anchor_path,
    last_entry,
    read_owner,
    read_tail,
    segment_path,
    segments,
    write_owner,
)
from transport.secret_files import replace_file, sync_folder

SEGMENT_BYTES_MAX: Final = 4 * 2**20
_EARLIER: Final = "earlier"


class GrowingChain:
    """Appends to the chain in a folder.

    Args:
        folder: made (0700) when absent.
        owner: whose chain it is; that of another key is moved into a folder beside it.
        segment_bytes_max: size at which a segment is closed.
    """

    def __init__(
        self, folder: Path, owner: Owner, *, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        self._folder = folder
        self._owner = owner
        self._segment_bytes_max = segment_bytes_max
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sync_folder(folder.parent)
        self.replaced = self._claim_folder()
        self.found: Tail = read_tail(folder, owner)
        self.link: Link = self.found.link
        self._handle: int | None = None
        self._size = 0
        held = segments(folder)
        if held and not self.found.reason:
            self._open(held[-1].path)
            self._cut(self._size - self.found.torn_bytes)

    def _claim_folder(self) -> bool:
        """Make the folder this node's; what another key left there is kept aside."""
        named = Named(self._owner.node_id, self._owner.key)
        held = read_owner(self._folder)
        if held == named:
            return False
        replaced = held is not None
        if replaced:
            self._move_aside()
        write_owner(self._folder, named)
        return replaced

    def _move_aside(self) -> None:
        number = 1
        while (self._folder / f"{_EARLIER}-{number}").exists():
            number += 1
        target = self._folder / f"{_EARLIER}-{number}"
        target.mkdir(mode=0o700)
        for path in list(self._folder.iterdir()):
            if path.is_file():
                path.rename(target / path.name)
        sync_folder(self._folder)

    def _open(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._handle = os.open(path, flags, 0o600)
        self._size = os.fstat(self._handle).st_size
        sync_folder(self._folder)

    def _cut(self, size: int) -> None:
        if self._handle is not None and size != self._size:
            os.ftruncate(self._handle, size)
            os.fsync(self._handle)
            self._size = size

    def append(self, lines: Sequence[bytes], link: Link) -> None:
        """Write entries, each with its line break, and bring them to the disk.

        Args:
            lines: what follows the present end.
            link: the last of them.

        Raises:
            OSError: the disk did not take them; the file is as it was.
        """
        if self._handle is None:
            self._open(segment_path(self._folder, self.link.seq + 1))
        data = b"".join(lines)
        try:
            self._write(data)
        except OSError:
            self._undo()
            raise
        self._size += len(data)
        self.link = link
        if self._size >= self._segment_bytes_max:
            self.close()

    def _write(self, data: bytes) -> None:
        handle = self._handle
        if handle is None:
            raise OSError("the segment is not open")
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)

    def _undo(self) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, self._size)

    def drop(self, before_ms: int, *, at: int, sign: Sign) -> Link | None:
        """Drop closed segments whose last entry is older than that.

        Returns:
            The last entry dropped; None when nothing was.
        """
        through: Link | None = None
        going = []
        for segment in segments(self._folder)[:-1]:
            entry = last_entry(segment.path)
            if entry is None or entry.at >= before_ms:
                break
            going.append(segment.path)
            through = entry.link
        if through is None:
            return None
        anchor = write_anchor(through, at=at, node_id=self._owner.node_id, sign=sign)
        replace_file(anchor_path(self._folder), anchor)
        for path in going:
            path.unlink()
        sync_folder(self._folder)
        return through

    def close(self) -> None:
        """Close the segment; the next entry begins another one."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
