"""The file of a store written anew, while the store is in use.

Law: freed pages and the gaps in pages keep old bytes in LMDB, and a compact copy copies the
gaps; so every row is put, in order, into a fresh environment, where pages begin as zeros. The
rows are copied from one read transaction while writers go on; what they touch is noted and
brought over afterwards, the last of it on the writer's thread between two commits. Then the
new file is on the disk, whole, and takes the place of the old one by one rename under the
same store id: whatever dies in between, the folder holds one whole store.

What is erased while the copy runs may have been copied, so it counts as erased by the next
rewrite, not by this one.
"""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from node.errors import IntegrityError
from node.store.environment import DATA_FILE, Environment
from node.store.erasures import REWRITTEN_KEY, Rows, is_clear, put_erasures
from node.store.errors import NoRoom, StoreBusy
from node.store.noting import Note, Notes
from node.store.schema import TABLE_NAMES, Transaction, number, sealed
from node.store.scrub import verify_row
from node.store.store import Store
from transport.secret_files import sync_folder

NOTES_MAX: Final = 5_000
"""As many touched rows are left for the writer's thread."""

_ROWS_PER_STEP: Final = 2_000
_STEP_BYTES: Final = 8 * 1024 * 1024
_SYNC_BYTES: Final = 32 * 1024 * 1024
_WAIT_SECONDS: Final = 60.0
_LAST_WAIT_SECONDS: Final = 0.2
Row = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What a rewrite did.

    Attributes:
        before_bytes: size of the old file.
        after_bytes: size of the new one.
        rows: how many it copied, in all tables.
        late_rows: how many of them were brought over while writers waited.
        stall_ms: how long writers waited for the last step.
        erased: erasures whose bytes are gone from the file now.
    """

    before_bytes: int
    after_bytes: int
    rows: int
    late_rows: int
    stall_ms: float
    erased: int


class RewriteStopped(StoreBusy):
    """The store was closed meanwhile; nothing was changed."""


class RewriteRefused(IntegrityError):  # noqa: N818 - it says what happened, as its neighbours do
    """The new file does not hold what the store holds; nothing was changed."""

    code = "rewrite_refused"


class Rewrite:
    """One rewrite. In this order: begin, copy, (more, bring)*, ready, finish, release.

    Before it has finished it can be abandoned.

    Args:
        store: whose file.
        folder: where the new file is made, on the same disk; must not exist.
        now_ms: local time.
        step: told before every step that a crash could hit; tests die there.
    """

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        now_ms: int,
        step: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._env = store.environment
        self._folder = folder
        self._now_ms = now_ms
        self._step = step
        self._notes = Notes(self._env.tables)
        self._target: Environment | None = None
        self._begins: Mapping[bytes, int] = {}
        self._arrivals = 0
        self._rows = 0
        self._old: int | None = None
        self._stopped = threading.Event()

    def begin(self) -> None:
        """Note what is written from now on. On the writer's thread."""
        self._begins = self._store.log_begins()
        self._arrivals = self._store.head.arrivals
        self._env.note(self._notes)

    def copy(self) -> None:
        """Copy every row of one state. On a thread of its own, while writers go on.

        Raises:
            NoRoom: the disk has no room for a second file; nothing was changed.
            RewriteStopped: the store is being closed.
            CorruptRecord: a row is damaged: a scrub comes first.
        """
        self._step("copy")
        size = self._env.size_bytes()
        if not self._env.has_room(size):
            raise NoRoom(
                "there is no room to rewrite the store",
                why=f"the new file takes up to {size} bytes beside the old one",
                fix="Free some space and compact again",
            )
        target = self._open(size)
        self._env.read_long(lambda txn: self._copy_tables(txn, target))
        self._step("copied")

    def _open(self, size: int) -> Environment:
        room = max(self._env.map_bytes(), 2 * size)
        self._target = Environment(self._folder, map_bytes=room, durable=False)
        return self._target

    def _copy_tables(self, txn: Transaction, target: Environment) -> None:
        unsynced = 0
        for name in TABLE_NAMES:
            rows = iter(txn.cursor(db=getattr(self._env.tables, name)))
            while chunk := _chunk(rows):
                self._check()
                for key, value in chunk:
                    verify_row(name, key, value)
                target.write(lambda to, chunk=chunk, name=name: _append(to, target, name, chunk))  # type: ignore[misc]  # bound now
                self._rows += len(chunk)
                unsynced += sum(len(value) for _, value in chunk)
                if unsynced >= _SYNC_BYTES:  # little by little: commits wait for the same disk
                    target.sync()
                    unsynced = 0
                time.sleep(0)
        target.sync()

    def _check(self) -> None:
        if self._stopped.is_set() or self._env.closing:
            raise RewriteStopped("the store is being closed")

    def stop(self) -> None:
        """Make a running copy end soon."""
        self._stopped.set()

    @property
    def noted(self) -> int:
        """How many rows were touched and not yet brought over."""
        return len(self._notes)

    def more(self) -> set[Note]:
        """Rows touched so far. On the writer's thread, so that what touched them is committed."""
        return self._notes.take()

    def bring(self, notes: set[Note]) -> None:
        """Bring touched rows over, as they are now. On a thread of its own."""
        self._check()
        with self._env.long_read():
            self._bring(notes)
        self._built.sync()

    @property
    def _built(self) -> Environment:
        if self._target is None:
            raise RewriteStopped("nothing was copied")
        return self._target

    def _bring(self, notes: set[Note]) -> None:
        target = self._built

        def look(txn: Transaction) -> list[tuple[str, bytes, bytes | None]]:
            tables = self._env.tables
            return [(n, k, txn.get(k, db=getattr(tables, n))) for n, k in sorted(notes)]

        def work(txn: Transaction) -> None:
            for name, key, value in rows:
                table = getattr(target.tables, name)
                if value is None:
                    txn.delete(key, db=table)
                else:
                    txn.put(key, value, db=table)

        rows = self._env.read(look)
        target.write(work)

    def ready(self) -> None:
        """Wait until nothing reads the store as a whole. On a thread of its own.

        Raises:
            StoreBusy: something still does.
        """
        self._check()
        if not self._env.unread(_WAIT_SECONDS):
            raise StoreBusy("the store is being read as a whole", fix="Try again later")

    def finish(self) -> Rewritten:
        """Bring the last rows over and swap. On the writer's thread.

        Raises:
            StoreBusy, NoRoom, RewriteRefused: nothing was changed.
            DiskError: the disk failed; nothing may be believed from now on.
        """
        began = time.perf_counter()
        target, late = self._built, self._notes.take()
        before = self._env.size_bytes()
        self._bring(late)
        done = self._put_marks(target)
        self._compare(target)
        self._step("built")
        target.sync()
        after = target.size_bytes()
        target.close()
        self._target = None
        sync_folder(self._folder)
        self._step("swap")
        self._old = self._env.replace(self._folder / DATA_FILE, _LAST_WAIT_SECONDS)
        self._step("swapped")
        self._store.erasures.put(done)
        stall = (time.perf_counter() - began) * 1000
        return Rewritten(
            before_bytes=before,
            after_bytes=after,
            rows=self._rows,
            late_rows=len(late),
            stall_ms=round(stall, 3),
            erased=len(done),
        )

    def _put_marks(self, target: Environment) -> Rows:
        """Note in the new file what it is free of."""
        done = {
            name: row._replace(rewritten=True)
            for name, row in self._store.erasures.rows.items()
            if not row.rewritten and row.arrival <= self._arrivals and is_clear(row, self._begins)
        }

        def work(txn: Transaction) -> None:
            put_erasures(txn, target.tables, done)
            when = sealed(REWRITTEN_KEY, number(self._now_ms))
            txn.put(REWRITTEN_KEY, when, db=target.tables.meta)

        target.write(work)
        return done

    def _compare(self, target: Environment) -> None:
        """Every table must have as many rows as before."""
        ours, theirs = _entries(self._env), _entries(target)
        ours["meta"] = theirs["meta"]  # it may have gained the time of its first rewrite
        if ours != theirs:
            raise RewriteRefused(
                "the rewritten store does not hold what the store holds; it is thrown away",
                why=f"{ {n: (c, theirs[n]) for n, c in ours.items() if c != theirs[n]} }",
            )

    def release(self) -> None:
        """Give the space of the old file back. On a thread of its own, after `finish`."""
        if self._old is not None:
            os.close(self._old)
            self._old = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def abandon(self) -> None:
        """Throw away what was made. Not while another call runs; noting ends."""
        self._env.note(None)
        if self._target is not None:
            self._target.close()
            self._target = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _chunk(rows: Iterator[Row]) -> list[Row]:
    """The next rows, bounded in number and about in bytes."""
    out: list[Row] = []
    size = 0
    for row in islice(rows, _ROWS_PER_STEP):
        out.append(row)
        size += len(row[1])
        if size >= _STEP_BYTES:
            break
    return out


def _append(txn: Transaction, target: Environment, name: str, rows: list[Row]) -> None:
    table = getattr(target.tables, name)
    if name == "meta":  # the fresh environment has its schema row already
        for key, value in rows:
            txn.put(key, value, db=table)
        return
    with txn.cursor(db=table) as cursor:
        cursor.putmulti(rows, append=True)


def _entries(env: Environment) -> dict[str, int]:
    return env.read(
        lambda txn: {n: txn.stat(getattr(env.tables, n))["entries"] for n in TABLE_NAMES}
    )
