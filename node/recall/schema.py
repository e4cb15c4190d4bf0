"""The shape of the lexical index, and a document in that shape.

Law: texts are analysed by the one analyser of recall and keep no positions; filters are raw
terms and numbers, so every filter is decided inside the index. A key is kept twice: as a term,
to find what is to be replaced, and, when its id is a UUID, as two numbers, because reading
numbers of a hit costs a tenth of reading its stored text.
"""

import uuid
from collections.abc import Sequence
from typing import Final

import tantivy

from node.recall.literal import marks_of
from node.recall.moments import date_words, speaker_of
from node.recall.values import PUBLIC, Document
from node.recall.words import ANALYZER, composed, register

VERSION: Final = 1
"""Raised with every change of fields or analysis; an index of another version starts over."""

TITLE, CONTENT, TAGS, SPEAKER, DATES = "title", "content", "tags", "speaker", "dates"
TEXTS: Final = (TITLE, CONTENT, TAGS, SPEAKER, DATES)
"""Analysed by `node.recall.words.ANALYZER`; ranking reads these."""

KEY, MARKS, NAMESPACE, WITHIN, READER = "key", "marks", "namespace", "within", "reader"
TAG, TIER, OWNER, SESSION, TRAITS = "tag", "tier", "owner", "session", "traits"
_RAW: Final = (NAMESPACE, WITHIN, READER, TAG, TIER, OWNER, SESSION, TRAITS)

CREATED, EXPIRES, PRIORITY = "created", "expires", "priority"
_NUMBERS: Final = (CREATED, EXPIRES, PRIORITY)

FORM, HIGH, LOW = "form", "high", "low"
_STORED_FORM: Final = 0
_FORMS: Final = ("", "d", "p")

EVERY, HIDDEN, ENDING = "every", "hidden", "ending"
"""Traits: of each document; of those not everybody may read; of those that expire."""

_WHITESPACE: Final = "marks"
_HALF: Final = 64
_LOW_BITS: Final = (1 << _HALF) - 1


def build_schema() -> tantivy.Schema:
    """The fields of the index."""
    builder = tantivy.SchemaBuilder()
    for name in TEXTS:
        builder.add_text_field(name, tokenizer_name=ANALYZER, index_option="freq")
    builder.add_text_field(MARKS, tokenizer_name=_WHITESPACE, index_option="basic")
    builder.add_text_field(KEY, stored=True, tokenizer_name="raw", index_option="basic")
    for name in _RAW:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in _NUMBERS:
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in (FORM, HIGH, LOW):
        builder.add_unsigned_field(name, fast=True)
    return builder.build()


def register_all(index: tantivy.Index) -> None:
    """Make the analysers known to an index."""
    register(index)
    blanks = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(_WHITESPACE, blanks)


def indexed(document: Document) -> tantivy.Document:
    """A document as the index takes it."""
    out = tantivy.Document()
    out.add_text(TITLE, composed(document.title))
    out.add_text(CONTENT, composed(document.content))
    out.add_text(TAGS, composed(" ".join(document.tags)))
    out.add_text(SPEAKER, composed(speaker_of(document)))
    out.add_text(DATES, date_words(document))
    out.add_text(MARKS, " ".join(marks_of(document)))
    out.add_text(KEY, document.key)
    _add_filters(out, document)
    form, high, low = key_numbers(document.key)
    out.add_unsigned(FORM, form)
    out.add_unsigned(HIGH, high)
    out.add_unsigned(LOW, low)
    return out


def _add_filters(out: tantivy.Document, document: Document) -> None:
    out.add_text(NAMESPACE, document.namespace)
    for tree in subtrees(document.namespace):
        out.add_text(WITHIN, tree)
    for reader in document.readers:
        out.add_text(READER, reader)
    for tag in document.tags:
        out.add_text(TAG, tag)
    out.add_text(TIER, document.tier)
    out.add_text(OWNER, document.owner)
    if document.session:
        out.add_text(SESSION, document.session)
    out.add_text(TRAITS, EVERY)
    if document.readers != (PUBLIC,):
        out.add_text(TRAITS, HIDDEN)
    out.add_integer(CREATED, document.created_ms)
    out.add_integer(PRIORITY, document.priority)
    if document.expires_ms is not None:
        out.add_text(TRAITS, ENDING)
        out.add_integer(EXPIRES, document.expires_ms)


def subtrees(namespace: str) -> list[str]:
    """A namespace and everything above it."""
    parts = namespace.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def key_numbers(key: str) -> tuple[int, int, int]:
    """A key as numbers; the first is 0 when it cannot be told by numbers."""
    lane, ident = key[:1], key[1:]
    try:
        number = uuid.UUID(ident)
    except ValueError:
        return _STORED_FORM, 0, 0
    if str(number) != ident or lane not in _FORMS:
        return _STORED_FORM, 0, 0
    return _FORMS.index(lane), number.int >> _HALF, number.int & _LOW_BITS


def keys_at(searcher: tantivy.Searcher, places: Sequence[tantivy.DocAddress]) -> list[str]:
    """The keys of documents, in the same order."""
    wanted = list(places)
    forms = searcher.fast_field_values(FORM, wanted)
    highs = searcher.fast_field_values(HIGH, wanted)
    lows = searcher.fast_field_values(LOW, wanted)
    out = []
    for place, form, high, low in zip(wanted, forms, highs, lows, strict=True):
        if not form or high is None or low is None:
            out.append(str(searcher.doc(place).get_first(KEY)))
        else:
            out.append(_FORMS[int(form)] + _uuid_text(int(high), int(low)))
    return out


def _uuid_text(high: int, low: int) -> str:
    """As `str` of a UUID gives it, in a third of the time."""
    left, right = f"{high:016x}", f"{low:016x}"
    return f"{left[:8]}-{left[8:12]}-{left[12:]}-{right[:4]}-{right[4:]}"
