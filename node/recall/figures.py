"""How common words are and how long texts: what scores are made of, by what a caller may see.

Law: every figure is of documents that everybody may read, and of those that the caller may
know of besides; nothing that others keep to themselves is in any of them. Scores made here
are those that the index makes (BM25, Robertson and Zaragoza 2009): equal texts score alike,
whether everybody may read them or the caller alone, and whether they are indexed yet.
"""

import json
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import tantivy

from node.recall import bag as b
from node.recall import schema as s
from node.recall.lexical_query import GUESS_SCORE, Plan

_K1: Final = 1.2
_B: Final = 0.75
_MEAN: Final = {b.CONTENT: 20.0, b.TITLE: 5.0, b.TAGS: 3.0, b.SPEAKER: 1.0, b.DATES: 4.0}
"""Of texts, where there is none that everybody may read."""

_COUNTS_MAX: Final = 20_000
_PROBES: Final = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    *("like", "time", "day", "one", "new", "use", "work"),
)
_BEGINNINGS: Final = (*(f"{one}{two}" for one in "stcpamrb" for two in "aeiorh"), "")


class Figures:
    """Of what everybody may read, as one searcher shows it; any thread may ask."""

    def __init__(self, searcher: tantivy.Searcher, schema: tantivy.Schema) -> None:
        self._searcher = searcher
        self._schema = schema
        self._means: dict[str, float] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._taking = int(searcher.doc_freq(s.TRAITS, s.EVERY))
        self.documents = int(searcher.num_docs)
        """How many there are."""

    def count(self, name: str, term: str) -> int:
        """How many have a term in a field."""
        held = int(self._searcher.doc_freq(name, term))
        if not held or self._taking == self.documents:
            return held
        known = self._counts.get((name, term))
        if known is None:
            query = tantivy.Query.term_query(self._schema, name, term, index_option="basic")
            known = number_of(self._searcher, query)
            with self._lock:
                if len(self._counts) >= _COUNTS_MAX:
                    self._counts.clear()
                self._counts[name, term] = known
        return known

    def indexed(self, name: str, term: str) -> float:
        """How much a term says to the index, which counts what was replaced or removed too."""
        return rarity(int(self._searcher.doc_freq(name, term)), self._taking)

    def mean(self, name: str) -> float:
        """How long a field is."""
        with self._lock:
            if name not in self._means:
                self._means[name] = self._measured(name) or _MEAN[name]
            return self._means[name]

    def _measured(self, name: str) -> float | None:
        """As the index has it, which it only tells of a hit; None when the field is empty."""
        for word in _PROBES:
            told = self._told(name, word)
            if told:
                return told
        for beginning in _BEGINNINGS:
            for word, _ in self._searcher.terms_with_prefix(name, beginning, limit=8):
                told = self._told(name, word)
                if told:
                    return told
        return None

    def _told(self, name: str, word: str) -> float | None:
        if not self._searcher.doc_freq(name, word):
            return None
        query = tantivy.Query.term_query(self._schema, name, word, index_option="freq")
        hits = self._searcher.search(query, limit=1, count=False).hits
        if not hits:
            return None
        told = json.loads(query.explain(self._searcher, hits[0][1]).to_json())
        return _value(told, "avgdl")


def number_of(searcher: tantivy.Searcher, query: tantivy.Query) -> int:
    """How many documents a query finds; nothing that was removed is among them."""
    found: Any = searcher.search(query, limit=1, count=True)  # its stub lacks `count`
    return int(found.count)


def _value(told: dict[str, object], name: str) -> float | None:
    """What an explanation says of something."""
    if str(told.get("description", "")).startswith(name):
        value = told.get("value")
        return float(value) if isinstance(value, (int, float)) else None
    parts = told.get("details")
    for part in parts if isinstance(parts, list) else ():
        found = _value(part, name)
        if found is not None:
            return found
    return None


def rarity(holding: int, documents: int) -> float:
    """How much a word says: ln(1 + (N - n + 0.5) / (n + 0.5)), never below zero."""
    return math.log(1 + (max(documents, holding) - holding + 0.5) / (holding + 0.5))


class Scorer:
    """Scores bags of words for one question.

    Args:
        plan: what the question looks for.
        weight: how much a term in a field says, by what the caller may see.
        mean: how long a field is.
    """

    def __init__(
        self, plan: Plan, weight: Callable[[str, str], float], mean: Callable[[str], float]
    ) -> None:
        fields: dict[str, list[tuple[bytes, int, float]]] = {}
        for one in plan.sought:
            sign = b.sign_of(one.field, one.term)
            said = one.weight * weight(one.field, one.term) * (_K1 + 1)
            fields.setdefault(one.field, []).append((sign, len(sign), said))
        self._fields = [
            (b.TEXTS.index(name), signs, _K1 * _B / mean(name)) for name, signs in fields.items()
        ]
        self._guesses: Sequence[str] = plan.guesses
        self._near: dict[str, int] = {}

    def score(self, bag: bytes) -> float:
        """Of one document; 0 when it has nothing of the question."""
        out, lengths = 0.0, b.lengths_in(bag)
        for at, signs, by_length in self._fields:
            if not lengths[at]:
                continue
            least = _K1 * (1 - _B) + by_length * lengths[at]
            for sign, size, said in signs:
                place = bag.find(sign)
                if place >= 0:
                    place += size
                    often = (bag[place] << 8) + bag[place + 1]
                    out += said * often / (often + least)
        return out + self._guessed(bag) if self._guesses else out

    def _guessed(self, bag: bytes) -> float:
        """For each guess that the content has."""
        found = 0
        for name, term in b.entries_of(bag):
            if name == b.CONTENT:
                found |= self._near_to(term)
        return GUESS_SCORE * found.bit_count()

    def _near_to(self, term: str) -> int:
        """Which guesses a term is a slip away from, one bit each."""
        known = self._near.get(term)
        if known is None:
            known = sum(1 << at for at, one in enumerate(self._guesses) if one_slip(one, term))
            self._near[term] = known
        return known


def one_slip(one: str, other: str) -> bool:
    """Whether a letter more, less, other, or swapped with the next makes one of the other."""
    if abs(len(one) - len(other)) > 1:
        return False
    at = next((at for at, (x, y) in enumerate(zip(one, other, strict=False)) if x != y), None)
    if at is None:
        return True
    left, right = one[at:], other[at:]
    if left[1:] == right[1:] or left[1:] == right or left == right[1:]:
        return True
    return left[:2] == right[1::-1] and left[2:] == right[2:]
