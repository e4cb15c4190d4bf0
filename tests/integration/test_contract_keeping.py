"""Promotion, the archive, forgetting and consolidation as the contract has them, on a real node."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.rig import RealNode, until
from tests.integration.rig_routes import lone
from tests.integration.rig_shapes import (
    ARCHIVED,
    DURABLE,
    MEMORY,
    WRITTEN,
    each,
    shaped,
    text,
    whole,
)

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    one = lone(tmp_path_factory.mktemp("contract"))
    try:
        one.start()
        yield one
    finally:
        one.clean_up()


def archive(node: RealNode, query: str = "") -> list[dict[str, Any]]:
    answer = shaped(node.tell("GET", f"/archive{query}"), {"memories": each(ARCHIVED)})
    assert answer["count"] == len(answer["memories"])
    memories: list[dict[str, Any]] = answer["memories"]
    return memories


def is_gone(node: RealNode, ident: str) -> bool:
    return node.ask("GET", f"/memories/{ident}").status == 404


def test_a_promotion_makes_it_last(node: RealNode) -> None:
    made = node.store("p", tier="short")["id"]
    reply = node.ask("POST", f"/memories/{made}/promote", {})
    assert (reply.status, shaped(reply.body, WRITTEN)["id"]) == (200, made)
    memory = node.get(made)
    assert memory["tier"] == "long"
    assert "expires_at" not in memory
    node.tell("POST", f"/memories/{made}/promote", {"to_namespace": "kept/for/good"})
    assert node.get(made)["namespace"] == "kept/for/good"
    node.tell("POST", f"/archive/{made}", {})
    assert is_gone(node, made)
    node.tell("POST", f"/memories/{made}/promote", {})
    assert node.get(made)["tier"] == "long"
    assert node.ask("POST", "/memories/no-such-id/promote", {}).status == 404


def test_the_archive_keeps_and_gives_back(node: RealNode) -> None:
    space = "aside"
    ids = [node.store(f"a{n}", namespace=space, tags=["x"])["id"] for n in range(3)]
    before = node.get(ids[0])
    for ident in ids:
        assert node.ask("POST", f"/archive/{ident}", {}).status == 200
        assert is_gone(node, ident)
    rows = archive(node, f"?namespace={space}")
    assert [row["id"] for row in rows] == ids[::-1]  # last archived first
    row = rows[-1]
    assert (row["archive_reason"], row["original_tier"]) == ("archived", "mid")
    assert row["original_expires_at"] == before["expires_at"]
    assert [row["id"] for row in archive(node, f"?namespace={space}&limit=1&offset=1")] == [ids[1]]
    stats = node.tell("GET", "/archive/stats")
    assert {"namespace": space, "count": 3} in stats["by_namespace"]
    assert stats["total"] == sum(row["count"] for row in stats["by_namespace"])
    reply = node.ask("POST", f"/archive/{ids[0]}/restore")
    assert (reply.status, shaped(reply.body, WRITTEN)["restored"]) == (200, True)
    after = node.get(ids[0])
    unchanged = ("id", "tier", "title", "content", "tags", "created_at", "expires_at", "metadata")
    assert {name: after[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert after["version"] > before["version"]
    assert node.ask("POST", f"/archive/{ids[0]}/restore").status == 404
    gone = node.ask("DELETE", f"/archive/{ids[1]}")
    assert (gone.status, shaped(gone.body, WRITTEN)["purged"]) == (200, 1)
    assert node.ask("POST", f"/archive/{ids[1]}/restore").status == 404
    assert node.tell("DELETE", "/archive?older_than_days=1")["purged"] == 0
    assert node.tell("DELETE", "/archive?older_than_days=0")["purged"] >= 1
    assert archive(node) == []


def test_several_are_archived_with_a_reason(node: RealNode) -> None:
    ids = [node.store(f"b{n}", namespace="many")["id"] for n in range(3)]
    node.tell("POST", f"/archive/{ids[2]}", {})
    body = {"ids": [*ids, "no-such-id"], "reason": "tidy"}
    told = shaped(node.tell("POST", "/archive", body), WRITTEN)
    assert told["archived"] == 3
    reasons = {row["id"]: row["archive_reason"] for row in archive(node, "?namespace=many")}
    assert reasons == {ids[0]: "tidy", ids[1]: "tidy", ids[2]: "archived"}
    assert node.tell("POST", "/archive", {"ids": ",".join(ids)})["archived"] == 3


def test_an_archive_page_is_50(node: RealNode) -> None:
    items = [{"title": f"c{n}", "content": "c", "namespace": "fifty"} for n in range(51)]
    ids = node.tell("POST", "/memories/bulk", items)["ids"]
    assert node.tell("POST", "/archive", {"ids": ids})["archived"] == 51
    assert len(archive(node, "?namespace=fifty")) == 50
    assert len(archive(node, "?namespace=fifty&limit=2000")) == 51


def test_one_is_forgotten_into_the_archive_or_erased(node: RealNode) -> None:
    one, two = (node.store(f"f{n}", namespace="lost")["id"] for n in range(2))
    reply = node.ask("POST", f"/memories/{one}/forget", {})
    assert (reply.status, shaped(reply.body, WRITTEN)["deleted"]) == (200, 1)
    [row] = archive(node, "?namespace=lost")
    assert (row["id"], row["archive_reason"]) == (one, "forgotten")
    erased = node.ask("POST", f"/memories/{two}/forget", {"erase": True})
    assert (erased.status, erased.body["deleted"]) == (200, 1)
    assert [row["id"] for row in archive(node, "?namespace=lost")] == [one]
    assert is_gone(node, one)
    assert is_gone(node, two)
    assert node.ask("POST", "/memories/no-such-id/forget", {}).status == 404


@pytest.mark.parametrize("place", ["body", "query"])
@pytest.mark.parametrize("way", ["ids", "namespace", "pattern", "tier", "agent_id"])
def test_forget_takes_what_the_filter_says_out_of_the_archive_too(
    node: RealNode, way: str, place: str
) -> None:
    word = f"{way.replace('_', '')}{place}"
    fields = {"namespace": word, "agent_id": f"ai:{word}", "tier": "short"}
    ids = [node.store(f"{word} {n}", f"the word {word}", **fields)["id"] for n in range(3)]
    node.tell("POST", f"/archive/{ids[0]}", {})
    other = node.store("other", namespace=f"{word}-other")["id"]
    value = {
        "ids": ids if place == "body" else ",".join(ids),
        "namespace": word,
        "pattern": f"word {word}" if place == "body" else f"WORD%20{word.upper()}",
        "tier": "short",
        "agent_id": f"ai:{word}",
    }[way]
    if place == "body":
        told = node.tell("POST", "/forget", {way: value})
    else:
        told = node.tell("POST", f"/forget?{way}={value}")
    assert shaped(told, WRITTEN)["deleted"] == 3
    assert all(is_gone(node, ident) for ident in ids)
    assert archive(node, f"?namespace={word}") == []
    assert node.get(other)["title"] == "other"


def test_filters_narrow_each_other_and_none_is_400(node: RealNode) -> None:
    one = node.store("n1", namespace="narrow")["id"]
    two = node.store("n2", namespace="narrow", tier="long")["id"]
    body = {"namespace": "narrow", "tier": "long", "pattern": "n"}
    assert node.tell("POST", "/forget", body)["deleted"] == 1
    assert is_gone(node, two)
    assert node.get(one)["title"] == "n1"
    assert node.ask("POST", "/forget", {}).status == 400
    assert node.ask("POST", "/forget", {"nonsense": 1}).status == 400
    assert node.tell("POST", "/forget", {"namespace": "nothing/here"})["deleted"] == 0


def test_several_become_one(node: RealNode) -> None:
    one = node.store("c1", "first words", agent_id="ai:alice", tier="long")["id"]
    two = node.store("c2", "second words", agent_id="ai:bob")["id"]
    body = {"ids": [one, two], "title": "both", "summary": "in short", "namespace": "sum"}
    reply = node.ask("POST", "/consolidate", body, X_Agent_Id="ai:carol")
    assert reply.status == 201
    made = shaped(reply.body, {"id": text, "consolidated": whole, **WRITTEN})
    assert made["consolidated"] == 2
    memory = shaped(node.get(made["id"]), MEMORY)
    assert (memory["title"], memory["content"]) == ("both", "in short")
    assert (memory["namespace"], memory["tier"]) == ("sum", "long")
    assert sorted(memory["metadata"]["consolidated_from_agents"]) == ["ai:alice", "ai:bob"]
    links = node.tell("GET", f"/links/{made['id']}")["links"]
    told = {(link["source_id"], link["relation"], link["target_id"]) for link in links}
    assert told == {(made["id"], "derived_from", source) for source in (one, two)}
    assert {row["id"] for row in archive(node)} >= {one, two}
    assert is_gone(node, one)
    again = node.ask("POST", "/consolidate", {"ids": [one, "no-such-id"]})
    assert again.status == 404


def test_what_is_over_is_collected(node: RealNode) -> None:
    ident = node.store("short", "undead word", ttl_secs=1)["id"]
    until(lambda: is_gone(node, ident), "it has expired")
    assert ident not in str(node.tell("GET", "/memories?limit=1000"))
    assert ident not in str(node.tell("GET", "/search?q=undead"))
    assert ident not in str(node.tell("GET", "/export"))
    told = shaped(node.tell("POST", "/gc", {}), DURABLE)
    assert told["expired_deleted"] in {0, 1}  # it may have been collected in the background
    assert node.tell("POST", "/gc", {})["expired_deleted"] == 0
