"""The folder that backups are kept in.

    <stamp>-<id>/           a backup: data.mdb, files of the node, manifest.json
    <stamp>-<id>.part/      one that is being made or thrown away; worthless when nobody holds it

Law: a folder becomes a backup by one rename, when all of it is on the disk, and ceases to be one
by another, before any of it is removed. Pruned are the oldest valid ones of the same node beyond
the number that is kept; never the last valid one, never one that does not hold, never another's.
"""

import calendar
import errno
import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.backup.manifest import (
    MANIFEST,
    MANIFEST_BYTES_MAX,
    BadBackup,
    Manifest,
    read_manifest,
)
from node.errors import NodeError, UsageError
from transport.secret_files import sync_folder

PART: Final = ".part"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
_ABANDONED_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A folder that calls itself a backup.

    Attributes:
        path: its folder.
        manifest: what it says of itself; None when that does not hold by itself.
        trouble: why it is not valid, as far as was looked; empty when it is.
    """

    path: Path
    manifest: Manifest | None
    trouble: str = ""

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.path.name


def name_of(created_ms: int, entropy: bytes) -> str:
    """The name of a new backup: when, and four random bytes."""
    stamp = time.strftime(_STAMP, time.gmtime(created_ms / 1000))
    return f"{stamp}-{entropy.hex()}"


def found(folder: Path) -> list[Found]:
    """Every backup in a folder, newest first; looked at are manifests and sizes, not contents.

    Raises:
        UsageError: there is no such folder, or it cannot be read.
    """
    try:
        names = sorted((path.name for path in folder.iterdir()), reverse=True)
    except OSError as error:
        raise UsageError(
            f"cannot read the folder of backups {folder}", why=error.strerror or str(error)
        ) from error
    looked = [look(folder / name) for name in names if _NAME.fullmatch(name)]
    return sorted(looked, key=_age, reverse=True)


def _age(one: Found) -> tuple[int, str]:
    """When it was made: what was signed counts before what it is called."""
    if one.manifest is not None:
        return one.manifest.created_ms, one.id
    stamp = one.id.partition("-")[0]
    try:
        return calendar.timegm(time.strptime(stamp, _STAMP)) * 1000, one.id
    except ValueError:
        return 0, one.id


def look(path: Path) -> Found:
    """One backup, by its manifest and the sizes of its files."""
    manifest = None
    try:
        manifest = manifest_in(path)
        check_files(path, manifest)
    except BadBackup as error:
        return Found(path=path, manifest=manifest, trouble=f"{error.what}: {error.why}")
    return Found(path=path, manifest=manifest)


def manifest_in(path: Path) -> Manifest:
    """The manifest of a backup, its signature checked.

    Raises:
        BadBackup: there is none that holds, or it is that of another backup.
    """
    try:
        data = _read_file(path / MANIFEST, MANIFEST_BYTES_MAX + 1)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadBackup(f"it has no {MANIFEST} that can be read", why=why) from error
    manifest = read_manifest(data)
    if manifest.id != path.name:
        raise BadBackup(f"its {MANIFEST} is that of another backup", why=manifest.id[:80])
    return manifest


def _read_file(path: Path, most: int) -> bytes:
    """The beginning of a file; a link, or a pipe that would be waited for, is none."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no file")
        return file.read(most)


def check_files(path: Path, manifest: Manifest) -> None:
    """Make sure that a backup has the files that it names and no other, by name and size.

    A link to a file is none: what it leads to is not in the backup.

    Raises:
        BadBackup: otherwise.
    """
    try:
        there = {one.relative_to(path).as_posix(): one for one in walk(path)}
        wanted = {file.path: file.bytes for file in manifest.files} | {MANIFEST: -1}
        if there.keys() != wanted.keys():
            odd = min(there.keys() ^ wanted.keys())
            what = "it has a file that it does not name" if odd in there else "a file is missing"
            raise BadBackup(what, why=odd)
        for name, size in wanted.items():
            status = there[name].lstat()
            if not stat.S_ISREG(status.st_mode):
                raise BadBackup("it has a link where a file was", why=name)
            if size >= 0 and status.st_size != size:
                raise BadBackup("a file of it has another size", why=name)
    except OSError as error:
        raise BadBackup("its files cannot be read", why=error.strerror or str(error)) from error


def walk(path: Path) -> Iterator[Path]:
    """Every file below a folder; what is neither file nor folder counts as a file."""
    for one in sorted(path.iterdir()):
        if one.is_dir() and not one.is_symlink():
            yield from walk(one)
        else:
            yield one


# --- making room -----------------------------------------------------------------------------


@contextmanager
def held(part: Path) -> Iterator[None]:
    """Hold a folder that is being made: the kernel lets go of it after any death."""
    handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # a file system without locks: age must do, see `leftovers`
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def leftovers(folder: Path) -> list[Path]:
    """Parts that nobody holds any more."""
    return [path for path in sorted(folder.glob(f"*{PART}")) if _is_left(path)]


def _is_left(path: Path) -> bool:
    if not _NAME.fullmatch(path.name.removesuffix(PART)) or path.is_symlink():
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return time.time() - path.stat().st_mtime > _ABANDONED_SECONDS
    finally:
        os.close(handle)
    return True


def created_ms(there: list[Found], node_id: str, now_ms: int) -> int:
    """When a new backup of a node is said to be made, milliseconds since the epoch.

    Now, or just after the last one, where a clock went back: it is the newest all the same, so it
    is the one that is restored, and not the first one that is pruned.
    """
    mine = [one.manifest for one in there if one.manifest and one.manifest.node_id == node_id]
    return max([now_ms, *(manifest.created_ms + 1 for manifest in mine)])


def surplus(there: list[Found], node_id: str, keep: int, coming: int = 0) -> list[Found]:
    """The valid backups of a node beyond the newest `keep`, oldest first; the last one stays.

    Args:
        there: what there is, newest first.
        node_id: of the node, hex.
        keep: how many stay, at least 1.
        coming: how many more there will be, 0 or 1.
    """
    mine = [
        one for one in there if not one.trouble and one.manifest and one.manifest.node_id == node_id
    ]
    return mine[max(keep, 1) - coming :][::-1]


def remove(path: Path) -> None:
    """Take a backup out of the folder; what dies on the way leaves a part, no half backup.

    Raises:
        NodeError: the folder does not allow it.
    """
    part = path if path.name.endswith(PART) else path.with_name(path.name + PART)
    try:
        if part != path:
            path.rename(part)
            sync_folder(path.parent)
        shutil.rmtree(part)
    except FileNotFoundError:
        return  # another backup that ran at the same time was faster
    except OSError as error:
        raise NodeError(
            f"cannot remove {path}",
            why=error.strerror or str(error),
            fix="Let this user write to the folder of backups",
        ) from error
