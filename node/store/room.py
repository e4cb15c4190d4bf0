"""Room on a disk for a copy of a store.

Law: a copy never takes the last of it; whoever writes meanwhile goes on.
"""

import os
from pathlib import Path
from typing import Final

from node.store.errors import NoRoom

_SPARE_BYTES: Final = 16 * 1024 * 1024


def check_room(folder: Path, wanted: int, *, spare_bytes: int = _SPARE_BYTES) -> None:
    """Make sure that the disk of a folder takes that many bytes and some more.

    Args:
        folder: on that disk.
        wanted: bytes of the copy.
        spare_bytes: what is left to others.

    Raises:
        NoRoom: it does not.
    """
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < wanted + spare_bytes:
        raise NoRoom(
            f"there is no room for a copy of the store in {folder}",
            why=f"it takes {wanted} bytes, and {free} are free",
            fix="Free some space, or name a folder on another disk; nothing was changed",
        )
