"""A question as the lexical index is asked it.

Law: nothing in a question is an operator; it becomes terms, and each term is one thing that a
document may say. Ranking is BM25 per field (Robertson and Zaragoza, "The Probabilistic
Relevance Framework", 2009), summed with the weights below. A term no document has is left
out; a question of which nothing is left matches nothing, and the caller fills up with what is
new. Only documents that the caller may know of decide which terms stand somewhere.

The weights were found on conversations with questions (see docs/recall.md) and rounded; each
may be halved or doubled without losing more than two questions in a hundred.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import tantivy

from node.recall.bag import CONTENT, DATES, SPEAKER, TAGS, TEXTS, TITLE
from node.recall.moments import days_in, spelled
from node.recall.words import asked, terms

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


Wanted = Mapping[str, tuple[str, ...]]
"""The terms of a question, each with the other forms it may stand in."""

Counts = Callable[[str, str], int]
"""How many documents that everybody may read have a term in a field."""

Seen = Callable[[str, str], bool]
"""Whether a document that not everybody may read, but the caller, has a term in a field."""


class Sought(NamedTuple):
    """A term in a field, and how much it counts beside how rare it is."""

    field: str
    term: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a question looks for.

    Attributes:
        sought: terms in fields, whether any document has them or not.
        guesses: words that no document has; contents may have one that is a slip away.
    """

    sought: Sequence[Sought]
    guesses: Sequence[str]


def wanted(text: str) -> Wanted:
    """The terms of a question, each once; its dates as a document says them."""
    out = asked(text)
    for day in days_in(text):
        out.update(dict.fromkeys(terms(spelled(day)), ()))
    return out


def planned(terms_wanted: Wanted, counts: Counts, seen: Seen) -> Plan:
    """What a question looks for among documents.

    Args:
        terms_wanted: of the question, as `wanted` gives them.
        counts: of what everybody may read.
        seen: of what else the caller may know.
    """
    often = {
        term: sum(counts(name, one) for one in (term, *forms) for name in TEXTS)
        for term, forms in terms_wanted.items()
    }
    kept = set(sorted((term for term in often if often[term]), key=often.__getitem__)[:TERMS_MAX])
    strange = [term for term in often if not often[term]][:TERMS_MAX]
    kept.update(
        term
        for term in strange
        if any(seen(name, one) for one in (term, *terms_wanted[term]) for name in TEXTS)
    )
    rows = [(term, terms_wanted[term]) for term in often if term in kept]
    return Plan(
        sought=list(_sought(rows, counts, seen)),
        guesses=list(_guesses(terms_wanted, often, counts, seen)),
    )


def _sought(
    rows: Sequence[tuple[str, tuple[str, ...]]], counts: Counts, seen: Seen
) -> Iterator[Sought]:
    names = {term for term, _ in rows if counts(SPEAKER, term) or seen(SPEAKER, term)}
    only_names = len(names) == len(rows)
    fields = (*WEIGHTS, _SPOKEN_BY) if only_names else WEIGHTS
    for term, forms in rows:
        weight = NAME_WEIGHT if term in names and not only_names else 1.0
        parts = ((term, weight), *((form, weight * FORM_WEIGHT) for form in forms))
        for name, share in fields:
            for form, part in parts:
                yield Sought(name, form, part * share)


def _guesses(
    terms_wanted: Wanted, often: Mapping[str, int], counts: Counts, seen: Seen
) -> Iterator[str]:
    """Terms that no document has, of which one a slip away may be meant (Damerau, 1964)."""
    given = 0
    for term in [one for one in terms_wanted if len(one) >= GUESS_CHARS_MIN and one.isalpha()]:
        if often[term] and any(counts(name, term) for name in TEXTS):
            continue
        if any(seen(name, term) for name in TEXTS):
            continue
        yield term
        given += 1
        if given == GUESSES_MAX:
            return


def query(
    plan: Plan, schema: tantivy.Schema, counts: Counts, rarer: Callable[[str, str], float]
) -> tantivy.Query:
    """The query for what everybody may read, scored by BM25.

    Args:
        plan: what to look for.
        schema: of the index.
        counts: of what everybody may read; what is not there is left out.
        rarer: by how much a term says more or less than the index alone makes of it.
    """
    clauses = [
        _should(schema, one, one.weight * rarer(one.field, one.term))
        for one in plan.sought
        if counts(one.field, one.term)
    ]
    for term in plan.guesses:
        near = tantivy.Query.fuzzy_term_query(schema, CONTENT, term, distance=1)
        clauses.append((tantivy.Occur.Should, tantivy.Query.boost_query(near, GUESS_SCORE)))
    return tantivy.Query.boolean_query(clauses) if clauses else tantivy.Query.empty_query()


def _should(
    schema: tantivy.Schema, one: Sought, weight: float
) -> tuple[tantivy.Occur, tantivy.Query]:
    found = tantivy.Query.term_query(schema, one.field, one.term, index_option="freq")
    if weight != 1.0:
        found = tantivy.Query.boost_query(found, weight)
    return tantivy.Occur.Should, found
