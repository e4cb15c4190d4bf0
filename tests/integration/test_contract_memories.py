"""Memories as the contract has them: every route, field by field, on a real node.

Law: written from the contract by its reader. What is asserted is what a client of somebody
else may rely on.
"""

from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.rig import RealNode, until
from tests.integration.rig_routes import lone
from tests.integration.rig_shapes import (
    DURABLE,
    LINK,
    MEMORY,
    REFUSED,
    WRITTEN,
    dot,
    each,
    having,
    maybe,
    moment,
    number,
    shaped,
    text,
    texts,
    things,
    uuid,
    whole,
)

pytestmark = pytest.mark.integration
CREATED = {
    "id": uuid,
    "tier": text,
    "namespace": text,
    "title": text,
    "agent_id": text,
    **WRITTEN,
}
FULL: dict[str, Any] = {
    "id": "own:id_1.x-y",
    "tier": "long",
    "namespace": "work/one",
    "title": "T",
    "content": "C",
    "tags": ["b", "a"],
    "priority": 9,
    "confidence": 0.25,
    "source": "cli",
    "metadata": {"k": [1, {"n": None}], "session_id": "s-1"},
    "memory_kind": "decision",
    "reflection_depth": 2,
    "entity_id": "e-1",
    "citations": ["x", {"y": 1}],
    "source_uri": "file:///x",
    "source_span": {"from": 1},
    "persona_version": 3,
    "confidence_source": "model",
    "confidence_signals": {"s": 0.5},
    "confidence_decayed_at": "when it was",
}


def titles(node: RealNode, query: str, **headers: str) -> list[str]:
    answer = node.tell("GET", f"/memories?{query}", **headers)
    assert answer["count"] == len(answer["memories"])
    return [shaped(memory, MEMORY)["title"] for memory in answer["memories"]]


def test_a_create_has_the_defaults(node: RealNode) -> None:
    reply = node.ask("POST", "/memories", {"title": "t", "content": "c"})
    assert reply.status == 201
    made = shaped(reply.body, CREATED)
    assert (made["tier"], made["namespace"], made["title"]) == ("mid", "global", "t")
    assert made["agent_id"].startswith("anonymous:req-")
    assert len(made["agent_id"]) == len("anonymous:req-") + 8
    memory = shaped(node.get(made["id"]), MEMORY)
    assert memory["metadata"] == {"agent_id": made["agent_id"]}
    expected = {
        "priority": 5,
        "confidence": 1.0,
        "source": "api",
        "tags": [],
        "citations": [],
        "memory_kind": "observation",
        "reflection_depth": 0,
        "version": 1,
    }
    assert {name: memory[name] for name in expected} == expected
    for name in ("entity_id", "source_uri", "source_span", "persona_version", "conflicts",
                 "confidence_source", "confidence_signals", "confidence_decayed_at"):  # fmt: skip
        assert name not in memory
    assert memory["created_at"] == memory["updated_at"]


