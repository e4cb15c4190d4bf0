"""Policies on a real mesh of four: they bind everywhere, and what a cut let pass stands."""

import time
from typing import Any

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_governance import (
    KEEPER,
    cut_off,
    fresh_space,
    policy_everywhere,
    set_policy,
    standard,
    write,
)
from tests.integration.rig_mesh import heal

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def test_a_tightened_policy_binds_all_others_within_two_seconds(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="any")
    for node in four:
        assert write(node, space).status == 201
    began = time.monotonic()
    set_policy(four[1], space, write="deny")
    for node in four:
        until(
            lambda node=node: write(node, space).status == 403,
            f"{node.name} enforces it",
            2.0 - (time.monotonic() - began),
        )
    assert time.monotonic() - began < 2.0
    for node in four:
        refused = write(node, space)
        assert (refused.status, refused.body["error"]) == (403, "denied")
    # Only that namespace is meant.
    assert write(four[2], fresh_space()).status == 201
    check_equal(four)


def test_what_was_written_behind_a_cut_under_the_older_policy_stands(
    four: list[RealNode],
) -> None:
    *three, alone = four
    space = fresh_space()
    policy_everywhere(four, space, write="any")
    cut_off(alone, three)
    set_policy(three[0], space, write="deny")
    for node in three:
        until(lambda node=node: write(node, space).status == 403, f"{node.name} enforces it")
    late = write(alone, space, title="behind the cut")
    assert (late.status, late.body["error"]) == (503, "quorum_not_met")
    ident = late.body["id"]
    heal(alone, three)
    until_linked(four)
    check_equal(four)
    for node in four:
        assert node.get(ident)["title"] == "behind the cut"
        assert write(node, space).status == 403, f"{node.name} enforces the new one from now on"
    check_equal(four)


def test_policies_set_on_both_sides_of_a_cut_hold_both_until_settled(
    four: list[RealNode],
) -> None:
    *three, alone = four
    space = fresh_space()
    policy_everywhere(four, space, write="any")
    cut_off(alone, three)
    set_policy(three[0], space, write="deny")
    relaxed = alone.ask(
        "POST", standard(space), {"governance": {"write": "registered"}}, x_agent_id=KEEPER
    )
    assert relaxed.status == 503, "stored there, and not confirmed"
    heal(alone, three)
    until_linked(four)
    until_level(four)
    for node in four:
        shown = node.tell("GET", standard(space))["standards"]
        assert {one["governance"]["write"] for one in shown} == {"deny", "registered"}
        assert write(node, space).status == 403, "the strictest answer counts"
    set_policy(alone, space, write="registered")
    for node in four:
        until(lambda node=node: write(node, space).status == 201, f"{node.name} lets it pass")
        assert write(node, space, agent="stranger").status == 403
    check_equal(four)


def test_a_cleared_policy_stays_cleared(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="deny")
    cleared = four[2].tell("DELETE", standard(space), x_agent_id=KEEPER)
    assert cleared["cleared"] is True
    for node in four:
        until(lambda node=node: write(node, space).status == 201, f"{node.name} asks above")
        assert node.tell("GET", standard(space))["standards"] == []
    assert four[0].tell("DELETE", standard(space), x_agent_id=KEEPER)["cleared"] is False


def test_levels_are_asked_from_the_namespace_up(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="deny", delete="deny")
    policy_everywhere(four, f"{space}/open", inherit=True, write="registered")
    made = write(four[1], f"{space}/open/deep")
    assert made.status == 201
    assert write(four[2], f"{space}/open", agent="stranger").status == 403
    assert write(four[3], f"{space}/other").status == 403
    gone = four[0].ask("DELETE", f"/memories/{made.body['id']}", x_agent_id="bob")
    assert gone.status == 403, "what the lower level leaves out comes from above"
    chain = four[3].tell("GET", f"{standard(space + '/open/deep')}?inherit=true")
    assert chain["chain"] == ["*", "team", space, f"{space}/open", f"{space}/open/deep"]
    assert [one["namespace"] for one in chain["standards"]] == [space, f"{space}/open"]


def test_what_a_standard_says_is_the_same_on_every_node(four: list[RealNode]) -> None:
    space = fresh_space()
    memory = four[0].store("House rules", "Be brief", namespace="rules")["id"]
    body = {"governance": {"write": "approve"}, "id": memory, "owner": "olga"}
    four[0].tell("POST", standard(space), body, x_agent_id=KEEPER)
    until_level(four)
    told = [node.tell("GET", standard(space)) for node in four]
    assert all(one == told[0] for one in told)
    assert told[0]["standards"][0]["title"] == "House rules"
    assert told[0]["standards"][0]["governance"]["approval_timeout_secs"] == 604_800
    listed = [node.tell("GET", "/namespaces")["namespaces"] for node in four]
    assert all(one == listed[0] for one in listed)


