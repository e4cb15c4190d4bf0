"""Memories of about 1 KB that read like text: drawn from a seed, none like another.

Law: the same seed and number give the same memory on any machine. Words are as frequent as in
a language (Zipf), frequent ones are short, and letters follow each other as syllables do, so
that what compresses or indexes text gains here what it would gain on real text, not more.
"""

import itertools
import random
from bisect import bisect_left
from typing import Any, Final

from node.recall.words import STOP_WORDS

_WORDS: Final = 50_000
_SPACES: Final = 50
_TURNS: Final = 20
_TITLE_WORDS: Final = (3, 7)
_SENTENCE_WORDS: Final = (5, 18)
_TAGS: Final = ("plan", "bug", "idea", "review", "meeting", "budget", "release", "travel")
_ONSETS: Final = [*"bcdfghlmnprstvw", "st", "tr", "pr", "br", "ch", "sh", "th", "pl", "gr"]
_VOWELS: Final = ["a", "e", "i", "o", "u", "e", "a", "i", "ea", "ou", "ai"]
_CODAS: Final = ["", "", "", "n", "r", "s", "t", "l", "d", "nd", "st", "ng"]
_STARTS: Final = 1 << 18


def vocabulary(seed: int, words: int = _WORDS) -> list[str]:
    """So many words, the most frequent first: those that say nothing, then short, then long."""
    drawn = random.Random(seed)
    made = dict.fromkeys(STOP_WORDS.split())
    for rank in itertools.count():
        if len(made) >= words:
            return list(made)[:words]
        longest = 2 if rank < words // 50 else 3 if rank < words // 4 else 4
        made["".join(_syllable(drawn) for _ in range(drawn.randint(1, longest)))] = None
    raise AssertionError


def _syllable(drawn: random.Random) -> str:
    return f"{drawn.choice(_ONSETS)}{drawn.choice(_VOWELS)}{drawn.choice(_CODAS)}"


class Texts:
    """Memories by number.

    Args:
        seed: of everything.
        content_bytes: about how long their contents are.
    """

    def __init__(self, seed: int, content_bytes: int = 1024) -> None:
        self._seed = seed
        self._content_bytes = content_bytes
        words = vocabulary(seed)
        weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
        # One drawing per word, prepared: a million memories are 160 million of them.
        step = weights[-1] / _STARTS
        places = (bisect_left(weights, (n + 0.5) * step) for n in range(_STARTS))
        self._drawn = [words[place] for place in places]
        random.Random(seed + 1).shuffle(self._drawn)

    def memory(self, number: int) -> dict[str, Any]:
        """The memory of this number, as it is sent."""
        drawn = random.Random(self._seed << 32 | number)
        sessions = number // _TURNS
        return {
            "id": ident(number),
            "title": " ".join(self._words(drawn, *_TITLE_WORDS)),
            "content": self._content(drawn),
            "tags": drawn.sample(_TAGS, drawn.randint(0, 3)),
            "namespace": f"space-{sessions % _SPACES}",
            "metadata": {"session_id": f"s{sessions}"},
        }

    def memories(self, first: int, count: int) -> list[dict[str, Any]]:
        """So many in a row."""
        return [self.memory(number) for number in range(first, first + count)]

    def question(self, number: int) -> str:
        """Words to ask for."""
        return " ".join(self._words(random.Random(self._seed << 33 | number), 5, 12))

    def _words(self, drawn: random.Random, least: int, most: int) -> list[str]:
        at, step = drawn.randrange(_STARTS), drawn.randrange(1, _STARTS, 2)
        count = drawn.randint(least, most)
        # An odd step through a power of two meets every place once: no two texts run alike.
        return [self._drawn[(at + n * step) % _STARTS] for n in range(count)]

    def _content(self, drawn: random.Random) -> str:
        sentences: list[str] = []
        length = 0
        wanted = self._content_bytes * drawn.uniform(0.8, 1.2)
        while length < wanted:
            sentence = " ".join(self._words(drawn, *_SENTENCE_WORDS)).capitalize() + "."
            sentences.append(sentence)
            length += len(sentence) + 1
        return " ".join(sentences)


def ident(number: int) -> str:
    """The id of a memory."""
    return f"drawn-{number:08d}"
