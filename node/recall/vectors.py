"""An engine over vectors: a graph in memory, with its vectors in a table on disk.

The graph is usearch's (hierarchical navigable small worlds, Malkov and Yashunin, 2016).

Law: filters are decided before the limit: the search widens until enough of what it finds
passes, and where little passes, all of that is compared exactly. An embedder that is away
delays vectors and never the index of words; a question it cannot embed finds nothing here.
The graph is saved now and then; what came later is added again from the table.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from node.recall.embeddings import Embedder, EmbeddingsAway, EmbeddingsFailed, TextsRefused
from node.recall.values import Change, Document, Filters, Hit
from node.recall.vector_rows import VectorRows

if TYPE_CHECKING:
    import numpy as np

AT_ONCE: Final = 256
EXACT_MAX: Final = 2000
"""So few that pass are compared one by one."""

WIDENED_MAX: Final = 20_000
_WIDEN: Final = 4
_SCALE: Final = 127
_QUESTION_SECONDS: Final = 1.0
_AWAY_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = (1.0, 60.0)
_SAVE_SHARE: Final = 5
_SAVE_MIN: Final = 10_000
_GRAPH: Final = "graph.usearch"
_QUESTIONS_MAX: Final = 256


class Sieve(Protocol):
    """Decides filters; the lexical index of the same documents does."""

    def allowed(self, keys: Sequence[str], filters: Filters) -> set[str]:
        """Those of some keys whose documents pass all filters."""
        ...

    def newest(self, filters: Filters, limit: int) -> list[tuple[str, int]]:
        """The newest documents that pass all filters: key and creation in milliseconds."""
        ...


class VectorEngine:
    """An `Engine` over one folder.

    Args:
        folder: where it lies, made when absent.
        embedder: makes the vectors.
        sieve: decides filters; asked anew for each question.
        log: told of what keeps vectors from being made.
        monotonic: seconds that only grow.

    Raises:
        ValueError: what lies there is damaged or of another model.
    """

    def __init__(
        self,
        folder: Path,
        embedder: Embedder,
        sieve: Callable[[], Sieve],
        log: Callable[..., None] = lambda *_, **__: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = VectorRows(folder / "rows", embedder.identity)
        self._graph_file = folder / _GRAPH
        self._embedder = embedder
        self._sieve = sieve
        self._log = log
        self._monotonic = monotonic
        self._away_until = -math.inf
        self._lock = threading.Lock()
        self._waiting: dict[str, str | None] = {}
        self._questions: dict[str, np.ndarray] = {}
        self._graph: Any = None
        self._saved = 0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._load()
        self._worker: threading.Thread | None = None
        if embedder.distant:
            self._worker = threading.Thread(target=self._run, name="embeddings", daemon=True)
            self._worker.start()

    @property
    def name(self) -> str:
        """`fuzzy` or `vector`, after its embedder."""
        return self._embedder.name

    @property
    def fresh(self) -> bool:
        """Whether it began empty and has to be fed from the beginning."""
        return self._rows.fresh

    # --- writing -------------------------------------------------------------------

    def take(self, changes: Iterable[Change]) -> None:
        """Learn of changes; they count after the next `flush`, or when they have vectors."""
        for change in changes:
            document = change.document
            self._waiting[change.key] = None if document is None else _text_of(document)

    def flush(self) -> None:
        """Put what was taken on the disk; make vectors now, unless that is up to others."""
        waiting, self._waiting = self._waiting, {}
        if waiting:
            self._remove(self._rows.wait(waiting))
        if self._worker is not None:
            self._wake.set()
            return
        while self._embed_some():
            pass

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        with self._lock:
            self._rows.clear()
            self._graph, self._saved = None, 0
            self._graph_file.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the folder; what waits goes on waiting there."""
        self._stop.set()
        self._wake.set()
        if self._worker is not None:
            self._worker.join()
        with self._lock:
            self._save()
            self._rows.close()

    def _run(self) -> None:
        """Makes vectors that another machine computes, with growing pauses while it is away."""
        pause = _RETRY_SECONDS[0]
        while not self._stop.is_set():
            try:
                if self._embed_some():
                    pause = _RETRY_SECONDS[0]
                    continue
                self._wake.wait()
                self._wake.clear()
            except (EmbeddingsAway, EmbeddingsFailed) as error:
                self._log("embeddings_failed", reason=str(error))
                self._stop.wait(pause)
                pause = min(2 * pause, _RETRY_SECONDS[1])

    def _embed_some(self) -> bool:
        """Make some of the vectors that are wanted; whether there were any."""
        texts = self._rows.waiting(AT_ONCE)
        if not texts:
            return False
        self._embed_these(texts)
        return True

    def _embed_these(self, texts: dict[str, str]) -> None:
        """Make vectors; a text that is refused is given up, and holds up no other."""
        try:
            rows = self._embedder.embed(list(texts.values()))
        except TextsRefused as error:
            if len(texts) == 1:
                self._log("embeddings_failed", reason=str(error))
                self._rows.give_up(texts)
                return
            half = len(texts) // 2
            for part in (list(texts.items())[:half], list(texts.items())[half:]):
                self._embed_these(dict(part))
            return
        made, ended = self._rows.put(texts, [_small(row).tobytes() for row in rows])
        self._remove(ended)
        self._add(made)

    # --- the graph -----------------------------------------------------------------

    def _load(self) -> None:
        """The saved graph, and what came after it."""
        index, _ = _usearch()
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            if self._graph_file.exists():
                self._graph = index.restore(str(self._graph_file))
        last = 0
        if self._graph is not None and len(self._graph):
            last = int(max(self._graph.keys))
            self._saved = len(self._graph)
        batch: dict[int, bytes] = {}
        for label, vector in self._rows.after(last):
            batch[label] = vector
            if len(batch) >= AT_ONCE:
                self._add(batch)
                batch = {}
        self._add(batch)

    def _add(self, made: dict[int, bytes]) -> None:
        if not made:
            return
        index, np = _usearch()
        rows = np.stack([np.frombuffer(vector, dtype=np.int8) for vector in made.values()])
        with self._lock:
            if self._graph is None:
                self._graph = index(ndim=rows.shape[1], metric="cos", dtype="i8")
            if rows.shape[1] != self._graph.ndim:
                raise EmbeddingsFailed("the model gives vectors of another length than before")
            self._graph.add(np.fromiter(made, dtype=np.uint64), rows, threads=1)
            if len(self._graph) - self._saved > max(_SAVE_MIN, len(self._graph) // _SAVE_SHARE):
                self._save()

    def _remove(self, labels: Sequence[int]) -> None:
        with self._lock:
            for label in labels:
                if self._graph is not None and label in self._graph:
                    self._graph.remove(label)

    def _save(self) -> None:
        if self._graph is None:
            return
        fresh = self._graph_file.with_suffix(".new")
        self._graph.save(str(fresh))
        fresh.replace(self._graph_file)
        self._saved = len(self._graph)

    # --- reading -------------------------------------------------------------------

    def find(self, text: str, filters: Filters, limit: int) -> Sequence[Hit]:
        """The nearest documents that pass all filters, nearest first."""
        asked = self._question(text)
        if asked is None or self._graph is None:
            return []
        sieve = self._sieve()
        near = self._nearest(asked, filters, limit, sieve)
        if near is None:
            near = self._exactly(asked, sieve.newest(filters, EXACT_MAX))
        return near[:limit]

    def _nearest(
        self, asked: "np.ndarray", filters: Filters, limit: int, sieve: Sieve
    ) -> list[Hit] | None:
        """From the graph, wider and wider; None when so few pass that all are compared."""
        wanted = 2 * limit
        while True:
            with self._lock:
                size = len(self._graph)
                matches = self._graph.search(asked, min(wanted, size), threads=1)
            near = dict(zip(matches.keys.tolist(), matches.distances.tolist(), strict=True))
            keys = dict(self._rows.keys(near))
            allowed = sieve.allowed(list(keys.values()), filters)
            found = [
                Hit(key, key[1:], 1.0 - near[label], self.name)
                for label, key in keys.items()
                if key in allowed and near[label] < 1.0
            ]
            if len(found) >= limit or wanted >= min(size, WIDENED_MAX):
                return found
            if wanted == 2 * limit and len(sieve.newest(filters, EXACT_MAX + 1)) <= EXACT_MAX:
                return None
            wanted *= _WIDEN

    def _exactly(self, asked: "np.ndarray", passing: Sequence[tuple[str, int]]) -> list[Hit]:
        _, np = _usearch()
        rows = list(self._rows.vectors(key for key, _ in passing))
        if not rows:
            return []
        table = np.stack([np.frombuffer(row, dtype=np.int8) for _, row in rows]).astype(np.float32)
        lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(asked.astype(np.float32))
        near = table @ asked.astype(np.float32) / np.where(lengths == 0, 1, lengths)
        best = [int(at) for at in np.argsort(-near, kind="stable") if near[at] > 0]
        return [Hit(rows[at][0], rows[at][0][1:], float(near[at]), self.name) for at in best]

    def _question(self, text: str) -> "np.ndarray | None":
        known = self._questions.get(text)
        if known is None:
            if self._monotonic() < self._away_until:
                return None
            try:
                known = _small(self._embedder.embed([text], _QUESTION_SECONDS)[0])
            except (EmbeddingsAway, EmbeddingsFailed) as error:
                # Recall goes on with words; who is away is not waited for by every question.
                self._away_until = self._monotonic() + _AWAY_SECONDS
                self._log("embeddings_failed", reason=str(error))
                return None
            if len(self._questions) >= _QUESTIONS_MAX:
                self._questions.clear()
            self._questions[text] = known
        return known if known.any() else None


def _text_of(document: Document) -> str:
    return f"{document.title}\n{document.content}\n{' '.join(document.tags)}".strip()


def _small(row: "np.ndarray") -> "np.ndarray":
    """A unit vector in one byte a number."""
    import numpy as np  # noqa: PLC0415 - an optional extra

    out: np.ndarray = np.clip(np.rint(row * _SCALE), -_SCALE, _SCALE).astype(np.int8)
    return out


def _usearch() -> tuple[Any, Any]:
    """The classes of the optional extra."""
    import numpy as np  # noqa: PLC0415 - an optional extra
    from usearch.index import Index  # noqa: PLC0415 - the same

    return Index, np
