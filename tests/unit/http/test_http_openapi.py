"""The document of the API says what the table of routes and the table of limits say."""

from typing import Any

import pytest

from node.http.openapi.document import build, name_of
from node.http.openapi.tables import SHAPES
from node.http.routes import Needs, Touches
from node.http.table import TABLE
from node.limits import Limits


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build(TABLE, Limits(), "9.9.9")


def test_every_route_has_one_shape_and_every_shape_its_route() -> None:
    assert {name_of(route) for route in TABLE} == set(SHAPES)


def test_every_reference_points_to_a_component(document: dict[str, Any]) -> None:
    found = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found.add(value["$ref"].rpartition("/")[2])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(document)
    assert found
    assert found <= set(document["components"]["schemas"])


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [one["operationId"] for path in document["paths"].values() for one in path.values()]
    assert len(names) == len(set(names)) > 50


def test_limits_of_the_node_are_those_of_the_document() -> None:
    made = build(TABLE, Limits(title_chars_max=77), "1")
    assert made["components"]["schemas"]["NewMemory"]["properties"]["title"]["maxLength"] == 77


def test_writes_take_a_retry_key_and_say_what_a_full_disk_answers(
    document: dict[str, Any],
) -> None:
    for route in TABLE:
        if SHAPES[name_of(route)].hidden or route.touches is not Touches.WRITES:
            continue
        one = document["paths"][route.path][route.method.lower()]
        assert "507" in one["responses"]
        names = {each["name"] for each in one["parameters"]}
        assert ("Idempotency-Key" in names) == (route.needs is not Needs.PEER)
