"""The lexical index: tantivy over the documents of this node.

Law: one thread writes, any thread reads. What was taken shows after the next `flush`, all of
it or none. Taking a change twice leaves what taking it once does, so a feed may be repeated
from any earlier position. A key is in the index at most once.

What everybody may read lies in one index, what not everybody may in another: how common words
are and how long texts is counted over the first alone. A document that moves between them
leaves the one on the disk before it comes into the other, and readers see both steps at once.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import tantivy

from node.recall import schema as s
from node.recall.figures import Figures, number_of
from node.recall.filters import over
from node.recall.part import Part, is_there
from node.recall.snapshot import NAME, Shown, Snapshot
from node.recall.threads import give_back
from node.recall.values import Change, Filters, Hit

HEAP_BYTES: Final = 20_000_000
_HIDDEN_HEAP_BYTES: Final = 15_000_000
_HIDDEN: Final = "hidden"


class Lexical:
    """An `Engine` over one folder.

    Args:
        folder: where the index lives, made when it is not there; None keeps it in memory.

    Raises:
        ValueError: what lies there is no index that this version can read.
    """

    name: Final = NAME

    def __init__(self, folder: Path | None) -> None:
        self._schema = s.build_schema()
        beside = None if folder is None else folder / _HIDDEN
        if folder is not None and beside is not None and is_there(folder) != is_there(beside):
            raise ValueError(f"a part of {folder} is missing: build it anew")
        self._open = Part(folder, self._schema, HEAP_BYTES)
        self._hidden = Part(beside, self._schema, _HIDDEN_HEAP_BYTES)
        self._moved: dict[str, tantivy.Document] = {}
        self.urgent = False
        """Whether what is written next runs as everything else does."""
        self._shown = self._now()

    # --- writing: one thread -------------------------------------------------------

    def take(self, changes: Iterable[Change]) -> None:
        """Learn of changes; they show after the next `flush`."""
        for key, document in changes:
            left = self._hidden.holds(key)
            self._moved.pop(key, None)
            self._open.remove(key)
            self._hidden.remove(key)
            if document is None:
                continue
            made = s.indexed(document)
            if s.hidden(document):
                self._hidden.add(key, made)
            elif left:
                self._moved[key] = made
            else:
                self._open.add(key, made)

    def drop_ended(self, now_ms: int) -> bool:
        """Forget what has ended; whether there is any, and it is gone after the next `flush`."""
        dropped = False
        for part in (self._open, self._hidden):
            ended = over(self._schema, now_ms)
            if part.searcher.doc_freq(s.TRAITS, s.ENDING) and number_of(part.searcher, ended):
                part.remove_all_of(ended)
                dropped = True
        return dropped

    def flush(self) -> None:
        """Put what was taken on the disk and where it shows.

        What becomes hidden leaves the open index first; what becomes open enters it last. So a
        kill in between leaves it in neither, until the feed is repeated, and never in both.
        """
        self._open.urgent = self._hidden.urgent = self.urgent
        self._open.commit()
        self._hidden.commit()
        for key, made in self._moved.items():
            self._open.remove(key)  # where this is done again, after a commit that failed
            self._open.add(key, made)
        self._open.commit()
        self._moved.clear()
        opened, hidden = self._open.show(), self._hidden.show()
        if opened or hidden:
            self._shown = self._now(None if opened else self._shown.figures)

    def settle(self) -> None:
        """Nothing was written for a while: give back what writing takes."""
        if any([self._open.settle(), self._hidden.settle()]):
            give_back()

    def clear(self) -> None:
        """Forget everything."""
        self._moved.clear()
        self._open.clear()
        self._hidden.clear()
        self.flush()

    def _now(self, figures: Figures | None = None) -> Shown:
        searcher = self._open.searcher
        known = Figures(searcher, self._schema) if figures is None else figures
        return Shown(searcher, self._hidden.searcher, known)

    def close(self) -> None:
        """Let go of the folder; what was not flushed is forgotten."""
        self._open.close()
        self._hidden.close()

    # --- reading: any thread -------------------------------------------------------

    @property
    def documents(self) -> int:
        """How many documents show."""
        shown = self._shown
        return int(shown.open.num_docs) + int(shown.hidden.num_docs)

    @property
    def open_documents(self) -> int:
        """How many of them everybody may read."""
        return int(self._shown.open.num_docs)

    @property
    def dead(self) -> int:
        """How many replaced or removed documents still take room."""
        shown = self._shown
        return _dead(shown.open) + _dead(shown.hidden)

    @property
    def open_dead(self) -> int:
        """How many of them everybody could read."""
        return _dead(self._shown.open)

    def found_in(self, field: str, word: str) -> int:
        """How many documents hold an analysed word in a field."""
        shown = self._shown
        return int(shown.open.doc_freq(field, word) + shown.hidden.doc_freq(field, word))

    def find(self, text: str, filters: Filters, limit: int) -> Sequence[Hit]:
        """The best documents by their words that pass all filters, best first."""
        return self.snapshot().find(text, filters, limit)

    def newest(self, filters: Filters, limit: int) -> list[tuple[str, int]]:
        """The newest documents that pass all filters: key and creation in milliseconds."""
        return self.snapshot().newest(filters, limit)

    def snapshot(self) -> Snapshot:
        """What shows now, to be asked several times."""
        return Snapshot(self._shown, self._schema)


def _dead(searcher: tantivy.Searcher) -> int:
    return max(int(searcher.doc_freq(s.TRAITS, s.EVERY)) - int(searcher.num_docs), 0)
