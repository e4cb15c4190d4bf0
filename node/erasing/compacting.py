"""Rewriting the file of the store, from the loop's side.

Law: one rewrite at a time; the live file is untouched until the last step, which runs on the
committer's thread between two commits. What else keeps old bytes goes with it: copies of the
store, stores that joins replaced, and whatever hangs on `on_erased`.
"""

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from node import failpoints
from node.errors import DiskError, NodeError, Recovering
from node.logs import EventLog
from node.replication.engine import Engine
from node.replication.snapshots import SnapshotWorks
from node.store import Committer
from node.store.folder import drop_replaced, new_folder
from node.store.rewriting import NOTES_MAX, Rewrite, Rewritten

T = TypeVar("T")
_ROUNDS_MAX: Final = 20


class Compactor:
    """Rewrites the store of an engine.

    Args:
        engine: whose store.
        data_dir: where the new file is made.
        snapshots: whose copies go too.
        log: writes events.
        now_ms: wall clock.

    Attributes:
        on_erased: awaited before the last step of a rewrite that erases something: what else
            holds content makes sure that what is erased is gone from its files.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        data_dir: Path,
        snapshots: SnapshotWorks,
        log: EventLog,
        now_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self._snapshots = snapshots
        self._log = log
        self._now_ms = now_ms
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._running: Rewrite | None = None
        self.on_erased: list[Callable[[], Awaitable[None]]] = []

    @property
    def running(self) -> bool:
        """Whether a rewrite is under way."""
        return self._lock.locked()

    async def compact(self) -> Rewritten:
        """Rewrite the file; what was erased before the call is gone from it afterwards.

        Raises:
            StoreBusy, NoRoom, Recovering: not now; nothing was changed.
            RewriteRefused: the new file was not what it must be; nothing was changed.
            DiskError: the disk failed, and the node ends.
        """
        async with self._lock:
            try:
                done = await self._compact()
            except NodeError as error:
                self._engine.metrics.counter("store_rewrites_total", "failed").inc()
                self._log("store_rewrite_failed", error=str(error))
                raise
        self._engine.metrics.counter("store_rewrites_total", "done").inc()
        self._log(
            "store_rewritten",
            before_bytes=done.before_bytes,
            after_bytes=done.after_bytes,
            rows=done.rows,
            stall_ms=done.stall_ms,
            erased=done.erased,
        )
        return done

    async def _compact(self) -> Rewritten:
        engine, committer = self._engine, self._engine.committer
        if engine.exchange.catchup.joining:
            raise Recovering("the store is being replaced", fix="Try again in a moment")
        folder = new_folder(self._data_dir, "next", os.urandom)
        rewrite = Rewrite(engine.store, folder, now_ms=self._now_ms(), step=_step)
        await self._on_writer(committer, rewrite.begin)
        self._running = rewrite
        try:
            done = await self._steps(committer, rewrite)
        except asyncio.CancelledError:
            rewrite.stop()  # its thread ends by itself; the next start sweeps the folder
            raise
        except (OSError, lmdb.Error) as error:
            await asyncio.to_thread(rewrite.abandon)
            raise _as_node_error(error) from error
        except BaseException:
            await asyncio.to_thread(rewrite.abandon)
            raise
        finally:
            self._running = None
        self._snapshots.drop_copies()
        return done

    async def _steps(self, committer: Committer, rewrite: Rewrite) -> Rewritten:
        await asyncio.to_thread(rewrite.copy)
        for _ in range(_ROUNDS_MAX):
            if rewrite.noted <= NOTES_MAX:
                break
            notes = await self._on_writer(committer, rewrite.more)
            await asyncio.to_thread(rewrite.bring, notes)
        if self._engine.store.erasures.left.unwritten:
            for hook in self.on_erased:
                await hook()
            await asyncio.to_thread(drop_replaced, self._data_dir)
        await asyncio.to_thread(rewrite.ready)
        done = await self._on_writer(committer, rewrite.finish)
        await asyncio.to_thread(rewrite.release)
        return done

    async def _on_writer(self, committer: Committer, work: Callable[[], T]) -> T:
        """Run between two commits; an error that leaves the store whole does not end writing."""
        ended: asyncio.Future[T] = self._loop.create_future()

        def guarded() -> tuple[T | None, BaseException | None]:
            try:
                return work(), None
            except DiskError:
                raise
            except (NodeError, lmdb.Error, OSError) as error:
                if errno.EIO in {getattr(error, "errno", 0), getattr(error, "code", 0)}:
                    raise
                return None, error

        def done(
            result: tuple[T | None, BaseException | None] | None, error: BaseException | None
        ) -> None:
            value, failure = result if result is not None else (None, error)
            if ended.done():
                return
            if failure is not None:
                ended.set_exception(_as_node_error(failure))
            else:
                ended.set_result(value)  # type: ignore[arg-type]  # there is a value or a failure

        committer.run(guarded, done)
        return await ended

    def close(self) -> None:
        """Make a running copy end soon."""
        if self._running is not None:
            self._running.stop()


def _step(name: str) -> None:
    failpoints.hit(f"erase.{name}")


def _as_node_error(error: BaseException) -> BaseException:
    if isinstance(error, NodeError):
        return error
    return DiskError("the store could not be rewritten", why=str(error), fix="Check the disk")