def test_everything_given_comes_back(node: RealNode) -> None:
    made = node.tell("POST", "/memories", {**FULL, "agent_id": "ai:alice"})
    shaped(made, {**CREATED, "id": text})
    assert (made["id"], made["tier"], made["agent_id"]) == (FULL["id"], "long", "ai:alice")
    memory = shaped(node.get(FULL["id"]), MEMORY)
    wanted = {**FULL, "metadata": {**FULL["metadata"], "agent_id": "ai:alice"}}
    assert {name: memory[name] for name in FULL} == wanted
    assert "expires_at" not in memory
    reply = node.ask("POST", "/memories", {**FULL, "title": "other"})
    assert (reply.status, shaped(reply.body, REFUSED)["error"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "header", "stored"),
    [
        ({"agent_id": "a", "metadata": {"agent_id": "b"}}, "c", "a"),
        ({"metadata": {"agent_id": "b"}}, "c", "b"),
        ({}, "c", "c"),
    ],
)
def test_the_caller_is_body_then_metadata_then_header(
    node: RealNode, body: dict[str, Any], header: str, stored: str
) -> None:
    made = node.tell("POST", "/memories", {"title": "t", "content": "c", **body}, X_Agent_Id=header)
    assert made["agent_id"] == stored
    node.tell("PUT", f"/memories/{made['id']}", {"metadata": {"agent_id": "thief", "k": 1}})
    assert node.get(made["id"])["metadata"] == {"agent_id": stored, "k": 1}


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"tier": "short"}, 6 * 3600),
        ({"tier": "mid"}, 7 * 86400),
        ({"tier": "long"}, None),
        ({"ttl_secs": 90}, 90),
        ({"tier": "long", "ttl_secs": 90}, 90),
        ({"expires_at": "2199-01-01T02:00:00+02:00"}, "2199-01-01T00:00:00.000Z"),
    ],
)
def test_a_tier_brings_its_life(node: RealNode, fields: dict[str, Any], seconds: object) -> None:
    memory = node.get(node.store("life", **fields)["id"])
    if isinstance(seconds, int):
        lived = _seconds(memory["expires_at"]) - _seconds(memory["created_at"])
        assert abs(lived - seconds) < 1
    else:
        assert memory.get("expires_at") == seconds


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()


def test_a_read_has_the_record_twice_and_its_links(node: RealNode) -> None:
    one, two = node.store("one")["id"], node.store("two")["id"]
    node.tell("POST", "/links", {"source_id": one, "target_id": two})
    reply = node.ask("GET", f"/memories/{one}")
    shaped(reply.body, {**MEMORY, "memory": having(MEMORY), "links": each(LINK)})
    for name, value in reply.body["memory"].items():
        assert reply.body[name] == value
    assert len(reply.body["links"]) == 1
    assert reply.headers["etag"].strip('"')


def test_reads_are_counted_aside(node: RealNode) -> None:
    made = node.store("counted", "phoenix counted")["id"]
    before = node.get(made)
    for _ in range(2):
        node.get(made)
    node.tell("GET", "/recall?context=phoenix%20counted")
    after = until(
        lambda: next(
            (m for m in node.tell("GET", "/memories")["memories"] if m["access_count"] == 4), None
        ),
        "it was counted",
        seconds=1,
    )
    assert (after["id"], after["version"]) == (made, before["version"])
    assert moment(after["last_accessed_at"])


def test_an_update_gives_the_memory_and_a_later_version(node: RealNode) -> None:
    made = node.store("before")["id"]
    reply = node.ask("PUT", f"/memories/{made}", {"title": "after", "priority": 10})
    assert reply.status == 200
    shaped(reply.body, {"id": text, "memory": having(MEMORY), **WRITTEN})
    memory = reply.body["memory"]
    assert (memory["title"], memory["priority"], memory["content"]) == ("after", 10, "text")
    assert memory["version"] > 1
    moved = node.tell("PUT", f"/memories/{made}", {"namespace": "elsewhere"})["memory"]
    assert (moved["namespace"], moved["created_at"]) == ("elsewhere", memory["created_at"])
    assert moved["version"] > memory["version"]
    lower = node.tell("PUT", f"/memories/{made}", {"tier": "short"})["memory"]
    assert lower["tier"] == "mid"
    missing = node.ask("PUT", "/memories/no-such-id", {"title": "t"})
    assert (missing.status, shaped(missing.body, REFUSED)["error"]) == (404, "not_found")


def test_if_match_is_honoured(node: RealNode) -> None:
    made = node.store("matched")["id"]
    etag = node.ask("GET", f"/memories/{made}").headers["etag"]
    again = node.ask("PUT", f"/memories/{made}", {"title": "x"}, If_Match=etag)
    assert again.status == 200
    for method, body in (("PUT", {"title": "y"}), ("DELETE", None)):
        stale = node.ask(method, f"/memories/{made}", body, If_Match=etag)
        assert stale.status == 412
        shaped(stale.body, REFUSED)
    newest = again.headers["etag"]
    assert node.ask("DELETE", f"/memories/{made}", If_Match=newest).status == 200


