"""Arguments of a call: what is taken as meant, and what is refused."""

from typing import Any

import pytest

from node.mcp import schema as a
from node.mcp.arguments import BadArguments, checked, fault
from node.mcp.tool import Route, Tool

TOOL = Tool(
    name="probe",
    family="core",
    says="Probes.",
    takes={
        "title": a.text("Title.", maxLength=5),
        "limit": a.limit(10, 50),
        "tags": a.texts("Tags.", 1, 3),
        "deep": a.truth("Deep."),
        "facts": a.anything("Facts."),
        "kind": a.choice("Kind.", "one", "two"),
        "until": {"type": ["string", "null"], "description": "Until."},
    },
    needs=("title",),
    run=Route("GET", "/memories"),
)
TAKER = Tool(
    name="taker",
    family="core",
    says="Takes away.",
    takes={"namespace": a.NAMESPACE, "pattern": a.text("Text.")},
    destroys=True,
    run=Route("POST", "/forget"),
)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ({"limit": "7"}, {"limit": 7}),
        ({"tags": "a, b,"}, {"tags": ["a", "b"]}),
        ({"tags": '["a,b"]'}, {"tags": ["a,b"]}),
        ({"deep": "true"}, {"deep": True}),
        ({"facts": '{"a": 1}'}, {"facts": {"a": 1}}),
        ({"title": "5"}, {"title": "5"}),
        ({"until": None}, {"until": None}),
        ({"unknown": 1}, {}),
    ],
)
def test_what_can_mean_one_thing_is_taken_as_meant(
    given: dict[str, Any], taken: dict[str, Any]
) -> None:
    assert checked(TOOL, {"title": "t", **given}) == {"title": "t", **taken}


@pytest.mark.parametrize(
    ("given", "argument", "words"),
    [
        ({}, "title", "is missing; probe needs title"),
        ({"title": None}, "title", "is missing"),
        ({"title": 5}, "title", "is 5, expected string"),
        ({"title": "longer"}, "title", "has 6 characters, at most 5"),
        ({"limit": 0}, "limit", "expected a number from 1 to 50"),
        ({"limit": 51}, "limit", "expected a number from 1 to 50"),
        ({"limit": 1.5}, "limit", "is 1.5, expected integer"),
        ({"limit": True}, "limit", "is true, expected integer"),
        ({"limit": "many"}, "limit", 'is "many", expected integer'),
        ({"tags": []}, "tags", "has 0 items, at least 1"),
        ({"tags": ["a", 2]}, "tags", "item 1 is 2, expected string"),
        ({"tags": list("abcd")}, "tags", "has 4 items, at most 3"),
        ({"deep": 1}, "deep", "is 1, expected boolean"),
        ({"facts": []}, "facts", "is [], expected object"),
        ({"kind": "three"}, "kind", 'is "three", expected one of one, two'),
    ],
)
def test_anything_else_is_refused_by_name(given: dict[str, Any], argument: str, words: str) -> None:
    body = given if "title" in given or not given else {"title": "t", **given}
    with pytest.raises(BadArguments) as refused:
        checked(TOOL, body)
    assert refused.value.argument == argument
    assert words in str(refused.value)


def test_a_misspelt_filter_does_not_widen_what_is_taken_away() -> None:
    with pytest.raises(BadArguments, match="did you mean namespace") as refused:
        checked(TAKER, {"pattern": "x", "namspace": "mine"})
    assert refused.value.argument == "namspace"


def test_objects_are_held_to_their_schema_all_the_way_down() -> None:
    schema = {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "all": a.texts("All.")},
            "required": ["name", "all"],
        },
    }
    assert fault(schema, [{"name": "a", "all": []}]) is None
    assert fault(schema, [{"name": "a"}]) == "item 0 lacks all"
    assert fault(schema, [{"name": "a", "all": [1]}]) == "item 0 all item 0 is 1, expected string"


def test_what_is_shown_of_a_wrong_value_is_short() -> None:
    problem = fault({"type": "integer"}, "x" * 10_000)
    assert problem is not None
    assert len(problem) < 120
