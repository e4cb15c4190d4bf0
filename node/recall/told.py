"""Which marks of a text its terms tell, so that the index keeps each word once.

Law: a search misses nothing. In a text of ASCII alone a word that is no stop word and not too
long is a term of the field it stands in, and its term is a function of the word; so whatever
holds the word has that term, and only the other marks are kept beside the terms. Where a text
is not of ASCII alone, all of its marks are kept. A question asks for both: the mark, or the
term. That a term is there does not say which of its words is: whoever searches looks.
"""

import functools
from typing import Final

import tantivy

from node.recall import schema as s
from node.recall.bag import CONTENT, TAGS, TITLE
from node.recall.filters import term
from node.recall.words import terms

_TELLING: Final = (TITLE, CONTENT, TAGS)
_SHOULD: Final = tantivy.Occur.Should


def holding(schema: tantivy.Schema, mark: str) -> tantivy.Query:
    """What may hold a mark, of what everybody may read."""
    kept = term(schema, s.MARKS, mark)
    told = term_of(mark)
    if told is None:
        return kept
    fields = [(_SHOULD, term(schema, name, told)) for name in _TELLING]
    return tantivy.Query.boolean_query([(_SHOULD, kept), *fields])


@functools.lru_cache(1024)
def term_of(mark: str) -> str | None:
    """The term that tells a mark; None where it is kept itself."""
    if not (mark.isascii() and mark.isalnum()):
        return None
    found = terms(mark)
    return found[0] if found else None