def test_a_delete_says_so(node: RealNode) -> None:
    made = node.store("ending")["id"]
    reply = node.ask("DELETE", f"/memories/{made}")
    assert (reply.status, reply.body["deleted"]) == (200, True)
    shaped(reply.body, WRITTEN)
    assert node.ask("GET", f"/memories/{made}").status == 404
    assert node.ask("DELETE", f"/memories/{made}").status == 404


def test_on_conflict_goes_by_title_and_namespace(node: RealNode) -> None:
    one = node.store("twin", "first", namespace="twins")["id"]
    two = node.store("twin", "second", namespace="twins")["id"]
    assert one != two
    body = {"title": "twin", "content": "third", "namespace": "twins"}
    refused = node.ask("POST", "/memories", {**body, "on_conflict": "error"})
    assert refused.status == 409
    updated = node.tell("POST", "/memories", {**body, "on_conflict": "update"})["id"]
    assert updated in {one, two}
    assert node.get(updated)["content"] == "third"
    assert len(titles(node, "namespace=twins")) == 2
    assert node.store("twin", namespace="others", on_conflict="error")["id"] not in {one, two}


def test_a_list_filters_orders_and_pages(node: RealNode) -> None:
    for place in range(5):
        node.store(
            f"l{place}",
            namespace="listed",
            tags=["all", f"n{place}"],
            priority=place + 1,
            agent_id=f"lister-{place % 2}",
            tier="long" if place == 4 else "mid",
            metadata={"session_id": f"s{place}"},
        )
    space = "namespace=listed"
    newest = ["l4", "l3", "l2", "l1", "l0"]
    assert titles(node, space) == newest
    assert titles(node, f"{space}&limit=2") == newest[:2]
    assert titles(node, f"{space}&limit=2&offset=3") == newest[3:]
    assert titles(node, f"{space}&tags=all,n2") == ["l2"]
    assert titles(node, f"{space}&tags=all&tags=n2") == ["l2"]
    assert titles(node, f"{space}&tags=n1,n2") == []
    assert titles(node, f"{space}&min_priority=4") == ["l4", "l3"]
    assert titles(node, f"{space}&tier=long") == ["l4"]
    assert titles(node, f"{space}&agent_id=lister-1") == ["l3", "l1"]
    assert titles(node, f"{space}&session_id=s3") == ["l3"]
    assert titles(node, f"{space}&nonsense=1&limit=1") == ["l4"]
    stamps = [m["created_at"] for m in node.tell("GET", f"/memories?{space}")["memories"]]
    assert all(later >= earlier for later, earlier in pairwise(stamps))
    assert titles(node, f"{space}&since={stamps[0]}&until={stamps[0]}")[0] == "l4"
    assert titles(node, f"{space}&since=2199-01-01T00:00:00Z") == []
    assert titles(node, f"{space}&until=2001-01-01T00:00:00Z") == []


def test_a_list_is_20_and_a_page_1000(node: RealNode) -> None:
    items = [{"title": f"p{n}", "content": "c", "namespace": "paged"} for n in range(1000)]
    node.tell("POST", "/memories/bulk", items)
    node.store("one more", namespace="paged")
    assert len(titles(node, "namespace=paged")) == 20
    assert len(titles(node, "namespace=paged&limit=5000")) == 1000
    assert titles(node, "namespace=paged&offset=1000") == ["p0"]


