"""Snapshots in both directions: frozen copies for peers, and joins of what peers send.

Law: copying, staging and joining run in a worker thread, one at a time; the loop only hears
of the end. A frozen copy serves all who ask while the log still reaches back to it. A join
swaps by one rename, after its digest was verified; if anything fails before, nothing changed.
"""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from crdt.clock import ahead
from crdt.effects import (
    BuildJoin,
    Confirm,
    Discard,
    Examine,
    Freeze,
    Serve,
    SnapshotEffect,
    Stage,
)
from node import failpoints
from node.errors import IntegrityError
from node.logs import EventLog
from node.replication.believing import Believing
from node.replication.engine import Engine
from node.replication.witness import Witness
from node.store import Store
from node.store.errors import JoinRefused
from node.store.folder import incoming_folders, new_folder, open_current, swap
from node.store.incoming import Incoming
from node.store.joining import Built, build_join
from node.store.room import check_room
from node.store.snapshot import FrozenStore, freeze

T = TypeVar("T")

_IDLE_SECONDS: Final = 300.0
_COPIES_MAX: Final = 3
_SPARE_BYTES: Final = 64 * 1024 * 1024


class SnapshotWorks:
    """Carries out the effects that need copies of a store.

    Args:
        engine: whose store.
        data_dir: where folders are made.
        map_bytes: size of a store's memory map.
        chunk_bytes: size of a chunk.
        log: writes events.
        spawn: runs a coroutine as a task of the node.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        data_dir: Path,
        map_bytes: int,
        chunk_bytes: int,
        log: EventLog,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._engine = engine
        self._data_dir = data_dir
        self._map_bytes = map_bytes
        self._chunk_bytes = chunk_bytes
        self._log = log
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._frozen: dict[bytes, tuple[FrozenStore, float]] = {}
        self._freezing = asyncio.Lock()
        self._incoming: Incoming | None = None
        self._epoch = 0
        self._believing = Believing(
            engine=engine,
            data_dir=data_dir,
            worker=self._worker,
            witness=Witness(engine, spawn),
            log=log,
        )

    def resume(self) -> None:
        """Take up a snapshot whose reception the end of an earlier process interrupted."""
        for path in incoming_folders(self._data_dir):
            try:
                left = Incoming.left_behind(path, map_bytes=self._map_bytes)
            except (IntegrityError, OSError) as error:
                self._log("snapshot_failed", error=str(error))
                left = None
            if left is None or left.complete or self._incoming is not None:
                if left is not None:
                    left.close()
                shutil.rmtree(path, ignore_errors=True)
                continue
            self._incoming = left
            self._engine.exchange.catchup.resume_at(left.snapshot_id, left.position)

    def carry(self, effect: SnapshotEffect) -> None:
        """Carry out what the core asks for, and tell it when it is done."""
        match effect:
            case Freeze():
                self._spawn(self._freeze(effect))
            case Serve():
                self._spawn(self._serve(effect))
            case Stage():
                self._spawn(self._stage(effect))
            case Examine():
                self._spawn(self._examine(effect))
            case Confirm():
                self._spawn(self._confirm(effect))
            case Discard():
                self._discard(effect.snapshot)
            case BuildJoin():
                self._spawn(self._build(effect))

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._worker, work)

    # --- giving ------------------------------------------------------------------

    async def _freeze(self, effect: Freeze) -> None:
        """Freeze a copy, or take one that still reaches, and offer it."""
        # One at a time: whoever asks a thousand times meanwhile gets the one that is made.
        async with self._freezing:
            snapshot = self._usable() or await self._copied()
        if snapshot is None or snapshot not in self._frozen:
            return
        copy = self._frozen[snapshot][0]
        self._believing.offer(effect.link, snapshot, copy.clock, copy.digest)
        self._engine.exchange.catchup.frozen(effect.link, effect.number, snapshot)

    async def _copied(self) -> bytes | None:
        """Freeze a copy; None when the disk has no room for it or fails."""
        while True:
            folder = new_folder(self._data_dir, "frozen", os.urandom)
            store, epoch = self._engine.store, self._epoch
            try:
                check_room(self._data_dir, store.size_bytes(), spare_bytes=_SPARE_BYTES)
                made = await self._in_worker(partial(_frozen, store, folder))
            except Exception as error:  # noqa: BLE001 - a full disk, a damaged row: others have one
                self._log("snapshot_failed", error=str(error))
                return None
            if epoch == self._epoch:
                break
            await self._in_worker(made.close)  # of a file that was to leave nothing behind
        while len(self._frozen) >= _COPIES_MAX:
            self._drop(min(self._frozen, key=lambda name: self._frozen[name][1]))
        self._drop(made.id)
        self._frozen[made.id] = (made, self._loop.time())
        self._log("snapshot_started", direction="out", records=0)
        return made.id

    def _drop(self, snapshot: bytes) -> None:
        """Remove a copy, if it is there; who was receiving it asks again."""
        held = self._frozen.pop(snapshot, None)
        if held is not None:
            self._worker.submit(held[0].close)

    def _usable(self) -> bytes | None:
        floors = {actor: row.floor for actor, row in self._engine.replica.actors.items()}
        shared = {actor: floor for actor, floor in floors.items() if actor[:1] != b"p"}
        for snapshot, (copy, _) in self._frozen.items():
            if not ahead(shared, copy.clock):
                self._frozen[snapshot] = (copy, self._loop.time())
                return snapshot
        return None

    async def _serve(self, effect: Serve) -> None:
        """Read a chunk and send it."""
        held = self._frozen.get(effect.snapshot)
        if held is None:
            return
        copy = held[0]
        self._frozen[effect.snapshot] = (copy, self._loop.time())

        def read() -> tuple[bytes, bytes]:
            failpoints.hit("snapshot.chunk")
            return copy.chunk(effect.after, self._chunk_bytes)

        try:
            rows, following = await self._in_worker(read)
        except Exception as error:  # noqa: BLE001 - whoever asked turns to another one
            self._log("snapshot_failed", error=str(error))
            self._drop(effect.snapshot)
            return
        self._engine.exchange.catchup.served(
            effect.link, effect.number, effect.snapshot, rows, following
        )

    def sweep(self) -> None:
        """Remove frozen copies that nobody has asked for lately."""
        now = self._loop.time()
        for snapshot, (_, used) in list(self._frozen.items()):
            if now - used > _IDLE_SECONDS:
                self._drop(snapshot)

    def drop_copies(self) -> None:
        """Remove every copy of a state: what an erasure left in them goes too.

        A receiver of one of them asks again and gets a newer one. What is being received is
        left alone; what was left behind half received goes.
        """
        self._epoch += 1
        for copy, _ in self._frozen.values():
            self._worker.submit(copy.close)
        self._frozen.clear()
        session = self._engine.exchange.catchup.session
        idle = session is None or not session.snapshot
        if self._incoming is not None and idle and not self._engine.exchange.catchup.joining:
            self._worker.submit(self._incoming.remove)
            self._incoming = None
            self._engine.exchange.catchup.resume_at(b"", b"")

    # --- taking ------------------------------------------------------------------

    async def _stage(self, effect: Stage) -> None:
        """Keep a chunk on disk and ask for the next."""

        def work() -> None:
            now_ms = self._engine.now_ms()
            self._receiving(effect.snapshot).put(effect.rows, effect.following, now_ms)
            failpoints.hit("snapshot.staged")

        try:
            await self._in_worker(work)
        except Exception as error:  # noqa: BLE001 - damaged rows, a full disk: start over later
            self._log("snapshot_failed", error=str(error))
            self._engine.exchange.catchup.join_failed(effect.link)
            self._engine.soon()
            return
        self._engine.exchange.catchup.staged(
            effect.link, effect.number, effect.snapshot, effect.following
        )
        self._engine.pump()

    def _receiving(self, snapshot: bytes) -> Incoming:
        """The staging place of this snapshot; what another one left there goes."""
        if self._incoming is None:
            path = new_folder(self._data_dir, "incoming", os.urandom)
            self._incoming = Incoming(path, snapshot, map_bytes=self._map_bytes)
        elif self._incoming.snapshot_id != snapshot:
            path = self._incoming.path
            self._incoming.close()
            self._incoming = Incoming(path, snapshot, map_bytes=self._map_bytes)
        return self._incoming

    # --- believing ---------------------------------------------------------------

    async def _examine(self, effect: Examine) -> None:
        """Prove the governance of what was received, and tell the core what it covers."""
        await self._believe(effect, lambda held: self._believing.examine(effect, held))

    async def _confirm(self, effect: Confirm) -> None:
        """Ask another member what it has in place of the rows."""
        await self._believe(effect, lambda held: self._believing.confirm(effect, held))

    async def _believe(
        self, effect: Examine | Confirm, work: Callable[[Incoming], Awaitable[None]]
    ) -> None:
        engine = self._engine
        try:
            await work(self._received(effect.snapshot))
        except Exception as error:  # noqa: BLE001 - damaged rows, a full disk: start over later
            self._log("snapshot_failed", error=str(error))
            session = engine.exchange.catchup.session
            if session is not None and session.snapshot == effect.snapshot:
                engine.exchange.catchup.join_failed(effect.link)
        engine.pump()

    def _received(self, snapshot: bytes) -> Incoming:
        incoming = self._incoming
        if incoming is None or incoming.snapshot_id != snapshot:
            raise JoinRefused("what was received is gone")
        return incoming

    def _discard(self, snapshot: bytes) -> None:
        """Take a snapshot that is of no use from the disk."""
        incoming = self._incoming
        if incoming is not None and incoming.snapshot_id == snapshot:
            self._incoming = None
            self._worker.submit(incoming.remove)

    # --- joining -----------------------------------------------------------------

    async def _build(self, effect: BuildJoin) -> None:
        """Join and swap."""
        engine, incoming = self._engine, self._incoming
        began = self._loop.time()
        if incoming is None:
            engine.exchange.catchup.join_failed(effect.link)
            return
        try:
            await engine.drain()
            committer, store = engine.committer, engine.store
            await self._in_worker(lambda: committer.close(60.0))
            built = await self._in_worker(lambda: self._join(incoming))
        except Exception as error:  # noqa: BLE001 - nothing was changed: try another way later
            self._log("snapshot_failed", error=str(error))
            self._incoming = None
            incoming.remove()
            engine.reopen(effect.link)
            return
        incoming.remove()
        self._incoming = None
        store.close()
        failpoints.hit("snapshot.adopt.before")
        swap(self._data_dir, built.path, engine.now_ms())
        failpoints.hit("snapshot.adopt.after")
        fresh = open_current(self._data_dir, entropy=os.urandom, map_bytes=self._map_bytes)
        engine.adopt(fresh, effect.link)
        self._log(
            "store_swapped",
            store_id=fresh.store_id,
            records=built.records,
            seconds=round(self._loop.time() - began, 3),
        )

    def _join(self, incoming: Incoming) -> Built:
        failpoints.hit("snapshot.join")
        return build_join(
            self._engine.store,
            incoming,
            new_folder(self._data_dir, "next", os.urandom),
            entropy=os.urandom,
            now_ms=self._engine.now_ms(),
            map_bytes=self._map_bytes,
        )

    def close(self) -> None:
        """Remove the frozen copies; what was received stays for the next start."""
        self._believing.close()
        self._worker.shutdown(wait=True, cancel_futures=True)
        for copy, _ in self._frozen.values():
            copy.close()
        if self._incoming is not None:
            self._incoming.close()


def _frozen(store: Store, folder: Path) -> FrozenStore:
    failpoints.hit("snapshot.freeze")
    return freeze(store, folder)
