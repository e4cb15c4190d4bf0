"""One LMDB environment: opened with care, read in short glances, written by one function.

Law: a write transaction begins, puts and commits inside one call, on one thread (a write
transaction that changes threads deadlocks the next one). The map grows only while no
transaction is open. An error of the disk is told apart here: a full disk undoes the
transaction and says `NoRoom`; anything else the disk says is final, because after a failed
fsync LMDB happily commits the next transaction on top of pages that may never have landed.

LMDB 0.9 reports a short write as EIO, and a full disk begins with a short write; so EIO means
a full disk only when the disk, asked at once, has no room for what was to be written.
"""

import errno
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from node import failpoints
from node.errors import DiskError, IntegrityError
from node.store.errors import CorruptRecord, NoRoom, StoreBusy, StoreDamaged
from node.store.noting import Notes, noting
from node.store.schema import (
    SCHEMA_VERSION,
    Transaction,
    open_tables,
    sealed,
)
from node.store.small import DAMAGES
from node.store.version import DATA_FILE, DBS_MAX, SCHEMA_KEY, check_schema, damaged
from transport.secret_files import sync_folder

__all__ = [
    "DATA_FILE",
    "MAP_BYTES_DEFAULT",
    "MAP_BYTES_MIN",
    "SCHEMA_KEY",
    "Commit",
    "Environment",
    "commit_transaction",
    "open_file",
]

T = TypeVar("T")
Commit = Callable[[Transaction], None]
"""Ends a write transaction; tests put failing disks here."""

MAP_BYTES_DEFAULT: Final = 1 << 40
MAP_BYTES_MIN: Final = 1 << 18
_MAP_FALLBACK_MIN: Final = 1 << 30
_FILE_MODE: Final = 0o600
_READERS_MAX: Final = 126
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PROBE_NAME: Final = "room.probe"
_TIGHT_BYTES: Final = 8 * 1024 * 1024
_PROBE_BYTES_MIN: Final = 1 << 20
_CLOSE_SECONDS: Final = 10.0


def commit_transaction(txn: Transaction) -> None:
    """Make a transaction durable."""
    txn.commit()


