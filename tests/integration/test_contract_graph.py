"""Links, lineage, entities and walks as the contract has them, on a real node."""

from itertools import pairwise
from typing import Any

import pytest

from tests.integration.rig import RealNode
from tests.integration.rig_shapes import (
    DURABLE,
    LINK,
    MEMORY,
    REFUSED,
    WRITTEN,
    Kind,
    each,
    flag,
    maybe,
    moment,
    one_of,
    shaped,
    share,
    text,
    texts,
    uuid,
    whole,
)

pytestmark = pytest.mark.integration
_CID = 64


def stored(node: RealNode, *names: str, **fields: Any) -> list[str]:
    return [node.store(name, name, **fields)["id"] for name in names]


def link(node: RealNode, source: str, target: str, **fields: Any) -> dict[str, Any]:
    body = {"source_id": source, "target_id": target, **fields}
    made: dict[str, Any] = node.tell("POST", "/links", body, X_Agent_Id="ai:alice")
    return made


def test_a_link_is_201_each_time_it_is_stated(node: RealNode) -> None:
    one, two = stored(node, "one", "two")
    body = {"source_id": one, "target_id": two}
    for _ in range(2):
        reply = node.ask("POST", "/links", body, X_Agent_Id="ai:alice")
        assert reply.status == 201
        made = shaped(reply.body, {**LINK, **DURABLE})
        assert (made["source_id"], made["target_id"]) == (one, two)
        assert made["relation"] == "related_to"
        assert made["valid_from"] == made["created_at"]
        assert "valid_until" not in made
    for end in (one, two):
        [shown] = node.tell("GET", f"/links/{end}")["links"]
        assert shaped(shown, LINK)["source_id"] == one
        assert node.tell("GET", f"/memories/{end}")["links"] == [shown]


def test_a_link_goes_by_its_three_names(node: RealNode) -> None:
    one, two = stored(node, "one", "two")
    known = ("related_to", "supersedes", "contradicts", "derived_from", "derives_from",
             "reflects_on", "of_our_own_2")  # fmt: skip
    for relation in known:
        made = link(node, one, two, relation=relation, valid_from="2020-01-01T00:00:00Z")
        assert (made["relation"], made["valid_from"]) == (relation, "2020-01-01T00:00:00.000Z")
    assert len(node.tell("GET", f"/links/{two}")["links"]) == len(known)
    body = {"source_id": one, "target_id": two, "relation": "supersedes"}
    gone = node.ask("DELETE", "/links", body)
    assert (gone.status, shaped(gone.body, WRITTEN)["deleted"]) == (200, True)
    assert node.ask("DELETE", "/links", body).status == 404
    query = f"/links?source_id={one}&target_id={two}&relation=contradicts"
    assert node.tell("DELETE", query)["deleted"] is True
    assert len(node.tell("GET", f"/links/{two}")["links"]) == len(known) - 2
    missing = node.ask("POST", "/links", {"source_id": one, "target_id": "no-such-id"})
    assert (missing.status, shaped(missing.body, REFUSED)["error"]) == (404, "not_found")


def test_lineage_goes_both_ways_and_so_deep(node: RealNode) -> None:
    chain = stored(node, *(f"g{n}" for n in range(7)))
    relations = ("derived_from", "derives_from", "reflects_on")
    for place, (older, newer) in enumerate(pairwise(chain)):
        link(node, newer, older, relation=relations[place % 3])
    link(node, chain[6], chain[0], relation="related_to")
    shape: dict[str, Kind] = {
        "id": text,
        "cid": lambda value: isinstance(value, str) and len(value) == _CID,
        "relation": one_of(*relations),
        "depth": whole,
    }
    for path, start, expected in (
        ("lineage", chain[6], chain[5:0:-1]),
        ("lineage?direction=ancestors&max_depth=2", chain[6], [chain[5], chain[4]]),
        ("lineage?direction=descendants", chain[0], chain[1:6]),
        ("lineage?direction=descendants&max_depth=9", chain[0], chain[1:]),
    ):
        answer = node.tell("GET", f"/memories/{start}/{path}")
        shaped(answer, {"id": text, "direction": text, "nodes": each(shape), "count": whole})
        assert (answer["id"], answer["count"]) == (start, len(expected))
        assert [one["id"] for one in answer["nodes"]] == expected
        assert [one["depth"] for one in answer["nodes"]] == list(range(1, len(expected) + 1))
    assert node.ask("GET", "/memories/no-such-id/lineage").status == 404


