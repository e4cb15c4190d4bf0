"""A question as the lexical index is asked it.

Law: nothing in a question is an operator; it becomes terms, and each term is one thing that a
document may say. Ranking is BM25 per field (Robertson and Zaragoza, "The Probabilistic
Relevance Framework", 2009), summed with the weights below. A term no document has is left
out; a question of which nothing is left matches nothing, and the caller fills up with what is
new.

The weights were found on conversations with questions (see docs/recall.md) and rounded; each
may be halved or doubled without losing more than two questions in a hundred.
"""

from collections.abc import Iterator
from typing import Final

import tantivy

from node.recall.moments import days_in, spelled
from node.recall.words import asked, terms

TITLE, CONTENT, TAGS, SPEAKER, DATES = "title", "content", "tags", "speaker", "dates"

WEIGHTS: Final = ((CONTENT, 1.0), (TITLE, 1.0), (TAGS, 0.5), (DATES, 0.75))
_SPOKEN_BY: Final = (SPEAKER, 1.0)
"""Asked only by a question that is nothing but names."""

FORM_WEIGHT: Final = 0.7
"""Of another form of the word that was asked for."""

NAME_WEIGHT: Final = 0.3
"""Of the name of somebody who speaks: it stands in greetings more often than in answers, and
what that person said is raised by `node.recall.neighbours`."""

GUESS_SCORE: Final = 4.0
"""Of each word that may have been meant: less than a rare word that was written right."""

GUESS_CHARS_MIN: Final = 4
GUESSES_MAX: Final = 4
TERMS_MAX: Final = 32
"""The rarest terms of a long question; the others would move little and cost as much."""


def build(
    text: str, schema: tantivy.Schema, *, searcher: tantivy.Searcher | None = None
) -> tantivy.Query:
    """The query for a question.

    Args:
        text: the question.
        schema: of the index, with the fields named above.
        searcher: where terms are counted; without, nothing is left out and nobody is a speaker.
    """
    wanted = asked(text)
    for day in days_in(text):
        wanted.update(dict.fromkeys(terms(spelled(day)), ()))
    counts = _Counts(searcher)
    clauses = [*_clauses(wanted, schema, counts), *_guesses(wanted, schema, counts)]
    return tantivy.Query.boolean_query(clauses) if clauses else tantivy.Query.empty_query()


class _Counts:
    """In how many documents a term stands."""

    def __init__(self, searcher: tantivy.Searcher | None) -> None:
        self._searcher = searcher

    def of(self, field: str, term: str) -> int:
        return 1 if self._searcher is None else self._searcher.doc_freq(field, term)

    def anywhere(self, term: str) -> int:
        return sum(self.of(field, term) for field, _ in (*WEIGHTS, _SPOKEN_BY))

    def speaks(self, term: str) -> bool:
        return self._searcher is not None and self._searcher.doc_freq(SPEAKER, term) > 0


def _clauses(
    wanted: dict[str, tuple[str, ...]], schema: tantivy.Schema, counts: _Counts
) -> Iterator[tuple[tantivy.Occur, tantivy.Query]]:
    rows = _rarest(wanted, counts)
    names = {term for term, _ in rows if counts.speaks(term)}
    only_names = len(names) == len(rows)
    fields = (*WEIGHTS, _SPOKEN_BY) if only_names else WEIGHTS
    for term, forms in rows:
        weight = NAME_WEIGHT if term in names and not only_names else 1.0
        parts = ((term, weight), *((form, weight * FORM_WEIGHT) for form in forms))
        for field, share in fields:
            for form, part in parts:
                if counts.of(field, form):
                    yield _should(schema, field, form, part * share)


def _guesses(
    wanted: dict[str, tuple[str, ...]], schema: tantivy.Schema, counts: _Counts
) -> Iterator[tuple[tantivy.Occur, tantivy.Query]]:
    """Words one slip away from a term that no document has (Damerau, 1964)."""
    unknown = [
        term
        for term in wanted
        if len(term) >= GUESS_CHARS_MIN and not counts.anywhere(term) and term.isalpha()
    ]
    for term in unknown[:GUESSES_MAX]:
        query = tantivy.Query.fuzzy_term_query(schema, CONTENT, term, distance=1)
        yield tantivy.Occur.Should, tantivy.Query.boost_query(query, GUESS_SCORE)


def _rarest(
    wanted: dict[str, tuple[str, ...]], counts: _Counts
) -> list[tuple[str, tuple[str, ...]]]:
    """What stands in some document, at most `TERMS_MAX` terms, in the order of the question."""
    found = {
        term: often
        for term, forms in wanted.items()
        if (often := sum(map(counts.anywhere, (term, *forms))))
    }
    kept = set(sorted(found, key=found.__getitem__)[:TERMS_MAX])
    return [(term, wanted[term]) for term in found if term in kept]


def _should(
    schema: tantivy.Schema, field: str, term: str, weight: float
) -> tuple[tantivy.Occur, tantivy.Query]:
    query = tantivy.Query.term_query(schema, field, term, index_option="freq")
    if weight != 1.0:
        query = tantivy.Query.boost_query(query, weight)
    return tantivy.Occur.Should, query
