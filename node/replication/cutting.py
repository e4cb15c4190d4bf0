"""The log is cut as far as all members' rows cover it, or as limits and erasures demand.

Law: what may go is decided by `crdt.log_rule`; the core is told the new floors before anybody can
ask below them. One job at a time, on the committer's thread.
"""

from collections.abc import Callable

from crdt.log_rule import LogRule, copies_of, rows_of
from node.errors import DiskError
from node.logs import EventLog
from node.replication.engine import Engine
from node.settings import Storage
from node.store import Truncated
from node.store.upkeep import days


class LogCutter:
    """Cuts the log of an engine's store.

    Args:
        engine: whose store.
        settings: how much log is kept.
        log: writes events.
        now_ms: wall clock.
    """

    def __init__(
        self, *, engine: Engine, settings: Storage, log: EventLog, now_ms: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._log = log
        self._now_ms = now_ms
        self._busy = False

    def cut(self) -> None:
        """Begin a round, unless one is under way."""
        if self._busy or self._engine.exchange.catchup.joining:
            return
        store, settings, now = self._engine.store, self._settings, self._now_ms()
        rule = LogRule(
            rows=rows_of(self._engine.exchange),
            log_bytes_max=settings.log_bytes_max,
            log_bytes_min=settings.log_bytes_min,
            log_ms_max=days(settings.log_days_max),
            copies=copies_of(self._engine.exchange),
        )
        try:
            self._engine.committer.run(lambda: store.truncate(rule, now), self._finished)
        except DiskError:  # it is being closed, for a join or for good
            return
        self._busy = True

    def _finished(self, done: Truncated | None, error: BaseException | None) -> None:
        self._busy = False
        if done is None:
            self._log("maintenance_failed", error=str(error))
            return
        if done.floors:
            self._engine.replica.truncated(done.floors)
            self._log("log_truncated", bundles=done.bundles, bytes=done.log_bytes)
        if done.more:
            self.cut()
