"""How alike two texts are: a number from 0 to 1.

Law: pure and symmetric; 1 for texts that are equal but for case, width and spaces, and for
nothing else. Two views are averaged: shingles of words tell a text that was cut or joined,
shingles of characters one whose words were changed a little. Of each the Dice coefficient is
taken (Dice 1945; Broder, On the resemblance and containment of documents, 1997).
"""

import itertools
import unicodedata
from dataclasses import dataclass
from typing import Final

TEXT_CHARS_MAX: Final = 20_000
"""Of longer texts the beginning is compared; equality is always of the whole."""

_CHARS: Final = 4
_ALMOST: Final = 0.999
_TITLE_WEIGHT: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What of a text is compared."""

    whole: str
    words: frozenset[str]
    chars: frozenset[str]


def shape(text: str) -> Shape:
    """What of a text is compared."""
    whole = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    cut = whole[:TEXT_CHARS_MAX]
    words = cut.split(" ")
    pairs = (f"{one} {other}" for one, other in itertools.pairwise(words))
    padded = f" {cut} "
    places = range(max(1, len(padded) - _CHARS + 1))
    return Shape(
        whole=whole,
        words=frozenset((*words, *pairs)),
        chars=frozenset(padded[place : place + _CHARS] for place in places),
    )


def likeness(one: Shape, other: Shape) -> float:
    """How alike two texts are, 0 to 1."""
    if one.whole == other.whole:
        return 1.0
    found = (_dice(one.words, other.words) + _dice(one.chars, other.chars)) / 2
    return min(found, _ALMOST)


def together(title: float, content: float) -> float:
    """How alike two memories are whose titles and contents are so alike."""
    return _TITLE_WEIGHT * title + (1 - _TITLE_WEIGHT) * content


def _dice(one: frozenset[str], other: frozenset[str]) -> float:
    return 2 * len(one & other) / (len(one) + len(other))
