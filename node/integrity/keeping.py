"""The integrity of one running node: passes over its store, quarantine, repair.

Law: damage is never served, never sent, and never waited for: what is whole goes on. A damaged row
is made whole in this order: from its own bits, from the rows it was derived from, from a peer whose
answer adds up; what remains is set apart and told. A page that is damaged, and rows that nothing
can make whole while peers have them all, end this life of the node, which then joins again
(`node.integrity.rejoining`).
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from crdt.applying import key_of
from crdt.bundle import Bundle
from crdt.dot import PRIVATE
from crdt.genesis import Standing, encode_standing
from crdt.op import RECORD_KINDS
from node.errors import IntegrityError, NodeError, Unavailable
from node.integrity.asking import Asking, Vouching
from node.integrity.facts import IntegrityFacts
from node.integrity.note import ScrubNote
from node.integrity.walking import Stopped, Walk, Walker
from node.live import Live
from node.logs import EventLog
from node.replication.engine import Engine
from node.store import CorruptRecord, Store, StoreDamaged
from node.store.folder import set_aside_stores
from node.store.mending import Mends
from node.store.proving import Given, Needs
from node.store.repair import Healed, Memory

T = TypeVar("T")
_MS_PER_HOUR: Final = 3_600_000
_ROUNDS_MAX: Final = 8
_HURRY: Final = 20.0
"""So many times faster than in the background is the pass that looks for what was met."""
_RETRY_SECONDS: Final = (2.0, 10.0, 60.0, 300.0, 1800.0)
_REJOIN_TRIES: Final = 3
_FIRST_SECONDS: Final = 60.0


class Keeping:
    """Passes, quarantine and repair over one engine.

    Args:
        engine: whose store.
        live: the settings in force.
        data_dir: where notes lie, and stores that were set aside.
        log: writes events.
        spawn: runs a coroutine as a task of the node.
        failed: ends this life of the node.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        live: Live,
        data_dir: Path,
        log: EventLog,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._engine, self._live, self._data_dir = engine, live, data_dir
        self._log, self._spawn, self._failed = log, spawn, failed
        self._loop = asyncio.get_running_loop()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="integrity")
        self._stop = threading.Event()
        self._walker = Walker(self._stop, self._keep_place)
        self._asking = Asking(engine)
        self._lock = asyncio.Lock()
        self._hooked: Store | None = None
        self._met: set[tuple[str, bytes]] = set()
        self._seen: set[tuple[str, bytes]] = set()
        self._left: list[CorruptRecord] = []
        self._needs = Needs()
        self._corrupt = self._repaired = self._passes = self._asked = 0
        self._queued: set[bool] = set()
        self._tries = 0
        self._trouble = ""
        self._urgent = False
        self._walk: Walk | None = None
        self._note = ScrubNote.read(data_dir)
        self._not_before = self._loop.time() + _FIRST_SECONDS
        self._hook()

    # --- looking -----------------------------------------------------------------

    def watch(self) -> None:
        """Begin what is due. Cheap; every half second."""
        self._hook()
        if self._lock.locked() or self._engine.exchange.catchup.joining:
            return
        now = self._loop.time()
        if self._urgent or (self._left and now >= self._not_before):
            self._urgent = False
            self._spawn(self._by_itself(hurry=True))
        elif now >= self._not_before and self._is_due():
            self._spawn(self._by_itself(hurry=False))

    def _is_due(self) -> bool:
        hours = self._live.settings.integrity.scrub_interval_hours
        due = self._note.last_pass_ms + hours * _MS_PER_HOUR
        return bool(hours) and (bool(self._note.table) or self._engine.now_ms() >= due)

    def _hook(self) -> None:
        """Hear of damage from whatever store is the live one now."""
        store = self._engine.store
        if store is not self._hooked:
            self._hooked = store
            store.environment.on_damage = self._met_elsewhere
            self._engine.replica.unreadable = self.holds_back

    def _met_elsewhere(self, error: IntegrityError) -> None:
        """Somebody read a damaged row or page; on any thread."""
        if not self._stop.is_set():
            self._loop.call_soon_threadsafe(self._met_one, error)

    def _met_one(self, error: IntegrityError) -> None:
        if not isinstance(error, CorruptRecord):
            self._failed(error)
        elif (error.table, error.key) not in self._met:
            self._met.add((error.table, error.key))
            self._tell([error])
            self._urgent = True

    def _tell(self, bad: Sequence[CorruptRecord]) -> None:
        """Count and log rows that were not known to be damaged."""
        for error in bad:
            row = (error.table, error.key)
            if row not in self._seen:
                self._seen.add(row)
                self._corrupt += 1
                self._engine.metrics.counter("scrub_corrupt_total").inc()
                self._log("record_corrupt", table=error.table, why=error.why)

    def holds_back(self, bundle: Bundle) -> bool:
        """Whether a bundle touches a record that is set apart: its actor waits for the repair."""
        apart = self._needs.records
        return bool(apart) and any(
            key_of(op) in apart for op in bundle.ops if op.kind in RECORD_KINDS
        )

    # --- passes ------------------------------------------------------------------

    def begin(self, *, repair: bool) -> None:
        """Begin a pass at full speed; `facts` tells how far it is.

        One that was asked for and has not begun yet serves whoever asks for the same again.
        """
        if repair in self._queued:
            return
        self._queued.add(repair)
        self._asked += 1
        self._spawn(self._by_itself(repair=repair, hurry=True, asked=True))

    async def _by_itself(self, *, repair: bool = True, hurry: bool, asked: bool = False) -> None:
        try:
            await self.scrub(repair=repair, hurry=hurry)
        except NodeError as error:
            self._trouble = str(error)
        finally:
            self._passes += 1
            self._asked -= asked

    async def scrub(self, *, repair: bool = True, hurry: bool = True) -> IntegrityFacts:
        """Read the whole store, and make whole what is damaged.

        Args:
            repair: also make it whole.
            hurry: somebody waits for it: read faster than in the background.

        Raises:
            Unavailable: the store is being replaced.
            StoreDamaged: a page is damaged; the node starts over, or ends.
        """
        async with self._lock:
            self._queued.discard(repair)
            store = self._engine.store
            if self._engine.exchange.catchup.joining:
                raise Unavailable("the store is being replaced", fix="Try again in a moment")
            walk = await self._walked(store, self._begun(store), hurry=hurry)
            if repair and walk.bad:
                await self._repair(store, walk.bad)
            elif not walk.bad:
                self._settle([], Needs())
            else:
                self._left = list(walk.bad)
            return self.facts()

    def _begun(self, store: Store) -> Walk:
        note = self._note
        if note.table and note.store == store.store_id and not self._left:
            return Walk(position=(note.table, bytes.fromhex(note.key)), rows=note.rows)
        return Walk()

    async def _walked(self, store: Store, walk: Walk, *, hurry: bool) -> Walk:
        rate = _HURRY if hurry else 1.0
        self._walk = walk
        began = self._loop.time()
        self._log("scrub_started", rows_before=walk.rows)
        try:
            await self._in_worker(
                lambda: self._walker.walk(
                    store, walk, lambda: rate * self._live.settings.integrity.scrub_rows_per_second
                )
            )
        except Stopped as error:
            raise Unavailable("the store was closed", fix="Try again in a moment") from error
        except StoreDamaged as error:
            self._failed(error)
            raise
        finally:
            self._walk = None
        self._tell(walk.bad)
        self._note = ScrubNote(last_pass_ms=self._engine.now_ms(), last_pass_rows=walk.rows_all)
        await self._in_worker(lambda: self._note.write(self._data_dir))
        seconds = round(self._loop.time() - began, 3)
        self._log("scrub_passed", rows=walk.rows_all, corrupt=len(walk.bad), seconds=seconds)
        return walk

    def _keep_place(self, walk: Walk) -> None:
        """Note where a pass is; on its thread."""
        table, key = walk.position
        ScrubNote(
            last_pass_ms=self._note.last_pass_ms,
            last_pass_rows=self._note.last_pass_rows,
            store=self._engine.store.store_id,
            table="" if walk.bad else table,  # what was found is not noted: look again
            key="" if walk.bad else key.hex(),
            rows=0 if walk.bad else walk.rows,
        ).write(self._data_dir)

    async def _in_worker(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._worker, work)

    # --- repair ------------------------------------------------------------------

    async def _repair(self, store: Store, bad: list[CorruptRecord]) -> None:
        needs, before = Needs(), len(bad)
        for _ in range(_ROUNDS_MAX):
            healed = await self._heal(store, bad, await self._mends(store, bad))
            if not healed.rows:
                needs = healed.needs
                if not needs.any or not await self._from_peers(store, bad, needs):
                    break
            bad = (await self._walked(store, Walk(), hurry=True)).bad
            if not bad:
                needs = Needs()
                break
        self._repaired += max(before - len(bad), 0)
        self._settle(bad, needs)

    async def _mends(self, store: Store, bad: Sequence[CorruptRecord]) -> Mends:
        return await self._in_worker(lambda: store.mends(bad))

    async def _from_peers(self, store: Store, bad: list[CorruptRecord], needs: Needs) -> bool:
        """Ask one after the other; whether one of them gave something that proved right."""
        vouching = Vouching(len(self._engine.replica.governance.now.members) - 1)
        for link, node in self._asking.peers():
            given = await self._asking.ask(link, node, needs)
            if given is None:
                continue
            if (await self._heal(store, bad, {}, vouching.heard(node, given))).rows:
                return True
        return False

    async def _heal(
        self,
        store: Store,
        bad: Sequence[CorruptRecord],
        mends: Mends,
        given: Given | None = None,
    ) -> Healed:
        memory, ended = self._memory(), self._loop.create_future()

        def done(healed: Healed | None, error: BaseException | None) -> None:
            if ended.done():
                return
            if healed is not None:
                ended.set_result(healed)
            else:
                ended.set_exception(error or Stopped())

        self._engine.committer.run(lambda: store.heal(bad, memory, mends, given), done)
        healed: Healed = await ended
        if healed.rows:
            self._engine.replica.overlay.forget()  # a row that was not found was none there
            self._log("store_repaired", rows=healed.rows, from_peer=healed.given)
        return healed

    def _memory(self) -> Memory:
        replica = self._engine.replica
        standing = Standing(genesis=replica.genesis, joined=replica.joined)
        return Memory(
            genesis=encode_standing(standing),
            actors=dict(replica.actors),
            cluster=replica.cluster,
            ops_max=replica.me.ops_max,
        )

    def _settle(self, left: list[CorruptRecord], needs: Needs) -> None:
        """What remains is set apart; when to try again, or whether only joining again helps."""
        fresh = len(needs.records) - len(self._needs.records)
        self._left, self._needs, self._met = left, needs, set()
        self._engine.metrics.gauge("records_quarantined").set(len(needs.records))
        if not left:
            self._seen, self._tries, self._trouble = set(), 0, ""
            return
        if fresh > 0:
            self._log("records_quarantined", records=len(needs.records))
        pause = _RETRY_SECONDS[min(self._tries, len(_RETRY_SECONDS) - 1)]
        self._tries += 1
        self._not_before = self._loop.time() + pause
        self._trouble = self._why(needs)
        if self._tries >= _REJOIN_TRIES and self._could_join():
            self._failed(
                StoreDamaged(
                    f"the store in {self._engine.store.path} cannot be made whole",
                    why=self._trouble,
                    fix="Set the folder aside and let the node rebuild from its peers",
                )
            )

    def _why(self, needs: Needs) -> str:
        if needs.private:
            return "private records have no peer: a backup has them"
        if not self._asking.peers():
            return "no peer is in reach"
        return "what the peers have does not add up to what was lost"

    def _could_join(self) -> bool:
        """Whether peers have everything that this store holds."""
        own = any(actor[:1] == PRIVATE for actor in self._engine.replica.clock)
        return not own and bool(self._asking.peers())

    # --- telling -----------------------------------------------------------------

    def facts(self) -> IntegrityFacts:
        """What is known of the store."""
        left: dict[str, int] = {}
        for error in self._left:
            left[error.table] = left.get(error.table, 0) + 1
        walk = self._walk
        return IntegrityFacts(
            store=self._engine.store.store_id,
            scrub_interval_hours=self._live.settings.integrity.scrub_interval_hours,
            last_pass_ms=self._note.last_pass_ms or None,
            last_pass_rows=self._note.last_pass_rows,
            passes=self._passes,
            running=self._lock.locked() or self._asked > 0,
            done_ratio=0.0 if walk is None else walk.done_ratio,
            corrupt=self._corrupt,
            repaired=self._repaired,
            left=left,
            quarantined=len(self._needs.records),
            no_peer=len(self._needs.private),
            aside=tuple(path.name for path in set_aside_stores(self._data_dir)),
            trouble=self._trouble,
        )

    def close(self) -> None:
        """End a pass under way."""
        self._stop.set()
        self._worker.shutdown(wait=True, cancel_futures=True)
