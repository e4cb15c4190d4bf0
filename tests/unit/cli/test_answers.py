"""What an answer of a node is to a script and to people: its exit code, and what to do."""

import pytest

from node.cli.client import Answer, explain
from node.errors import Exit


def answered(status: int, **data: object) -> Answer:
    return Answer(status=status, headers={}, data=data)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (answered(409, error="refused", detail="the only member"), Exit.REFUSED),
        (answered(409, error="idempotency_key_reused"), Exit.ERROR),
        (answered(503, error="quorum_not_met", got=1, needed=2), Exit.QUORUM),
        (answered(503, error="joining"), Exit.ERROR),
        (answered(403, error="denied"), Exit.REFUSED),
    ],
)
def test_the_exit_code_is_that_of_the_error(answer: Answer, code: Exit) -> None:
    assert explain(answer).exit_code == code


def test_a_write_that_one_disk_holds_is_told_otherwise_than_one_that_was_never_made() -> None:
    short = str(explain(answered(503, error="quorum_not_met", got=1, needed=2, reason="timeout")))
    assert "1 of 2 needed members hold the write" in short
    assert "stored on this node" in short
    never = str(explain(answered(503, error="quorum_not_met", got=0, needed=2, reason="away")))
    assert "Nothing was changed" in never
    assert "stored" not in never
