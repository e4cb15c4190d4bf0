"""Recall, built over an engine of replication.

Law: composition only.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.contracts import Reader
from node.erasing.opening import ErasingSide
from node.ground import Ground
from node.metrics import Metrics
from node.recall.beside import opener_of
from node.recall.cadence import FLUSH_SECONDS, Cadence
from node.recall.engines import Opener, open_engines
from node.recall.feeding import Feeding
from node.recall.overlay import Overlay
from node.recall.ranking import Ranking
from node.recall.service import Recall
from node.recall.shelf import Shelf
from node.recall.source import ReaderSource, Source, StoreSource
from node.replication.engine import Engine
from node.settings.sections import Embeddings

FOLDER: Final = "recall"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallSide:
    """What runs, and what is asked."""

    recall: Recall
    feeding: Feeding
    ranking: Ranking
    metrics: Metrics

    async def run(self) -> None:
        """See `Feeding.run`."""
        await self.feeding.run()

    def measure(self) -> None:
        """Put the present state into the gauges."""
        self.metrics.gauge("index_lag_ops").set(self.feeding.lag_ops())

    def close(self) -> None:
        """Let go of the files."""
        self.ranking.close()
        self.feeding.close()


def open_recall(
    data_dir: Path,
    *,
    reader: Callable[[], Reader],
    metrics: Metrics,
    log: Callable[..., None],
    now_ms: Callable[[], int],
    opener: Opener = open_engines,
    flush_seconds: float = FLUSH_SECONDS,
    source: Source | None = None,
) -> RecallSide:
    """All of recall over one data directory.

    Args:
        data_dir: of the node; the index lies in a folder of it.
        reader: reads the newest state; asked anew each time.
        metrics: the table of metrics.
        log: writes events.
        now_ms: wall clock, milliseconds since the epoch.
        opener: opens the engines of a generation.
        flush_seconds: least time between two flushes of the index.
        source: what changed; the reader tells when there is none.
    """
    overlay = Overlay()
    feeding = Feeding(
        reader=reader,
        shelf=Shelf(data_dir / FOLDER, os.urandom),
        opener=opener,
        overlay=overlay,
        log=log,
        now_ms=now_ms,
        cadence=Cadence(flush_seconds, overlay.__len__),
        source=source or ReaderSource(reader),
    )
    ranking = Ranking(lambda: feeding.engines, overlay)
    recall = Recall(reader=reader, feeding=feeding, overlay=overlay, ranking=ranking, now_ms=now_ms)
    return RecallSide(recall=recall, feeding=feeding, ranking=ranking, metrics=metrics)


def recall_of(
    ground: Ground, engine: Engine, erasing: ErasingSide, reader: Callable[[], Reader]
) -> RecallSide:
    """Recall of a node: it follows the commits, and forgets what is erased."""
    side = open_recall(
        ground.settings.paths.data_dir,
        reader=reader,
        metrics=ground.metrics,
        log=ground.log,
        now_ms=ground.now_ms,
        opener=opener_of(ground.settings.embeddings, ground.log),
        source=StoreSource(lambda: engine),
    )
    side.recall.model = _model(ground.settings.embeddings)
    engine.on_commit.append(side.feeding.saw)
    erasing.erasing.compactor.on_erased.append(side.recall.purge)
    return side


def _model(section: Embeddings) -> str | None:
    """The model whose vectors stand beside words; likeness of spelling is none."""
    if section.engine == "endpoint":
        return section.model
    return section.model_dir.name if section.engine == "local" and section.model_dir else None
