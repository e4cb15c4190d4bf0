"""Words as they stand: what a search finds literally, whatever characters it is made of.

Law: nothing in a searched text is an operator. A piece of the question (what stands between
blanks) is present where the same characters stand in a title, a content or a tag, in either
case, and where it does not begin or end inside a longer word. Every text is cut into marks:
its runs of letters and digits, and each other character by itself; a text that holds a piece
holds all marks of that piece, so an index over marks misses none.
"""

import re
import string
from collections.abc import Iterable
from typing import Final

from node.recall.values import Document
from node.recall.words import STOP_WORDS, TERM_CHARS_MAX

MARK_CHARS_MAX: Final = 64
"""Longer words are known by their first characters."""

_ALONE: Final = (
    "\u2e80-\u2fdf\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Scripts written without blanks: every character is a word."""

_MARKS: Final = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+|\S")
_PLAIN: Final = (string.ascii_letters + string.digits).encode()
_WORDS_OF_ASCII: Final = bytes(
    ord(chr(code).lower()) if code in _PLAIN else ord(" ") for code in range(256)
)
_WORDS_AND_BLANKS: Final = _PLAIN + b" \t\n\r\v\f\x1c\x1d\x1e\x1f"
_STOP_WORDS: Final = frozenset(STOP_WORDS.split())
_WORD_END: Final = re.compile(rf"[^\W_{_ALONE}]")
_RUN: Final = re.compile(rf"[^\W_{_ALONE}]+")
_RUN_OVER: Final = re.compile(rf"[\W_{_ALONE}]")


def marks(text: str) -> set[str]:
    """The marks of a text."""
    if text.isascii():  # the same in a sixth of the time
        data = text.encode()
        found = set(data.translate(_WORDS_OF_ASCII).decode().split())
        found.update(data.translate(None, _WORDS_AND_BLANKS).decode())
    else:
        found = set(_MARKS.findall(text.casefold()))
    if found and max(map(len, found)) > MARK_CHARS_MAX:
        return {mark[:MARK_CHARS_MAX] for mark in found}
    return found


def pieces(text: str) -> list[str]:
    """What stands between blanks, folded, each once."""
    return list(dict.fromkeys(text.casefold().split()))


def marks_of(document: Document) -> set[str]:
    """The marks of everything a search looks at."""
    return marks(" ".join(_texts(document)))


def untold(document: Document) -> str:
    """The marks, with blanks between them, that no term tells; see `node.recall.told`."""
    text = " ".join(_texts(document))
    if not text.isascii():
        return " ".join(marks(text))
    data = text.encode()
    words = data.translate(_WORDS_OF_ASCII)
    found: list[str] = [*set(data.translate(None, _WORDS_AND_BLANKS).decode())]
    cut = words.decode().split()
    found += _STOP_WORDS.intersection(cut)
    if _has_long(words):
        found += {word[:MARK_CHARS_MAX] for word in cut if len(word) >= TERM_CHARS_MAX}
    return " ".join(found)


def _has_long(words: bytes) -> bool:
    """Whether there is a word that is too long for a term, of words with blanks around them."""
    at, last = 0, len(words) - TERM_CHARS_MAX
    while at <= last:
        blank = words.rfind(b" ", at, at + TERM_CHARS_MAX)
        if blank < 0:
            return True
        at = blank + 1
    return False


def has_all(texts: Iterable[str], wanted: Iterable[str]) -> bool:
    """Whether each piece stands in at least one of the texts."""
    folded = [text.casefold() for text in texts]
    missing = dict.fromkeys(wanted)
    for text in folded:
        # Most pieces are one word, and all words of a text are told in one pass over it.
        words = {piece for piece in missing if piece in text and _RUN.fullmatch(piece)}
        found = words.intersection(_RUN.findall(text)) if words else words
        missing = {piece: None for piece in missing if piece not in found}
    return all(
        not _RUN.fullmatch(piece) and any(_stands_in(piece, text) for text in folded)
        for piece in missing
    )


def document_has_all(document: Document, wanted: Iterable[str]) -> bool:
    """The same of a document."""
    return has_all(_texts(document), wanted)


def _texts(document: Document) -> tuple[str, ...]:
    return (document.title, document.content, *document.tags)


def _stands_in(piece: str, text: str) -> bool:
    """Whether a piece is there, not as a part of a longer word."""
    at = text.find(piece)
    while at >= 0:
        end = at + len(piece)
        starts = at == 0 or not (_is_word(piece[0]) and _is_word(text[at - 1]))
        ends = end == len(text) or not (_is_word(piece[-1]) and _is_word(text[end]))
        if starts and ends:
            return True
        after = at + 1
        if _is_word(piece[0]):  # it begins where a word begins, so not in the rest of this one
            over = _RUN_OVER.search(text, at)
            after = len(text) if over is None else over.start()
        at = text.find(piece, after)
    return False


def _is_word(char: str) -> bool:
    return _WORD_END.match(char) is not None
