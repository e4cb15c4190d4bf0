"""Ids as the contract has them: the beginning of one is as good as all of it, wherever one is read.

Law: six characters and more; what several begin with is 409 with the candidates, and changes
nothing; less than six is nothing's id. What is, or was, the whole id of a memory is the beginning
of no other: asked twice, a delete deletes once.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.rig import RealNode, Reply

pytestmark = pytest.mark.integration
Ask = Callable[[RealNode, str, str], Reply]


def by_path(method: str, path: str, body: Any = None) -> Ask:
    return lambda node, ident, _: node.ask(method, path.format(ident), body, X_Agent_Id="ann")


def by_body(method: str, path: str, field: str, **more: Any) -> Ask:
    def ask(node: RealNode, ident: str, other: str) -> Reply:
        ends = (
            {"source_id": other, "target_id": other} if field in {"source_id", "target_id"} else {}
        )
        value: Any = [ident, other] if field == "ids" else ident
        return node.ask(method, path, {**ends, **more, field: value}, X_Agent_Id="ann")

    return ask


WAYS: dict[str, Ask] = {
    "read": by_path("GET", "/memories/{}"),
    "conflicts": by_path("GET", "/memories/{}/conflicts"),
    "history": by_path("GET", "/memories/{}/history"),
    "lineage": by_path("GET", "/memories/{}/lineage"),
    "links": by_path("GET", "/links/{}"),
    "timeline": by_path("GET", "/kg/timeline?source_id={}"),
    "walk": by_body("POST", "/kg/query", "source_id"),
    "update": by_path("PUT", "/memories/{}", {"title": "new"}),
    "promote": by_path("POST", "/memories/{}/promote"),
    "grant": by_path("POST", "/memories/{}/grant", {"agent_id": "bob"}),
    "revoke": by_path("POST", "/memories/{}/revoke", {"agent_id": "bob"}),
    "link to": by_body("POST", "/links", "target_id"),
    "link from": by_body("POST", "/links", "source_id"),
    "standard": by_body("POST", "/namespaces", "id", namespace="told", governance={"write": "any"}),
    "archive ids": by_body("POST", "/archive", "ids"),
    "archive": by_path("POST", "/archive/{}"),
    "restore": by_path("POST", "/archive/{}/restore"),
    "purge": by_path("DELETE", "/archive/{}"),
    "consolidate": by_body("POST", "/consolidate", "ids"),
    "forget": by_path("POST", "/memories/{}/forget"),
    "erase": by_path("POST", "/memories/{}/forget", {"erase": True}),
    "forget ids": by_body("POST", "/forget", "ids"),
    "delete": by_path("DELETE", "/memories/{}"),
}
IN_THE_ARCHIVE = {"restore", "purge"}


def pair(node: RealNode, way: str) -> tuple[str, str, str]:
    """Two memories whose ids begin alike, and another one."""
    slug = way.replace(" ", "-")
    ids = (f"{slug}-abcdef-1", f"{slug}-abcdef-2", f"other-{slug}")
    for ident in ids:
        node.store("t", id=ident, agent_id="ann")
    if way in IN_THE_ARCHIVE:
        for ident in ids[:2]:
            node.tell("POST", f"/archive/{ident}", X_Agent_Id="ann")
    return ids


@pytest.mark.parametrize("way", WAYS)
def test_a_beginning_stands_for_the_only_id_that_begins_so(node: RealNode, way: str) -> None:
    one, two, other = pair(node, way)
    before = node.mesh()["digest"]
    several = WAYS[way](node, one[:-1], other)
    assert (several.status, several.body["error"]) == (409, "ambiguous_id"), several.body
    assert several.body["candidates"] == [one, two]
    nothing = WAYS[way](node, f"{one}3", other)
    listing = way in {"archive ids", "forget ids"}
    assert nothing.status == (200 if listing else 404), nothing.body
    if listing:
        assert nothing.body["missing"] == [f"{one}3"]
        node.store("t", id=f"{other}-2", agent_id="ann")
        other = f"{other}-2"
    else:
        assert node.mesh()["digest"] == before
    node.tell("POST", f"/archive/{two}" if way in IN_THE_ARCHIVE else f"/memories/{two}/forget",
              X_Agent_Id="ann")  # fmt: skip
    if way in IN_THE_ARCHIVE:
        assert node.ask("DELETE", f"/archive/{two}", X_Agent_Id="ann").status == 200
    elif way in {"archive", "archive ids", "erase", "forget", "forget ids", "promote"}:
        node.tell("DELETE", f"/archive/{two}", X_Agent_Id="ann")  # these look there as well
    only = WAYS[way](node, one[:-1], other)
    assert only.status in {200, 201}, only.body


@pytest.mark.parametrize("way", WAYS)
def test_less_than_six_characters_are_no_id(node: RealNode, way: str) -> None:
    start = f"n{list(WAYS).index(way):02}z"
    node.store("t", id=f"{start}zzzzzz", agent_id="ann")
    node.store("t", id=f"whole-{start}", agent_id="ann")
    reply = WAYS[way](node, f"{start}z", f"whole-{start}")
    if way in {"archive ids", "forget ids"}:
        assert len(reply.body["missing"]) == 1
    else:
        assert reply.status == 404, reply.body


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gone", ["deleted", "erased", "purged", "put away"])
def test_a_whole_id_of_what_is_gone_stands_for_nothing_else(
    node: RealNode, way: str, gone: str
) -> None:
    slug = f"{way}-{gone}".replace(" ", "-")
    one, longer, other = f"{slug}-1", f"{slug}-10", f"other-{slug}"
    for ident in (one, longer, other):
        node.store("t", id=ident, agent_id="ann")
    archives = gone in {"purged", "put away"}
    if way in IN_THE_ARCHIVE:
        if gone == "put away":  # here what is not in the archive has the whole id
            node.tell("POST", f"/archive/{longer}", X_Agent_Id="ann")
        else:
            node.tell("POST", "/archive", {"ids": [one, longer]}, X_Agent_Id="ann")
            node.tell("DELETE", f"/archive/{one}", X_Agent_Id="ann")
    elif archives:
        node.tell("POST", f"/archive/{one}", X_Agent_Id="ann")
        if gone == "purged":
            node.tell("DELETE", f"/archive/{one}", X_Agent_Id="ann")
    elif gone == "erased":
        node.tell("POST", f"/memories/{one}/forget", {"erase": True}, X_Agent_Id="ann")
    else:
        node.tell("DELETE", f"/memories/{one}", X_Agent_Id="ann")
    looks_there = {"archive", "archive ids", "erase", "forget", "forget ids", "promote"}
    if gone == "put away" and way in looks_there:
        return  # the archive is where these find it
    before = node.mesh()["digest"]
    reply = WAYS[way](node, one, other)
    if way in {"archive ids", "forget ids"}:
        assert reply.body["missing"] == [one], reply.body
        return  # the other one of the two was meant
    assert reply.status == 404, reply.body
    assert node.mesh()["digest"] == before


def test_asked_twice_a_delete_deletes_once(node: RealNode) -> None:
    for number in (8, 80):
        node.store("t", id=f"twice-d-1-{number}", agent_id="ann")
    gone = node.ask("DELETE", "/memories/twice-d-1-8", X_Agent_Id="ann")
    again = node.ask("DELETE", "/memories/twice-d-1-8", X_Agent_Id="ann")
    assert (gone.status, again.status) == (200, 404)
    assert node.ask("PUT", "/memories/twice-d-1-8", {"title": "u"}, X_Agent_Id="ann").status == 404
    assert node.ask("GET", "/memories/twice-d-1-8", X_Agent_Id="ann").status == 404
    assert node.tell("GET", "/memories/twice-d-1-80")["memory"]["title"] == "t"


def test_actions_and_subscriptions_have_beginnings_too(node: RealNode) -> None:
    heard = node.tell("POST", "/subscriptions", {"agent_id": "ann"})["id"]
    assert node.tell("DELETE", f"/subscriptions/{heard[:30]}", X_Agent_Id="ann")["deleted"] is True
    for path in ("/subscriptions/{}", "/subscriptions?id={}"):
        heard = node.tell("POST", "/subscriptions", {"agent_id": "ann"})["id"]
        gone = node.tell("DELETE", path.format(heard[:20]), X_Agent_Id="ann")
        assert (gone["id"], node.tell("GET", "/subscriptions")["count"]) == (heard, 0)
    for agent in ("ann", "bob"):
        node.tell("POST", "/agents", {"agent_id": agent, "agent_type": "human"})
    rules = {"namespace": "kept", "governance": {"write": "approve"}}
    node.tell("POST", "/namespaces", rules, X_Agent_Id="ann")
    body = {"title": "t", "content": "c", "namespace": "kept"}
    held = [node.tell("POST", "/memories", body, X_Agent_Id="bob") for _ in range(2)]
    ids = [one["pending_id"] for one in held]
    both = ids[0].rpartition(":")[0]
    several = node.ask("POST", f"/pending/{both}/approve", {}, X_Agent_Id="ann")
    assert (several.status, several.body["error"]) == (409, "ambiguous_id")
    assert set(several.body["candidates"]) == set(ids)
    node.tell("POST", f"/pending/{ids[0]}/approve", {}, X_Agent_Id="ann")
    done = node.tell("POST", f"/pending/{both}/reject", {}, X_Agent_Id="ann")
    assert (done["rejected"], done["id"]) == (True, ids[1])


def test_what_is_private_to_others_makes_nothing_ambiguous(node: RealNode) -> None:
    node.store("t", id="hidden-abc-1", agent_id="ann")
    node.store("t", id="hidden-abc-2", scope="private", agent_id="bob")
    assert node.ask("GET", "/memories/hidden-abc", X_Agent_Id="ann").status == 200
    assert node.ask("GET", "/memories/hidden-abc", X_Agent_Id="bob").status == 409
