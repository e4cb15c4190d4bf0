"""The audit side of a running node, composed.

Law: it listens and looks; nothing that it does changes what the node does, but for a disk that
fails: that ends the node, as it does for the store. What can only be seen by looking (another
store, a clock that went wrong) is looked at now and then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from crdt.op import Op
from node import __version__
from node.audit.applied import Applied
from node.audit.chain import Owner
from node.audit.countersign import (
    ASK_TOPIC,
    BEAT_SECONDS,
    HEAD_TOPIC,
    WITNESS_TOPIC,
    Countersigning,
)
from node.audit.events import EVENTS
from node.audit.keeper import Keeper, KeeperSettings
from node.audit.room import EngineRoom
from node.audit.segments import FOLDER
from node.audit.verifier import Verifier
from node.doctor.facts import ChainFacts
from node.facts import read_note, write_note
from node.logs import EventLog
from node.metrics import Metrics
from node.replication.engine import Engine
from node.settings import Settings
from transport.identity import NodeKey, verify

_STORE_NOTE: Final = "store.json"
_DROP_EVERY_SECONDS: Final = 3600.0


def open_keeper(
    settings: Settings,
    key: NodeKey,
    *,
    now_ms: Callable[[], int],
    post: Callable[[Callable[[], None]], object],
    failed: Callable[[BaseException], None],
    log: EventLog,
) -> Keeper:
    """Open the chain of a data directory, whose lock is held.

    Args:
        settings: where, for how long, and the mirror.
        key: signs the entries.
        now_ms: wall clock.
        post: brings a call to the loop from another thread.
        failed: told once when the disk failed.
        log: writes events.
    """
    keeper = Keeper(
        KeeperSettings(
            folder=settings.paths.data_dir / FOLDER,
            mirror=settings.audit.path,
            retention_days=settings.audit.retention_days,
        ),
        owner=Owner(node_id=key.node_id, key=key.public, verify=verify),
        sign=key.sign,
        now_ms=now_ms,
        failed=lambda error: _posted(post, lambda: failed(error)),
        trouble=lambda event, error: _posted(post, lambda: log(event, error=error)),
    )
    found = keeper.found
    if found.reason:
        log("audit_chain_broken", seq=found.bad_seq, reason=found.reason)
    elif found.torn_bytes:
        log("audit_chain_recovered", cut_bytes=found.torn_bytes, after=found.link.seq)
    return keeper


def _posted(post: Callable[[Callable[[], None]], object], call: Callable[[], None]) -> None:
    try:
        post(call)
    except RuntimeError:  # the loop is closed: the node has ended, nobody is left to be told
        return


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
    _counted: dict[str, int] = field(default_factory=dict)
    _store: str = ""
    _trusted: bool = True
    _beat_at: float = 0.0
    _drop_at: float = 0.0

    @property
    def record(self) -> Callable[..., None]:
        """`record(event, **facts)` for other parts."""
        return self.keeper.record

    @property
    def _note(self) -> Path:
        return self.keeper.settings.folder / _STORE_NOTE

    def started(self, **facts: object) -> None:
        """The node serves; say so, and whether its store is the one it was."""
        before = read_note(self._note) or {}
        self._store = str(before.get("store", ""))
        store = self.engine.store.store_id
        self.record("started", version=__version__, store=store, **facts)
        self._look_at_store()

    def watch(self) -> None:
        """Look at what only looking shows; cheap, meant for every half second."""
        self._look_at_store()
        trusted = self.engine.exchange.heartbeat.trusted
        if trusted is not self._trusted:
            self._trusted = trusted
            skew_ms = self.engine.exchange.heartbeat.skew_ms()
            self.record("clock", trusted=trusted, skew_ms=skew_ms)
        now = self.monotonic()
        if now >= self._beat_at:
            self._beat_at = now + BEAT_SECONDS
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
        note = self._note
        self.keeper.run(lambda: write_note(note, {"store": store}), _ignored)

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
        """Put everything that was recorded on the disk."""
        self.keeper.close()


def _ignored(_result: Any, _error: BaseException | None) -> None:
    """Written again at the next start."""


def build_audit(
    engine: Engine,
    keeper: Keeper,
    key: NodeKey,
    *,
    post: Callable[[Callable[[], None]], object],
    monotonic: Callable[[], float],
    log: EventLog,
) -> AuditSide:
    """Connect the chain of a node with its replicated side.

    Args:
        engine: its notes and its links are listened to from now on.
        keeper: the open chain.
        key: signs heads and countersignatures.
        post: brings a call to the loop from another thread.
        monotonic: seconds that only grow.
        log: writes events.
    """

    def alarm(event: str, **facts: object) -> None:
        if event == "audit_rollback":
            engine.metrics.counter("audit_rollbacks_total").inc()
        log(event, **facts)

    countersigning = Countersigning(
        keeper.settings.folder,
        keeper=keeper,
        owner=keeper.owner,
        sign=key.sign,
        room=EngineRoom(engine),
        post=post,
        now_ms=engine.now_ms,
        alarm=alarm,
    )

    def history() -> Iterator[Op]:
        return engine.replica.governance.history()  # of the present store, which may be swapped

    engine.on_notes.append(Applied(keeper.record, history).hear)
    engine.asides[HEAD_TOPIC] = countersigning.on_head
    engine.asides[WITNESS_TOPIC] = countersigning.on_witness
    engine.asides[ASK_TOPIC] = countersigning.on_ask
    for event in EVENTS:
        engine.metrics.counter("audit_entries_total", event)
    return AuditSide(
        engine=engine,
        keeper=keeper,
        countersigning=countersigning,
        verifier=Verifier(engine=engine, keeper=keeper, countersigning=countersigning),
        metrics=engine.metrics,
        monotonic=monotonic,
    )