def test_an_entity_is_one_per_name_and_namespace(node: RealNode) -> None:
    shape: dict[str, Kind] = {
        "entity_id": uuid,
        "canonical_name": text,
        "namespace": text,
        "aliases": texts,
    }
    body = {"canonical_name": "Ada Lovelace", "namespace": "people", "aliases": ["Ada", "A. L."]}
    reply = node.ask("POST", "/entities", body)
    made = shaped(reply.body, {**shape, "created": flag, **DURABLE})
    assert (reply.status, made["created"]) == (201, True)
    again = node.tell("POST", "/entities", {**body, "aliases": ["Countess", "Ada"]})
    assert (again["entity_id"], again["created"]) == (made["entity_id"], False)
    assert again["aliases"] == ["Ada", "A. L.", "Countess"]
    other = node.tell("POST", "/entities", {**body, "namespace": "ships", "aliases": []})
    assert other["entity_id"] != made["entity_id"]
    assert node.get(made["entity_id"])["memory_kind"] == "entity"
    for path in ("/entities/by_alias", "/entities/by-alias"):
        for alias in ("Ada", "Countess", "Ada%20Lovelace"):
            found = node.tell("GET", f"{path}?alias={alias}&namespace=people")
            shaped(found, {**shape, "found": flag})
            assert (found["found"], found["entity_id"]) == (True, made["entity_id"])
        nobody = node.ask("GET", f"{path}?alias=Nobody")
        assert (nobody.status, nobody.body["found"]) == (200, False)
        assert nobody.body["entity_id"] is None


def test_a_walk_is_as_deep_as_asked_and_at_its_moment(node: RealNode) -> None:
    chain = stored(node, *(f"w{n}" for n in range(7)))
    for source, target in pairwise(chain):
        link(node, source, target, valid_from="2020-01-01T00:00:00Z")
    shape: dict[str, Kind] = {
        "memories": each(MEMORY),
        "paths": lambda value: isinstance(value, list),
        "edges": each(LINK),
        "count": whole,
    }

    def walked(**fields: Any) -> list[str]:
        answer = shaped(node.tell("POST", "/kg/query", {"source_id": chain[0], **fields}), shape)
        assert answer["count"] == len(answer["memories"]) == len(answer["paths"])
        assert len(answer["edges"]) == len(answer["memories"])
        return [memory["id"] for memory in answer["memories"]]

    assert walked() == chain[1:2]
    assert walked(max_depth=3) == chain[1:4]
    assert walked(max_depth=5) == chain[1:6]
    assert walked(max_depth=5, limit=2) == chain[1:3]
    for name in ("valid_at", "as_of"):
        assert walked(**{name: "2019-12-31T23:59:59.999Z"}) == []
        assert walked(**{name: "2020-01-01T00:00:00Z"}) == chain[1:2]
    assert walked(allowed_agents=["ai:alice"]) == chain[1:2]
    assert walked(allowed_agents="ai:bob,ai:alice") == chain[1:2]
    assert walked(allowed_agents=["ai:bob"]) == []
    ended = {"source_id": chain[0], "target_id": chain[1], "valid_until": "2021-01-01T00:00:00Z"}
    node.tell("POST", "/kg/invalidate", ended)
    assert walked() == walked(valid_at="2021-01-01T00:00:00Z") == []
    assert walked(valid_at="2020-12-31T23:59:59.999Z") == chain[1:2]


def test_an_end_is_told_with_the_one_before(node: RealNode) -> None:
    one, two = stored(node, "one", "two")
    link(node, one, two)
    body = {"source_id": one, "target_id": two, "relation": "related_to"}
    shape: dict[str, Kind] = {
        "found": flag,
        "valid_until": moment,
        "previous_valid_until": maybe(moment),
    }
    first = shaped(node.tell("POST", "/kg/invalidate", body), {**shape, **WRITTEN})
    assert (first["found"], first["previous_valid_until"]) == (True, None)
    later = {**body, "valid_until": "2199-01-01T00:00:00Z"}
    second = node.tell("POST", "/kg/invalidate", later)
    assert second["valid_until"] == "2199-01-01T00:00:00.000Z"
    assert second["previous_valid_until"] == first["valid_until"]
    none = node.ask("POST", "/kg/invalidate", {**body, "relation": "supersedes"})
    assert none.body["found"] is False


def test_a_timeline_is_oldest_first(node: RealNode) -> None:
    one, two, three = stored(node, "one", "two", "three")
    link(node, one, two, valid_from="2021-01-01T00:00:00Z")
    link(node, one, three, valid_from="2020-01-01T00:00:00Z", relation="supersedes")
    ended = {"source_id": one, "target_id": two, "valid_until": "2022-01-01T00:00:00Z"}
    node.tell("POST", "/kg/invalidate", ended)
    shape: dict[str, Kind] = {
        "type": one_of("edge_added", "edge_invalidated"),
        "timestamp": moment,
        **dict.fromkeys(("source_id", "target_id", "relation"), text),
    }

    def told(more: str = "") -> list[tuple[str, str]]:
        answer = node.tell("GET", f"/kg/timeline?source_id={one}{more}")
        shaped(answer, {"events": each(shape), "count": whole})
        assert answer["count"] == len(answer["events"])
        return [(event["type"], event["timestamp"][:4]) for event in answer["events"]]

    every = [("edge_added", "2020"), ("edge_added", "2021"), ("edge_invalidated", "2022")]
    assert told() == every
    assert told("&limit=2") == every[:2]
    assert told("&since=2021-01-01T00:00:00Z") == every[1:]
    assert told("&until=2021-06-01T00:00:00Z") == every[:2]


