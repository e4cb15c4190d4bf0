"""Namespaces, agents and pending actions over HTTP: paths, fields and status codes."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.unit.http.governed_world import GovernedWorld, governed_world


@pytest.fixture
async def world() -> AsyncIterator[GovernedWorld]:
    async with governed_world() as world:
        yield world


# --- namespaces -------------------------------------------------------------------------


async def test_a_standard_is_set_and_read_under_both_addresses(world: GovernedWorld) -> None:
    value = {"write": "deny"}
    one = await world.tell("POST", "/namespaces/a%2Fb/standard", {"governance": value}, "ann")
    assert (one.status, one.json["namespace"], one.json["set"]) == (201, "a/b", True)
    assert one.json["quorum_acks"] == 2
    assert one.json["durability"]["local"] is True
    other = await world.tell(
        "POST", "/namespaces", {"namespace": "a", "standard": {"governance": value}}, "ann"
    )
    assert (other.status, other.json["namespace"]) == (201, "a")
    read = (await world.tell("GET", "/namespaces/a%2Fb/standard")).json
    assert read == (await world.tell("GET", "/namespaces?namespace=a/b")).json
    assert (read["namespace"], read["count"], read["chain"]) == ("a/b", 1, ["*", "a", "a/b"])
    assert read["standards"][0]["governance"]["write"] == "deny"
    both = (await world.tell("GET", "/namespaces/a%2Fb/standard?inherit=true")).json
    assert [one["namespace"] for one in both["standards"]] == ["a", "a/b"]


async def test_the_root_has_a_standard_too(world: GovernedWorld) -> None:
    for path in ("/namespaces/*/standard", "/namespaces/%2A/standard"):
        reply = await world.tell("POST", path, {"governance": {"delete": "deny"}}, "ann")
        assert reply.status == 201
    assert (await world.tell("GET", "/namespaces/*/standard")).json["chain"] == ["*"]


async def test_a_namespace_without_a_standard_is_empty_not_missing(world: GovernedWorld) -> None:
    read = (await world.tell("GET", "/namespaces/none/standard")).json
    assert (read["standards"], read["count"], read["chain"]) == ([], 0, ["*", "none"])


async def test_unknown_keys_are_told(world: GovernedWorld) -> None:
    body = {"namespace": "a", "governance": {"write": "deny", "rite": "any"}}
    assert (await world.tell("POST", "/namespaces", body, "ann")).json["ignored"] == ["rite"]


@pytest.mark.parametrize("path", ["/namespaces/a/standard", "/namespaces?namespace=a"])
async def test_clearing_says_whether_there_was_anything(world: GovernedWorld, path: str) -> None:
    body = {"namespace": "a", "governance": {"write": "deny"}}
    await world.tell("POST", "/namespaces", body, "ann")
    cleared = await world.tell("DELETE", path, agent="ann")
    assert (cleared.status, cleared.json["cleared"]) == (200, True)
    assert cleared.json["quorum_acks"] == 2
    again = await world.tell("DELETE", path, agent="ann")
    assert (again.status, again.json["cleared"]) == (200, False)


async def test_namespaces_are_listed_with_their_memories(world: GovernedWorld) -> None:
    await world.tell("POST", "/memories", {"title": "t", "content": "c", "namespace": "x"}, "ann")
    body = {"namespace": "y", "governance": {"write": "deny"}}
    await world.tell("POST", "/namespaces", body, "ann")
    listed = (await world.tell("GET", "/namespaces")).json
    assert [(n["namespace"], n["count"]) for n in listed["namespaces"]] == [("x", 1), ("y", 0)]


BAD: list[tuple[str, str, Any, int, str, str]] = [
    ("POST", "/namespaces", {"governance": {}}, 400, "invalid_field", "namespace"),
    ("POST", "/namespaces", {"namespace": 3, "governance": {}}, 400, "invalid_field", "namespace"),
    ("POST", "/namespaces", {"namespace": "n"}, 400, "invalid_field", "governance"),
    ("DELETE", "/namespaces", None, 400, "invalid_field", "namespace"),
    ("GET", "/namespaces?namespace=a&inherit=si", None, 400, "invalid_field", "inherit"),
    ("GET", "/namespaces/a%2F%2Fb/standard", None, 400, "invalid_field", "namespace"),
    (
        "POST",
        "/namespaces/n/standard",
        {"governance": {"write": "sometimes"}},
        400,
        "invalid_field",
        "governance.write",
    ),
    (
        "POST",
        "/namespaces/n/standard",
        {"governance": {"write": "approve", "approver": {"agent": "ai:nobody"}}},
        400,
        "unknown_approver",
        "governance.approver.agent",
    ),
    (
        "POST",
        "/namespaces/n/standard",
        {"governance": {}, "parent": "n/below"},
        400,
        "policy_loop",
        "parent",
    ),
    ("POST", "/namespaces/n/standard", {"id": "no-such-memory"}, 404, "not_found", ""),
    ("POST", "/agents", {"agent_type": "human"}, 400, "invalid_field", "agent_id"),
    (
        "POST",
        "/agents",
        {"agent_id": "x", "agent_type": "martian"},
        400,
        "invalid_field",
        "agent_type",
    ),
    (
        "POST",
        "/agents",
        {"agent_id": "x", "agent_type": "human", "public_key": "short"},
        400,
        "malformed_key",
        "public_key",
    ),
    ("POST", "/agents/x/role", {}, 400, "invalid_field", "role"),
    ("POST", "/agents/x/role", {"role": "emperor"}, 400, "invalid_field", "role"),
    ("GET", "/pending?status=maybe", None, 400, "invalid_field", "status"),
    ("GET", "/pending?limit=many", None, 400, "invalid_field", "limit"),
    ("POST", "/pending/no-such-action/approve", {}, 404, "not_found", ""),
    ("POST", "/pending/x/reject", {}, 404, "not_found", ""),
    ("POST", "/pending/x/approve", [], 400, "invalid_json", ""),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code", "field"), BAD)
async def test_bad_input_is_told_and_changes_nothing(
    world: GovernedWorld, method: str, path: str, body: Any, status: int, code: str, field: str
) -> None:
    before = len(world.governed.node.replica.governance)
    reply = await world.tell(method, path, body, "ann")
    assert (reply.status, reply.json["error"]) == (status, code), reply.body
    assert reply.json.get("field", "") == field
    assert reply.json["detail"]
    assert len(world.governed.node.replica.governance) == before


# --- agents -----------------------------------------------------------------------------


async def test_agents_are_registered_and_listed(world: GovernedWorld) -> None:
    body = {"agent_id": "ai:x/y", "agent_type": "ai:claude", "capabilities": ["a"]}
    made = await world.tell("POST", "/agents", body, "someone")
    assert (made.status, made.json["agent_id"]) == (201, "ai:x/y")
    assert made.json["quorum_acks"] == 2
    assert (await world.tell("POST", "/agents", body)).status == 201
    listed = (await world.tell("GET", "/agents")).json
    assert listed["count"] == 1
    assert set(listed["agents"][0]) == {
        "agent_id",
        "agent_type",
        "capabilities",
        "registered_at",
        "last_seen_at",
    }


async def test_a_role_is_given_by_an_address_with_any_agent_in_it(world: GovernedWorld) -> None:
    path = f"/agents/{quote('team/ai:x', safe='')}/role"
    given = await world.tell("POST", path, {"role": "agent-reader"}, "ann")
    assert (given.status, given.json["agent_id"]) == (200, "team/ai:x")
    assert given.json["role"] == "agent-reader"
    assert given.json["durability"]["needed"] == 2
    taken = await world.tell("POST", path, {"role": None}, "ann")
    assert (taken.status, taken.json["role"], taken.json["namespaces"]) == (200, "", [])


async def test_the_caller_is_the_header_and_not_who_it_is_about(world: GovernedWorld) -> None:
    await world.tell("POST", "/agents/ops/role", {"role": "system-admin"}, "ann")
    body = {"agent_id": "ops", "role": "system-admin"}
    denied = await world.tell("POST", "/agents/eve/role", body, "eve")
    assert (denied.status, denied.json["error"]) == (403, "governance_denied")


# --- pending ----------------------------------------------------------------------------


async def test_a_held_write_is_approved(world: GovernedWorld) -> None:
    await world.people()
    ident = await world.held(id="m-1")
    listed = (await world.tell("GET", "/pending?status=pending")).json
    assert (listed["count"], listed["pending"][0]["memory_id"]) == (1, "m-1")
    done = await world.tell("POST", f"/pending/{ident}/approve", {}, "hana")
    assert done.status == 200, done.body
    assert done.json["approved"] is True
    assert done.json["executed"] is True
    assert (done.json["memory_id"], done.json["decided_by"]) == ("m-1", "hana")
    assert done.json["quorum_acks"] == 2
    assert (await world.tell("GET", "/memories/m-1")).status == 200


async def test_a_held_write_is_rejected(world: GovernedWorld) -> None:
    await world.people()
    ident = await world.held(id="m-1")
    long = await world.tell("POST", f"/pending/{ident}/reject", {"reason": "x" * 513}, "hana")
    assert (long.status, long.json["field"]) == (400, "reason")
    done = await world.tell("POST", f"/pending/{ident}/reject", {"reason": "no"}, "hana")
    assert (done.status, done.json["rejected"], done.json["decided_by"]) == (200, True, "hana")
    assert (await world.tell("GET", "/memories/m-1")).status == 404
    again = await world.tell("POST", f"/pending/{ident}/approve", {}, "hugo")
    assert (again.status, again.json["error"]) == (409, "already_decided")


async def test_a_consensus_is_collected(world: GovernedWorld) -> None:
    await world.people()
    rules = {"write": "approve", "approver": {"consensus": 2}}
    await world.tell("POST", "/namespaces/team/standard", {"governance": rules}, "ann")
    ident = await world.held()
    first = await world.tell("POST", f"/pending/{ident}/approve", {}, "hana")
    assert first.status == 202
    assert (first.json["status"], first.json["approvals"], first.json["needed"]) == (
        "collecting",
        1,
        2,
    )
    twice = await world.tell("POST", f"/pending/{ident}/approve", {}, "hana")
    assert (twice.status, twice.json["error"]) == (409, "already_voted")
    last = await world.tell("POST", f"/pending/{ident}/approve", {}, "hugo")
    assert (last.status, last.json["approved"]) == (200, True)


@pytest.mark.parametrize(
    ("agent", "body", "status", "code"),
    [
        ("bob", {}, 403, "self_approval"),
        ("stranger", {}, 403, "agent_not_registered"),
        ("", {}, 403, "agent_not_registered"),
        ("hana", {"hash": "ff" * 32}, 409, "payload_mismatch"),
        ("hana", {"hash": 1}, 400, "invalid_field"),
    ],
)
async def test_a_decision_that_cannot_count_is_refused(
    world: GovernedWorld, agent: str, body: Any, status: int, code: str
) -> None:
    await world.people()
    ident = await world.held()
    reply = await world.tell("POST", f"/pending/{ident}/approve", body, agent)
    assert (reply.status, reply.json["error"]) == (status, code)
    row = (await world.tell("GET", "/pending")).json["pending"][0]
    assert (row["status"], row["approvals"]) == ("pending", [])


async def test_an_expired_action_is_409(world: GovernedWorld) -> None:
    await world.people()
    ident = await world.held()
    world.governed.pass_ms(10**9)
    reply = await world.tell("POST", f"/pending/{ident}/approve", {}, "hana")
    assert (reply.status, reply.json["error"]) == (409, "expired")


async def test_a_shortfall_of_a_decision_is_told_with_the_action(world: GovernedWorld) -> None:
    await world.people()
    ident = await world.held(id="m-1")
    world.governed.acks = 1
    reply = await world.tell("POST", f"/pending/{ident}/approve", {}, "hana")
    assert (reply.status, reply.json["error"]) == (503, "quorum_not_met")
    assert reply.json["memory_id"] == "m-1"
    assert reply.json["durability"]["local"] is True
