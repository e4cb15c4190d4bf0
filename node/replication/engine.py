"""The pump: closes bundles when the disk is free, commits them, claims them, tells who waits.

Law: the order is persist, then claim. Fresh bundles go to the disk and to the level peers in
one step; nothing is claimed before the commit has returned. The loop never waits for the disk.
What others derive from a commit is derived after its claim has left, in the order of the
commits, and before anybody who waited for it is answered.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from crdt.bundle import Bundle
from crdt.clock import Clock
from crdt.document.model import DocumentLimits
from crdt.dot import NodeId
from crdt.effects import Alarm, Close, Effect, Heard, SnapshotEffect
from crdt.exchange import Exchange, ExchangeLimits
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.messages import Aside
from crdt.notes import Note
from crdt.replica import Replica
from crdt.sealing import seal_approved
from crdt.state import Batch
from node import failpoints
from node.documents.shelf import SHELF_BYTES_MAX, Shelf
from node.errors import DiskError, WriteError
from node.logs import EventLog
from node.metrics import Metrics
from node.replication.ancestry import Ancestry
from node.replication.gauge import Readiness
from node.replication.pressure import Pressure
from node.replication.waiting import Waiting
from node.store import Committer, Store


class Snapshots(Protocol):
    """Who carries out what needs copies of a store."""

    def carry(self, effect: SnapshotEffect) -> None:
        """Carry it out, and tell the core when it is done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What an engine is told once.

    Attributes:
        limits: bounds of the exchange.
        wanted_w: W as set by the operator; None for a majority.
        queue_bytes_max: most bytes that may wait for the disk.
        writes_wait_ms_max: longest wait for a quorum that a write is let in to.
        writes_bytes_max: most bytes of writes that may wait for their quorum.
        document: bounds of one document.
        shelf_bytes_max: most memory for opened documents.
    """

    limits: ExchangeLimits
    wanted_w: int | None
    queue_bytes_max: int
    writes_wait_ms_max: int = 500
    writes_bytes_max: int = 64 * 2**20
    document: DocumentLimits = field(default_factory=DocumentLimits)
    shelf_bytes_max: int = SHELF_BYTES_MAX


class _Told(NamedTuple):
    """A commit that is still to be told."""

    batch: Batch
    notes: list[Note]
    seconds: float


class Engine:
    """Owns store, committer, replica and exchange of one node.

    Args:
        me: who this process is.
        genesis: what the store belongs to when it does not say so itself.
        store: the open store.
        settings: bounds and W.
        now_ms: wall clock, milliseconds since the epoch.
        metrics: the table of metrics.
        log: writes events.
        alarm: told every alarm of the core.
        failed: told once when the disk failed.
    """

    def __init__(  # noqa: PLR0913 - it is composed once, of exactly these parts
        self,
        *,
        me: Self,
        genesis: Genesis,
        store: Store,
        settings: EngineSettings,
        now_ms: Callable[[], int],
        metrics: Metrics,
        log: EventLog,
        alarm: Callable[[Alarm], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.me = me
        self.now_ms = now_ms
        self.metrics = metrics
        self.settings = settings
        self.shelf = Shelf(settings.shelf_bytes_max, settings.document)
        self._genesis = genesis
        self._log = log
        self._alarm = alarm
        self._failed = failed
        self.close_link: Callable[[int, str], None] = _no_link
        self.flush: Callable[[], None] = _nothing
        self.hurry: Callable[[], None] = _nothing
        self.on_sealed: Callable[[Sequence[Bundle]], None] = _unfollowed
        self.on_told: Callable[[Batch, float], None] = _untold
        self.on_pump: Callable[[], None] = _nothing
        self.without_documents: Callable[[], Sequence[str]] = _nobody
        self.readiness = Readiness(self)
        self.snapshots: Snapshots | None = None
        self.on_commit: list[Callable[[Batch], None]] = []
        self.on_alarm: list[Callable[[Alarm], None]] = []
        self.record: Callable[..., None] = _unrecorded
        self.on_notes: list[Callable[[Sequence[Note]], None]] = []
        self.asides: dict[str, Callable[[NodeId, int, bytes], None]] = {}
        pressure = Pressure(settings.writes_wait_ms_max / 1000, settings.writes_bytes_max)
        self.waiting = Waiting(self, pressure)
        self.store = store
        self.committer = self._committer(store)
        self.replica = self._replica(store)
        self.ancestry = Ancestry(self.replica.clock)
        self.exchange = Exchange(
            self.replica,
            durable=dict(self.replica.clock),
            limits=settings.limits,
            wanted_w=settings.wanted_w,
            now_ms=now_ms(),
        )
        self._scheduled = False
        self._in_flight = 0
        self._drained: asyncio.Event = asyncio.Event()
        self._drained.set()
        self._movers: list[asyncio.Future[None]] = []
        self._untold: deque[_Told] = deque()
        self._commits = metrics.counter("store_commits_total")
        self._commit_seconds = metrics.histogram("store_commit_seconds")
        self._ops_applied = metrics.counter("ops_applied_total", "applied")

    def _committer(self, store: Store) -> Committer:
        return Committer(
            store,
            post=self._loop.call_soon_threadsafe,
            on_full=self._on_full,
            on_fatal=self._on_fatal,
            queue_bytes_max=self.settings.queue_bytes_max,
        )

    def _on_full(self, full: bool) -> None:  # noqa: FBT001 - told by the committer
        self.readiness.full = full
        self._log("store_full" if full else "store_resumed")

    def _on_fatal(self, error: BaseException) -> None:
        self.readiness.failed = True
        self.metrics.counter("store_fsync_errors_total").inc()
        self._log("store_failed", error=str(error))
        self.waiting.give_up()
        self._failed(error)

    def _replica(self, store: Store) -> Replica:
        replica = Replica(
            me=self.me,
            genesis=self._genesis,
            state=store,
            loaded=store.load(),
            skew_max_ms=self.settings.limits.skew_ms_max,
        )
        replica.changing.told = self._failed
        return replica

    # --- the pump ----------------------------------------------------------------

    def soon(self) -> None:
        """Pump once the requests of this turn of the loop have minted what they want."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._scheduled_pump)

    def _scheduled_pump(self) -> None:
        self._scheduled = False
        with self.fatal():
            self.pump()

    @contextmanager
    def fatal(self, *expected: type[Exception]) -> Iterator[None]:
        """What is not expected in here ends the node: memory may be half changed, the disk is not.

        Wanted where nobody else would end it: in callbacks of the loop, on accepted links.
        """
        try:
            yield
        except (DiskError, *expected):  # type: ignore[misc]  # a tuple of types, and mypy sees none
            raise  # who writes tells of the disk, and why: see `_on_fatal`
        except Exception as error:
            self._failed(error)
            raise

    def pump(self) -> None:
        """Hand over what is open if the disk is free; carry out effects; answer who waits."""
        exchange = self.exchange
        exchange.now_ms = self.now_ms()
        if self.replica.dirty and not self._in_flight and not exchange.catchup.joining:
            with self.fatal():
                self._submit()
        else:
            self.flush()
        if exchange.effects:
            self._carry_out()
        self.waiting.settle()
        self.on_pump()

    def _submit(self) -> None:
        batch, sealed = self.replica.take_batch(self.exchange.now_ms)
        notes = self.replica.take_notes()
        self._in_flight += 1
        self._drained.clear()
        self.hurry()
        began = self._loop.time()
        self.exchange.minted(sealed)
        self.on_sealed(sealed)
        # First the peers: from here on the writing thread wants the interpreter too.
        failpoints.hit("push.before_send")
        self.flush()
        failpoints.hit("push.sent")
        self.committer.submit(batch, lambda error: self._committed(batch, notes, began, error))

    def _committed(
        self, batch: Batch, notes: list[Note], began: float, error: BaseException | None
    ) -> None:
        self._in_flight -= 1
        if error is None:
            with self.fatal():
                self._claim(batch, notes, began)

    def _claim(self, batch: Batch, notes: list[Note], began: float) -> None:
        self._untold.append(_Told(batch, notes, self._loop.time() - began))
        # The claim leaves with this turn of the loop. Whoever is answered below runs after it.
        self._loop.call_soon(self.tell)
        failpoints.hit("ack.before_send")
        self.exchange.advance(self.now_ms())
        self.exchange.committed(batch)
        self.pump()
        movers, self._movers = self._movers, []
        for mover in movers:
            if not mover.done():
                mover.set_result(None)
        if not self._in_flight:
            self._drained.set()

    def tell(self) -> None:
        """Tell those who derive something from commits of all they have not been told of."""
        while self._untold:
            batch, notes, seconds = self._untold.popleft()
            self._commits.inc()
            self._commit_seconds.observe(seconds)
            self._ops_applied.inc(sum(bundle.last - bundle.first + 1 for bundle in batch.bundles))
            self.on_told(batch, seconds)
            for watch in self.on_commit:
                watch(batch)
            if notes:
                for hear in self.on_notes:
                    hear(notes)

    def _carry_out(self) -> None:
        effects, self.exchange.effects = self.exchange.effects, []
        for effect in effects:
            self._carry(effect)

    def _carry(self, effect: Effect) -> None:
        if isinstance(effect, Alarm):
            self._alarm(effect)
            for told in self.on_alarm:
                told(effect)
        elif isinstance(effect, Heard):
            hear = self.asides.get(effect.topic)
            if hear is not None:  # else a newer version speaks of what this one does not know
                hear(effect.node_id, effect.link, effect.data)
        elif isinstance(effect, Close):
            self.close_link(effect.link, effect.reason)
        elif self.snapshots is not None:
            self.snapshots.carry(effect)

    @property
    def waits(self) -> bool:
        """Whether anything here waits for time to pass."""
        return bool(self._in_flight) or self.waiting.any or self.exchange.waits

    def tick(self) -> None:
        """Deadlines of sessions and of waiting writes."""
        self.exchange.advance(self.now_ms())
        self.exchange.tick()
        self.waiting.expire(self._loop.time())
        self.pump()

    def beat(self) -> None:
        """Tell the peers the time and this node's digest."""
        self.exchange.advance(self.now_ms())
        self.exchange.heartbeat.beat()
        try:
            self.readiness.check_writable()
        except WriteError:
            return
        if self.replica.joined and seal_approved(self.exchange):
            self.soon()

    def send_aside(self, topic: str, data: bytes, link: int | None = None) -> None:
        """Say something to the process around one peer, or around all that are linked.

        Args:
            topic: names the handler on the other side.
            data: at most 64 KiB.
            link: one link; all known peers when None.
        """
        message = Aside(topic, data)
        for number, peer in self.exchange.peers.items():
            if peer.row is not None and link in {None, number}:
                self.exchange.send(peer, message)

    # --- draining and swapping -----------------------------------------------------

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self.committer.queued_bytes

    async def disk_moved(self) -> None:
        """Wait for the end of the next commit."""
        mover: asyncio.Future[None] = self._loop.create_future()
        self._movers.append(mover)
        await mover

    async def drain(self) -> None:
        """Wait until everything minted or applied so far is on disk, and told."""
        while True:
            await self._drained.wait()
            self.tell()
            if not self.replica.dirty:
                return
            self._submit()

    def reopen(self, link: int) -> None:
        """A join could not be built: go on over the store as it is."""
        self.committer = self._committer(self.store)
        self.exchange.catchup.join_failed(link)
        self.soon()

    def adopt(self, store: Store, link: int) -> None:
        """Go on over another store, as the same process."""
        self.tell()
        before = self.replica
        self.store = store
        self.committer = self._committer(store)
        self.replica = self._replica(store)
        self.replica.adopt(before)
        self.ancestry = Ancestry(self.replica.clock)
        durable: Clock = dict(self.replica.clock)
        self.exchange.advance(self.now_ms())
        self.exchange.swapped(self.replica, durable, link)
        self.metrics.counter("store_changes_total").inc()
        self.pump()


def _nothing() -> None:
    """Before the links and the ticks are there, nothing waits for them."""


def _unfollowed(_bundles: Sequence[Bundle]) -> None:
    """Nobody traces the way of bundles."""


def _untold(_batch: Batch, _seconds: float) -> None:
    """Nobody traces commits."""


def _nobody() -> Sequence[str]:
    """Before the links are there, no member has said what it knows."""
    return ()


def _unrecorded(_event: str, **_facts: object) -> None:
    """Before the chain of events is there, nothing is recorded in it."""


def _no_link(_number: int, _reason: str) -> None:
    """Before the links are there, none can be ended."""
