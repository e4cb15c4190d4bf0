"""The shape of the lexical index, and a document in that shape.

Law: texts are analysed by the one analyser of recall and keep no positions; filters are raw
terms and numbers, so every filter is decided inside the index. A key is kept twice: as a term,
to find what is to be replaced, and as what a hit is told by: two numbers when its id is a UUID,
as reading those costs a tenth of reading what is stored, else stored bytes. What not everybody
may read also says, per reader, which words it has, so that what a reader may know of is counted
and found without a look at what others keep to themselves.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

import tantivy

from node.recall.bag import (
    CONTENT,
    DATES,
    SPEAKER,
    TAGS,
    TEXTS,
    TITLE,
    bag_of,
    cut_texts_of,
    entries_of,
    lengths_in,
)
from node.recall.literal import marks_of, untold
from node.recall.values import PUBLIC, Document
from node.recall.words import ANALYZER, register

VERSION: Final = 3
"""Raised with every change of fields or analysis; an index of another version starts over."""

_LETTERS: Final = {TITLE: "t", CONTENT: "c", TAGS: "g", SPEAKER: "s", DATES: "d"}

KEY, MARKS, NAMESPACE, WITHIN, READER = "key", "marks", "namespace", "within", "reader"
TAG, TIER, OWNER, SESSION, TRAITS = "tag", "tier", "owner", "session", "traits"
_RAW: Final = (NAMESPACE, WITHIN, READER, TAG, TIER, OWNER, SESSION, TRAITS)

CREATED, EXPIRES, PRIORITY = "created", "expires", "priority"
_NUMBERS: Final = (CREATED, EXPIRES, PRIORITY)

FORM, HIGH, LOW, KEPT = "form", "high", "low", "kept"
WORDS, BAG, WORTH, AGE = "words", "bag", "worth", "age"
"""Of what not everybody may read: its words by reader, and those with which it is scored; a
factor that is near to what its length makes of a score; when it was made, told apart further."""

_STORED_FORM: Final = 0
_FORMS: Final = ("", "d", "p")
_FORM_OF: Final = {lane: form for form, lane in enumerate(_FORMS) if lane}
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

EVERY, ENDING = "every", "ending"
"""Traits: of each document; of those that expire."""

_WHITESPACE: Final = "marks"
_HALF: Final = 64
_LOW_BITS: Final = (1 << _HALF) - 1
_NAME_BYTES: Final = 9
_AGE_BITS: Final = 10
_AGE_MS_MAX: Final = 2**51
_WORTH_SCALE: Final = 8.0
_WORTH_WORDS: Final = 20
_TIE: Final = 1e-4


def build_schema() -> tantivy.Schema:
    """The fields of the index."""
    builder = tantivy.SchemaBuilder()
    for name in TEXTS:
        builder.add_text_field(name, tokenizer_name=ANALYZER, index_option="freq")
    builder.add_text_field(MARKS, tokenizer_name=_WHITESPACE, index_option="basic")
    builder.add_text_field(KEY, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field(KEPT, stored=True)
    for name in _RAW:
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic")
    for name in _NUMBERS:
        builder.add_integer_field(name, indexed=True, fast=True)
    for name in (FORM, HIGH, LOW):
        builder.add_unsigned_field(name, fast=True)
    builder.add_text_field(WORDS, tokenizer_name=_WHITESPACE, index_option="basic")
    builder.add_bytes_field(BAG, stored=True)
    builder.add_float_field(WORTH, fast=True)
    builder.add_integer_field(AGE, fast=True)
    return builder.build()


def register_all(index: tantivy.Index) -> None:
    """Make the analysers known to an index."""
    register(index)
    blanks = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()
    index.register_tokenizer(_WHITESPACE, blanks)


def indexed(document: Document) -> tantivy.Document:
    """A document as the index takes it."""
    out = tantivy.Document()
    if hidden(document):
        _add_own(out, document)
        out.add_text(MARKS, " ".join(marks_of(document)))
    else:
        for name, text in cut_texts_of(document):
            out.add_text(name, text)
        out.add_text(MARKS, untold(document))
    out.add_text(KEY, document.key)
    _add_filters(out, document)
    form, high, low = key_numbers(document.key)
    out.add_unsigned(FORM, form)
    if form == _STORED_FORM:
        out.add_bytes(KEPT, document.key.encode())
    else:
        out.add_unsigned(HIGH, high)
        out.add_unsigned(LOW, low)
    return out


def _add_filters(out: tantivy.Document, document: Document) -> None:
    out.add_text(NAMESPACE, document.namespace)
    for tree in subtrees(document.namespace):
        out.add_text(WITHIN, tree)
    if hidden(document):
        for reader in document.readers:
            out.add_text(READER, reader)
    for tag in document.tags:
        out.add_text(TAG, tag)
    out.add_text(TIER, document.tier)
    out.add_text(OWNER, document.owner)
    if document.session:
        out.add_text(SESSION, document.session)
    out.add_text(TRAITS, EVERY)
    out.add_integer(CREATED, document.created_ms)
    out.add_integer(PRIORITY, document.priority)
    if document.expires_ms is not None:
        out.add_text(TRAITS, ENDING)
        out.add_integer(EXPIRES, document.expires_ms)


def hidden(document: Document) -> bool:
    """Whether not everybody may read it."""
    return document.readers != (PUBLIC,)


def _add_own(out: tantivy.Document, document: Document) -> None:
    """The words of what not everybody may read, and what orders it beside others."""
    bag = bag_of(document)
    entries = list(entries_of(bag))
    out.add_text(WORDS, " ".join(own_words(document.readers, entries)))
    out.add_bytes(BAG, bag)
    drawn = int.from_bytes(blake2b(document.key.encode(), digest_size=4).digest())
    length = lengths_in(bag)[TEXTS.index(CONTENT)]
    near = 1 / (1 + length / _WORTH_WORDS) + _TIE * drawn / 2**32
    out.add_float(WORTH, 2 ** (1 + _WORTH_SCALE * near) - 2)  # the index takes log2(2 + worth)
    made = max(-_AGE_MS_MAX, min(document.created_ms, _AGE_MS_MAX))
    out.add_integer(AGE, (made << _AGE_BITS) + (drawn >> (32 - _AGE_BITS)))


def own_words(readers: Sequence[str], entries: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The words (field, term) of documents as the index has them for their readers."""
    for reader in readers:
        mark = reader_mark(reader)
        for name, term in entries:
            yield own_word(mark, name, term)