def test_a_taxonomy_is_flat_and_a_tree(node: RealNode) -> None:
    for space, count in (("tx", 1), ("tx/a", 2), ("tx/a/deep", 3), ("tx/b", 1), ("txa", 5)):
        stored(node, *(f"x{n}" for n in range(count)), namespace=space)
    for path in ("/taxonomy?prefix=tx", "/taxonomy?root=tx"):
        answer = node.tell("GET", path)
        root = {name: answer[name] for name in ("namespace", "count", "subtree_count")}
        assert root == {"namespace": "tx", "count": 1, "subtree_count": 7}
        [tree] = answer["tree"]
        assert {name: tree[name] for name in root} == root
        assert tree["children"] == answer["children"]
        assert (answer["total_count"], answer["truncated"]) == (7, False)
        shown = {child["namespace"]: child for child in answer["children"]}
        assert set(shown) == {"tx/a", "tx/b"}
        assert (shown["tx/a"]["count"], shown["tx/a"]["subtree_count"]) == (2, 5)
        [deep] = shown["tx/a"]["children"]
        assert (deep["namespace"], deep["subtree_count"], deep["children"]) == ("tx/a/deep", 3, [])
    flat = node.tell("GET", "/taxonomy?root=tx&depth=1")
    assert all(child["children"] == [] for child in flat["children"])
    assert {child["subtree_count"] for child in flat["children"]} == {5, 1}
    cut = node.tell("GET", "/taxonomy?root=tx&limit=1")
    assert (cut["truncated"], cut["subtree_count"]) == (True, 7)
    every = node.tell("GET", "/taxonomy")
    assert every["total_count"] == node.tell("GET", "/stats")["total"]


def test_duplicates_are_told_nearest_first_and_below_the_threshold_too(node: RealNode) -> None:
    space = "alike"
    words = "the quick brown fox jumps over the lazy dog near the river"
    same = node.store("fox", words, namespace=space)["id"]
    near = node.store("fox", f"{words} bank at dawn today", namespace=space)["id"]
    far = node.store("fox", "a quick note about the river", namespace=space)["id"]
    answer = node.tell("POST", "/check_duplicate", {"content": words, "namespace": space})
    match: dict[str, Kind] = {"id": text, "title": text, "similarity": share}
    shape: dict[str, Kind] = {
        "is_duplicate": flag,
        "threshold": share,
        "nearest": lambda value: shaped(value, match)["id"] == same,
        "candidates_scanned": whole,
        "matches": each(match),
    }
    shaped(answer, shape)
    assert answer["is_duplicate"] is True
    assert [one["id"] for one in answer["matches"]][:2] == [same, near]
    assert far in {one["id"] for one in answer["matches"]}
    likeness = [one["similarity"] for one in answer["matches"]]
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[-1] < answer["threshold"]
    limited = node.tell("POST", "/check_duplicate", {"content": words, "limit": 1})
    assert len(limited["matches"]) == 1
    loose = {"content": words[:40], "namespace": space, "threshold": 0.01}
    assert node.tell("POST", "/check_duplicate", loose)["is_duplicate"] is True
    none = node.tell("POST", "/check_duplicate", {"content": "c", "namespace": "empty"})
    assert (none["is_duplicate"], none["nearest"], none["matches"]) == (False, None, [])


def test_contradictions_are_memories_and_links(node: RealNode) -> None:
    about = {"metadata": {"topic": "colour"}, "namespace": "talk"}
    one = node.store("said", "it is red", **about)["id"]
    two = node.store("said", "it is blue", **about)["id"]
    three = node.store("the colour again", "it is red", namespace="talk")["id"]
    stored_link = link(node, two, three, relation="contradicts")
    shape: dict[str, Kind] = {
        "memories": each(MEMORY),
        "contradictions": lambda value: isinstance(value, list),
        "links": each({**LINK, "relation": one_of("contradicts")}),
    }
    answer = shaped(node.tell("GET", "/contradictions?topic=colour&namespace=talk"), shape)
    assert {memory["id"] for memory in answer["memories"]} == {one, two, three}
    pairs = {frozenset((one["source_id"], one["target_id"])) for one in answer["links"]}
    assert pairs == {frozenset((one, two)), frozenset((two, three))}
    ends = ("source_id", "target_id", "created_at")
    assert any(all(found[n] == stored_link[n] for n in ends) for found in answer["links"])
    nothing = node.tell("GET", "/contradictions?topic=colour&namespace=elsewhere")
    assert (nothing["memories"], nothing["links"]) == ([], [])
