"""Figures that stand in notes beside the store, or follow from its records: put into gauges.

Law: a note is read again only when it changed; one that is missing or torn gives 0, which an
alert can tell from any moment. The notes are written by others: the backup, the restore.
"""

from dataclasses import dataclass, field
from pathlib import Path

from crdt.record import Record
from node.backup.notes import LAST_BACKUP, RECOVERING
from node.documents.troubles import Troubles
from node.facts import read_note
from node.live import Tasks
from node.memory.conflicts_open import REST_SECONDS, OpenConflicts
from node.metrics import Metrics
from node.replication.engine import Engine
from node.store.walk import FeedWalk


@dataclass(slots=True)
class LastBackup:
    """When the last backup succeeded, by the note that it leaves.

    Attributes:
        path: of the note.
    """

    path: Path
    _stamp: tuple[int, int] = (0, 0)
    _seconds: float = 0.0

    def seconds(self) -> float:
        """Seconds since the epoch; 0 when there was none, or nobody can tell."""
        try:
            seen = self.path.stat()
        except OSError:
            self._stamp = (0, 0)
            return 0.0
        stamp = seen.st_mtime_ns, seen.st_ino
        if stamp != self._stamp:
            at_ms = (read_note(self.path) or {}).get("at_ms")
            self._seconds = at_ms / 1000 if isinstance(at_ms, int | float) else 0.0
            self._stamp = stamp
        return self._seconds


@dataclass(slots=True, kw_only=True)
class Noted:
    """Puts them into the gauges.

    Attributes:
        metrics: the table of metrics.
        data_dir: where the notes lie.
        conflicts: counts what nobody has settled.
        tasks: run the walk over the store.
        troubles: knows which documents are in trouble.
    """

    metrics: Metrics
    data_dir: Path
    conflicts: OpenConflicts
    tasks: Tasks
    troubles: Troubles
    _backup: LastBackup = field(init=False)

    def __post_init__(self) -> None:
        """One reader for as long as the node lives."""
        self._backup = LastBackup(self.data_dir / LAST_BACKUP)

    def measure(self) -> None:
        """Put the present state into the gauges."""
        metrics = self.metrics
        if self.conflicts.stale:
            self.tasks.spawn(self.conflicts.walk())
        metrics.gauge("conflicts_open").set(self.conflicts.total)
        for name, trouble in self.troubles.now().items():
            metrics.gauge("documents_troubled", name).set(trouble.count)
        metrics.gauge("backup_last_success_timestamp_seconds").set(self._backup.seconds())
        metrics.gauge("recovering").set((self.data_dir / RECOVERING).exists())


def open_noted(data_dir: Path, metrics: Metrics, tasks: Tasks, engine: Engine) -> Noted:
    """Over the store of an engine; follows its commits."""

    def read(key: bytes) -> Record | None:
        return engine.replica.read(key)

    conflicts = OpenConflicts(
        walk=FeedWalk.beside(
            data_dir, "conflicts", lambda: engine.store, rest_seconds=REST_SECONDS
        ),
        read=read,
        approvals=lambda: engine.replica,
    )
    troubles = engine.shelf.troubles
    engine.on_commit += [conflicts.saw, troubles.saw]
    return Noted(
        metrics=metrics, data_dir=data_dir, conflicts=conflicts, tasks=tasks, troubles=troubles
    )
