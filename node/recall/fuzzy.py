"""Hashed character n-grams as a vector: likeness of spelling, without a model.

Law: this is called fuzzy and never semantic: it knows nothing of meaning. It finds words that
were misspelt, inflected or joined otherwise, in any script. The same text gives the same
vector on every machine (feature hashing with a sign: Weinberger et al., "Feature Hashing for
Large Scale Multitask Learning", ICML 2009), of length 1, or 0 where a text has no letters.
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from node.recall.words import STOP_WORDS

if TYPE_CHECKING:
    import numpy as np

DIMENSIONS: Final = 512
GRAM_CHARS: Final = (3, 4)
TEXT_CHARS_MAX: Final = 20_000
"""Of a longer text the beginning alone counts."""

_SIGN: Final = 1 << 31
_WORD: Final = re.compile(r"\w+")
_STOPS: Final = frozenset(STOP_WORDS.split())


class HashedGrams:
    """An `Embedder` of `node.recall.embeddings` that needs nothing."""

    name: Final = "fuzzy"
    identity: Final = f"grams {GRAM_CHARS} {DIMENSIONS}"
    distant: Final = False

    def embed(self, texts: Sequence[str], seconds: float | None = None) -> "np.ndarray":
        """One row of float32 a text."""
        import numpy as np  # noqa: PLC0415 - an optional extra, wanted only here

        del seconds
        rows = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for gram, count in Counter(_grams(text)).items():
                hashed = zlib.crc32(gram.encode())
                weight = 1.0 + np.log(count)
                row[hashed % DIMENSIONS] += weight if hashed & _SIGN else -weight
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths == 0, 1, lengths)


def _grams(text: str) -> Iterator[str]:
    folded = unicodedata.normalize("NFKD", text[:TEXT_CHARS_MAX].casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    for word in _WORD.findall(plain):
        if word in _STOPS:
            continue
        marked = f"<{word}>"
        for chars in GRAM_CHARS:
            for at in range(max(len(marked) - chars + 1, 1)):
                yield marked[at : at + chars]
