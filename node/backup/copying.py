"""A copy of a store that may be in use: by a second process, in one read transaction.

Law: the copy is one committed state, whatever is written meanwhile; writers never wait for it.
Reading takes a slot in the store's lock file, so no page is used again while it is read. When
the node puts another file or another store in the place of the one that is being read, both of
that file are left behind together; the copy is thrown away and made anew.

The reader is a process of its own: the node's process needs no right to the folder of backups,
and a reader that is killed leaves a slot that the node frees within a minute.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from node.backup.notes import give_to_owner
from node.errors import NodeError, UsageError
from node.store.environment import DATA_FILE
from node.store.errors import StoreBusy, StoreDamaged
from node.store.folder import current_path
from node.store.room import check_room
from node.store.schema import TABLE_NAMES

LOCK_FILE: Final = "lock.mdb"
_TRIES: Final = 5
_DBS_MAX: Final = len(TABLE_NAMES) + 8
_ROOM_BYTES: Final = 1 << 28
_LOOK_SECONDS: Final = 0.05
_JOIN_SECONDS: Final = 60.0

Progress = Callable[[int, int], None]
"""Told how many bytes of how many are done."""


def no_progress(_done: int, _total: int) -> None:
    """Nobody looks."""


class _Moved(Exception):  # noqa: N818 - it is no failure
    """Another file or store took the place of the one that was read."""


def live_store(data_dir: Path) -> Path:
    """The folder of the live store.

    Raises:
        UsageError: there is none yet.
        StoreDamaged: CURRENT names what is not there.
    """
    path = current_path(data_dir)
    if path is None:
        raise UsageError(
            f"there is no store in {data_dir}",
            why="no node has run on it yet",
            fix="Name the folder of a node with --data-dir",
        )
    if not (path / DATA_FILE).is_file():
        raise StoreDamaged(
            f"the store {path} is not there", fix="Restore it: mnemesh restore --from DIR"
        )
    return path


def hot_copy(data_dir: Path, target: Path, progress: Progress = no_progress) -> None:
    """Copy the live store of a data directory, compacted, into an existing empty folder.

    Args:
        data_dir: of the node, which may run.
        target: gets `data.mdb` (0600), flushed.
        progress: told bytes copied, and about how many there are.

    Raises:
        UsageError: there is no store.
        NoRoom: the target's disk has no room for it.
        StoreBusy: the store was replaced again and again meanwhile.
        StoreDamaged: it cannot be read.
        OSError: the target cannot be written.
    """
    copy = target / DATA_FILE
    for _ in range(_TRIES):
        path = live_store(data_dir)
        try:
            _copy(path, target, progress)
            _check_live(data_dir, path)
        except (_Moved, lmdb.MapResizedError):
            copy.unlink(missing_ok=True)
            continue
        except (lmdb.Error, FileNotFoundError) as error:
            copy.unlink(missing_ok=True)
            if current_path(data_dir) != path:
                continue
            raise StoreDamaged(
                f"the store in {path} cannot be copied",
                why=str(error),
                fix="Look at its disk; mnemesh verify says more on a stopped node",
            ) from error
        copy.chmod(0o600)
        sync_file(copy)
        return
    raise StoreBusy("the store was replaced while it was copied", fix="Try again in a minute")


def _check_live(data_dir: Path, path: Path) -> None:
    if current_path(data_dir) != path:
        raise _Moved


def _copy(path: Path, target: Path, progress: Progress) -> None:
    with _reading(path) as env:
        total = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        check_room(target, total)
        _copy_watched(env, target, total, progress)


@contextmanager
def _reading(path: Path) -> Iterator[lmdb.Environment]:
    """The store in a folder, opened beside whoever writes it; the same file until the end."""
    lock = path / LOCK_FILE
    was_there = lock.exists()
    before = _inodes(path)
    room = 2 * (path / DATA_FILE).stat().st_size + _ROOM_BYTES
    env = lmdb.open(
        str(path), readonly=True, create=False, max_dbs=_DBS_MAX, map_size=room, mode=0o600
    )
    try:
        if not was_there:
            give_to_owner(lock, path / DATA_FILE)
        held = _inodes(path)
        # A lock file that was there before and is there now was there in between, too.
        if held[1] != before[1] or (was_there and held != before):
            raise _Moved
        yield env
        if _inodes(path) != held:
            raise _Moved
    finally:
        env.close()


def _inodes(path: Path) -> tuple[int, int]:
    """Which lock file and which data file have their names now; 0 for none."""
    lock = path / LOCK_FILE
    return lock.stat().st_ino if lock.exists() else 0, (path / DATA_FILE).stat().st_ino


def _copy_watched(env: lmdb.Environment, target: Path, total: int, progress: Progress) -> None:
    """Copy on a thread of its own, which the engine lets run, and tell how far it is."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            env.copy(str(target), compact=True)
        except BaseException as error:  # noqa: BLE001 - raised again on the thread that waits
            failed.append(error)

    thread = threading.Thread(target=work, name="copy", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_LOOK_SECONDS)
        try:
            done = (target / DATA_FILE).stat().st_size
        except OSError:
            done = 0
        progress(min(done, total), total)
    if failed:
        raise failed[0]
    progress(total, total)


def sync_file(path: Path) -> None:
    """Bring a file to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(folder: Path, error: OSError) -> NodeError:
    """The refusal of a folder that does not take a backup."""
    return NodeError(
        f"cannot write to {folder}",
        why=error.strerror or str(error),
        fix="Let this user write there, or name another folder with --to",
    )
