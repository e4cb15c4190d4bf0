"""Small tables of this node's own, each in a folder beside the store: opened with care.

Law: they survive a swap of the store and are never replicated. A limited address space is
taken as it is; a file that was cut off is damage, and never read. A `SmallTable` is worth less
than a start of the node: damaged, it is put aside and begun anew. Its writes begin and commit
on one thread, and nobody closes it under them.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from node.store.schema import Transaction
from node.store.whole import lengthened
from transport.secret_files import sync_folder

DAMAGES: Final = (
    lmdb.InvalidError,
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.VersionMismatchError,
)
"""What LMDB says of files that are none of its own, or no more."""

DATA_FILE: Final = "data.mdb"
_FILE_MODE: Final = 0o600
_MAP_BYTES_MIN: Final = 1 << 26


def opened(
    folder: Path, *, map_bytes: int, readers_max: int = 8, dbs_max: int = 0
) -> lmdb.Environment:
    """Open the environment in a folder; both are made when absent.

    Args:
        folder: made with mode 0700.
        map_bytes: the most it may grow to; costs nothing until it is used.
        readers_max: threads that read at the same time.
        dbs_max: named tables; none for the one without a name.

    Raises:
        lmdb.Error: it cannot be opened; one of `DAMAGES` when the files are damaged.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / DATA_FILE).exists():
        _make(folder)
    size = map_bytes
    while True:
        try:
            env = lmdb.open(
                str(folder),
                map_size=size,
                mode=_FILE_MODE,
                max_dbs=dbs_max,
                max_readers=readers_max,
            )
        except lmdb.MemoryError:
            if size <= _MAP_BYTES_MIN:
                raise
            size //= 4
        else:
            break
    try:
        sync_folder(folder)  # LMDB syncs files, not their names
        sync_folder(folder.parent)
        lengthened(env, folder / DATA_FILE)
    except (lmdb.Error, OSError):
        env.close()
        raise
    return env


def _make(folder: Path) -> None:
    """An empty environment, on the disk before it has its name.

    LMDB writes the head of a new file with the first commit, which may be months away; until
    then a power loss may leave half of it, which reads as damage.
    """
    draft = folder / f"{DATA_FILE}.new"
    draft.unlink(missing_ok=True)
    with lmdb.open(str(draft), subdir=False, lock=False, mode=_FILE_MODE) as env:
        env.sync(True)
    draft.rename(folder / DATA_FILE)


class SmallTable:
    """Rows of bytes whose loss is smaller than that of a start.

    Args:
        folder: where; made when absent. What is damaged there moves to `<folder>.damaged`.
        map_bytes: the most it may grow to.

    Raises:
        lmdb.Error: it cannot be opened although it is whole.
    """

    def __init__(self, folder: Path, *, map_bytes: int) -> None:
        try:
            self._env = _read_through(folder, map_bytes)
        except DAMAGES:
            _put_aside(folder)
            self._env = opened(folder, map_bytes=map_bytes)
        self._lock = threading.Lock()

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every row, in order of key."""
        with self._env.begin() as txn:
            for key, value in txn.cursor():
                yield bytes(key), bytes(value)

    @contextmanager
    def change(self) -> Iterator[Transaction]:
        """A write transaction: on the disk after the block, or nothing of it.

        Raises:
            OSError, lmdb.Error: the disk does not take it.
        """
        with self._lock, self._env.begin(write=True) as txn:
            yield txn

    def write(self, rows: Mapping[bytes, bytes | None]) -> None:
        """Put rows; None drops one. See `change`."""
        with self.change() as txn:
            for key, value in rows.items():
                if value is None:
                    txn.delete(key)
                else:
                    txn.put(key, value)

    def close(self) -> None:
        """Close it, once a write that is under way is over."""
        with self._lock:
            self._env.close()


def _read_through(folder: Path, map_bytes: int) -> lmdb.Environment:
    env = opened(folder, map_bytes=map_bytes)
    try:
        with env.begin() as txn:
            for _ in txn.cursor():
                pass
    except DAMAGES:
        env.close()
        raise
    return env


def _put_aside(folder: Path) -> None:
    aside = folder.with_name(f"{folder.name}.damaged")
    for old in aside.glob("*") if aside.exists() else ():
        old.unlink()
    aside.mkdir(mode=0o700, exist_ok=True)
    folder.replace(aside)