def test_bulk_reports_each_item(node: RealNode) -> None:
    shape = {"created": whole, "ids": texts, "errors": things, "pending": things, **DURABLE}
    good = {"title": "b", "content": "c"}
    reply = node.ask("POST", "/memories/bulk", [good, good])
    assert (reply.status, shaped(reply.body, shape)["created"]) == (201, 2)
    assert all(node.get(ident)["title"] == "b" for ident in reply.body["ids"])
    reply = node.ask("POST", "/memories/bulk", [good, {"title": "x"}, good, 5])
    assert (reply.status, shaped(reply.body, shape)["created"]) == (207, 2)
    assert [
        shaped(one, {"index": whole, "error": text})["index"] for one in reply.body["errors"]
    ] == [
        1,
        3,
    ]
    assert node.ask("POST", "/memories/bulk", []).status == 201


def test_conflicts_and_history(node: RealNode) -> None:
    made = node.store("story", agent_id="ai:alice")["id"]
    node.tell("PUT", f"/memories/{made}", {"title": "story 2"})
    assert node.tell("GET", f"/memories/{made}/conflicts")["fields"] == {}
    history = node.tell("GET", f"/memories/{made}/history")["history"]
    assert [shaped(op, {"dot": dot, "agent_id": text})["kind"] for op in history] == [
        "edit",
        "create",
    ]


def test_what_is_private_is_for_its_author_and_whom_he_lets_in(node: RealNode) -> None:
    made = node.store("own", "gorgon private", scope="private", agent_id="ai:alice")["id"]
    reads = (f"/memories/{made}", f"/links/{made}", f"/memories/{made}/history")
    for headers in ({"X_Agent_Id": "ai:bob"}, {}):
        assert [node.ask("GET", path, **headers).status for path in reads] == [404] * 3
        assert made not in str(node.tell("GET", "/export", **headers))
        for path in ("/search?q=gorgon", "/recall?context=gorgon&limit=50", "/memories?limit=1000"):
            assert made not in str(node.tell("GET", path, **headers)), path
    reply = node.ask("POST", f"/memories/{made}/grant", {"agent_id": "ai:bob"}, X_Agent_Id="ai:bob")
    assert reply.status == 404
    granted = node.tell(
        "POST", f"/memories/{made}/grant", {"agent_id": "ai:bob"}, X_Agent_Id="ai:alice"
    )
    shaped(granted, WRITTEN)
    for agent in ("ai:alice", "ai:bob"):
        assert [node.ask("GET", path, X_Agent_Id=agent).status for path in reads] == [200] * 3
        assert made in str(node.tell("GET", "/search?q=gorgon", X_Agent_Id=agent))
    node.tell("POST", f"/memories/{made}/revoke", {"agent_id": "ai:bob"}, X_Agent_Id="ai:alice")
    assert node.ask("GET", f"/memories/{made}", X_Agent_Id="ai:bob").status == 404
    for scope in ("org", "unit", "team", "collective"):
        assert node.get(node.store(scope, scope=scope, agent_id="ai:alice")["id"])["title"] == scope


def test_recall_has_its_shape(node: RealNode) -> None:
    ids = {node.store(f"r{n}", f"kelpie number {n}", namespace="recalled")["id"] for n in range(12)}
    other = node.store("nothing alike", "quiet", namespace="recalled")["id"]
    shape = {
        "memories": each({**MEMORY, "score": number}),
        "count": whole,
        "tokens_used": whole,
        "budget_tokens": maybe(whole),
        "meta": having({"recall_mode": text, "candidate_counts": having({})}),
    }
    for answer in (
        node.tell("GET", "/recall?context=kelpie&namespace=recalled"),
        node.tell("POST", "/recall", {"context": "kelpie", "namespace": "recalled"}),
    ):
        shaped(answer, shape)
        assert answer["count"] == len(answer["memories"]) == 10
        assert {memory["id"] for memory in answer["memories"]} <= ids
        scores = [memory["score"] for memory in answer["memories"]]
        assert scores == sorted(scores, reverse=True)
    every = node.tell("POST", "/recall", {"context": "zzz", "namespace": "recalled", "limit": 999})
    assert {memory["id"] for memory in every["memories"]} == ids | {other}
    both = {"context": "kelpie", "tags": "x,y"}
    assert node.tell("POST", "/recall", both) == node.tell(
        "POST", "/recall", {**both, "tags": ["x", "y"]}
    )


