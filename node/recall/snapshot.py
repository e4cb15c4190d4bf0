"""The index as it was at one moment, asked for one caller.

Law: what everybody may read is ranked by its index. What not everybody may read is only
looked for among what the caller may know of: words choose candidates, by how much the words
say and how long the text is, and each is then scored as the first index would score it. How
many others there are, and what they say, changes no score, no order and no number.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import tantivy

from node.recall import lexical_query as q
from node.recall import schema as s
from node.recall import told
from node.recall.bag import CONTENT
from node.recall.document import id_of
from node.recall.figures import Figures, Scorer, number_of, rarity
from node.recall.filters import Clause, clauses, reader_clauses, term
from node.recall.literal import marks
from node.recall.values import Filters, Hit

NAME: Final = "lexical"
Fresh = Collection[tuple[str, str]]
_MUST, _SHOULD = tantivy.Occur.Must, tantivy.Occur.Should


class Shown(NamedTuple):
    """What readers see, both indexes of one moment."""

    open: tantivy.Searcher
    hidden: tantivy.Searcher
    figures: Figures


class Own:
    """What not everybody may read, but one caller: how much there is, and with which words."""

    def __init__(
        self, searcher: tantivy.Searcher, schema: tantivy.Schema, filters: Filters
    ) -> None:
        self._searcher = searcher
        self._schema = schema
        self._mark = s.reader_mark(filters.reader)
        self._counts: dict[tuple[str, str], int] = {}
        visible = reader_clauses(schema, filters)
        some = visible is not None and searcher.doc_freq(s.READER, filters.reader)
        self.clauses: list[Clause] | None = visible if some else None
        """What it must satisfy; None when there is none."""
        self.documents = self._number([])

    def count(self, name: str, word: str) -> int:
        """How many have a term in a field."""
        if self.clauses is None:
            return 0
        known = self._counts.get((name, word))
        if known is None:
            token = s.own_word(self._mark, name, word)
            held = self._searcher.doc_freq(s.WORDS, token)
            known = self._number([(_MUST, term(self._schema, s.WORDS, token))]) if held else 0
            self._counts[name, word] = known
        return known

    def words(self, asked: "Asked") -> tantivy.Query:
        """What has a word of a question, by how much its words say."""
        parts = []
        if self.clauses is None:
            return tantivy.Query.empty_query()
        for one in asked.plan.sought:
            found = term(self._schema, s.WORDS, s.own_word(self._mark, one.field, one.term))
            said = one.weight * asked.weight(one.field, one.term)
            parts.append((_SHOULD, tantivy.Query.const_score_query(found, said)))
        for guess in asked.plan.guesses:
            token = s.own_word(self._mark, CONTENT, guess)
            found = tantivy.Query.fuzzy_term_query(self._schema, s.WORDS, token, distance=1)
            parts.append((_SHOULD, tantivy.Query.const_score_query(found, q.GUESS_SCORE)))
        return tantivy.Query.boolean_query(parts) if parts else tantivy.Query.empty_query()

    def _number(self, parts: list[Clause]) -> int:
        if self.clauses is None:
            return 0
        query = tantivy.Query.boolean_query([*parts, *self.clauses])
        return number_of(self._searcher, query)


class Asked:
    """One question of one caller.

    Attributes:
        plan: what it looks for.
        filters: what hits must satisfy.
        own: what not everybody may read, but the caller.
    """

    def __init__(
        self, wanted: q.Wanted, filters: Filters, own: Own, figures: Figures, fresh: Fresh
    ) -> None:
        self.filters = filters
        self.own = own
        self.figures = figures
        self.plan = q.planned(
            wanted,
            figures.count,
            lambda name, word: (name, word) in fresh or own.count(name, word) > 0,
        )
        self._scorer: Scorer | None = None

    def weight(self, name: str, word: str) -> float:
        """How much a term in a field says to the caller."""
        figures, own = self.figures, self.own
        holding = figures.count(name, word) + own.count(name, word)
        return rarity(holding, figures.documents + own.documents)

    def rarer(self, name: str, word: str) -> float:
        """The same, as a multiple of what the index of everybody's makes of it."""
        return self.weight(name, word) / self.figures.indexed(name, word)

    def score(self, bag: bytes) -> float:
        """What the index would make of a document with these words."""
        if self._scorer is None:
            self._scorer = Scorer(self.plan, self.weight, self.figures.mean)
        return self._scorer.score(bag)


