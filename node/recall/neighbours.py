"""A memory is worth more beside memories that match: the sentence before often holds the words.

Law: scores only flow from candidates that passed the caller's filters, and only to what every
reader of the candidate may read (see `node.recall.order`). What gets a place by its
neighbours alone is marked with the engine `neighbour`: whoever shows it holds it against the
filters first. Weights are few, round and explained in docs/recall.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from node.recall.order import NAME_BYTES, Around, OrderTable, Place, name_hash
from node.recall.values import Change, Hit
from node.recall.words import terms

ENGINE: Final = "neighbour"

POOL: Final = 300
"""Candidates that the lexical engine is asked for, whatever the caller's limit: a hundred lose
half a question in a hundred, a thousand win nothing."""

SHARES: Final = (0.25, 0.15)
"""Of the score of the memory next to it, and of the one after that, on both sides."""

ANSWER_SHARE: Final = 0.35
"""Further of the score of a question that stands directly before: an answer repeats little."""

SPEAKER_FACTOR: Final = 1.75
"""Of what is said by somebody whom the question names."""


class Neighbours:
    """Spreads scores along conversations.

    Args:
        folder: where the order of memories lies, made when it is not there.

    Raises:
        ValueError: what lies there cannot be read by this version.
    """

    def __init__(self, folder: Path) -> None:
        self._table = OrderTable(folder)
        self._waiting: dict[str, Change] = {}

    @property
    def fresh(self) -> bool:
        """Whether the order begins empty and has to be fed from the beginning."""
        return self._table.fresh

    def take(self, changes: Iterable[Change]) -> None:
        """Learn of changes; they count after the next `flush`."""
        self._waiting.update((change.key, change) for change in changes)

    def flush(self) -> None:
        """Put what was taken on the disk.

        Raises:
            OSError, lmdb.Error: the disk does not take it; the next flush tries again.
        """
        waiting = dict(self._waiting)
        if waiting:
            self._table.write(waiting.values())
        for key, change in waiting.items():
            if self._waiting.get(key) is change:
                del self._waiting[key]

    def clear(self) -> None:
        """Forget everything."""
        self._waiting.clear()
        self._table.clear()

    def close(self) -> None:
        """Close the order; nobody may be asking."""
        self._table.close()

    def spread(self, hits: Sequence[Hit], text: str, limit: int) -> list[Hit]:
        """The hits, and what stands beside them, by what they say and where they stand.

        Args:
            hits: candidates of one engine, each once, with scores above 0.
            text: the question.
            limit: the most that is wanted; more than in the end, as some may not pass filters.

        Returns:
            Hits, best first; equal scores in the order of the candidates.
        """
        flow = _Flow(hits)
        for one in self._table.around([hit.key for hit in hits], len(SHARES)):
            flow.take(one)
        return flow.ranking({name_hash(term) for term in terms(text)})[:limit]


class _Flow:
    """Scores on their way."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._own = {hit.key: hit for hit in hits}
        self._scores = {hit.key: hit.score for hit in hits}
        self._places: dict[str, Place] = {}

    def take(self, one: Around) -> None:
        """Let the score of one candidate flow to both sides."""
        score = self._own[one.own.key].score
        self._places[one.own.key] = one.own
        for side in (one.before, one.after):
            for place, share in zip(side, SHARES, strict=False):
                self._give(place, score * share)
        if one.own.asks and one.after:
            self._give(one.after[0], score * ANSWER_SHARE)

    def _give(self, place: Place, score: float) -> None:
        self._places[place.key] = place
        self._scores[place.key] = self._scores.get(place.key, 0.0) + score

    def ranking(self, named: set[bytes]) -> list[Hit]:
        """All that has a score, best first; `named` are the names in the question."""
        factors = {
            names: SPEAKER_FACTOR if any(name in named for name in _each(names)) else 1.0
            for names in {place.names for place in self._places.values()}
        }
        found = []
        for key, score in self._scores.items():
            place = self._places.get(key)
            factor = 1.0 if place is None else factors[place.names]
            found.append(Hit(key, key[1:], score * factor, self._engine_of(key)))
        found.sort(key=lambda hit: -hit.score)
        return found

    def _engine_of(self, key: str) -> str:
        own = self._own.get(key)
        return ENGINE if own is None else own.engine


def _each(names: bytes) -> Iterator[bytes]:
    for at in range(0, len(names), NAME_BYTES):
        yield names[at : at + NAME_BYTES]
