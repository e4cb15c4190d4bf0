"""Governance values: what is taken, what is refused by which name, and what is shown again."""

from typing import Any

import pytest

from crdt.policy import Policy, well_formed
from node.governing.policies import (
    check_parent,
    is_standing,
    levels_above,
    read_governance,
    shown_rules,
)
from node.governing.problems import PolicyLoop
from node.limits import Limits
from node.memory.problems import InvalidField
from node.settings.sections import GovernanceRules

TIMES = GovernanceRules(approval_timeout_secs=600, approval_timeout_secs_max=3600)


def read(value: Any, *agents: str) -> dict[str, Any]:
    found = read_governance(value, agents=agents, times=TIMES, limits=Limits())
    assert well_formed(found.rules), "what is stored must count on every node"
    return dict(found.rules)


@pytest.mark.parametrize("level", ["any", "registered", "owner", "approve", "deny"])
def test_every_level_is_taken_for_every_action(level: str) -> None:
    for action in ("write", "promote", "delete"):
        assert read({action: level})[action] == level


def test_allow_is_another_word_for_any() -> None:
    assert read({"write": "allow"}) == {"write": "any"}


def test_the_time_for_an_approval_is_written_into_the_value() -> None:
    assert read({"write": "approve"})["approval_timeout_secs"] == 600
    assert read({"write": "approve", "approval_timeout_secs": 5})["approval_timeout_secs"] == 5
    assert "approval_timeout_secs" not in read({"write": "deny"})
    short = GovernanceRules(approval_timeout_secs=600, approval_timeout_secs_max=60)
    found = read_governance({"write": "approve"}, agents=(), times=short, limits=Limits())
    assert found.rules["approval_timeout_secs"] == 60


def test_an_empty_value_means_the_defaults_and_not_the_levels_above() -> None:
    assert read({}) == {"inherit": False}
    assert read({"write": None}) == {"inherit": False}
    assert shown_rules(read({})) == {
        "write": "any",
        "promote": "any",
        "delete": "owner",
        "approver": "human",
        "inherit": False,
    }


def test_unknown_keys_are_left_out_and_reported() -> None:
    found = read_governance(
        {"write": "deny", "wirte": "any", "colour": 3}, agents=(), times=TIMES, limits=Limits()
    )
    assert dict(found.rules) == {"write": "deny"}
    assert found.ignored == ("colour", "wirte")


@pytest.mark.parametrize(
    "approver", ["human", {"agent": "ai:judge"}, {"consensus": 1}, {"consensus": 3}]
)
def test_every_shape_of_an_approver_is_kept(approver: Any) -> None:
    assert read({"write": "approve", "approver": approver}, "ai:judge")["approver"] == approver


