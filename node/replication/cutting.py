"""The log is cut as far as all members' rows cover it, or as limits and erasures demand.

Law: a member without a present link covers nothing; the core is told the new floors before
anybody can ask below them. A limit takes nothing that fewer than W members are known to hold: the
others take such an operation by its bundle alone, a snapshot of it they do not believe. One job at
a time, on the committer's thread.
"""

from collections.abc import Callable
from typing import Final

from crdt.clock import Clock
from node.errors import DiskError
from node.logs import EventLog
from node.replication.engine import Engine
from node.settings import Storage
from node.store import LogRule, Truncated
from node.store.upkeep import days

_WITNESSED: Final = 3
"""In a mesh of so many members a snapshot is believed only when another one holds the same."""


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

    def rows(self) -> list[Clock]:
        """What each other member last acknowledged; nothing for one without a link."""
        exchange = self._engine.exchange
        state = self._engine.replica.governance.now
        known = {p.node_id: p.row for p in exchange.peers.values() if p.known and p.row}
        others = [node for node in state.members if node != self._engine.me.node_id]
        return [dict(known.get(node) or {}) for node in others] + [{} for _ in state.unbound]

    def copies(self) -> int:
        """How many members must hold what a limit takes."""
        state = self._engine.replica.governance.now
        if len(state.members) + len(state.unbound) < _WITNESSED:
            return 1
        return max(2, state.quorum(self._engine.exchange.wanted_w))

    def cut(self) -> None:
        """Begin a round, unless one is under way."""
        if self._busy or self._engine.exchange.catchup.joining:
            return
        store, settings, now = self._engine.store, self._settings, self._now_ms()
        rule = LogRule(
            rows=self.rows(),
            log_bytes_max=settings.log_bytes_max,
            log_bytes_min=settings.log_bytes_min,
            log_ms_max=days(settings.log_days_max),
            copies=self.copies(),
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
