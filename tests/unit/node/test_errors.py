"""The tree of errors: codes for scripts, words for people."""

import re
from collections.abc import Iterator

from node import errors


def tree(kind: type[errors.NodeError]) -> Iterator[type[errors.NodeError]]:
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from tree(child)


def test_a_message_says_what_why_and_what_to_do() -> None:
    error = errors.Refused("it is locked", why="somebody else runs", fix="Stop it")
    assert str(error) == "it is locked: somebody else runs. Stop it."
    assert str(errors.NodeError("it broke")) == "it broke."
    assert error.facts()["exit_code"] == 4


def test_a_full_stop_is_neither_doubled_nor_eaten() -> None:
    assert str(errors.NodeError("it broke.", fix="Mend it.")) == "it broke. Mend it."
    assert str(errors.NodeError("a segment cannot be ..")) == "a segment cannot be .."
    assert str(errors.NodeError("no", why="it is ...", fix="Go")) == "no: it is ... Go."


def test_codes_are_stable_words_and_unique() -> None:
    kinds = [kind for kind in tree(errors.NodeError) if kind is not errors.WriteError]
    codes = [kind.code for kind in kinds]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch("[a-z_]+", code) for code in codes)


def test_a_shortfall_is_indefinite_and_carries_its_receipt() -> None:
    error = errors.QuorumNotMet("receipt", reason="timeout", got=1, needed=2)
    assert (error.exit_code, error.http_status, error.code) == (3, 503, "quorum_not_met")
    assert error.indefinite
    assert error.receipt == "receipt"
    assert "1 of 2" in str(error)


def test_the_drawing_names_every_class() -> None:
    drawn = (errors.__doc__ or "").replace("\n", " ")
    for kind in tree(errors.NodeError):
        assert re.search(rf"\b{kind.__name__}\b", drawn), kind.__name__
