"""Which form of an answer a client gets, by what it says it takes."""

import pytest

from node.http.media import AUTOMERGE, EVENTS, JSON, liked_best, plain_type

ALL = (JSON, AUTOMERGE, EVENTS)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/html", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("application/*", JSON),
        (AUTOMERGE, AUTOMERGE),
        (AUTOMERGE.upper(), AUTOMERGE),
        (f"{AUTOMERGE};v=1", AUTOMERGE),
        (f"{AUTOMERGE}, */*", AUTOMERGE),
        (f"{AUTOMERGE};q=0.5, {JSON}", JSON),
        (f"{JSON};q=0.5, {AUTOMERGE}", AUTOMERGE),
        (f"{JSON}, {EVENTS}", JSON),
        (f"{EVENTS}, {JSON};q=0", EVENTS),
        (f"*/*, {JSON};q=0", AUTOMERGE),
        (f"*/*, {JSON};q=0, application/*;q=0", EVENTS),
        (f"{AUTOMERGE};q=much", JSON),
        (f"{AUTOMERGE};q=nan", JSON),
        ("text/*", EVENTS),
        (EVENTS, EVENTS),
        (",,;q=1," * 50, JSON),
    ],
)
def test_the_form_is_the_one_liked_best(accept: str | None, form: str) -> None:
    assert liked_best(accept, ALL) == form


def test_what_is_not_offered_is_not_given() -> None:
    assert liked_best(EVENTS, (JSON, AUTOMERGE)) == JSON


def test_a_type_is_read_without_its_parameters() -> None:
    assert plain_type(f" {AUTOMERGE.upper()} ; charset=x") == AUTOMERGE
    assert plain_type(None) == ""