def test_search_gives_the_same_rows_under_both_names(node: RealNode) -> None:
    made = [node.store(f"s{n}", f"undine literal {n}", tags=[f"u{n}"])["id"] for n in range(3)]
    answer = node.tell("GET", "/search?q=undine%20LITERAL")
    shaped(answer, {"results": each(MEMORY), "memories": each(MEMORY), "count": whole})
    assert answer["query"] == "undine LITERAL"
    assert answer["results"] == answer["memories"]
    assert {memory["id"] for memory in answer["memories"]} == set(made)
    found = node.tell("GET", "/search?q=undine&tags=u1")["memories"]
    assert [memory["id"] for memory in found] == [made[1]]
    assert node.tell("GET", "/search?q=undine%20absent")["count"] == 0
    assert node.tell("GET", "/search?q=undine&limit=2")["count"] == 2


def test_export_is_what_import_takes(
    node: RealNode, tmp_path_factory: pytest.TempPathFactory
) -> None:
    exported = node.tell("GET", "/export")
    shaped(exported, {"memories": each(MEMORY), "links": each(LINK), "exported_at": moment})
    assert exported["count"] == len(exported["memories"]) > 1000
    some = exported["memories"][:500]
    other = lone(tmp_path_factory.mktemp("imported"))
    try:
        other.start()
        until(other.ready, "it is ready")
        shape = {"imported": whole, "skipped": whole, "errors": things, **DURABLE}
        body = {"memories": some, "links": []}
        first = shaped(other.tell("POST", "/import", body, X_Agent_Id="ai:carol"), shape)
        assert (first["imported"], first["skipped"], first["errors"]) == (500, 0, [])
        again = shaped(other.tell("POST", "/import", body, X_Agent_Id="ai:carol"), shape)
        assert (again["imported"], again["skipped"]) == (0, 500)
        for memory in some[:20]:
            held = other.get(memory["id"])
            assert held["created_at"] == memory["created_at"]
            assert held["metadata"]["agent_id"] == "ai:carol"
            author = memory["metadata"]["agent_id"]
            assert held["metadata"]["imported_from_agent_id"] == author
        assert other.ask("POST", "/import?trust_source=true", body).status == 403
    finally:
        other.clean_up()


def test_a_retry_gives_the_same_and_another_body_409(node: RealNode) -> None:
    body = {"title": "once", "content": "c"}
    first = node.tell("POST", "/memories", body, Idempotency_Key="key-1", X_Agent_Id="ann")
    again = node.tell("POST", "/memories", body, Idempotency_Key="key-1", X_Agent_Id="ann")
    assert again["id"] == first["id"]
    assert again["durability"]["dot"] == first["durability"]["dot"]
    other = node.ask(
        "POST", "/memories", {**body, "title": "twice"}, Idempotency_Key="key-1", X_Agent_Id="ann"
    )
    assert (other.status, other.body["error"]) == (409, "idempotency_key_reused")


def test_a_causal_token_is_waited_for(node: RealNode) -> None:
    token = node.store("seen")["durability"]["token"]
    assert node.ask("GET", "/memories", X_Causal_Token=token).status == 200
    actor, _, seq = token.rpartition(".")
    behind = node.ask("GET", "/memories", X_Causal_Token=f"{actor}.{int(seq) + 1000}")
    assert (behind.status, behind.body["error"]) == (412, "behind")
    assert behind.headers["x-causal-token"]
    wrong = {"X_Causal_Token": "no token"}
    assert node.ask("GET", "/memories", **wrong).status == 400
