"""Files that hold secrets or decide about trust, written and read with care.

Law: a secret is 0600 from the first byte on disk; a reader refuses one that others can read; a
file is replaced whole or not at all, and survives power loss once the call has returned.
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from transport.errors import KeyFileError, LooseModeError

__all__ = ["check_mode", "read_secret", "replace_file", "sync_folder", "write_secret"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# A secret that root owns and lends to a service group (mounted secrets) may be group-readable.
_OTHERS_OF_ROOTS_FILE = stat.S_IWGRP | stat.S_IXGRP | stat.S_IRWXO


def check_mode(path: Path) -> None:
    """Refuse a secret file that other users may read or write.

    Raises:
        KeyFileError: the file is missing or cannot be inspected.
        LooseModeError: its mode grants more than the owner needs.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from error
    lent_by_root = status.st_uid == 0 and os.geteuid() != 0
    if status.st_mode & (_OTHERS_OF_ROOTS_FILE if lent_by_root else _OTHERS):
        raise LooseModeError(
            f"the key file {path} has mode {stat.S_IMODE(status.st_mode):04o}, so other users can "
            f"reach it: run `chmod 600 {path}` and start again"
        )


def read_secret(path: Path) -> bytes:
    """Return the content of a secret file after checking its mode.

    Raises:
        KeyFileError: the file cannot be read.
        LooseModeError: its mode is loose.
    """
    check_mode(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"cannot read the key file {path}: {error.strerror}") from error


def write_secret(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write a secret file with mode 0600, never over an existing one unless `force`.

    Raises:
        KeyFileError: the file exists (and not `force`), or cannot be written.
    """
    try:
        if force:
            replace_file(path, data)
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)
    except FileExistsError as error:
        raise KeyFileError(
            f"{path} already exists and a key is never overwritten silently: "
            "move it aside, or repeat with --force"
        ) from error
    except OSError as error:
        raise KeyFileError(f"cannot write the key file {path}: {error.strerror}") from error


def replace_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `data` in one rename; a symbolic link keeps pointing where it pointed.

    Raises:
        OSError: the folder is missing, full or not writable; the old file is untouched.
    """
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename or a creation in `folder` survive power loss (fsync(2) of the directory)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
