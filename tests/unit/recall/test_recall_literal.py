"""What a search finds literally."""

import random
import time

import pytest

from node.recall import told
from node.recall.lexical import Lexical
from node.recall.literal import has_all, marks, marks_of, pieces
from node.recall.schema import build_schema, keys_at
from node.recall.values import Change, Document

FOUND = (
    ("C++", "I like C++ a lot"),
    ("c++", "C++"),
    ("foo.bar", "call foo.bar() now"),
    ('"quoted', 'it says "quoted words"'),
    ("AND", "this and that"),
    ("memories;--", "DROP TABLE memories;--"),
    ("\u6771\u4eac", "\u79c1\u306f\u6771\u4eac\u306b\u4f4f\u3080"),
    ("a/b", "see a/b."),
    ("STRASSE", "stra\u00dfe"),
    ("zero\u200bwidth", "x zero\u200bwidth y"),
    ("\U0001f680", "off\U0001f680we go"),
    ("snake_case", "a snake_case name"),
)
NOT_FOUND = (
    ("art", "a party"),
    ("run", "running"),
    ("foo-bar", "foo bar"),
    ("C++", "C and D"),
    ('"quoted"', "quoted"),
    ("zerowidth", "zero\u200bwidth"),
    ("two words", "two of them, words apart x"[:10]),
)


@pytest.mark.parametrize(("wanted", "text"), FOUND)
def test_what_stands_there_is_found_and_all_its_marks_are(wanted: str, text: str) -> None:
    assert has_all([text], pieces(wanted))
    assert marks(wanted) <= marks(text)


@pytest.mark.parametrize(("wanted", "text"), NOT_FOUND)
def test_what_does_not_stand_there_is_not(wanted: str, text: str) -> None:
    assert not has_all([text], pieces(wanted))


def test_pieces_may_stand_in_different_texts() -> None:
    assert has_all(["one", "two"], pieces("two one"))
    assert not has_all(["one", "two"], pieces("two three"))


def test_words_that_are_too_long_to_be_marks_are_known_by_their_beginning() -> None:
    assert marks("x" * 100) == {"x" * 64}
    assert not has_all(["x" * 100], pieces("x" * 99))


def test_marks_of_plain_text_are_those_of_the_expression() -> None:
    drawn = random.Random(31)
    for _ in range(5_000):
        text = "".join(chr(drawn.randrange(0x80)) for _ in range(drawn.randrange(20)))
        assert marks(text) | {"\u00b0"} == marks(text + " \u00b0"), ascii(text)


def drawn_text(chance: random.Random) -> str:
    words = ("The", "whom", "running", "ran", "x" * 63, "Y" * 64, "z" * 90, "c++", "a_b", "don't")
    odd = ("stra\u00dfe", "\u6771\u4eac", "\u0130x", "\ufb01ne", "e\u0301t\u00e9")
    text = " ".join(chance.choices(words, k=6))
    return f"{text} {chance.choice(odd)}" if chance.random() < 0.3 else text


def test_what_an_index_is_not_told_by_marks_it_is_told_by_terms() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance, schema, lexical = random.Random(seed), build_schema(), Lexical(None)
    held = {}
    for number in range(60):
        title, content, tag = (drawn_text(chance) for _ in range(3))
        one = Document(f"dm{number}", f"m{number}", "n", "o", title, content, (tag,))
        held[one.key] = one
    lexical.take(Change(key, one) for key, one in held.items())
    lexical.flush()
    searcher = lexical._shown.open
    for mark in sorted(set().union(*map(marks_of, held.values()))):
        found = searcher.search(told.holding(schema, mark), limit=len(held)).hits
        right = {key for key, one in held.items() if mark in marks_of(one)}
        assert right <= set(keys_at(searcher, [place for _, place in found])), mark


def slowly(piece: str, text: str) -> bool:
    """What the law says of one piece, place by place."""

    def inside(char: str) -> bool:
        return char.isalnum() and not "\u4e00" <= char <= "\u9fff"

    places = (at for at in range(len(text)) if text.startswith(piece, at))
    for at in places:
        end = at + len(piece)
        starts = at == 0 or not (inside(piece[0]) and inside(text[at - 1]))
        ends = end == len(text) or not (inside(piece[-1]) and inside(text[end]))
        if starts and ends:
            return True
    return False


def test_one_pass_over_all_words_says_the_same_as_looking_at_every_place() -> None:
    chars = "aab-_ \u4e2d"
    drawn = random.Random(11)
    for _ in range(20_000):
        text = "".join(drawn.choices(chars, k=drawn.randrange(12)))
        piece = "".join(drawn.choices(chars.replace(" ", ""), k=drawn.randrange(1, 4)))
        assert has_all([text], [piece]) is slowly(piece, text), (text, piece)


def test_many_beginnings_of_one_long_word_cost_no_more_than_the_text() -> None:
    text = " ".join("a" * length for length in range(200, 1400))
    began = time.perf_counter()
    assert not has_all([text], ["a" * length for length in range(1, 100)])
    assert not has_all([text + "-"], ["a" * length + "-" for length in range(1, 100)])
    assert time.perf_counter() - began < 5.0
