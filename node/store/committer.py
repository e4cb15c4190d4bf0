"""The one thread that writes.

Law: batches are committed in the order in which they were submitted, as many in one
transaction as had queued while the last one ran; no timers, no linger. `done` is called once
per batch, with None when and only when the batch is durable. A full disk holds the queue and
tries again; any other failure of the disk ends writing for good: it is reported once, nothing
is committed or confirmed after it.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from crdt.state import Batch
from node.errors import DiskError
from node.store.errors import NoRoom, QueueFull
from node.store.store import Store

Done = Callable[[BaseException | None], None]
"""Told the outcome: None when durable, else why it is not."""

Post = Callable[[Callable[[], None]], object]
"""Runs a call on the loop's thread: `loop.call_soon_threadsafe`."""

_BATCH_OVERHEAD_BYTES: Final = 1024
_TRANSACTION_BYTES_MAX: Final = 16 * 1024 * 1024
_RETRY_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Write:
    batch: Batch
    done: Done
    size_bytes: int


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], Any]
    done: Callable[[Any, BaseException | None], None]


class Committer:
    """Owns the writing thread of a store.

    Args:
        store: nobody else may write it while this runs.
        post: brings calls back to the loop.
        on_full: told True when the disk has become full, False when it has room again.
        on_fatal: told once when nothing can be committed any more.
        queue_bytes_max: most bytes that may wait.
        retry_seconds: pause between two tries on a full disk.
    """

    def __init__(
        self,
        store: Store,
        *,
        post: Post,
        on_full: Callable[[bool], None],
        on_fatal: Callable[[BaseException], None],
        queue_bytes_max: int,
        retry_seconds: float = _RETRY_SECONDS,
    ) -> None:
        self._store = store
        self._post = post
        self._on_full = on_full
        self._on_fatal = on_fatal
        self._queue_bytes_max = queue_bytes_max
        self._retry_seconds = retry_seconds
        self._writes: deque[_Write] = deque()
        self._jobs: deque[_Job] = deque()
        self._queued_bytes = 0
        self._full = False
        self._closing = False
        self._dead: BaseException | None = None
        self._wake = threading.Condition(threading.Lock())
        self.transactions = 0
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the disk, those in the running transaction included."""
        return self._queued_bytes

    @property
    def idle(self) -> bool:
        """Whether a batch submitted now would be written at once."""
        return not self._queued_bytes

    @property
    def full(self) -> bool:
        """Whether the last try found no room on the disk."""
        return self._full

    def submit(self, batch: Batch, done: Done) -> None:
        """Queue a batch. `done` is called on the loop.

        Raises:
            QueueFull: too many bytes wait already; the batch was not taken.
            DiskError: writing has ended.
        """
        size = batch.size_bytes() + _BATCH_OVERHEAD_BYTES
        with self._wake:
            self._refuse_when_over()
            if self._queued_bytes and self._queued_bytes + size > self._queue_bytes_max:
                raise QueueFull(
                    "the disk does not keep up",
                    why=f"{self._queued_bytes} bytes wait to be written",
                    fix="Try again in a moment",
                )
            self._writes.append(_Write(batch, done, size))
            self._queued_bytes += size
            self._wake.notify()

    def run(
        self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]
    ) -> None:
        """Run maintenance between two transactions; `done(result, error)` is called on the loop.

        Raises:
            DiskError: writing has ended.
        """
        with self._wake:
            self._refuse_when_over()
            self._jobs.append(_Job(work, done))
            self._wake.notify()

    def _refuse_when_over(self) -> None:
        if self._dead is not None or self._closing:
            raise DiskError(
                "nothing is written any more",
                why=str(self._dead) if self._dead else "the node is shutting down",
            )

    def close(self, timeout_seconds: float) -> bool:
        """Write what waits, then end the thread; whether everything is on the disk.

        What a full disk still holds back at that point is given up, unconfirmed.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive() and not self._writes and self._dead is None

    # -- on the writer's thread ----------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._writes or self._jobs or self._closing):
                    self._wake.wait()
                if not (self._writes or self._jobs):
                    return
                taken = self._take()
                jobs = list(self._jobs)
                self._jobs.clear()
            try:
                written = self._commit(taken)
                for job in jobs:
                    self._maintain(job)
            except BaseException as error:  # noqa: BLE001 - whatever it is, writing is over
                self._die(error)
                return
            if not written and not self._pause():
                return

    def _take(self) -> list[_Write]:
        """The longest run of waiting batches that fits into one transaction; they stay queued."""
        taken: list[_Write] = []
        size = 0
        for write in self._writes:
            if taken and size + write.size_bytes > _TRANSACTION_BYTES_MAX:
                break
            taken.append(write)
            size += write.size_bytes
        return taken

    def _commit(self, taken: list[_Write]) -> bool:
        """Write the batches; False when the disk is full and they stay queued."""
        if not taken:
            return True
        try:
            self._store.commit(*(write.batch for write in taken))
        except NoRoom:
            self._tell_full(full=True)
            return False
        self.transactions += 1
        with self._wake:
            for write in taken:
                self._writes.popleft()
                self._queued_bytes -= write.size_bytes
        self._tell_full(full=False)
        self._call(lambda: _confirm(taken, None))
        return True

    def _maintain(self, job: _Job) -> None:
        try:
            result = job.work()
        except NoRoom as error:
            # Truncation needs pages too. It comes round again; the batches come first.
            failure: BaseException = error
            self._call(lambda: job.done(None, failure))
        else:
            self._call(lambda: job.done(result, None))

    def _tell_full(self, *, full: bool) -> None:
        if full is not self._full:
            self._full = full
            self._call(lambda: self._on_full(full))

    def _pause(self) -> bool:
        """Wait before the next try on a full disk; False when it is time to give up."""
        with self._wake:
            if not self._closing:
                self._wake.wait_for(lambda: self._closing or bool(self._jobs), self._retry_seconds)
            return not self._closing

    def _die(self, error: BaseException) -> None:
        with self._wake:
            self._dead = error
            lost = list(self._writes)
            jobs = list(self._jobs)
            self._writes.clear()
            self._jobs.clear()
        self._call(lambda: self._on_fatal(error))
        self._call(lambda: _confirm(lost, error))
        for job in jobs:
            self._call(lambda job=job: job.done(None, error))  # type: ignore[misc]  # bound now

    def _call(self, call: Callable[[], None]) -> None:
        # A loop that is gone has nobody left to tell.
        with suppress(RuntimeError):
            self._post(call)


def _confirm(writes: list[_Write], error: BaseException | None) -> None:
    for write in writes:
        write.done(error)
