"""Items of a LangGraph store as memories, and what its filters mean, against its own store."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.store.memory import InMemoryStore

from node.client.errors import BadArgument, BrokenAnswer
from node.client.langgraph import MnemeshStore
from node.client.langgraph_items import (
    body_of,
    facts_of,
    fields_of,
    is_cut,
    item_id,
    labels_of,
    life_to_renew,
    matches,
    passes_filter,
    prefix_tag,
    space_of,
)

LABELS = st.text(st.characters(codec="utf-8", exclude_characters=".\0"), min_size=1, max_size=12)
PATHS = st.lists(LABELS, min_size=1, max_size=12).map(tuple)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def shown(body: dict[str, Any]) -> dict[str, Any]:
    moment = NOW.isoformat()
    return {**body, "id": "x", "created_at": moment, "updated_at": moment}


@given(PATHS, st.text(st.characters(codec="utf-8")), st.dictionaries(st.text(max_size=4), JSON))
def test_an_item_comes_back_as_it_was_put(
    namespace: tuple[str, ...], key: str, value: dict[str, Any]
) -> None:
    fields = fields_of(shown(body_of("root", namespace, key, value, None)))
    assert fields is not None
    assert (fields["namespace"], fields["key"], fields["value"]) == (namespace, key, value)


@given(PATHS)
def test_a_namespace_fits_into_a_node_and_is_read_back_unless_it_was_cut(
    namespace: tuple[str, ...],
) -> None:
    space = space_of("root", namespace)
    assert len(space) <= 512
    segments = space.split("/")
    assert len(segments) <= 8
    assert "" not in segments
    assert is_cut(space) or labels_of("root", space) == namespace


def test_long_labels_are_cut_to_what_fits() -> None:
    assert space_of("root", ("a" * 600,)) == "root/%"
    assert space_of("root", ("a", "b" * 600)) == "root/a/%"
    assert space_of("root", ("100%", "a/b")) == "root/100%25/a%2Fb"
    assert labels_of("root", "elsewhere/a") is None


@given(PATHS, PATHS, st.text(max_size=5), st.text(max_size=5))
def test_items_have_one_id_each(
    one: tuple[str, ...], other: tuple[str, ...], key: str, name: str
) -> None:
    same = (one, key) == (other, name)
    assert (item_id("r", one, key) == item_id("r", other, name)) == same
    assert item_id("r", one, key) != item_id("s", one, key)


def test_every_prefix_is_a_tag() -> None:
    body = body_of("root", ("a", "b"), "k", {}, None)
    assert body["tags"] == [prefix_tag("root", prefix) for prefix in ((), ("a",), ("a", "b"))]
    assert len(set(body["tags"])) == 3


@pytest.mark.parametrize("value", [{"x": math.nan}, {"x": object()}, {"x": b"bytes"}])
def test_a_value_that_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(BadArgument, match="no JSON"):
        body_of("root", ("a",), "k", value, None)


def test_too_deep_a_namespace_is_refused() -> None:
    with pytest.raises(BadArgument, match="labels"):
        body_of("root", ("a",) * 49, "k", {}, None)


def test_a_memory_that_holds_no_item_is_none_and_a_spoilt_one_is_an_error() -> None:
    assert facts_of({"metadata": {}}) is None
    assert fields_of({"metadata": {"langgraph": {"namespace": ["a"]}}}) is None
    spoilt = shown(body_of("root", ("a",), "k", {}, None))
    for content in ("no json", "[]"):
        with pytest.raises(BrokenAnswer):
            fields_of({**spoilt, "content": content})


def test_a_life_is_renewed_when_a_tenth_of_it_has_passed() -> None:
    body = shown(body_of("root", ("a",), "k", {}, 10))
    assert body["ttl_secs"] == 600

    def ends(seconds: int) -> dict[str, Any]:
        return {**body, "expires_at": (NOW + timedelta(seconds=seconds)).isoformat()}

    assert life_to_renew(ends(590), NOW) is None
    assert life_to_renew(ends(500), NOW) == 600
    assert life_to_renew(body, NOW) is None
    assert life_to_renew(shown(body_of("root", ("a",), "k", {}, None)), NOW) is None


FILTERS = st.dictionaries(
    st.sampled_from("abc"),
    st.integers(-3, 3)
    | st.fixed_dictionaries({"$eq": st.integers(-3, 3)})
    | st.fixed_dictionaries({"$ne": st.integers(-3, 3)})
    | st.fixed_dictionaries({"$gt": st.integers(-3, 3), "$lte": st.integers(-3, 3)})
    | st.fixed_dictionaries({"$gte": st.integers(-3, 3), "$lt": st.integers(-3, 3)}),
    max_size=2,
)
VALUES = st.fixed_dictionaries(dict.fromkeys("abc", st.integers(-3, 3)))


@given(VALUES, FILTERS)
def test_filters_mean_what_they_mean_in_langgraphs_own_store(
    value: dict[str, Any], wanted: dict[str, Any]
) -> None:
    theirs = InMemoryStore()
    theirs.put(("n",), "k", value)
    assert bool(theirs.search(("n",), filter=wanted or None)) == passes_filter(value, wanted)


def test_filters_look_inside() -> None:
    value = {"a": {"b": [1, 2]}, "n": None}
    assert passes_filter(value, {"a": {"b": [1, 2]}})
    assert passes_filter(value, {"a": {"b": [{"$gt": 0}, 2]}})
    assert not passes_filter(value, {"a": {"b": [1]}})
    assert not passes_filter(value, {"n": {"$gt": 1}}), "nothing is not more than something"
    with pytest.raises(BadArgument, match="like"):
        passes_filter(value, {"a": {"$like": "x"}})


def test_paths_match_from_both_ends() -> None:
    path = ("a", "b", "c")
    assert matches(path, "prefix", ("a", "*"))
    assert matches(path, "suffix", ("*", "c"))
    assert matches(path, "suffix", ())
    assert not matches(path, "prefix", ("b",))
    assert not matches(path, "prefix", ("a", "b", "c", "d"))


def test_a_store_needs_a_client() -> None:
    with pytest.raises(BadArgument, match="client"):
        MnemeshStore()
