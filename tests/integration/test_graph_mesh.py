"""Entities and facts on a real mesh: one id on all nodes, also from two sides of a cut."""

import uuid
from typing import Any

import pytest

from node.graph.names import entity_id
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_mesh import cut, heal, start_all

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def register(node: RealNode, name: str, space: str, agent: str, *aliases: str) -> Any:
    body = {"canonical_name": name, "namespace": space, "aliases": list(aliases)}
    return node.ask("POST", "/entities", body, X_Agent_Id=agent)


def by_alias(node: RealNode, alias: str, space: str) -> Any:
    return node.tell("GET", f"/entities/by_alias?alias={alias}&namespace={space}")


def cut_off(alone: RealNode, others: list[RealNode]) -> None:
    cut(alone, others)
    until(lambda: not alone.links() and len(others[0].links()) == 1, "the cut is made")


@pytest.mark.parametrize("agents", [("ann", "ann"), ("ann", "bob")], ids=["one agent", "two"])
def test_two_sides_of_a_cut_name_one_entity(
    shared_mesh: list[RealNode], agents: tuple[str, str]
) -> None:
    *two, alone = shared_mesh
    space = f"cut-{uuid.uuid4().hex[:8]}"
    ident = entity_id(space, "Ada Lovelace")
    cut_off(alone, two)
    here = register(two[0], "Ada Lovelace", space, agents[0], "Ada", "Countess")
    there = register(alone, "Ada Lovelace", space, agents[1], "AAL", "Ada")
    assert (here.status, here.body["entity_id"], here.body["created"]) == (201, ident, True)
    assert (there.status, there.body["entity_id"]) == (503, ident)
    heal(alone, two)
    until_linked(shared_mesh)
    check_equal(shared_mesh)
    for node in shared_mesh:
        for alias in ("Ada", "Countess", "AAL", "Ada%20Lovelace"):
            told = by_alias(node, alias, space)
            assert (told["found"], told["entity_id"]) == (True, ident), (node.name, alias)
            assert sorted(told["aliases"]) == ["AAL", "Ada", "Countess"]
    for node in shared_mesh:
        again = register(node, "Ada Lovelace", space, "cat", "AAL")
        assert (again.status, again.body["created"]) == (200, False)
        assert sorted(again.body["aliases"]) == ["AAL", "Ada", "Countess"]
    found = two[0].tell("GET", f"/memories?namespace={space}")
    assert [memory["id"] for memory in found["memories"]] == [ident]


def test_a_fact_ends_on_all_nodes_and_the_last_word_counts(shared_mesh: list[RealNode]) -> None:
    one, two, three = shared_mesh
    ada, bob = (one.store(name)["id"] for name in ("ada", "bob"))
    key = {"source_id": ada, "target_id": bob, "relation": "knows"}
    one.tell("POST", "/links", key)
    until_level(shared_mesh)
    for node in shared_mesh:
        told = node.tell("POST", "/kg/query", {"source_id": ada})
        assert [memory["id"] for memory in told["memories"]] == [bob], node.name
    ended = two.tell("POST", "/kg/invalidate", key)
    assert (ended["found"], ended["previous_valid_until"]) == (True, None)
    until_level(shared_mesh)
    for node in shared_mesh:
        events = node.tell("GET", f"/kg/timeline?source_id={ada}")["events"]
        assert [event["type"] for event in events] == ["edge_added", "edge_invalidated"]
        assert events[1]["timestamp"] == ended["valid_until"]
        link = node.tell("GET", f"/links/{bob}")["links"][0]
        assert link["valid_until"] == ended["valid_until"]
    cut_off(three, [one, two])
    three.ask("POST", "/kg/invalidate", {**key, "valid_until": "2039-01-01T00:00:00Z"})
    one.tell("POST", "/kg/invalidate", {**key, "valid_until": "2040-01-01T00:00:00Z"})
    heal(three, [one, two])
    until_linked(shared_mesh)
    check_equal(shared_mesh)
    ends = {node.tell("GET", f"/links/{ada}")["links"][0]["valid_until"] for node in shared_mesh}
    assert ends == {"2040-01-01T00:00:00.000Z"}


def test_names_are_found_after_a_restart_and_on_a_node_that_came_late(found: Found) -> None:
    *nodes, late = found(3, start=False)
    start_all(nodes)
    until_linked(nodes)
    ident = register(nodes[0], "Ada", "people", "ann", "AAL").body["entity_id"]
    nodes[0].store("filler", namespace="people")
    nodes[0].stop()
    nodes[0].start()
    assert by_alias(nodes[0], "AAL", "people")["entity_id"] == ident
    late.start()
    until_linked([*nodes, late])
    check_equal([*nodes, late])
    assert by_alias(late, "AAL", "people")["entity_id"] == ident
    assert late.tell("DELETE", f"/memories/{ident}", X_Agent_Id="ann")["deleted"]
    until_level([*nodes, late])
    for node in (*nodes, late):
        assert by_alias(node, "AAL", "people")["found"] is False


def test_a_policy_holds_an_entity_and_its_further_names(found: Found) -> None:
    nodes = found(1)
    node = nodes[0]
    node.tell("POST", "/agents", {"agent_id": "bob", "agent_type": "human"})
    node.tell(
        "POST", "/namespaces", {"namespace": "kept", "governance": {"write": "approve"}},
        X_Agent_Id="ann",
    )  # fmt: skip
    held = register(node, "Ada", "kept", "cat", "AAL")
    ident = entity_id("kept", "Ada")
    assert (held.status, held.body["id"], held.body["action"]) == (202, ident, "store")
    assert by_alias(node, "AAL", "kept")["found"] is False
    node.tell("POST", f"/pending/{held.body['pending_id']}/approve", {}, X_Agent_Id="bob")
    assert by_alias(node, "AAL", "kept")["entity_id"] == ident
    more = register(node, "Ada", "kept", "cat", "Countess")
    assert more.status == 202
    assert by_alias(node, "Countess", "kept")["found"] is False
