"""What a hit must satisfy, said to the index and said in Python.

Law: both forms mean the same; the index decides before anything is ranked, so a limit never
cuts what passes, and what a caller may not see never takes a place among the candidates. A
clause is left out only when no document of the index could fail it. What everybody may read
and what not everybody may lie in two indexes; the second is asked for a reader or not at all.
"""

from collections.abc import Iterable
from typing import Final

import tantivy

from crdt.roles import within
from node.recall import schema as s
from node.recall.values import PUBLIC, Document, Filters

Clause = tuple[tantivy.Occur, tantivy.Query]

_MS_MIN: Final = -(2**62)
_MS_MAX: Final = 2**62


def passes(document: Document, filters: Filters) -> bool:
    """Whether a document satisfies every filter."""
    return (
        may_read(document, filters)
        and (document.expires_ms is None or document.expires_ms > filters.now_ms)
        and filters.namespace in (None, document.namespace)
        and filters.tier in (None, document.tier)
        and filters.agent in (None, document.owner)
        and filters.session in (None, document.session)
        and document.priority >= filters.min_priority
        and filters.tags.issubset(document.tags)
        and (filters.since_ms is None or document.created_ms >= filters.since_ms)
        and (filters.until_ms is None or document.created_ms <= filters.until_ms)
    )


def may_read(document: Document, filters: Filters) -> bool:
    """Whether whoever asks may know of a document, whatever else is asked for."""
    if filters.within is not None and not within(document.namespace, filters.within):
        return False
    if PUBLIC in document.readers:
        return True
    return all(name and name in document.readers for name in lookers(filters))


def lookers(filters: Filters) -> tuple[str, ...]:
    """Whoever must all be able to know of a memory."""
    return (filters.reader,) if filters.as_agent is None else (filters.reader, filters.as_agent)


def clauses(searcher: tantivy.Searcher, schema: tantivy.Schema, filters: Filters) -> list[Clause]:
    """The filters as clauses of a boolean query; none of them adds to a score.

    Without a clause the index may skip what cannot come among the best (block-max WAND, Ding
    and Suel 2011), so those that exclude little are said as what must not be.
    """
    must = list(_equal(schema, filters))
    if filters.within is not None and "*" not in filters.within:
        must.append(_any_of(schema, s.WITHIN, filters.within))
    if filters.since_ms is not None or filters.until_ms is not None:
        least, most = filters.since_ms, filters.until_ms
        must.append(_between(schema, s.CREATED, least, most))
    if filters.min_priority > 1:
        must.append(_between(schema, s.PRIORITY, filters.min_priority, None))
    out = [(tantivy.Occur.Must, tantivy.Query.const_score_query(one, 0.0)) for one in must]
    if not filters.over_too and searcher.doc_freq(s.TRAITS, s.ENDING):
        out.append((tantivy.Occur.MustNot, over(schema, filters.now_ms)))
    return out


def over(schema: tantivy.Schema, now_ms: int) -> tantivy.Query:
    """What ended at or before a moment."""
    return _between(schema, s.EXPIRES, None, now_ms)


def _equal(schema: tantivy.Schema, filters: Filters) -> Iterable[tantivy.Query]:
    pairs = [
        (s.NAMESPACE, filters.namespace),
        (s.TIER, filters.tier),
        (s.OWNER, filters.agent),
        (s.SESSION, filters.session),
        *((s.TAG, tag) for tag in sorted(filters.tags)),
    ]
    return (term(schema, field, value) for field, value in pairs if value is not None)


def reader_clauses(schema: tantivy.Schema, filters: Filters) -> list[Clause] | None:
    """Who must be among the readers of what not everybody may read; None: nothing passes."""
    names = dict.fromkeys(lookers(filters))
    if not all(names) or PUBLIC in names:
        return None
    found = [term(schema, s.READER, name) for name in names]
    if filters.within is not None and "*" not in filters.within:
        found.append(_any_of(schema, s.WITHIN, filters.within))
    return [(tantivy.Occur.Must, tantivy.Query.const_score_query(one, 0.0)) for one in found]


def term(schema: tantivy.Schema, field: str, value: str) -> tantivy.Query:
    """What holds exactly this value in a raw field."""
    return tantivy.Query.term_query(schema, field, value, "basic")


def _any_of(schema: tantivy.Schema, field: str, values: Iterable[str]) -> tantivy.Query:
    found = list(values)
    if len(found) == 1:
        return term(schema, field, found[0])
    return tantivy.Query.term_set_query(schema, field, found)


def _between(
    schema: tantivy.Schema, field: str, least: int | None, most: int | None
) -> tantivy.Query:
    return tantivy.Query.range_query(
        schema,
        field,
        tantivy.FieldType.Integer,
        _MS_MIN if least is None else least,
        _MS_MAX if most is None else most,
    )
