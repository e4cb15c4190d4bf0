"""Concurrent edits, retries and causal reads across nodes."""

import uuid

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_mesh import cut, heal

pytestmark = pytest.mark.integration


def test_edits_on_two_sides_of_a_cut_are_both_kept_until_one_settles_it(found: Found) -> None:
    one, two, three = nodes = found(3, flags=("--quorum-timeout-ms", "200"))
    ident = one.store("first", "text")["id"]
    until_level(nodes)
    cut(three, [one, two])
    until(lambda: not three.links() and one.links() == {"node-2"}, "the cut is made")
    one.tell("PUT", f"/memories/{ident}", {"title": "here", "priority": 7})
    assert three.ask("PUT", f"/memories/{ident}", {"title": "there"}).status == 503
    heal(three, [one, two])
    until_linked(nodes)
    until_level(nodes)

    answers = [node.tell("GET", f"/memories/{ident}/conflicts")["fields"] for node in nodes]
    assert answers[0] == answers[1] == answers[2]
    assert list(answers[0]) == ["title"]
    shown = {node.get(ident)["title"] for node in nodes}
    assert len(shown) == 1
    assert shown | {row["value"] for row in answers[0]["title"]} == {"here", "there"}
    # What only one side touched is no conflict, and versions agree.
    assert {node.get(ident)["priority"] for node in nodes} == {7}
    assert {node.get(ident)["conflicts"] for node in nodes} == {1}
    assert len({node.get(ident)["version"] for node in nodes}) == 1
    assert len({node.ask("GET", f"/memories/{ident}").headers["etag"] for node in nodes}) == 1

    two.tell("PUT", f"/memories/{ident}", {"title": "both"})
    check_equal(nodes)
    for node in nodes:
        assert node.tell("GET", f"/memories/{ident}/conflicts")["fields"] == {}
        assert node.get(ident)["title"] == "both"


def test_a_delete_wins_over_a_concurrent_edit(found: Found) -> None:
    one, two, three = nodes = found(3, flags=("--quorum-timeout-ms", "200"))
    ident = one.store("to be deleted")["id"]
    until_level(nodes)
    cut(three, [one, two])
    until(lambda: not three.links() and one.links() == {"node-2"}, "the cut is made")
    one.tell("DELETE", f"/memories/{ident}")
    assert three.ask("PUT", f"/memories/{ident}", {"title": "edited"}).status == 503
    heal(three, [one, two])
    until_linked(nodes)
    check_equal(nodes)
    assert [node.ask("GET", f"/memories/{ident}").status for node in nodes] == [404, 404, 404]


def test_one_request_on_two_sides_of_a_cut_is_one_record(found: Found) -> None:
    one, two, three = nodes = found(3, flags=("--quorum-timeout-ms", "200"))
    cut(three, [one, two])
    until(lambda: not three.links() and one.links() == {"node-2"}, "the cut is made")
    body, key = {"title": "once", "content": "text"}, {"idempotency_key": "k-1"}
    agent = {"x_agent_id": "ai:alice"}
    here = one.tell("POST", "/memories", body, **key, **agent)["id"]
    there = three.ask("POST", "/memories", body, **key, **agent).body["id"]
    assert here == there
    heal(three, [one, two])
    until_linked(nodes)
    check_equal(nodes)
    for node in nodes:
        assert list(node.held()) == [here]


# --- on one mesh that nobody breaks ------------------------------------------------------


def test_a_retry_on_another_node_gives_the_same_answer(shared_mesh: list[RealNode]) -> None:
    one, two, _ = shared_mesh
    key = f"key-{uuid.uuid4()}"
    body = {"title": "retried", "content": "text"}
    first = one.tell("POST", "/memories", body, idempotency_key=key, x_agent_id="ai:bob")
    until_level(shared_mesh)
    again = two.tell("POST", "/memories", body, idempotency_key=key, x_agent_id="ai:bob")
    assert again["id"] == first["id"]
    assert again["durability"]["dot"] == first["durability"]["dot"]
    assert again["durability"]["acks"] >= 2
    # Somebody else's key of the same name is another key, another body a mistake.
    other = two.tell("POST", "/memories", body, idempotency_key=key, x_agent_id="ai:eve")
    assert other["id"] != first["id"]
    reused = two.ask(
        "POST", "/memories", {**body, "title": "x"}, idempotency_key=key, x_agent_id="ai:bob"
    )
    assert (reused.status, reused.body["error"]) == (409, "idempotency_key_reused")
    assert two.get(first["id"])["version"] == 1
    check_equal(shared_mesh)


def test_a_causal_token_makes_every_node_show_the_write(shared_mesh: list[RealNode]) -> None:
    one, *others = shared_mesh
    for number in range(20):
        written = one.store(f"causal {number}")
        token = written["durability"]["token"]
        for other in others:
            reply = other.ask(
                "GET",
                f"/memories/{written['id']}",
                x_causal_token=token,
                x_causal_wait_ms="5000",
            )
            assert reply.status == 200
            assert reply.body["title"] == f"causal {number}"


def test_a_node_that_is_behind_a_token_says_so(found: Found) -> None:
    one, two = found(2, flags=("--quorum-writes", "1"))
    cut(two, [one])
    until(lambda: not two.links(), "the cut is made")
    token = one.store("not there yet")["durability"]["token"]
    behind = two.ask("GET", "/memories", x_causal_token=token)
    assert (behind.status, behind.body["error"]) == (412, "behind")
    assert behind.body["token"]
    bad = two.ask("GET", "/memories", x_causal_token="no token")  # noqa: S106 -- not a password
    assert bad.status == 400
    heal(two, [one])
    until_linked([one, two])
    reply = two.ask("GET", "/memories", x_causal_token=token, x_causal_wait_ms="5000")
    assert reply.body["count"] == 1


def test_everything_that_changes_a_memory_reaches_every_node(
    shared_mesh: list[RealNode],
) -> None:
    one, two, three = shared_mesh
    space = f"routes-{uuid.uuid4().hex[:8]}"
    kept = one.store("kept", namespace=space, tags=["a", "b"], metadata={"n": {"deep": [1]}})["id"]
    gone = two.store("gone", namespace=space)["id"]
    moved = three.store("moved", namespace=space)["id"]
    until_level(shared_mesh)
    two.tell("PUT", f"/memories/{kept}", {"tags": ["b", "c"], "priority": 9})
    three.tell("DELETE", f"/memories/{gone}")
    one.tell("PUT", f"/memories/{moved}", {"namespace": f"{space}/below"})
    two.tell("POST", f"/memories/{kept}/promote", {})
    bulk = [{"title": f"bulk {n}", "content": "text", "namespace": space} for n in range(5)]
    three.tell("POST", "/memories/bulk", bulk)
    one.tell("POST", "/import", {"memories": [{**bulk[0], "id": f"{space}-imported"}]})
    check_equal(shared_mesh)
    for node in shared_mesh:
        memory = node.get(kept)
        assert (memory["tags"], memory["priority"], memory["tier"]) == (["b", "c"], 9, "long")
        assert memory["metadata"]["n"] == {"deep": [1]}
        assert node.ask("GET", f"/memories/{gone}").status == 404
        assert node.get(moved)["namespace"] == f"{space}/below"
        assert node.tell("GET", f"/memories?namespace={space}")["count"] == 7
