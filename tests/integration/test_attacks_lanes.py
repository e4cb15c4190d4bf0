"""Attempts to change what policies keep, by every lane that there is, on real nodes."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode, running, until
from tests.integration.rig_governance import fresh_space, held, set_policy
from tests.integration.rig_mesh import founded
from tests.integration.rig_push import Pusher

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

MALLORY, ALICE, ROOT = {"X_Agent_Id": "mallory"}, {"X_Agent_Id": "alice"}, {"X_Agent_Id": "root"}
SERIAL = itertools.count()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    config = {"admin": {"agent_ids": ["root"]}}
    (one,) = founded(tmp_path_factory.mktemp("lanes"), 1, config=config)
    with running(one):
        yield one


@pytest.fixture(scope="module")
def pusher(node: RealNode, tmp_path_factory: pytest.TempPathFactory) -> Pusher:
    folder: Path = tmp_path_factory.mktemp("peer")
    return Pusher.enrolled(node, folder)


def kept(node: RealNode, space: str, **fields: Any) -> dict[str, Any]:
    """A memory of alice, as it is shown."""
    ident = f"kept-{next(SERIAL)}"
    node.store(f"title of {ident}", namespace=space, agent_id="alice", id=ident, **fields)
    return node.get(ident)


def same(node: RealNode, before: dict[str, Any]) -> bool:
    reply = node.ask("GET", f"/memories/{before['id']}")
    local = {"access_count": 0, "last_accessed_at": ""}
    return reply.status == 200 and {**reply.body["memory"], **local} == {**before, **local}


def test_a_namespace_that_nobody_may_write_into_is_written_into_by_no_lane(
    node: RealNode, pusher: Pusher
) -> None:
    space, elsewhere = fresh_space(), fresh_space("open")
    before = kept(node, space)
    outside = kept(node, elsewhere)
    early = {"title": "t", "content": "c", "namespace": space}
    set_policy(node, space, "root", write="deny", promote="deny", delete="deny")
    ident, own = before["id"], outside["id"]
    link = {"source_id": ident, "target_id": own}
    tried: list[tuple[str, str, Any]] = [
        ("POST", "/memories", early),
        ("POST", "/memories", {**early, "scope": "private"}),
        ("POST", "/memories", {**early, "title": before["title"], "on_conflict": "update"}),
        ("POST", "/memories", {**early, "id": f"new-{next(SERIAL)}", "ttl_secs": 1}),
        ("PUT", f"/memories/{ident}", {"content": "x"}),
        ("PUT", f"/memories/{ident}", {"tags": []}),
        ("PUT", f"/memories/{ident}", {"tier": "long"}),
        ("PUT", f"/memories/{ident}", {"ttl_secs": 1}),
        ("PUT", f"/memories/{ident}", {"namespace": elsewhere}),
        ("PUT", f"/memories/{own}", {"namespace": space}),
        ("PUT", f"/memories/{ident}", {"scope": "private"}),
        ("POST", f"/memories/{ident}/promote", {}),
        ("POST", f"/memories/{ident}/promote", {"to_namespace": elsewhere}),
        ("POST", f"/memories/{own}/promote", {"to_namespace": space}),
        ("POST", f"/memories/{ident}/grant", {"agent_id": "mallory"}),
        ("DELETE", f"/memories/{ident}", None),
        ("POST", "/links", link),
    ]
    for method, path, body in tried:
        for agent in (ALICE, {}):
            expected = {403, 404} if path.endswith("/grant") else {403}
            reply = node.ask(method, path, body, **agent)
            assert reply.status in expected, (method, path, body, reply.body)
    items = {"memories": [early, {**early, "title": before["title"], "on_conflict": "update"}]}
    assert node.ask("POST", "/memories/bulk", {"memories": [early]}).status == 400
    assert node.ask("POST", "/memories/bulk", items).status in {400, 403}
    for query in ("", "?trust_source=true"):
        reply = node.ask("POST", f"/import{query}", {"memories": [early]}, **ROOT)
        assert reply.body["imported"] == 0, reply.body
    rows = [
        {**early, "id": f"row-{next(SERIAL)}", "metadata": {"agent_id": agent}}
        for agent in ("root", "alice", "pusher")
    ]
    stale = {**before, "content": "pushed over", "updated_at": "2999-01-01T00:00:00.000Z"}
    told = pusher.push({"memories": [*rows, stale], "deletions": [ident]})["results"]
    assert {one["status"] for one in told} <= {"refused", "duplicate"}, told
    assert same(node, before)
    assert same(node, outside)


@pytest.mark.parametrize(
    "body",
    [
        {"tier": "long", "tags": []},
        {"tier": "long", "metadata": None},
        {"tier": "mid", "ttl_secs": 1},
        {"tier": "long", "expires_at": "2099-01-01T00:00:00.000Z"},
        {"tier": "long", "title": "x"},
        {"tier": "long", "namespace": "elsewhere"},
        {"tier": "long", "scope": "private"},
    ],
)
def test_a_promotion_carries_nothing_else_along(node: RealNode, body: dict[str, Any]) -> None:
    space = fresh_space()
    before = kept(node, space, tags=["a", "b"], metadata={"k": 1}, tier="short")
    set_policy(node, space, "root", write="deny", promote="any", delete="deny")
    reply = node.ask("PUT", f"/memories/{before['id']}", body, **MALLORY)
    assert reply.status == 403, reply.body
    assert same(node, before)
    assert node.ask("POST", f"/memories/{before['id']}/promote", {}, **MALLORY).status == 200
    assert node.get(before["id"])["tier"] == "long"


def test_the_key_of_a_retry_is_no_key_to_anything(node: RealNode) -> None:
    space = fresh_space()
    body = {"title": "t", "content": "c", "namespace": space}
    first = node.ask("POST", "/memories", body, idempotency_key="one", **ALICE)
    assert first.status == 201
    set_policy(node, space, "root", write="deny")
    again = node.ask("POST", "/memories", body, idempotency_key="one", **ALICE)
    assert again.body["id"] == first.body["id"], "a retry of what was allowed is answered as it was"
    assert node.ask("POST", "/memories", body, idempotency_key="one", **MALLORY).status == 403
    assert node.ask("POST", "/memories", body, idempotency_key="one").status == 403
    other = {**body, "content": "other"}
    assert node.ask("POST", "/memories", other, idempotency_key="one", **ALICE).status == 409
    secret = node.store("s", "hidden", scope="private", agent_id="alice")["id"]
    for agent in (MALLORY, {}):
        change = node.ask(
            "PUT", f"/memories/{secret}", {"title": "x"}, idempotency_key="2", **agent
        )
        assert change.status == 404


def test_what_has_ended_is_no_way_in(node: RealNode) -> None:
    """Neither an id that was deleted nor one that expired is free of its namespace's rules."""
    space = fresh_space()
    gone = kept(node, space)
    short = kept(node, space, ttl_secs=1)
    node.tell("DELETE", f"/memories/{gone['id']}", **ALICE)
    until(lambda: node.ask("GET", f"/memories/{short['id']}").status == 404, "it has expired")
    set_policy(node, space, "root", write="any", delete="owner")
    body = {"title": "t", "content": "c", "namespace": fresh_space("open"), "id": short["id"]}
    assert node.ask("POST", "/memories", body, **MALLORY).status == 403
    set_policy(node, space, "root", write="deny", delete="deny")
    for ident in (gone["id"], short["id"]):
        again = {"title": "t", "content": "c", "namespace": space, "id": ident}
        assert node.ask("POST", "/memories", again, **ALICE).status == 403


