"""The words of one document in a few bytes, as much of them as a score asks for.

Law: what stands here is what the index would have of the same document: the same terms, each
as often, and lengths as coarse. Whatever is scored beside the index is scored from this.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from typing import Final

from node.recall.moments import date_words, speaker_of
from node.recall.values import Document
from node.recall.words import cut, terms

TITLE, CONTENT, TAGS, SPEAKER, DATES = "title", "content", "tags", "speaker", "dates"
TEXTS: Final = (TITLE, CONTENT, TAGS, SPEAKER, DATES)
"""Analysed by `node.recall.words.ANALYZER`; ranking reads these."""

_LENGTHS: Final = struct.Struct(f">{len(TEXTS)}I")
_OFTEN_BYTES: Final = 2
_OFTEN_MAX: Final = 2 ** (8 * _OFTEN_BYTES) - 1
_EXACT_MAX: Final = 40
_EXACT_LESS: Final = 24
_EXACT_BITS: Final = 4


def texts_of(document: Document) -> Iterator[tuple[str, str]]:
    """The texts that ranking reads, by field."""
    yield TITLE, document.title
    yield CONTENT, document.content
    yield TAGS, " ".join(document.tags)
    yield SPEAKER, speaker_of(document)
    yield DATES, date_words(document)


def cut_texts_of(document: Document) -> Iterator[tuple[str, str]]:
    """The same, as they are given to the index."""
    for name, text in texts_of(document):
        if text:
            yield name, cut(text)


def bag_of(document: Document) -> bytes:
    """The words of a document; may be called from any thread."""
    found = {name: terms(text) for name, text in texts_of(document)}
    parts = [_LENGTHS.pack(*(coarse(len(found[name])) for name in TEXTS))]
    for number, name in enumerate(TEXTS):
        for term, often in Counter(found[name]).items():
            parts += (_entry(number, term), min(often, _OFTEN_MAX).to_bytes(_OFTEN_BYTES))
    return b"".join((*parts, b"\n"))


def coarse(length: int) -> int:
    """A length as the index keeps it in a byte: exact when short, then four bits of it."""
    if length < _EXACT_MAX:
        return length
    rest = length - _EXACT_LESS
    shift = rest.bit_length() - _EXACT_BITS
    return (rest >> shift << shift) + _EXACT_LESS


def lengths_in(bag: bytes) -> tuple[int, ...]:
    """How long the texts are, in the order of `TEXTS`."""
    return _LENGTHS.unpack_from(bag)


def sign_of(name: str, term: str) -> bytes:
    """What stands in a bag before the two bytes that say how often a field has a term."""
    return _entry(TEXTS.index(name), term)


def entries_of(bag: bytes) -> Iterator[tuple[str, str]]:
    """Each field and term of a bag, once."""
    at = _LENGTHS.size
    while at + 1 < len(bag):
        end = bag.index(b"\t", at)
        yield TEXTS[bag[at + 1] - _FIRST], bag[at + 2 : end].decode()
        at = end + 1 + _OFTEN_BYTES


_FIRST: Final = ord("0")


def _entry(number: int, term: str) -> bytes:
    """Terms are letters and digits alone, so no other text begins and ends like this."""
    return b"\n" + bytes((_FIRST + number,)) + term.encode() + b"\t"
