"""What a hook says, and what is made of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.hooks.verdict import REASON_CHARS_MAX, Outcome, of_exit, of_status


@pytest.mark.parametrize(
    ("code", "said", "outcome", "reason"),
    [
        (0, b"", Outcome.OK, ""),
        (0, b'{"reason": "no"}', Outcome.OK, ""),
        (1, b"not on Sundays\nsecond line\n", Outcome.REFUSED, "not on Sundays"),
        (1, b'{"reason": "not on Sundays"}', Outcome.REFUSED, "not on Sundays"),
        (1, b'{"items": {"2": "too long"}}', Outcome.REFUSED, "some of the items are refused"),
        (1, b"\x1b[31mred\x07", Outcome.REFUSED, "[31mred"),
        (1, b"", Outcome.FAILED, ""),
        (1, b"   \n", Outcome.FAILED, ""),
        (1, b"{}", Outcome.FAILED, ""),
        (1, b'{"items": {"' + b"9" * 5000 + b'": "too long to be a place"}}', Outcome.FAILED, ""),
        (2, b"usage", Outcome.FAILED, ""),
        (127, b"", Outcome.FAILED, ""),
        (-9, b"no", Outcome.FAILED, ""),
    ],
)
def test_an_exit_code_and_words_are_a_verdict(
    code: int, said: bytes, outcome: Outcome, reason: str
) -> None:
    verdict = of_exit(code, said)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert bool(verdict.why) == (outcome is Outcome.FAILED)


@pytest.mark.parametrize(
    ("status", "said", "outcome"),
    [
        (200, b"", Outcome.OK),
        (204, b"", Outcome.OK),
        (403, b"no", Outcome.REFUSED),
        (403, b"", Outcome.FAILED),
        (302, b"no", Outcome.FAILED),
        (500, b"no", Outcome.FAILED),
        (0, b"", Outcome.FAILED),
    ],
)
def test_a_status_and_words_are_a_verdict(status: int, said: bytes, outcome: Outcome) -> None:
    assert of_status(status, said, "").outcome is outcome


def test_items_are_read_by_their_places() -> None:
    verdict = of_exit(1, b'{"items": {"0": "a", "17": 4, "-1": "x", "one": "y"}, "reason": 7}')
    assert verdict.items == {0: "a", 17: "4"}


@given(st.integers(-64, 255), st.binary(max_size=400))
def test_whatever_is_said_only_a_one_with_words_refuses(code: int, said: bytes) -> None:
    verdict = of_exit(code, said)
    assert (verdict.outcome is Outcome.OK) == (code == 0)
    if verdict.outcome is Outcome.REFUSED:
        assert code == 1
        assert 0 < len(verdict.reason) <= REASON_CHARS_MAX
        assert verdict.reason.isprintable()