def test_a_foreign_peer_neither_governs_nor_decides_for_others(
    node: RealNode, pusher: Pusher
) -> None:
    space = fresh_space()
    node.tell("POST", "/agents", {"agent_id": "hana", "agent_type": "human"}, **ROOT)
    set_policy(node, space, "root", write="approve", delete="deny")
    action, ident = held(node, space, "bob")
    asked = {
        "id": "their-1", "action_type": "store", "memory_id": "brought-1", "namespace": space,
        "requested_by": "bob", "payload": {"title": "t", "content": "c"}, "status": "pending",
    }  # fmt: skip
    loose = {"namespace": space, "governance": {"write": "any"}}
    told = pusher.push(
        {
            "namespace_meta": [
                {**loose, "updated_at": "2999-01-01T00:00:00.000Z"},
                {**loose, "namespace": "*"},
                {**loose, "namespace": f"{space}/below"},
            ],
            "namespace_meta_clears": [space, "*"],
            "pendings": [asked],
            "pending_decisions": [
                {"id": "their-1", "approved": True, "decider": "hana"},
                {"id": action, "approved": True, "decider": "bob"},
                {"id": action, "approved": True, "decider": "nobody"},
                {"id": action, "approved": True, "decider": "pusher"},
            ],
        }
    )
    by_kind: dict[str, list[str]] = {}
    for one in told["results"]:
        by_kind.setdefault(one["kind"], []).append(one["status"])
    applied = [one for one in told["results"] if one["status"] == "applied"]
    assert [one["id"] for one in applied] in ([], ["their-1"]), told["results"]
    assert node.ask("GET", f"/memories/{ident}").status == 404
    assert node.ask("GET", "/memories/brought-1").status == 404
    (standard,) = node.tell("GET", f"/namespaces?namespace={space}")["standards"]
    assert standard["governance"]["write"] == "approve"
    assert node.tell("GET", "/namespaces?namespace=*")["standards"] == []


def test_a_foreign_peer_is_no_administrator_by_saying_so(node: RealNode, pusher: Pusher) -> None:
    space = fresh_space()
    before = kept(node, space)
    set_policy(node, space, "root", write="owner", delete="owner")
    row = {"title": "t", "content": "c", "namespace": space, "metadata": {"agent_id": "root"}}
    (told,) = pusher.push({"memories": [{**row, "id": "by-root"}]})["results"]
    assert told["status"] == "refused", told
    changed = {**before, "content": "x", "metadata": {"agent_id": "root"}}
    (told,) = pusher.push({"memories": [{**changed, "updated_at": "2999-01-01T00:00:00Z"}]})[
        "results"
    ]
    assert told["status"] != "applied", told
    assert same(node, before)
    assert node.tell(
        "POST", "/memories", {"title": "t", "content": "c", "namespace": space}, **ROOT
    )