class Snapshot:
    """The index as it was when it was taken; any thread may ask."""

    def __init__(self, shown: Shown, schema: tantivy.Schema) -> None:
        self._shown = shown
        self._schema = schema

    def asked(self, wanted: q.Wanted, filters: Filters, fresh: Fresh = frozenset()) -> Asked:
        """A question, to be asked here.

        Args:
            wanted: its terms.
            filters: what hits must satisfy.
            fresh: terms in fields that stand in what is not indexed yet and the caller may see.
        """
        own = Own(self._shown.hidden, self._schema, filters)
        return Asked(wanted, filters, own, self._shown.figures, fresh)

    def find(self, text: str, filters: Filters, limit: int) -> Sequence[Hit]:
        """See `Lexical.find`."""
        return self.best(self.asked(q.wanted(text), filters), limit)

    def best(self, asked: Asked, limit: int) -> list[Hit]:
        """The best documents by their words that pass all filters, best first."""
        found = self._ranked([(_MUST, self._words(asked))], asked, limit, 0)
        own = self._own(asked, [(_MUST, asked.own.words(asked))], limit + limit // 4, 0)
        if own:
            found += (hit for hit in own if hit.score > 0)
            found.sort(key=lambda hit: -hit.score)
        return found[:limit]

    def newest(self, filters: Filters, limit: int, offset: int = 0) -> list[tuple[str, int]]:
        """See `Lexical.newest`; those after the first `offset`."""
        if limit <= 0:
            return []
        own = Own(self._shown.hidden, self._schema, filters).clauses
        if own is None:
            return self._newest(filters, limit, offset)
        parts = [*own, *clauses(self._shown.hidden, self._schema, filters)]
        searcher, most = self._shown.hidden, offset + limit
        query = tantivy.Query.boolean_query(parts)
        hits = searcher.search(query, limit=most, count=False, order_by_field=s.AGE).hits
        keys = s.keys_at(searcher, [place for _, place in hits])
        found = [(key, s.made_ms(int(age))) for key, (age, _) in zip(keys, hits, strict=True)]
        both = [*self._newest(filters, most, 0), *found]
        both.sort(key=lambda one: -one[1])
        return both[offset:most]

    def _newest(self, filters: Filters, limit: int, offset: int) -> list[tuple[str, int]]:
        searcher = self._shown.open
        parts = [(_MUST, tantivy.Query.all_query()), *clauses(searcher, self._schema, filters)]
        query = tantivy.Query.boolean_query(parts)
        found = searcher.search(
            query, limit=limit, count=False, order_by_field=s.CREATED, offset=offset
        ).hits
        keys = s.keys_at(searcher, [place for _, place in found])
        return [(key, int(ms)) for key, (ms, _) in zip(keys, found, strict=True)]

    def holding(self, text: str, asked: Asked, limit: int, offset: int) -> list[Hit]:
        """What everybody may read and holds every mark of a text, the best by its words first.

        That their marks are all there says not yet that the text is: whoever asks looks.
        """
        held = [told.holding(self._schema, mark) for mark in sorted(marks(text))]
        parts = [*_all_of(held), (_SHOULD, self._words(asked))]
        return self._ranked(parts, asked, limit, offset)

    def own_holding(self, text: str, asked: Asked, limit: int, offset: int) -> list[Hit]:
        """The same of what not everybody may read, but the caller."""
        held = [term(self._schema, s.MARKS, mark) for mark in sorted(marks(text))]
        parts = [*_all_of(held), (_SHOULD, asked.own.words(asked))]
        return self._own(asked, parts, limit, offset)

    def allowed(self, keys: Sequence[str], filters: Filters) -> set[str]:
        """Those of some keys whose documents pass all filters."""
        if not keys:
            return set()
        own = Own(self._shown.hidden, self._schema, filters).clauses
        out = self._among(self._shown.open, keys, filters, [])
        return out if own is None else out | self._among(self._shown.hidden, keys, filters, own)

    def _among(
        self, searcher: tantivy.Searcher, keys: Sequence[str], filters: Filters, more: list[Clause]
    ) -> set[str]:
        these = tantivy.Query.term_set_query(self._schema, s.KEY, list(keys))
        parts = [(_MUST, these), *more, *clauses(searcher, self._schema, filters)]
        query = tantivy.Query.boolean_query(parts)
        found = searcher.search(query, limit=len(keys), count=False).hits
        return set(s.keys_at(searcher, [place for _, place in found]))

    def _words(self, asked: Asked) -> tantivy.Query:
        return q.query(asked.plan, self._schema, asked.figures.count, asked.rarer)

    def _ranked(self, parts: list[Clause], asked: Asked, limit: int, offset: int) -> list[Hit]:
        """Of what everybody may read."""
        searcher = self._shown.open
        parts = [*parts, *clauses(searcher, self._schema, asked.filters)]
        alone = len(parts) == 1 and parts[0][0] == _MUST
        query = parts[0][1] if alone else tantivy.Query.boolean_query(parts)
        found = searcher.search(query, limit=limit, count=False, offset=offset).hits
        keys = s.keys_at(searcher, [place for _, place in found])
        return [
            Hit(key, id_of(key), float(score), NAME)
            for key, (score, _) in zip(keys, found, strict=True)
        ]

    def _own(self, asked: Asked, parts: list[Clause], limit: int, offset: int) -> list[Hit]:
        """Of what not everybody may read."""
        own, searcher = asked.own.clauses, self._shown.hidden
        if own is None:
            return []
        parts = [*parts, *own, *clauses(searcher, self._schema, asked.filters)]
        query = tantivy.Query.boolean_query(parts)
        found = searcher.search(
            query, limit=limit, count=False, offset=offset, weight_by_field=s.WORTH
        ).hits
        places = [place for _, place in found]
        out = []
        for key, place in zip(s.keys_at(searcher, places), places, strict=True):
            bag = bytes(searcher.doc(place).get_first(s.BAG) or b"")
            out.append(Hit(key, id_of(key), asked.score(bag), NAME))
        out.sort(key=lambda hit: (-hit.score, hit.key))
        return out


def _all_of(queries: Sequence[tantivy.Query]) -> list[Clause]:
    return [(_MUST, tantivy.Query.const_score_query(one, 0.0)) for one in queries]
