"""How alike texts are: laws of the measure, and what it must tell apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.lifecycle.likeness import TEXT_CHARS_MAX, likeness, shape


def alike(one: str, other: str) -> float:
    return likeness(shape(one), shape(other))


@given(st.text(max_size=200), st.text(max_size=200))
def test_it_is_symmetric_bounded_and_one_for_itself(one: str, other: str) -> None:
    assert alike(one, one) == 1.0
    assert 0 <= alike(one, other) <= 1
    assert alike(one, other) == alike(other, one)


def test_case_width_and_spaces_do_not_count() -> None:
    assert alike("The  Fox\n", "the fox") == 1.0
    assert alike("\uff46\uff4f\uff58", "fox") == 1.0


def test_nothing_else_is_the_same() -> None:
    long = "word " * TEXT_CHARS_MAX
    assert alike(long + "a", long + "b") < 1.0
    assert alike("a b", "b a") < 1.0


@pytest.mark.parametrize(
    ("near", "far"),
    [
        ("the deploy fails on fridays at noon", "cats like warm windows"),
        ("the deploy failed on friday", "the weather is fine"),
        ("deploy fails on fridays", "dogs bark"),
    ],
)
def test_what_is_near_is_nearer_than_what_is_not(near: str, far: str) -> None:
    text = "the deploy fails on fridays"
    assert alike(text, near) > 0.5 > alike(text, far)
