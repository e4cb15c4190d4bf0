"""What was written since the index last showed anything: a small index in memory.

Law: a key that stands here is answered from here and nowhere else, so a caller recalls what
it has just written and never what it has just changed or removed. An entry leaves when the
index shows what was read at that entry's mark or later, and not before; should more than
`entries_max` wait, or what was read of them be more than `bytes_max`, the oldest leave early
and show again with the next flush. What is here is scored as the index scores, with the figures
of the index.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from node.recall.bag import TEXTS, entries_of
from node.recall.filters import may_read, passes
from node.recall.lexical_query import Wanted
from node.recall.values import Change, Document, Filters

ENTRIES_MAX: Final = 50_000
BYTES_MAX: Final = 64 * 2**20
_ENTRY_BYTES: Final = 1_000


class Fresh(NamedTuple):
    """What may answer a question and is not indexed yet.

    Attributes:
        bags: the words of documents that pass all filters and have a word of it, by key.
        seen: its terms in fields, as far as they stand in what the caller may know of.
    """

    bags: Mapping[str, bytes]
    seen: frozenset[tuple[str, str]]


class _Entry(NamedTuple):
    """What was read of a key since it was marked."""

    document: Document | None
    bag: bytes


class Overlay:
    """Documents that the index does not show yet.

    Args:
        entries_max: how many keys may wait.
        bytes_max: how much may be kept of what was read of them, roughly.
    """

    name: Final = "overlay"

    def __init__(self, *, entries_max: int = ENTRIES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._entries_max = entries_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._stands: dict[str, int] = {}
        self._unknown: dict[str, int] = {}
        self._entries: dict[str, _Entry] = {}
        self._postings: dict[tuple[str, str], dict[str, None]] = {}
        self.marks = 0
        """The last mark that was given; what is read from now on is as new as that."""

    def __len__(self) -> int:
        return len(self._stands)

    # --- keeping -------------------------------------------------------------------

    def mark(self, key: str) -> None:
        """Note that a record changed; what was known of it is old."""
        self.mark_all((key,))

    def mark_all(self, keys: Iterable[str]) -> None:
        """Note that records changed."""
        self.marks += 1
        fresh = dict.fromkeys(keys, self.marks)
        stands = self._stands
        for key in stands.keys() & fresh.keys():
            self._remove(key)
        stands.update(fresh)
        self._unknown.update(fresh)
        while len(stands) > self._entries_max:
            self._remove(next(iter(stands)))

    def mark_of(self, key: str) -> int:
        """The present mark of a key; 0 when it does not stand here."""
        return self._stands.get(key, 0)

    @property
    def unread(self) -> int:
        """Of how many keys nothing was read since they were marked."""
        return len(self._unknown)

    def unknown(self) -> dict[str, int]:
        """Keys of which nothing was read since they were marked, with their marks."""
        return dict(self._unknown)

    def put(self, mark: int, change: Change, bag: bytes = b"") -> None:
        """Keep what was read of a key and its words, unless it was marked again meanwhile."""
        key = change.key
        if self._stands.get(key) != mark:
            return
        self._forget_words(key)
        entry = self._entries[key] = _Entry(change.document, bag)
        self._bytes += _size(entry)
        self._unknown.pop(key, None)
        for word in _words(entry):
            self._postings.setdefault(word, {})[key] = None
        while self._bytes > self._bytes_max:
            self._remove(next(iter(self._entries)))

    def settle(self, shown: Mapping[str, int]) -> None:
        """The index shows what was read at these marks: {key: mark}."""
        stands = self._stands
        for key, mark in shown.items():
            if stands.get(key, mark + 1) <= mark:
                self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        self._stands.clear()
        self._entries.clear()
        self._bytes = 0
        self._unknown.clear()
        self._postings.clear()

    def _remove(self, key: str) -> None:
        self._stands.pop(key, None)
        self._unknown.pop(key, None)
        self._forget_words(key)

    def _forget_words(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= _size(entry)
        for word in _words(entry):
            held = self._postings.get(word)
            if held is not None:
                held.pop(key, None)
                if not held:
                    del self._postings[word]

    # --- asking --------------------------------------------------------------------

    def keys(self) -> set[str]:
        """The keys that must be answered from here."""
        return set(self._stands)

    def covers(self, key: str) -> bool:
        """Whether a key must be answered from here."""
        return key in self._stands

    def having(self, wanted: Wanted, filters: Filters) -> Fresh:
        """What has a word of a question."""
        bags: dict[str, bytes] = {}
        hidden: set[str] = set()
        seen: set[tuple[str, str]] = set()
        for word in _asked(wanted):
            for key in self._postings.get(word, ()):
                if key in hidden:
                    continue
                entry = self._entries[key]
                if key not in bags:
                    document = entry.document
                    if document is None or not may_read(document, filters):
                        hidden.add(key)
                        continue
                    if passes(document, filters):
                        bags[key] = entry.bag
                seen.add(word)
        return Fresh(bags, frozenset(seen))

    def documents(self, filters: Filters) -> Iterator[Document]:
        """All documents here that pass all filters."""
        for entry in self._entries.values():
            if entry.document is not None and passes(entry.document, filters):
                yield entry.document


def _size(entry: _Entry) -> int:
    """Characters of the text, and of the words twice: they stand in the postings, too."""
    text = 0 if entry.document is None else len(entry.document.content)
    return _ENTRY_BYTES + text + 2 * len(entry.bag)


def _words(entry: _Entry) -> Iterable[tuple[str, str]]:
    return entries_of(entry.bag) if entry.bag else ()


def _asked(wanted: Wanted) -> Iterator[tuple[str, str]]:
    """The terms of a question and their other forms, in each field."""
    for term, forms in wanted.items():
        for one in (term, *forms):
            for name in TEXTS:
                yield name, one
