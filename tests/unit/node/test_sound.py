"""What of a record is read, whatever a member wrote into it."""

from typing import Any

import pytest

from crdt.fields import number
from crdt.op import Kind
from crdt.view import NothingPending
from node.memory.times import MS_MAX, format_ms
from node.replication.sound import MS_MIN, is_json, view
from tests.unit.crdt.rig import dot
from tests.unit.crdt.test_record import after, op


def values_of(**fields: Any) -> dict[str, Any]:
    """The values of a record that one operation made."""
    seen = view(after(op(Kind.CREATE, dot(), set=fields)), NothingPending())
    assert seen is not None
    return seen.values


@pytest.mark.parametrize(
    ("name", "sound", "odd"),
    [
        ("title", ["", "text"], [None, 5, b"\xff", ["x"]]),
        ("expires_at", [0, 5, 2**63 - 1], [-1, 2**63, True, 1.0, "5", None]),
        ("archived_at", [0, 5], [-1, 2**63, True, "text", {}]),
        ("created_at", [MS_MIN, -1, 5], [MS_MIN - 1, 2**63, True, None]),
        ("metadata", [{}, {"a": {"b": [1]}}], [[], "x", {"a": b"\xff"}, {"a": [[b"\xff"]]}]),
        ("citations", [[], ["x"]], [{}, [b"\xff"], "x"]),
        ("grants", [], [5, [5], {"a": 1}, "alice"]),
        ("priority", [1, 10], [0, 11, True, 5.0, "5"]),
        ("confidence", [0, 1, 0.5], [2, -0.1, True, "1"]),
        ("tier", ["short", "long"], ["", "ever", None, 5, ["mid"]]),
        ("of_tomorrow", [None, 5, "x", {"a": 1}, [True]], [b"\xff", [b"\xff"], {"a": b"\xff"}]),
    ],
)
def test_what_has_not_the_shape_of_its_field_was_never_given(
    name: str, sound: list[Any], odd: list[Any]
) -> None:
    for value in sound:
        assert values_of(**{name: value, "source": "x"}) == {name: value, "source": "x"}
    for value in odd:
        assert values_of(**{name: value, "source": "x"}) == {"source": "x"}, value


def test_what_json_can_say() -> None:
    assert is_json({"a": [1, {"b": None}], "c": True})
    assert not is_json({"a": [1, {"b": b"x"}]})
    assert not is_json(b"x")


def test_moments_beyond_what_text_can_say_are_cut() -> None:
    assert format_ms(-(2**62)) == format_ms(MS_MIN) == "0001-01-01T00:00:00.000Z"
    assert format_ms(2**62) == format_ms(MS_MAX)


def test_revisions_and_counters_of_no_honest_size_count_nothing() -> None:
    for value in (2**53 + 1, -(2**53) - 1, 2**64 - 1, 1e308, float("inf"), True, "5", None):
        assert number(value) == 0
    assert [number(value) for value in (0, 5, 2.5, -(2**53))] == [0, 5, 2.5, -(2**53)]
