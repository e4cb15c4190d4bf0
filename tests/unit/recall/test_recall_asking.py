"""What a recall may ask, and what it is told when it cannot."""

from typing import Any

import pytest

from node.limits import Limits
from node.memory.problems import InvalidField
from node.recall.asking import read_ask, read_search

LIMITS = Limits()
BAD: list[tuple[dict[str, Any], str]] = [
    ({}, "context"),
    ({"context": ""}, "context"),
    ({"context": " \n"}, "context"),
    ({"context": 5}, "context"),
    ({"context": ["a"]}, "context"),
    ({"context": "c", "limit": -1}, "limit"),
    ({"context": "c", "limit": "many"}, "limit"),
    ({"context": "c", "limit": 1.5}, "limit"),
    ({"context": "c", "limit": True}, "limit"),
    ({"context": "c", "limit": "\u0665"}, "limit"),
    ({"context": "c", "limit": 10**30}, "limit"),
    ({"context": "c", "namespace": "a//b"}, "namespace"),
    ({"context": "c", "namespace": 1}, "namespace"),
    ({"context": "c", "tags": 1}, "tags"),
    ({"context": "c", "tags": [1]}, "tags"),
    ({"context": "c", "since": "yesterday"}, "since"),
    ({"context": "c", "until": 5}, "until"),
    ({"context": "c", "as_agent": "not a name"}, "as_agent"),
    ({"context": "c", "budget_tokens": "x"}, "budget_tokens"),
    ({"context": "c", "budget_tokens": -5}, "budget_tokens"),
    ({"context": "c", "min_score": "high"}, "min_score"),
    ({"context": "c", "min_score": "nan"}, "min_score"),
    ({"context": "c", "min_score": "inf"}, "min_score"),
    ({"context": "c", "min_score": 10**400}, "min_score"),
    ({"context": "c", "min_score": True}, "min_score"),
    ({"context": "c", "min_score": [1]}, "min_score"),
]


@pytest.mark.parametrize(("fields", "name"), BAD)
def test_what_cannot_mean_anything_is_refused_and_named(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read_ask(fields, LIMITS)
    assert str(refused.value).startswith(name)


def test_a_body_and_an_address_mean_the_same() -> None:
    body = {
        "context": "c",
        "limit": 7,
        "tags": ["a", "b"],
        "since": "2026-01-01T00:00:00Z",
        "budget_tokens": 0,
        "min_score": 0.5,
        "unknown": {},
    }
    address = {
        "context": "c",
        "limit": "7",
        "tags": "a,b,",
        "since": "2026-01-01T00:00:00Z",
        "budget_tokens": "0",
        "min_score": "0.5",
        "namespace": "",
    }
    assert read_ask(body, LIMITS) == read_ask(address, LIMITS)


def test_a_limit_above_the_most_is_cut() -> None:
    assert read_ask({"context": "c", "limit": 10**9}, LIMITS).limit == 50
    assert read_ask({"context": "c"}, LIMITS).limit == 10


@pytest.mark.parametrize("text", ["", "  ", "\t"])
def test_a_search_needs_words(text: str) -> None:
    with pytest.raises(InvalidField):
        read_search({"q": text}, LIMITS)
    with pytest.raises(InvalidField):
        read_search({}, LIMITS)