@pytest.mark.parametrize(
    ("value", "field", "code"),
    [
        ([], "governance", "invalid_field"),
        ("deny", "governance", "invalid_field"),
        ({"write": "maybe"}, "governance.write", "invalid_field"),
        ({"promote": 1}, "governance.promote", "invalid_field"),
        ({"delete": ["deny"]}, "governance.delete", "invalid_field"),
        ({"inherit": "yes"}, "governance.inherit", "invalid_field"),
        ({"inherit": 1}, "governance.inherit", "invalid_field"),
        ({"approver": "robot"}, "governance.approver", "invalid_field"),
        ({"approver": {}}, "governance.approver", "invalid_field"),
        ({"approver": {"agent": "a", "consensus": 1}}, "governance.approver", "invalid_field"),
        ({"approver": {"agent": ""}}, "governance.approver.agent", "invalid_field"),
        ({"approver": {"agent": 7}}, "governance.approver.agent", "invalid_field"),
        ({"approver": {"agent": "a/../b"}}, "governance.approver.agent", "invalid_field"),
        ({"approver": {"agent": "ai:nobody"}}, "governance.approver.agent", "unknown_approver"),
        ({"approver": {"consensus": 0}}, "governance.approver.consensus", "invalid_field"),
        ({"approver": {"consensus": -1}}, "governance.approver.consensus", "invalid_field"),
        ({"approver": {"consensus": 1.5}}, "governance.approver.consensus", "invalid_field"),
        ({"approver": {"consensus": True}}, "governance.approver.consensus", "invalid_field"),
        ({"approver": {"consensus": "2"}}, "governance.approver.consensus", "invalid_field"),
        ({"approver": {"consensus": 10**6}}, "governance.approver.consensus", "invalid_field"),
        ({"approval_timeout_secs": 0}, "governance.approval_timeout_secs", "invalid_field"),
        ({"approval_timeout_secs": 3601}, "governance.approval_timeout_secs", "invalid_field"),
        ({"approval_timeout_secs": "60"}, "governance.approval_timeout_secs", "invalid_field"),
        ({"approval_timeout_secs": True}, "governance.approval_timeout_secs", "invalid_field"),
    ],
)
def test_what_cannot_be_judged_by_is_refused_by_its_name(value: Any, field: str, code: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read(value, "ai:judge")
    assert (caught.value.field, caught.value.code) == (field, code)
    assert caught.value.http_status == 400


def test_what_comes_from_above_is_not_shown_as_a_default() -> None:
    assert shown_rules({"inherit": True, "write": "deny"}) == {"write": "deny", "inherit": True}
    assert shown_rules({}) == {"inherit": True}


def test_what_is_shown_can_be_set_again_and_stays_the_same() -> None:
    for value in ({"write": "approve"}, {"inherit": True, "delete": "deny"}, {"inherit": True}, {}):
        once = shown_rules(read(value))
        assert shown_rules(read(once)) == once


# --- chains ---------------------------------------------------------------------------


def policies(**parents: str) -> dict[str, tuple[Policy, ...]]:
    """Namespaces (with _ for /) and the parent each names."""
    out = {}
    for name, parent in parents.items():
        space = name.replace("_", "/")
        out[space] = (Policy(namespace=space, rules={}, author="ann", parent=parent),)
    return out


def test_the_levels_above_are_those_of_the_path() -> None:
    assert levels_above({}, "a/b/c") == ["a/b/c", "a/b", "a", "*"]
    assert levels_above({}, "*") == ["*"]


def test_a_parent_takes_the_place_of_the_path() -> None:
    assert levels_above(policies(a_b="x/y"), "a/b") == ["a/b", "x/y", "x", "*"]
    assert levels_above(policies(a_b="*"), "a/b") == ["a/b", "*"]


def test_concurrent_parents_are_all_asked() -> None:
    two = policies(a="x")["a"] + policies(a="y")["a"]
    assert levels_above({"a": two}, "a") == ["a", "x", "y", "*"]


@pytest.mark.parametrize(
    ("held", "space", "parent"),
    [
        ({}, "a", "a"),
        ({}, "a", "a/b"),
        ({}, "*", "a"),
        ({"b": "a"}, "a", "b"),
        ({"b": "c", "c": "a"}, "a", "b"),
        ({"b": "c", "c": "a"}, "a", "b/deep/down"),
    ],
)
def test_a_parent_that_leads_back_is_refused(held: dict[str, str], space: str, parent: str) -> None:
    with pytest.raises(PolicyLoop) as caught:
        check_parent(policies(**held), space, parent)
    assert (caught.value.code, caught.value.field) == ("policy_loop", "parent")


def test_a_parent_elsewhere_is_fine_even_where_others_loop() -> None:
    check_parent(policies(b="c", c="b"), "a", "b")
    check_parent({}, "a/b", "a")
    check_parent({}, "a/b", "*")


def test_a_cleared_policy_says_nothing() -> None:
    assert not is_standing(Policy(namespace="a", rules={}, author="ann"))
    assert is_standing(Policy(namespace="a", rules={}, author="ann", standard_id="m"))
    assert is_standing(Policy(namespace="a", rules={"write": "any"}, author="ann"))
