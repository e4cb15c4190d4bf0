"""The audit side of a running node, composed.

Law: it listens and looks; nothing that it does changes what the node does, but for a disk that
fails: that ends the node, as it does for the store. What can only be seen by looking (another
store, a clock that went wrong) is looked at now and then.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node import __version__
from node.audit.chain import START, Link
from node.audit.countersign import (
    BEAT_SECONDS,
    Countersigning,
)
from node.audit.holders import HolderWatch, from_note
from node.audit.keeper import Keeper
from node.audit.verifier import Verifier
from node.auth.credentials import Credentials
from node.doctor.facts import ChainFacts
from node.facts import read_note, write_note
from node.metrics import Metrics
from node.replication.engine import Engine

_SEEN: Final = "seen.json"
_DROP_EVERY_SECONDS: Final = 3600.0


@dataclass(slots=True)
class AuditSide:
    """Everything of a running node that is about its chain.

    Attributes:
        engine: the replicated side.
        keeper: the chain.
        countersigning: who vouches for it.
        verifier: holds it against everything that is known.
        metrics: the table of metrics.
        monotonic: seconds that only grow.
    """

    engine: Engine
    keeper: Keeper
    countersigning: Countersigning
    verifier: Verifier
    metrics: Metrics
    monotonic: Callable[[], float]
    _holders: HolderWatch | None = None
    _counted: dict[str, int] = field(default_factory=dict)
    _store: str = ""
    _trusted: bool = True
    _beat_at: float = 0.0
    _told: Link = START
    _drop_at: float = 0.0

    @property
    def record(self) -> Callable[..., None]:
        """`record(event, **facts)` for other parts."""
        return self.keeper.record

    @property
    def _note(self) -> Path:
        return self.keeper.settings.folder / _SEEN

    def started(self, **facts: object) -> None:
        """The node serves; say so, and whether its store is the one it was."""
        before = read_note(self._note) or {}
        self._store = str(before.get("store", ""))
        store = self.engine.store.store_id
        self.record("started", version=__version__, store=store, **facts)
        self._look_at_store()

    def looks_at(self, credentials: Credentials) -> None:
        """Tell which keys and peers come and go, from now on and since an earlier process."""
        self._holders = HolderWatch(credentials, from_note(read_note(self._note) or {}))

    def watch(self) -> None:
        """Look at what only looking shows; cheap, meant for every half second."""
        self._look_at_store()
        self._look_at_holders()
        trusted = self.engine.exchange.heartbeat.trusted
        if trusted is not self._trusted:
            self._trusted = trusted
            skew_ms = self.engine.exchange.heartbeat.skew_ms()
            self.record("clock", trusted=trusted, skew_ms=skew_ms)
        now, head = self.monotonic(), self.keeper.head
        # Entries are rare and should be vouched for at once; operations are many.
        if head != self._told or now >= self._beat_at:
            self._told, self._beat_at = head, now + BEAT_SECONDS
            self.countersigning.beat()
        if now >= self._drop_at:
            self._drop_at = now + _DROP_EVERY_SECONDS
            self.keeper.drop_old()

    def _look_at_store(self) -> None:
        store = self.engine.store.store_id
        if store == self._store:
            return
        if self._store:
            self.record("store_changed", before=self._store, store=store)
        self._store = store
        self._write_note()

    def _look_at_holders(self) -> None:
        told = self._holders.look() if self._holders is not None else []
        for event, facts in told:
            self.record(event, **facts)
        if told:
            self._write_note()

    def _write_note(self) -> None:
        row: dict[str, Any] = read_note(self._note) or {}
        row |= {"store": self._store}
        if self._holders is not None:
            row |= self._holders.seen.note()
        note = self._note
        self.keeper.run(lambda: write_note(note, row), _ignored)

    def measure(self) -> None:
        """Put the present state into counters and gauges."""
        for event, count in self.keeper.counts.copy().items():
            more = count - self._counted.get(event, 0)
            if more:
                self._counted[event] = count
                self.metrics.counter("audit_entries_total", event).inc(more)
        dropped = self.keeper.dropped - self._counted.get("", 0)
        if dropped:
            self._counted[""] = self.keeper.dropped
            self.metrics.counter("audit_dropped_total").inc(dropped)
        held = self.countersigning.countersigned()
        self.metrics.gauge("audit_head_countersigned").set(held)

    def facts(self) -> ChainFacts:
        """What the doctor is told."""
        report = self.verifier.last
        disputed = bool(self.countersigning.witnesses.disputed)
        broken = bool(self.keeper.found.reason) or disputed
        me = self.engine.me.node_id
        others = [node for node in self.engine.replica.governance.now.members if node != me]
        return ChainFacts(
            holds=not broken and (report is None or report.holds),
            length=self.keeper.head.seq,
            countersigned=len(self.countersigning.witnesses.newest),
            peers=len(others),
        )

    def close(self) -> None:
        """Say that the node ends, and put everything that was recorded on the disk."""
        if not self.engine.readiness.failed:
            self.record("stopped")
        self.keeper.close()


def _ignored(_result: Any, _error: BaseException | None) -> None:
    """Written again at the next start."""
