"""Erasing, built over an engine.

Law: composition only.
"""

from dataclasses import dataclass

from node.erasing.compacting import Compactor
from node.erasing.erasing import Erasing
from node.ground import Ground
from node.live import Live, Tasks
from node.replication.cutting import LogCutter
from node.replication.engine import Engine
from node.replication.snapshots import SnapshotWorks


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasingSide:
    """What cuts the log, and what watches erasures."""

    cutter: LogCutter
    erasing: Erasing

    def watch(self) -> None:
        """See `Erasing.watch`."""
        self.erasing.watch()

    def close(self) -> None:
        """Make a running rewrite end soon."""
        self.erasing.compactor.close()


def open_erasing(
    ground: Ground, live: Live, tasks: Tasks, engine: Engine, snapshots: SnapshotWorks
) -> ErasingSide:
    """Both over one engine."""
    storage = ground.settings.storage
    cutter = LogCutter(engine=engine, settings=storage, log=ground.log, now_ms=ground.now_ms)
    compactor = Compactor(
        engine=engine,
        data_dir=ground.settings.paths.data_dir,
        snapshots=snapshots,
        log=ground.log,
        now_ms=ground.now_ms,
    )
    erasing = Erasing(
        engine=engine,
        cutter=cutter,
        compactor=compactor,
        after_hours=lambda: live.settings.storage.erase_rewrite_hours,
        spawn=tasks.spawn,
    )
    return ErasingSide(cutter=cutter, erasing=erasing)