def test_only_those_who_keep_a_policy_change_it_on_any_node(four: list[RealNode]) -> None:
    space = fresh_space()
    set_policy(four[0], space, write="deny")
    until_level(four)
    for node in four:
        for method in ("POST", "DELETE"):
            reply = node.ask(method, standard(space), {"governance": {}}, x_agent_id="eve")
            assert (reply.status, reply.body["error"]) == (403, "governance_denied")
    below = four[3].ask("POST", standard(f"{space}/x"), {"governance": {}}, x_agent_id=KEEPER)
    assert below.status == 201


BAD: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/namespaces/bad/standard", {"governance": {"write": "x"}}, 400, "invalid_field"),
    ("POST", "/namespaces/bad/standard", {"governance": {"inherit": 1}}, 400, "invalid_field"),
    (
        "POST",
        "/namespaces/bad/standard",
        {"governance": {"write": "approve", "approval_timeout_secs": 10**9}},
        400,
        "invalid_field",
    ),
    (
        "POST",
        "/namespaces/bad/standard",
        {"governance": {"write": "approve", "approver": {"agent": "ai:ghost"}}},
        400,
        "unknown_approver",
    ),
    (
        "POST",
        "/namespaces/bad/standard",
        {"governance": {"write": "approve", "approver": {"consensus": 0}}},
        400,
        "invalid_field",
    ),
    ("POST", "/namespaces/bad/standard", {"governance": {}, "parent": "bad"}, 400, "policy_loop"),
    (
        "POST",
        "/namespaces/bad/standard",
        {"governance": {}, "parent": "bad/below"},
        400,
        "policy_loop",
    ),
    (
        "POST",
        "/agents",
        {"agent_id": "x", "agent_type": "human", "public_key": "00" * 32},
        400,
        "malformed_key",
    ),
    (
        "POST",
        "/agents",
        {"agent_id": "x", "agent_type": "human", "public_key": "nonsense"},
        400,
        "malformed_key",
    ),
    ("POST", "/agents", {"agent_id": "../x", "agent_type": "human"}, 400, "invalid_field"),
    ("POST", "/agents/x/role", {"role": "emperor"}, 400, "invalid_field"),
    ("POST", "/pending/unknown-id/approve", {}, 404, "not_found"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "code"), BAD)
def test_bad_input_is_refused_and_changes_nothing(
    four: list[RealNode], method: str, path: str, body: Any, status: int, code: str
) -> None:
    until_level(four)
    before = [node.mesh()["clock"] for node in four]
    reply = four[0].ask(method, path, body, x_agent_id=KEEPER)
    assert (reply.status, reply.body["error"]) == (status, code), reply.body
    assert [node.mesh()["clock"] for node in four] == before


# --- who governs --------------------------------------------------------------------------


def test_the_first_administrator_ends_the_first_days_everywhere(found: Found) -> None:
    one, two, three = nodes = found(3)
    space = fresh_space()
    one.tell("POST", "/agents/ops/role", {"role": "system-admin"}, x_agent_id="whoever")
    until_level(nodes)
    for node in nodes:
        denied = node.ask("POST", standard(space), {"governance": {}}, x_agent_id="ann")
        assert (denied.status, denied.body["error"]) == (403, "governance_denied")
        assert node.ask("POST", "/agents/eve/role", {"role": "system-admin"}).status == 403
    role = {"role": "team-admin", "namespaces": ["team"]}
    two.tell("POST", "/agents/tina/role", role, x_agent_id="ops")
    until(
        lambda: (
            three.ask(
                "POST", standard(space), {"governance": {"write": "deny"}}, x_agent_id="tina"
            ).status
            == 201
        ),
        "a team administrator governs its own on another node",
    )
    assert three.ask("POST", standard("else"), {"governance": {}}, x_agent_id="tina").status == 403
    last = one.ask("POST", "/agents/ops/role", {"role": ""}, x_agent_id="ops")
    assert (last.status, last.body["error"]) == (403, "last_administrator")
    check_equal(nodes)


def test_an_administrator_of_the_configuration_is_one_from_the_start(found: Found) -> None:
    one, two = found(2, config={"admin": {"agent_ids": ["ops"]}})
    roles = [node.tell("GET", "/agents")["roles"] for node in (one, two)]
    assert roles == [[{"agent_id": "ops", "role": "system-admin", "namespaces": []}]] * 2
    assert one.ask("POST", standard("a"), {"governance": {}}, x_agent_id="ann").status == 403
    set_policy(two, "a", agent="ops", write="deny")