class Environment:
    """An open LMDB environment with its tables.

    Args:
        path: the folder; made (0700) when absent.
        map_bytes: size of the memory map; grows when it is too small.
        durable: whether commits reach the disk before they return; off only for copies
            that are built aside and synced once.
        commit: ends every write transaction.

    Raises:
        DowngradeRefused: a newer version wrote it; nothing was touched.
        StoreDamaged: it is no store, or its head cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        map_bytes: int = MAP_BYTES_DEFAULT,
        durable: bool = True,
        commit: Commit = commit_transaction,
    ) -> None:
        self.path = path
        check_schema(path)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._commit = commit
        self._glance = threading.Lock()
        self._gate = threading.Condition(self._glance)
        self._long_readers = 0
        self._notes: Notes | None = None
        self._durable = durable
        self.closing = False
        self.on_damage: Callable[[IntegrityError], None] = _untold
        self._env = open_file(path, map_bytes, durable=durable)
        self._env.reader_check()
        try:
            with self._env.begin(write=True) as txn:
                self.tables = open_tables(self._env, txn, create=True)
                if txn.get(SCHEMA_KEY, db=self.tables.meta) is None:
                    version = sealed(SCHEMA_KEY, b"%d" % SCHEMA_VERSION)
                    txn.put(SCHEMA_KEY, version, db=self.tables.meta)
                failpoints.hit("store.schema")
            # LMDB syncs files, not their names; whoever made them may not have come this far.
            sync_folder(path)
            sync_folder(path.parent)
        except lmdb.Error as error:
            self._env.close()
            raise damaged(path, error) from error
        except BaseException:
            self._env.close()
            raise

    def read(self, look: Callable[[Transaction], T]) -> T:
        """Run a short look at one consistent state. Must not outlive the call.

        Raises:
            StoreDamaged: a page on the way is not what it was.
            CorruptRecord: a row is not what was written.
        """
        try:  # as `telling` does, which takes as long to enter as the read itself
            with self._glance, self._env.begin() as txn:
                return look(txn)
        except DAMAGES as error:
            raise self._told(error) from error
        except CorruptRecord as error:
            self.on_damage(error)
            raise

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Name what LMDB says of damage, and tell whoever makes stores whole; from any thread."""
        try:
            yield
        except DAMAGES as error:
            raise self._told(error) from error
        except CorruptRecord as error:
            self.on_damage(error)
            raise

    def _told(self, error: Exception) -> StoreDamaged:
        found = damaged(self.path, error, "read")
        self.on_damage(found)
        return found

    def write(self, work: Callable[[Transaction], T], *, room_bytes: int = 0) -> T:
        """Run a function in one transaction and make it durable; all of it or nothing.

        Args:
            work: puts and deletes; it is run again after the map has grown.
            room_bytes: about how much it writes, to tell a full disk from a broken one.

        Raises:
            NoRoom: the disk is full; nothing was changed.
            DiskError: the disk failed; nothing may be believed from now on.
            StoreDamaged: a page on the way is not what it was; nothing was changed.
        """
        while True:
            txn = self._env.begin(write=True)
            try:
                result = work(noting(txn, self._notes))
                self._commit(txn)
            except lmdb.MapFullError:
                self._abort(txn)
                self._grow()
            except DAMAGES as error:
                self._abort(txn)
                raise damaged(self.path, error, "written") from error
            except (lmdb.Error, OSError) as error:
                self._abort(txn)
                raise self._fault(error, room_bytes) from error
            except BaseException:
                self._abort(txn)
                raise
            else:
                return result

    @staticmethod
    def _abort(txn: Transaction) -> None:
        with suppress(lmdb.Error):
            txn.abort()

    def _grow(self) -> None:
        with self._gate:
            self._gate.wait_for(lambda: self._long_readers == 0)
            self._env.set_mapsize(self._env.info()["map_size"] * 2)

    def _fault(self, error: lmdb.Error | OSError, room_bytes: int) -> Exception:
        code = error.errno if isinstance(error, OSError) else error.code
        if isinstance(error, lmdb.BadValsizeError):
            return error
        if code in _FULL or (code == errno.EIO and not self.has_room(room_bytes)):
            return NoRoom(
                "the disk is full",
                why=str(error),
                fix="Free some space; what waits is written as soon as there is room",
            )
        return DiskError(
            f"writing to {self.path} failed",
            why=str(error),
            fix="Check the disk before the next start; nothing more was acknowledged",
        )

    def has_room(self, room_bytes: int) -> bool:
        """Whether the disk takes that many bytes more right now."""
        wanted = max(room_bytes, _PROBE_BYTES_MIN)
        disk = os.statvfs(self.path)
        # A short write of many pages fails before the last free block is gone.
        if disk.f_bavail * disk.f_frsize < max(2 * wanted, _TIGHT_BYTES):
            return False
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit not in {resource.RLIM_INFINITY, -1} and self.size_bytes() + wanted > limit:
            return False
        probe = self.path / _PROBE_NAME
        try:
            handle = os.open(probe, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
            try:
                os.posix_fallocate(handle, 0, wanted)
            finally:
                os.close(handle)
                probe.unlink()
        except OSError as error:
            return error.errno not in _FULL
        return True

    @contextmanager
    def long_read(self) -> Iterator[None]:
        """Hold off growth of the map while something reads for long, on another thread."""
        with self._gate:
            self._long_readers += 1
        try:
            yield
        finally:
            with self._gate:
                self._long_readers -= 1
                self._gate.notify_all()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One consistent state for a long look, on a thread of its own; see `long_read`."""
        with self.telling(), self.long_read(), self._env.begin() as txn:
            yield txn

    def read_long(self, look: Callable[[Transaction], T]) -> T:
        """Run a long look at one consistent state, on a thread of its own; see `long_read`."""
        with self.reading() as txn:
            return look(txn)

    def walk(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Every row of a table, in order of key, of one consistent state.

        For threads of their own that read everything: holds a transaction open, and the
        growth of the map off, until the iterator ends or is closed.
        """
        with self.reading() as txn:
            yield from txn.cursor(db=getattr(self.tables, table))

    def copy(self, target: Path) -> None:
        """Write a compact copy of the present state into an existing empty folder."""
        with self.long_read():
            self._env.copy(str(target), compact=True)

    def size_bytes(self) -> int:
        """How much of the data file is in use."""
        with self._glance:
            pages: int = self._env.info()["last_pgno"] + 1
            return pages * self._env.stat()["psize"]

    def map_bytes(self) -> int:
        """Size of the memory map."""
        with self._glance:
            return self._env.info()["map_size"]

    def reader_check(self) -> int:
        """Free reader slots of dead processes; returns how many."""
        with self._glance:
            return self._env.reader_check()

    def sync(self) -> None:
        """Bring everything to the disk, for an environment that is not durable."""
        self._env.sync(True)

    def close(self) -> None:
        """Close it; whoever reads for long is waited for, a short while."""
        self.closing = True
        with self._gate:
            self._gate.wait_for(lambda: self._long_readers == 0, _CLOSE_SECONDS)
            self._env.close()

    # -- being rewritten; see node.store.rewriting ------------------------------------------

    def note(self, notes: Notes | None) -> None:
        """Note from now on what is written, or end it. For the writer's thread."""
        self._notes = notes

    def unread(self, seconds: float) -> bool:
        """Wait until nothing reads for long; False when something still does."""
        with self._gate:
            return self._gate.wait_for(lambda: self._long_readers == 0, seconds)

    def replace(self, file: Path, wait_seconds: float) -> int:
        """Put another data file in the place of this one. For the writer's thread.

        Short readers wait meanwhile; the handles of the tables are others afterwards. The
        rename is the moment of the swap; it is on the disk before anything is written.

        Returns:
            An open handle of the old file, which has no name any more: its space is given back
            when the handle is closed, which takes a while and has to wait for nobody.

        Raises:
            StoreBusy: something reads for long; nothing was changed.
            DiskError: the disk failed; nothing may be believed from now on.
        """
        with self._gate:
            if not self._gate.wait_for(lambda: self._long_readers == 0, wait_seconds):
                raise StoreBusy("the store is being read as a whole", fix="Try again later")
            size = self._env.info()["map_size"]
            live = self.path / DATA_FILE
            self._env.close()
            try:
                old = os.open(live, os.O_RDONLY | os.O_CLOEXEC)
                # Kept alive by a reader of another process, it counts the old file's commits.
                (self.path / "lock.mdb").unlink(missing_ok=True)
                file.rename(live)
                sync_folder(self.path)
                self._env = open_file(self.path, size, durable=self._durable)
                with self._env.begin(write=True) as txn:
                    self.tables.become(open_tables(self._env, txn, create=True))
            except (lmdb.Error, OSError, StoreDamaged) as error:
                raise DiskError(
                    f"the rewritten store in {self.path} cannot be opened",
                    why=str(error),
                    fix="Check the disk before the next start; the folder holds one whole store",
                ) from error
            self._notes = None
            return old


def open_file(path: Path, map_bytes: int, *, durable: bool) -> lmdb.Environment:
    """Open the data file in a folder to be written, with as large a map as there is room for.

    Raises:
        StoreDamaged: it is no store, or its head cannot be read.
    """
    size = max(map_bytes, MAP_BYTES_MIN)
    while True:
        try:
            return lmdb.open(
                str(path),
                map_size=size,
                mode=_FILE_MODE,
                sync=durable,
                metasync=durable,
                writemap=False,
                readahead=True,
                max_dbs=DBS_MAX,
                max_readers=_READERS_MAX,
                max_spare_txns=2,
            )
        except lmdb.MemoryError as error:
            # The address space is limited (ulimit -v, a small container): take what it gives.
            if size <= _MAP_FALLBACK_MIN:
                raise damaged(path, error) from error
            size //= 4
        except lmdb.Error as error:
            raise damaged(path, error) from error


def _untold(_error: IntegrityError) -> None:
    """Before somebody makes stores whole, and in copies: whoever reads is told."""
