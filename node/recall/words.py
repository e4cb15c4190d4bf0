"""How recall cuts a text into terms: one analysis for index, overlay and questions.

Law: the same text gives the same terms wherever it is analysed, and nothing in it is an
operator. Runs of letters and digits, lower case, accents folded, no stop words, the Snowball
stemmer for English (Porter, "Snowball: A language for stemming algorithms", 2001). Scripts
that are written without blanks give a term a character. Irregular forms are joined when a
question is asked, not when a text is indexed, so indexing stays in native code.

What a character is to a token depends on that character alone, so a text is cut by putting
blanks where it ends one, and the index only looks for blanks: a third of the time that an
expression over all letters of Unicode takes there.
"""

import functools
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

import tantivy

from node.recall.irregular import GROUPS

ANALYZER: Final = "mnemesh"
"""The name under which the analyser is registered, for the schema."""

TERM_CHARS_MAX: Final = 64
"""Longer runs are no words (encoded data, keys) and are not indexed."""

_ALONE: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_TOKEN: Final = rf"[{_ALONE}]|[[\p{{Alphabetic}}\p{{M}}\p{{N}}]--[{_ALONE}]]+"
_PLAIN: Final = (string.ascii_letters + string.digits).encode()
_CUTS: Final = bytes(
    code if code in _PLAIN or not chr(code).isascii() else ord(" ") for code in range(256)
)
"""Over UTF-8: of ASCII, what is no letter and no digit becomes a blank."""
_WIDE: Final = re.compile(r"[^\x00-\x7f]")
_WIDE_MAX: Final = 32
"""With more different ones than that, a text is cut by the expression."""

STOP_WORDS: Final = """
a about above after again against all am an and any are as at be because been before being
below between both but by can could d did didn do does doesn doing don down during each few
for from further had has have having he her here hers herself him himself his how i if in
into is isn it its itself just ll m me more most my myself no nor not now of off on once only
or other our ours ourselves out over own re s same she should so some such t than that the
their theirs them themselves then there these they this those through to too under until up
ve very was wasn we were what when where which while who whom whose why will with would you
your yours yourself yourselves
"""
"""Words that a question or an answer has whatever it is about."""


def register(index: tantivy.Index) -> None:
    """Make the analyser known to an index; before anything is written to or read from it."""
    index.register_tokenizer(ANALYZER, _analyzer())


def terms(text: str) -> list[str]:
    """The terms of a text, in order, as the index has them."""
    found: list[str] = _analyzer().analyze(cut(text))
    return found


def cut(text: str) -> str:
    """A text as it has to be given to the index: composed (NFKC), with blanks between tokens."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        wide = set(_WIDE.findall(text))
        if len(wide) > _WIDE_MAX:
            return " ".join(_tokenizer().analyze(text))
        for char in wide:
            text = text.replace(char, _cut_char(char))
    return text.encode().translate(_CUTS).decode()


@functools.lru_cache(4096)
def _cut_char(char: str) -> str:
    """A character that is not of ASCII: a part of a word, a token of its own, or a blank."""
    found = _tokenizer().analyze(char + char)
    if not found:
        return " "
    return char if len(found) == 1 else f" {char} "


def asked(text: str) -> dict[str, tuple[str, ...]]:
    """The terms of a question, each once, each with the irregular forms it may stand in."""
    forms = _forms()
    return {term: forms.get(term, ()) for term in dict.fromkeys(terms(text))}


def stems(words: Iterable[str]) -> list[str]:
    """The terms of several words, each once."""
    return list(dict.fromkeys(term for word in words for term in terms(word)))


@functools.cache
def _tokenizer() -> tantivy.TextAnalyzer:
    """What a token is."""
    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.regex(_TOKEN)).build()


@functools.cache
def _analyzer() -> tantivy.TextAnalyzer:
    """What becomes of the tokens of a text that is cut."""
    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
        .filter(tantivy.Filter.remove_long(TERM_CHARS_MAX))
        .filter(tantivy.Filter.lowercase())
        .filter(tantivy.Filter.ascii_fold())
        .filter(tantivy.Filter.custom_stopword(STOP_WORDS.split()))
        .filter(tantivy.Filter.stemmer("english"))
        .build()
    )


@functools.cache
def _forms() -> Mapping[str, tuple[str, ...]]:
    """From a term to the other terms that are forms of the same word."""
    table: dict[str, dict[str, None]] = {}
    for line in GROUPS.split("\n"):
        group = stems(line.split())
        for term in group:
            table.setdefault(term, {}).update(dict.fromkeys(group))
    return {term: tuple(other for other in group if other != term) for term, group in table.items()}
