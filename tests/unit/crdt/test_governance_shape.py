from typing import Any

import pytest

from crdt.dot import GOVERNANCE
from crdt.governance_shape import is_authorised, is_proper
from crdt.op import Kind, Op
from tests.unit.crdt.rig import dot, key_of, mesh, node_of

PLACE = dot("a", 1, GOVERNANCE)


def op(kind: Kind, **parts: Any) -> Op:
    return Op(dot=PLACE, kind=kind, **parts)


@pytest.mark.parametrize(
    ("wanted", "proper"),
    [
        (op(Kind.POLICY, namespace="n", set={"governance": {"write": "deny"}}), True),
        (op(Kind.POLICY, namespace="n", set={}), True),
        (op(Kind.POLICY, namespace="", set={}), False),
        (op(Kind.POLICY, namespace="*", set={"parent": "n"}), False),
        (op(Kind.POLICY, namespace="n", set={"parent": 1}), False),
        (op(Kind.POLICY, namespace="n", set={"owner": "x" * 513}), False),
        (op(Kind.POLICY, namespace="n", set={"governance": {"write": "never"}}), False),
        (op(Kind.POLICY, namespace="n", set={"governance": {"approval_timeout_secs": 0}}), False),
        (op(Kind.AGENT, id="bob", set={"agent_type": "human"}), True),
        (op(Kind.AGENT, id="bob", set={"agent_type": 1}), False),
        (op(Kind.AGENT, id="bob", set={"public_key": "text"}), False),
        (op(Kind.AGENT, id="bob", set={"registered_at": "now"}), False),
        (op(Kind.ROLE, id="bob", set={"role": "agent-reader"}), True),
        (op(Kind.ROLE, id="", set={"role": "agent-reader"}), False),
        (op(Kind.ROLE, id="bob", set={"role": "root"}), False),
        (op(Kind.MODE, set={"mode": "off"}), True),
        (op(Kind.MODE, set={"mode": "lax"}), False),
        (op(Kind.READY), True),
    ],
)
def test_a_body_that_others_cannot_rely_on_does_not_count(wanted: Op, proper: bool) -> None:  # noqa: FBT001 - parametrized
    assert is_proper(wanted) is proper


@pytest.mark.parametrize("admins", ["root", [1], [""], {"root": 1}])
def test_a_founding_names_administrators_or_does_not_count(admins: object) -> None:
    fields = {"node": node_of("a"), "key": key_of("a"), "name": "a", "url": "a"}
    assert is_proper(op(Kind.FOUND, set=fields))
    assert is_proper(op(Kind.FOUND, set={**fields, "admins": ["root"]}))
    assert not is_proper(op(Kind.FOUND, set={**fields, "admins": admins}))


def test_who_may_say_it_is_judged_by_what_lies_below() -> None:
    (a,) = mesh("a")
    free = a.replica.governance.now
    role = op(Kind.ROLE, id="bob", agent="ann", set={"role": "agent-reader"})
    assert is_authorised(role, free)
    a.govern(Kind.ROLE, id="root", agent="ann", set={"role": "system-admin"})
    named = a.replica.governance.now
    assert not is_authorised(role, named)
    assert is_authorised(role._replace(agent="root"), named)
    weaken = op(Kind.MODE, agent="ann", set={"mode": "off"})
    assert not is_authorised(weaken, named)
    assert is_authorised(weaken._replace(set={"mode": "enforce"}), named)