def own_word(mark: str, name: str, term: str) -> str:
    """A term in a field, of the reader with a mark."""
    return f"{mark}{_LETTERS[name]}{term}"


def reader_mark(reader: str) -> str:
    """What stands before the words of a reader."""
    return blake2b(reader.encode(), digest_size=_NAME_BYTES).hexdigest()


def made_ms(age: int) -> int:
    """When a document was made, by its `AGE`."""
    return age >> _AGE_BITS


@functools.lru_cache(1024)
def subtrees(namespace: str) -> tuple[str, ...]:
    """A namespace and everything above it."""
    parts = namespace.split("/")
    return tuple(["/".join(parts[:count]) for count in range(1, len(parts) + 1)])


def key_numbers(key: str) -> tuple[int, int, int]:
    """A key as numbers; the first is 0 when it cannot be told by numbers."""
    form = _FORM_OF.get(key[:1])
    if form is None or _UUID.fullmatch(key, 1) is None:
        return _STORED_FORM, 0, 0
    number = int(key[1:].replace("-", ""), 16)
    return form, number >> _HALF, number & _LOW_BITS


def keys_at(searcher: tantivy.Searcher, places: Sequence[tantivy.DocAddress]) -> list[str]:
    """The keys of documents, in the same order."""
    wanted = list(places)
    forms = searcher.fast_field_values(FORM, wanted)
    highs = searcher.fast_field_values(HIGH, wanted)
    lows = searcher.fast_field_values(LOW, wanted)
    out = []
    for place, form, high, low in zip(wanted, forms, highs, lows, strict=True):
        if not form or high is None or low is None:
            out.append(bytes(searcher.doc(place).get_first(KEPT) or b"").decode())
        else:
            out.append(_FORMS[int(form)] + _uuid_text(int(high), int(low)))
    return out


def _uuid_text(high: int, low: int) -> str:
    """As `str` of a UUID gives it, in a third of the time."""
    left, right = f"{high:016x}", f"{low:016x}"
    return f"{left[:8]}-{left[8:12]}-{left[12:]}-{right[:4]}-{right[4:]}"
