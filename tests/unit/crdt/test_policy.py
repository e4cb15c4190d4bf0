from typing import Any

import pytest

from crdt.op import Kind, Op
from crdt.policy import ALLOWED, Answer, Policy, Question, Verdict, actions_of, chain, judge
from tests.unit.crdt.rig import dot


def asked(action: str = "write", agent: str = "ann", owner: str = "ann", *, creates: bool = False):  # noqa: ANN201 - a value
    return Question(action=action, agent=agent, owner=owner, creates=creates)


def policies(**rules: dict[str, Any]) -> dict[str, list[Policy]]:
    return {
        ("*" if name == "root" else name): [Policy(namespace=name, rules=r, author="boss")]
        for name, r in rules.items()
    }


def test_the_nearest_level_is_asked_first() -> None:
    assert list(chain("a/b/c")) == ["a/b/c", "a/b", "a", "*"]
    assert list(chain("*")) == ["*"]


def test_without_a_policy_all_is_allowed() -> None:
    assert judge({}, {}, "a", asked("delete", owner="else")) == ALLOWED


@pytest.mark.parametrize(
    ("level", "agent", "answer"),
    [
        ("any", "ann", Answer.ALLOW),
        ("allow", "ann", Answer.ALLOW),
        ("registered", "ann", Answer.DENY),
        ("registered", "bob", Answer.ALLOW),
        ("owner", "bob", Answer.DENY),
        ("owner", "ann", Answer.ALLOW),
        ("approve", "ann", Answer.PENDING),
        ("deny", "ann", Answer.DENY),
        ("no such level", "ann", Answer.DENY),
    ],
)
def test_each_level_answers(level: str, agent: str, answer: Answer) -> None:
    got = judge(policies(root={"write": level}), {"bob": {}}, "n", asked(agent=agent))
    assert got.answer is answer


def test_under_level_owner_only_the_policys_author_creates() -> None:
    rules = policies(root={"write": "owner"})
    assert judge(rules, {}, "n", asked(agent="boss", creates=True)).answer is Answer.ALLOW
    assert judge(rules, {}, "n", asked(agent="ann", creates=True)).answer is Answer.DENY


def test_a_policy_without_a_rule_takes_the_default_and_one_that_inherits_asks_above() -> None:
    mute = {"approver": "human"}
    assert judge(policies(n=mute), {}, "n", asked("delete", owner="else")).answer is Answer.DENY
    above = policies(n={"inherit": True}, root={"write": "deny"})
    assert judge(above, {}, "n", asked()).answer is Answer.DENY
    cleared = policies(n={}, root={"write": "approve"})
    assert judge(cleared, {}, "n", asked()).answer is Answer.PENDING


def test_of_concurrent_versions_the_strictest_counts() -> None:
    lax, strict = ({"write": "any"}, {"write": "approve", "approver": {"agent": "bob"}})
    versions = [Policy(namespace="n", rules=r, author="x") for r in (lax, strict)]
    for order in (versions, versions[::-1]):
        got = judge({"n": order}, {}, "n", asked())
        assert got == Verdict(answer=Answer.PENDING, approver={"agent": "bob"})


@pytest.mark.parametrize(
    ("kind", "fields", "actions"),
    [
        (Kind.CREATE, {"tier": "long"}, {"write"}),
        (Kind.DELETE, {}, {"delete"}),
        (Kind.EDIT, {"title": 1}, {"write"}),
        (Kind.EDIT, {"tier": "long", "rev": 2}, {"promote"}),
        (Kind.EDIT, {"tier": "long", "rev": 2, "expires_at": 1}, {"write", "promote"}),
        (Kind.EDIT, {"tier": "long", "title": 1}, {"write", "promote"}),
    ],
)
def test_content_tells_what_must_be_allowed(
    kind: Kind, fields: dict[str, Any], actions: set[str]
) -> None:
    assert set(actions_of(Op(dot=dot(), kind=kind, set=fields))) == actions


@pytest.mark.parametrize(
    ("removed", "actions"),
    [
        ({"expires_at", "updated_at", "attest_level"}, {"promote"}),
        ({"expires_at", "metadata"}, {"write", "promote"}),
        ({"tags/a"}, {"write", "promote"}),
    ],
)
def test_what_is_unset_beside_a_tier_is_a_change(removed: set[str], actions: set[str]) -> None:
    fields = {"tier": "long", "rev": 2}
    op = Op(dot=dot(), kind=Kind.EDIT, set=fields, removed=frozenset(removed))
    assert set(actions_of(op)) == actions
