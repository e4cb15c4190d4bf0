"""What a node does about its own growth and health, now and then.

Law: every round is bounded, runs on the committer's thread between two commits, and is tried
again when it fails.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from crdt.dot import DATA
from crdt.mint import MissingRecordError
from crdt.op import Draft, Kind, record_key
from crdt.request import DeniedError
from node.errors import WriteError
from node.logs import EventLog
from node.memory.access import AccessLedger
from node.metrics import Metrics
from node.replication.cutting import LogCutter
from node.replication.engine import Engine
from node.replication.lag import Lags
from node.replication.reader import StoreReader
from node.replication.snapshots import SnapshotWorks
from node.settings import Storage
from node.store import Store
from node.store.upkeep import days

_MS_PER_HOUR = 3_600_000
_ENDED_PER_ROUND = 500


class Upkeep:
    """Rounds of maintenance over an engine.

    Args:
        engine: whose store.
        lags: how far members are behind.
        cutter: cuts the log.
        snapshots: frozen copies to sweep.
        access: read counts to flush.
        reader: what has expired.
        settings: how long things are kept.
        data_dir: whose disk is measured.
        log: writes events.
        now_ms: wall clock.
    """

    def __init__(  # noqa: PLR0913 - it is composed once, of exactly these parts
        self,
        *,
        engine: Engine,
        lags: Lags,
        cutter: LogCutter,
        snapshots: SnapshotWorks,
        access: AccessLedger,
        reader: StoreReader,
        settings: Storage,
        data_dir: Path,
        log: EventLog,
        now_ms: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._cutter = cutter
        self._snapshots = snapshots
        self._access = access
        self._reader = reader
        self._settings = settings
        self._data_dir = data_dir
        self._log = log
        self._now_ms = now_ms
        self._lags = lags

    def flush_access(self) -> None:
        """Store the read counts that changed; later, while a joined store takes over."""
        if self._engine.exchange.catchup.joining:
            return
        taken = self._access.take()
        if taken:
            store = self._engine.store
            rows = {
                record_key(DATA, "memory", name): _increment(store, name, total)
                for name, total in taken.items()
            }
            self._run(lambda: store.flush_access(rows), lambda _: None)

    def round(self) -> None:
        """Cut the log, forget old retries and feed entries, sweep snapshots."""
        self._snapshots.sweep()
        self.end_expired()
        if self._engine.exchange.catchup.joining:
            return
        store, settings, now = self._engine.store, self._settings, self._now_ms()
        store.reader_check()
        self._cutter.cut()
        before = now - int(settings.idempotency_hours * _MS_PER_HOUR)
        self._run(lambda: store.expire_idempotency(before), lambda _: None)
        feed_before = now - days(settings.log_days_max)
        self._run(lambda: store.prune_feed(feed_before), lambda _: None)

    def end_expired(self) -> None:
        """Delete what has been hidden by expiry for long enough.

        The node of the oldest birth does it, so that one node does; another one only when that
        node is no member any more.
        """
        engine = self._engine
        if engine.readiness.reason() is not None or not engine.replica.joined:
            return
        try:
            engine.readiness.check_writable()
        except WriteError:
            return
        members = engine.replica.governance.now.members
        before = self._now_ms() - days(self._settings.expiry_grace_days)
        for ident, seen, node in self._reader.expired(before, _ENDED_PER_ROUND):
            if node == engine.me.node_id or node not in members:
                draft = Draft(kind=Kind.DELETE, collection="memory", id=ident)
                with suppress(DeniedError, MissingRecordError):
                    engine.replica.mint([draft], agent=seen.owner, now_ms=self._now_ms())
        engine.soon()

    def _run(self, work: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def finished(result: Any, error: BaseException | None) -> None:
            if error is not None:
                self._log("maintenance_failed", error=str(error))
            else:
                done(result)

        self._engine.committer.run(work, finished)

    def measure(self, metrics: Metrics, names: Mapping[bytes, str]) -> None:
        """Put the present state into the gauges."""
        engine = self._engine
        exchange, store = engine.exchange, engine.store
        state = engine.replica.governance.now
        metrics.gauge("members").set(len(state.members))
        metrics.gauge("quorum_needed").set(state.quorum(exchange.wanted_w))
        metrics.gauge("writes_wait_seconds").set(engine.waiting.wait_seconds())
        metrics.gauge("store_bytes").set(store.size_bytes())
        metrics.gauge("store_map_used_ratio").set(store.map_used_ratio())
        free = os.statvfs(self._data_dir)
        metrics.gauge("disk_free_bytes").set(free.f_bavail * free.f_frsize)
        metrics.gauge("disk_size_bytes").set(free.f_blocks * free.f_frsize)
        floors = sum(row.floor for row in engine.replica.actors.values())
        metrics.gauge("log_floor_ops").set(floors)
        lags = self._lags.look()
        linked = {p.node_id: p for p in exchange.peers.values()}
        for node, name in names.items():
            peer = linked.get(node)
            metrics.gauge("peer_up", name).set(peer is not None and peer.row is not None)
            lag = lags.get(node)
            if lag is not None:
                metrics.gauge("replication_lag_ops", name).set(lag.ops)
                metrics.gauge("replication_lag_seconds", name).set(lag.seconds)
            if peer is None or peer.row is None:
                continue
            metrics.gauge("clock_skew_seconds", name).set(peer.skew_ms / 1000)
            metrics.gauge("queue_bytes", name).set(peer.outbox.size_bytes)
            metrics.gauge("digest_agree", name).set(not peer.stopped)
            metrics.gauge("peer_last_success_timestamp_seconds", name).set(peer.heard_ms / 1000)
            metrics.histogram("peer_round_trip_seconds", name).observe(peer.round_trip_ms / 1000)


def _increment(store: Store, name: str, total: tuple[int, int]) -> tuple[int, int]:
    """The ledger gives totals; the store adds."""
    held = store.lists.access(record_key(DATA, "memory", name))[0]
    return max(total[0] - held, 0), total[1]
