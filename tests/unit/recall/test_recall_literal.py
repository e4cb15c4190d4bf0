"""What a search finds literally."""

import pytest

from node.recall.literal import has_all, marks, pieces

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
