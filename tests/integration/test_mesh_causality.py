"""Concurrent edits, retries and causal reads across nodes."""

import uuid
from typing import Any

import pytest

from tests.integration.rig import (
    RealNode,
    check_equal,
    content_hash,
    until,
    until_level,
    until_linked,
)
from tests.integration.rig_mesh import cut, heal

pytestmark = pytest.mark.integration


def test_edits_on_two_sides_of_a_cut_are_both_kept_until_one_settles_it(
    shared_mesh: list[RealNode],
) -> None:
    one, two, three = nodes = shared_mesh
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


def test_a_delete_wins_over_a_concurrent_edit(
    shared_mesh: list[RealNode],
) -> None:
    one, two, three = nodes = shared_mesh
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


def test_one_request_on_two_sides_of_a_cut_is_one_record(
    shared_mesh: list[RealNode],
) -> None:
    one, two, three = nodes = shared_mesh
    cut(three, [one, two])
    until(lambda: not three.links() and one.links() == {"node-2"}, "the cut is made")
    body, key = {"title": "once", "content": "only"}, {"idempotency_key": "k-1"}
    agent = {"x_agent_id": "ai:alice"}
    here = one.tell("POST", "/memories", body, **key, **agent)["id"]
    there = three.ask("POST", "/memories", body, **key, **agent).body["id"]
    assert here == there
    heal(three, [one, two])
    until_linked(nodes)
    check_equal(nodes)
    for node in nodes:
        assert [i for i, held in node.held().items() if held == content_hash(body)] == [here]


def test_a_retry_on_another_node_gives_the_same_answer(shared_mesh: list[RealNode]) -> None:
    one, two, _ = shared_mesh
    retry = {"idempotency_key": f"key-{uuid.uuid4()}", "x_agent_id": "ai:bob"}
    body = {"title": "retried", "content": "text"}
    first = one.tell("POST", "/memories", body, **retry)
    until_level(shared_mesh)

    def confirmed() -> Any:
        reply = two.ask("POST", "/memories", body, **retry)
        return reply.body if reply.status == 201 else None

    again = until(confirmed, "node-2 has heard from the others")
    assert again["id"] == first["id"]
    assert again["durability"]["dot"] == first["durability"]["dot"]
    assert again["durability"]["acks"] >= 2
    # Somebody else's key of the same name is another key, another body a mistake.
    other = two.tell("POST", "/memories", body, **{**retry, "x_agent_id": "ai:eve"})
    assert other["id"] != first["id"]
    reused = two.ask("POST", "/memories", {**body, "title": "x"}, **retry)
    assert (reused.status, reused.body["error"]) == (409, "idempotency_key_reused")
    assert two.get(first["id"])["version"] == 1
    check_equal(shared_mesh)


@pytest.mark.thorough
def test_a_retry_on_another_node_waits_for_its_quorum(shared_mesh: list[RealNode]) -> None:
    one, two, _ = shared_mesh
    for number in range(50):
        body = {"title": f"retried {number}", "content": "text"}
        retry = {"idempotency_key": f"key-{uuid.uuid4()}", "x_agent_id": "ai:bob"}
        token = one.tell("POST", "/memories", body, **retry)["durability"]["token"]
        two.tell("GET", "/memories", x_causal_token=token, x_causal_wait_ms="5000")
        again = two.ask("POST", "/memories", body, **retry)
        assert again.status == 201, again.body


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


def test_a_node_that_is_behind_a_token_says_so(shared_mesh: list[RealNode]) -> None:
    one, two, three = shared_mesh
    cut(three, [one, two])
    until(lambda: not three.links(), "the cut is made")
    written = one.store("not there yet")
    token = written["durability"]["token"]
    behind = three.ask("GET", "/memories", x_causal_token=token)
    assert (behind.status, behind.body["error"]) == (412, "behind")
    assert behind.body["token"]
    bad = three.ask("GET", "/memories", x_causal_token="no token")  # noqa: S106 -- not a password
    assert bad.status == 400
    heal(three, [one, two])
    where = f"/memories/{written['id']}"
    reply = three.ask("GET", where, x_causal_token=token, x_causal_wait_ms="9000")
    assert (reply.status, reply.body["title"]) == (200, "not there yet")


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
