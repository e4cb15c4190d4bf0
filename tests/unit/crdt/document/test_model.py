"""What changes consist of: names are in the order of what happened, errors say what is wrong."""

import pytest

from crdt.document.model import (
    MAKES,
    Action,
    ChangeError,
    DocumentLimits,
    DocumentTooLargeError,
    MissingChangesError,
    OpId,
    ScalarKind,
)


def test_names_are_ordered_by_counter_and_then_by_actor() -> None:
    assert OpId(1, b"z") < OpId(2, b"a") < OpId(2, b"aa") < OpId(2, b"b")


def test_numbers_are_those_of_the_format() -> None:
    assert [action.value for action in Action] == list(range(8))
    assert [kind.value for kind in ScalarKind] == list(range(10))
    assert {action.name for action in MAKES} == {"MAKE_MAP", "MAKE_LIST", "MAKE_TEXT", "MAKE_TABLE"}


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ""), (5, " and 2 more")])
def test_what_is_missing_is_named_but_not_without_end(count: int, more: str) -> None:
    missing = tuple(bytes([number]) * 32 for number in range(count))
    error = MissingChangesError(missing)
    assert error.missing == missing
    assert str(error).endswith(f"{missing[min(count, 3) - 1].hex()}{more}")
    assert isinstance(error, ChangeError)


def test_a_bound_that_is_passed_is_told_with_both_numbers() -> None:
    most = DocumentLimits().changes_max
    error = DocumentTooLargeError("changes_max", most, most + 1)
    assert (error.bound, error.most, error.got) == ("changes_max", most, most + 1)
    assert str(error) == f"changes_max: {most + 1} is more than {most}"
    assert isinstance(error, ValueError)
