"""The one thread that writes.

Law: batches are committed in the order in which they were submitted, as many in one
transaction as had queued while the last one ran; no timers, no linger. `done` is called once
per batch, with None when and only when the batch is durable. A full disk holds the queue and
tries again; any other failure of the disk ends writing for good: it is reported once, nothing
is committed or confirmed after it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, NamedTuple

from crdt.state import Batch
from node.errors import DiskError
from node.store.errors import CorruptRecord, NoRoom, QueueFull
from node.store.store import Store

Done = Callable[[BaseException | None], None]
"""Told the outcome: None when durable, else why it is not."""

Post = Callable[[Callable[[], None]], object]
"""Runs a call on the loop's thread: `loop.call_soon_threadsafe`."""

_BATCH_OVERHEAD_BYTES: Final = 1024
_TRANSACTION_BYTES_MAX: Final = 16 * 1024 * 1024
_RETRY_SECONDS: Final = 0.25


class _Write(NamedTuple):
    batch: Batch
    done: Done
    size_bytes: int


class _Job(NamedTuple):
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
        # One way in, which costs the loop one wake-up and no lock that the thread could hold.
        # The end is asked for with None.
        self._inbox: SimpleQueue[_Write | _Job | None] = SimpleQueue()
        # What was taken from it; the thread's own.
        self._writes: deque[_Write] = deque()
        self._jobs: deque[_Job] = deque()
        # Each is moved by one side only.
        self._taken_bytes = 0
        self._written_bytes = 0
        self._full = False
        self._closing = False
        self._ending = False
        self._dead: BaseException | None = None
        # Among those who put: nothing comes in after the end. The thread never takes it.
        self._door = threading.Lock()
        self.transactions = 0
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self._thread.start()

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait for the disk, those in the running transaction included."""
        return self._taken_bytes - self._written_bytes

    @property
    def idle(self) -> bool:
        """Whether a batch submitted now would be written at once."""
        return self._taken_bytes == self._written_bytes

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
        with self._door:
            self._refuse_when_over()
            queued = self.queued_bytes
            if queued and queued + size > self._queue_bytes_max:
                raise QueueFull(
                    "the disk does not keep up",
                    why=f"{queued} bytes wait to be written",
                    fix="Try again in a moment",
                )
            self._taken_bytes += size
            self._inbox.put(_Write(batch, done, size))

    def run(
        self, work: Callable[[], Any], done: Callable[[Any, BaseException | None], None]
    ) -> None:
        """Run maintenance between two transactions; `done(result, error)` is called on the loop.

        Raises:
            DiskError: writing has ended.
        """
        with self._door:
            self._refuse_when_over()
            self._inbox.put(_Job(work, done))

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
        with self._door:
            self._closing = True
            self._inbox.put(None)
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive() and not self._writes and self._dead is None

    # -- on the writer's thread ----------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._gather():
                written = self._commit(self._take())
                while self._jobs:
                    self._maintain(self._jobs[0])
                    self._jobs.popleft()
                if not written and not self._pause():
                    return
        except BaseException as error:  # noqa: BLE001 - whatever it is, writing is over
            self._die(error)

    def _gather(self) -> bool:
        """Wait until there is something to do and take all of it; False when it is over."""
        if not (self._writes or self._jobs or self._ending):
            self._sort(self._inbox.get())
        while not self._inbox.empty():
            self._sort(self._inbox.get())
        return bool(self._writes or self._jobs)

    def _sort(self, item: _Write | _Job | None) -> None:
        if item is None:
            self._ending = True
        elif isinstance(item, _Write):
            self._writes.append(item)
        else:
            self._jobs.append(item)

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
            self._store.commit(*[write.batch for write in taken])
        except NoRoom:
            self._tell_full(full=True)
            return False
        self.transactions += 1
        for write in taken:
            self._writes.popleft()
            self._written_bytes += write.size_bytes
        self._tell_full(full=False)
        # The last step before this thread sleeps again, so that both do not want to run at once.
        self._call(lambda: _confirm(taken, None))
        return True

    def _maintain(self, job: _Job) -> None:
        try:
            result = job.work()
        except (NoRoom, CorruptRecord) as error:
            # Truncation needs pages too. It comes round again; the batches come first. A damaged
            # row ends the job that met it, with nothing changed, and not the writing.
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
        until = time.monotonic() + self._retry_seconds
        while not (self._ending or self._jobs):
            try:
                self._sort(self._inbox.get(timeout=max(until - time.monotonic(), 0.0)))
            except Empty:
                break
        return not self._ending

    def _die(self, error: BaseException) -> None:
        self._dead = error
        self._call(lambda: self._on_fatal(error))
        while True:
            # Whoever came before the door was shut is told as well.
            lost, self._writes = list(self._writes), deque()
            if lost:
                self._call(lambda lost=lost: _confirm(lost, error))  # type: ignore[misc]  # bound now
            while self._jobs:
                done = self._jobs.popleft().done
                self._call(lambda done=done: done(None, error))  # type: ignore[misc]  # as above
            if self._ending:
                return
            self._sort(self._inbox.get())

    def _call(self, call: Callable[[], None]) -> None:
        # A loop that is gone has nobody left to tell.
        with suppress(RuntimeError):
            self._post(call)


def _confirm(writes: list[_Write], error: BaseException | None) -> None:
    for write in writes:
        write.done(error)
