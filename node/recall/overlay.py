"""What was written since the index last showed anything: a small index in memory.

Law: a key that stands here is answered from here and nowhere else, so a caller recalls what
it has just written and never what it has just changed or removed. An entry leaves when the
index shows what was read at that entry's mark or later, and not before; should more than
`entries_max` wait, the oldest leave early and show again with the next flush. Scores follow
the same formula as the index (BM25, Robertson and Zaragoza 2009) with its figures of how
common a word is; lengths are held against a running mean, so they are near, not equal.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from node.recall.document import id_of
from node.recall.filters import passes
from node.recall.literal import document_has_all, pieces
from node.recall.values import Change, Document, Filters, Hit

ENTRIES_MAX: Final = 20_000
_K1: Final = 1.2
_B: Final = 0.75
_MEAN_WORDS_FIRST: Final = 20.0
_MEAN_SHARE: Final = 0.01

Weighed = Mapping[str, float]
"""Word -> what it adds to a score, before how rare it is counts."""


@dataclass(slots=True)
class _Entry:
    """One key: when it was marked, and what was read since; `known` is False until then."""

    mark: int
    known: bool = False
    document: Document | None = None
    words: Weighed | None = None


class Overlay:
    """Documents that the index does not show yet.

    Args:
        fields: a document's texts by field, with the weight of each.
        terms: the words of a text, analysed as the index does.
        rarity: how many of how many documents hold a word; asked per word of a question.
        entries_max: how many keys may wait.
    """

    name: Final = "overlay"

    def __init__(
        self,
        *,
        fields: Callable[[Document], Iterable[tuple[str, float]]],
        terms: Callable[[str], list[str]],
        rarity: Callable[[str], tuple[int, int]],
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._fields = fields
        self._terms = terms
        self._rarity = rarity
        self._entries_max = entries_max
        self._entries: dict[str, _Entry] = {}
        self._unknown: dict[str, None] = {}
        self._postings: dict[str, dict[str, float]] = {}
        self._marks = 0
        self._mean = _MEAN_WORDS_FIRST

    def __len__(self) -> int:
        return len(self._entries)

    # --- keeping -------------------------------------------------------------------

    def mark(self, key: str) -> None:
        """Note that a record changed; what was known of it is old."""
        self._remove(key)
        self._marks += 1
        self._entries[key] = _Entry(self._marks)
        self._unknown[key] = None
        while len(self._entries) > self._entries_max:
            self._remove(next(iter(self._entries)))

    def mark_of(self, key: str) -> int:
        """The present mark of a key; 0 when it does not stand here."""
        entry = self._entries.get(key)
        return 0 if entry is None else entry.mark

    def unknown(self) -> dict[str, int]:
        """Keys of which nothing was read since they were marked, with their marks."""
        return {key: self._entries[key].mark for key in self._unknown}

    def weigh(self, document: Document) -> Weighed:
        """What each word of a document adds to a score; may be called from any thread."""
        out: Counter[str] = Counter()
        for text, weight in self._fields(document):
            found = self._terms(text)
            long = _K1 * (1 - _B + _B * len(found) / self._mean)
            for word, count in Counter(found).items():
                out[word] += weight * count * (_K1 + 1) / (count + long)  # type: ignore[assignment] # a Counter of floats adds as one of ints does
        return out

    def put(self, mark: int, change: Change, words: Weighed | None) -> None:
        """Keep what was read of a key, unless it was marked again meanwhile."""
        entry = self._entries.get(change.key)
        if entry is None or entry.mark != mark:
            return
        entry.known, entry.document = True, change.document
        self._unknown.pop(change.key, None)
        if change.document is None or words is None:
            return
        entry.words = words
        for word, weight in words.items():
            self._postings.setdefault(word, {})[change.key] = weight
        self._mean += (len(words) - self._mean) * _MEAN_SHARE

    def settle(self, shown: Mapping[str, int]) -> None:
        """The index shows what was read at these marks: {key: mark}."""
        for key, mark in shown.items():
            entry = self._entries.get(key)
            if entry is not None and entry.mark <= mark:
                self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._unknown.clear()
        self._postings.clear()

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        self._unknown.pop(key, None)
        if entry is None or entry.words is None:
            return
        for word in entry.words:
            held = self._postings.get(word)
            if held is not None:
                held.pop(key, None)
                if not held:
                    del self._postings[word]

    # --- asking --------------------------------------------------------------------

    def keys(self) -> set[str]:
        """The keys that must be answered from here."""
        return set(self._entries)

    def covers(self, key: str) -> bool:
        """Whether a key must be answered from here."""
        return key in self._entries

    def find(self, text: str, filters: Filters) -> list[Hit]:
        """Documents with a word of a text that pass all filters, best first."""
        scores: Counter[str] = Counter()
        for word in dict.fromkeys(self._terms(text)):
            held = self._postings.get(word)
            if held:
                rare = _idf(*self._rarity(word))
                for key, weight in held.items():
                    scores[key] += rare * weight  # type: ignore[assignment] # as above
        return [
            Hit(key, id_of(key), float(score), self.name)
            for key, score in scores.most_common()
            if self._passes(key, filters)
        ]

    def _passes(self, key: str, filters: Filters) -> bool:
        document = self._entries[key].document
        return document is not None and passes(document, filters)

    def documents(self, filters: Filters) -> Iterator[Document]:
        """All documents here that pass all filters."""
        for entry in self._entries.values():
            if entry.document is not None and passes(entry.document, filters):
                yield entry.document

    def holding(self, text: str, filters: Filters) -> list[Hit]:
        """Documents in which each piece of a text stands, best first."""
        wanted = pieces(text)
        scores = {hit.key: hit.score for hit in self.find(text, filters)}
        keys = [d.key for d in self.documents(filters) if document_has_all(d, wanted)]
        keys.sort(key=lambda key: -scores.get(key, 0.0))
        return [Hit(key, id_of(key), scores.get(key, 0.0), self.name) for key in keys]


def _idf(holding: int, documents: int) -> float:
    """How much a word says: ln(1 + (N - n + 0.5) / (n + 0.5)), never below zero."""
    documents = max(documents, holding) + 1
    return math.log(1 + (documents - holding + 0.5) / (holding + 0.5))
