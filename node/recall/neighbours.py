"""A memory is worth more beside memories that match: the sentence before often holds the words.

Law: scores only flow from candidates that passed the caller's filters, and only to what every
reader of the candidate may read (see `node.recall.order`). What gets a place by its
neighbours alone is marked with the engine `neighbour`: whoever shows it holds it against the
filters first. Weights are few, round and explained in docs/recall.md.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from node.recall.order import Around, OrderTable, Place, key_of, name_hash, names_in, packed
from node.recall.values import Change, Hit
from node.recall.words import terms

ENGINE: Final = "neighbour"

POOL: Final = 200
"""Candidates that the lexical engine is asked for, whatever the caller's limit: with a hundred
a few answers are missed, with more nothing is won and neighbours take longer."""

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
        for one in self._table.around(flow.idents(), len(SHARES)):
            flow.take(one)
        return flow.ranking({name_hash(term) for term in terms(text)}, limit)


class _Flow:
    """Scores on their way."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._own = {packed(hit.key): hit for hit in hits}
        self._scores = {ident: hit.score for ident, hit in self._own.items()}
        self._marks: dict[bytes, bytes] = {}

    def idents(self) -> list[bytes]:
        """The candidates."""
        return list(self._own)

    def take(self, one: Around) -> None:
        """Let the score of one candidate flow to both sides."""
        score = self._own[one.own.ident].score
        self._marks[one.own.ident] = one.own.marks
        for side in (one.before, one.after):
            for place, share in zip(side, SHARES, strict=False):
                self._give(place, score * share)
        if one.after and one.own.asks:
            self._give(one.after[0], score * ANSWER_SHARE)

    def _give(self, place: Place, score: float) -> None:
        ident = place.ident
        self._marks[ident] = place.marks
        self._scores[ident] = self._scores.get(ident, 0.0) + score

    def ranking(self, named: set[bytes], limit: int) -> list[Hit]:
        """The best of all that has a score; `named` are the names in the question."""
        scores = self._scores
        raised = {
            marks for marks in set(self._marks.values()) if named.intersection(names_in(marks))
        }
        for ident, marks in self._marks.items():
            if marks in raised:
                scores[ident] *= SPEAKER_FACTOR
        best = sorted(scores, key=scores.__getitem__, reverse=True)[:limit]
        return [self._hit(ident, scores[ident]) for ident in best]

    def _hit(self, ident: bytes, score: float) -> Hit:
        own = self._own.get(ident)
        if own is not None:
            return own._replace(score=score)
        key = key_of(ident)
        return Hit(key, key[1:], score, ENGINE)
