import pytest

from crdt.document import text_difference
from crdt.document.text_difference import difference


def test_equal_texts_differ_in_nothing() -> None:
    assert difference("", "") == []
    assert difference("same\n", "same\n") == []


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("", "new", [(0, 0, "new")]),
        ("old", "", [(0, 3, "")]),
        ("abc", "abXc", [(2, 0, "X")]),
        ("aaa", "aa", [(2, 1, "")]),
        ("one two three", "one 2 three", [(4, 3, "2")]),
        ("one two three four", "1 two three 4", [(0, 3, "1"), (14, 4, "4")]),
        ("a\nb\nc\n", "b\nc\nd\n", [(0, 2, ""), (6, 0, "d\n")]),
        ("the cat\nsat here\n", "the dog\nsat there\n", [(4, 3, "dog"), (12, 0, "t")]),
    ],
)
def test_only_what_differs_is_told(old: str, new: str, parts: list[tuple[int, int, str]]) -> None:
    assert [tuple(one) for one in difference(old, new)] == parts


def test_where_too_much_differs_the_middle_is_replaced() -> None:
    old = "begin\n" + "".join(f"{n}\n" for n in range(2_000)) + "end\n"
    new = "begin\n" + "".join(f"{n}\n" for n in range(9_000, 7_000, -1)) + "end\n"
    parts = difference(old, new)
    assert len(parts) == 1
    assert (parts[0].at, parts[0].at + parts[0].length) == (6, len(old) - 5)


def test_what_is_compared_is_bounded_for_all_parts_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(text_difference, "_STEPS_MAX", 30_000)
    old, new = (
        "".join(" ".join(f"{sign}{n}" for n in range(50)) + f"\n{line}\n" for line in range(40))
        for sign in "ab"
    )
    parts = difference(old, new)
    assert 40 < len(parts) < 400
