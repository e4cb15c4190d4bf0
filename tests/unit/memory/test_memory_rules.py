import pytest

from node.limits import Limits
from node.memory.problems import InvalidField
from node.memory.rules import checked


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert checked({"priority": 7.0, "reflection_depth": 2.0}, Limits()) == {
        "priority": 7,
        "reflection_depth": 2,
    }
    assert type(checked({"priority": 7.0}, Limits())["priority"]) is int


@pytest.mark.parametrize("value", [7.5, "7", True, 0, 11, 1e300, -0.0])
def test_what_is_no_whole_number_in_range_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidField, match="priority: expected a whole number from 1 to 10"):
        checked({"priority": value}, Limits())
