from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from crdt.governance_state import GovernanceState
from crdt.op import Draft, Kind, Op
from crdt.pending import Pending
from crdt.request import DeniedError
from crdt.roles import ROLES, Grant
from node import errors
from node.contracts import Caller, GovernanceDraft
from node.gate import Decision, Gate, Govern, Membership, Unlimited, Wish, Write
from tests.unit.crdt.rig import Node, dot, mesh

ANN = Caller(agent="ann", local=True)
HELD = Pending(b"dmemory/r", b"h" * 32, "ann", "human", namespace="team/x")
POLICY = GovernanceDraft(kind=Kind.POLICY, namespace="team/x", set={"governance": {}})
ROLE = GovernanceDraft(kind=Kind.ROLE, id="bob", set={"role": "team-admin"})
JOIN = Membership(action="remove", subject="node-b")


class Broken(Unlimited):
    def check(self, agent: str, drafts: Sequence[Draft]) -> None:
        del drafts
        raise RuntimeError(f"the ledger of {agent} cannot be read")


class Spent(Unlimited):
    def check(self, agent: str, drafts: Sequence[Draft]) -> None:
        del agent, drafts
        raise errors.QuotaExceeded(
            "max_links_per_day", limit=1, current=1, wanted=1, reset_at="", seconds=1
        )


def gate(
    node: Node,
    *,
    quotas: Any = None,
    fail_open: bool = False,
    state: GovernanceState | None = None,
) -> tuple[Gate, list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    made = Gate(
        state=lambda: state or node.replica.governance.now,
        quotas=quotas or Unlimited(),
        fail_open=lambda: fail_open,
        refused=lambda code, caller, _what: told.append((code, caller.agent)),
    )
    return made, told


def named(node: Node, *admins: str) -> Node:
    for admin in admins:
        node.govern(Kind.ROLE, id=admin, agent="ann", set={"role": "system-admin"})
    return node


def refusal(made: Gate, caller: Caller, wish: Wish) -> str:
    try:
        made.check(caller, wish)
    except errors.WriteError as error:
        return error.code
    return "passed"


@pytest.mark.parametrize(
    ("wish", "weakest"),
    [
        (Write(drafts=()), "agent-writer"),
        (Govern(drafts=(POLICY,)), "team-admin"),
        (Govern(drafts=(ROLE,)), "system-admin"),
        (JOIN, "system-admin"),
    ],
)
def test_each_wish_needs_its_role_of_a_key(wish: Wish, weakest: str) -> None:
    (node,) = mesh("a")
    made, told = gate(node)
    for role in (*ROLES, "metrics"):
        strong = role in ROLES and ROLES.index(role) >= ROLES.index(weakest)
        caller = replace(ANN, role=role)
        assert refusal(made, caller, wish) == ("passed" if strong else "role_forbids")
    assert refusal(made, ANN, wish) == "passed", "the node's own key"
    assert {code for code, _ in told} == {"role_forbids"}, "and every refusal is told"


def test_who_may_decide() -> None:
    (node,) = mesh("a")
    node.agent("bob")
    made, _ = gate(node)
    wish = Decision(pending=HELD)
    bob = Caller(agent="bob")
    assert refusal(made, bob, wish) == "passed"
    assert refusal(made, ANN, wish) == "self_approval"
    assert refusal(made, Caller(agent="cat"), wish) == "agent_not_registered"
    assert refusal(made, Caller(agent=""), wish) == "agent_not_registered"
    assert refusal(made, replace(bob, namespaces=("team",)), wish) == "passed"
    assert refusal(made, replace(bob, namespaces=("other",)), wish) == "namespace_not_of_key"


def test_while_nobody_is_named_the_machine_itself_is_the_proof() -> None:
    (node,) = mesh("a")
    made, _ = gate(node)
    far = replace(ANN, local=False)
    for draft in (POLICY, ROLE, GovernanceDraft(kind=Kind.MODE, set={"mode": "off"})):
        assert refusal(made, ANN, Govern(drafts=(draft,))) == "passed"
        assert refusal(made, far, Govern(drafts=(draft,))) == "governance_denied"
    stricter = GovernanceDraft(kind=Kind.MODE, set={"mode": "enforce"})
    assert refusal(made, far, Govern(drafts=(stricter,))) == "passed"


def test_once_somebody_is_named_the_place_proves_nothing() -> None:
    (node,) = mesh("a")
    made, _ = gate(named(node, "root"))
    assert refusal(made, ANN, Govern(drafts=(POLICY,))) == "governance_denied"
    assert refusal(made, ANN, Govern(drafts=(ROLE,))) == "governance_denied"
    root = Caller(agent="root")
    assert refusal(made, root, Govern(drafts=(POLICY, ROLE))) == "passed"


def left_alone(state: GovernanceState) -> GovernanceState:
    """The same after its administrators have withdrawn each other behind a cut."""
    return replace(state, admins=frozenset(), roles={}, named=True)


def test_where_none_is_left_nobody_is_told_that_none_was_named() -> None:
    (node,) = mesh("a")
    state = left_alone(node.replica.governance.now)
    roles = {"tina": Grant(role="team-admin", namespaces=("team",))}
    made, _ = gate(node, state=replace(state, roles=roles))
    with pytest.raises(errors.Denied) as caught:
        made.check(ANN, Govern(drafts=(ROLE,)))
    assert "none is left" in str(caught.value)
    assert "Ask an administrator" not in str(caught.value)
    assert refusal(made, ANN, Govern(drafts=(POLICY,))) == "governance_denied"
    tina = Caller(agent="tina")
    assert refusal(made, tina, Govern(drafts=(POLICY,))) == "passed", "as the mesh judges it"


def test_the_last_administrator_stays() -> None:
    (node,) = mesh("a")
    made, _ = gate(named(node, "root"))
    root = Caller(agent="root")
    leave = GovernanceDraft(kind=Kind.ROLE, id="root", set={"role": ""})
    assert refusal(made, root, Govern(drafts=(leave,))) == "last_administrator"
    node.govern(Kind.ROLE, id="ops", agent="root", set={"role": "system-admin"})
    assert refusal(made, root, Govern(drafts=(leave,))) == "passed"


def test_a_bound_agent_is_registered_anew_by_itself_alone() -> None:
    (node,) = mesh("a")
    node.govern(
        Kind.AGENT, id="bob", agent="bob", set={"agent_type": "human", "public_key": b"k" * 32}
    )
    made, _ = gate(node)
    wish = Govern(drafts=(GovernanceDraft(kind=Kind.AGENT, id="bob", set={}),))
    assert refusal(made, Caller(agent="bob"), wish) == "attestation_required"
    assert refusal(made, ANN, wish) == "attestation_required"
    assert refusal(made, Caller(agent="bob", attested=True), wish) == "passed"
    named(node, "root")
    assert refusal(made, Caller(agent="root"), wish) == "passed"


def test_who_may_only_write_does_not_make_itself_an_approver() -> None:
    (node,) = mesh("a")
    made, _ = gate(node)
    writer = replace(ANN, role="agent-writer")
    for kind, said in (("human", "role_forbids"), ("ai:x", "passed")):
        draft = GovernanceDraft(kind=Kind.AGENT, id="ann", set={"agent_type": kind})
        assert refusal(made, writer, Govern(drafts=(draft,))) == said
        assert refusal(made, ANN, Govern(drafts=(draft,))) == "passed"
        assert refusal(made, replace(ANN, role="team-admin"), Govern(drafts=(draft,))) == "passed"


def test_a_gate_that_fails_refuses_unless_told_otherwise() -> None:
    (node,) = mesh("a")
    wish = Write(drafts=())
    shut, told = gate(node, quotas=Broken())
    assert refusal(shut, ANN, wish) == "gate_failed"
    assert told == [("gate_failed", "ann")]
    opened, told = gate(node, quotas=Broken(), fail_open=True)
    assert refusal(opened, ANN, wish) == "passed"
    assert told == [("gate_failed", "ann")]
    full, _ = gate(node, quotas=Spent(), fail_open=True)
    assert refusal(full, ANN, wish) == "quota_exceeded", "a refusal is no failure"


@pytest.mark.parametrize(
    ("caller", "namespace", "owner", "kind", "code"),
    [
        (ANN, "anywhere", "bob", Kind.DELETE, None),
        (replace(ANN, role="agent-writer"), "x", "ann", Kind.EDIT, None),
        (replace(ANN, role="agent-writer"), "x", "bob", Kind.EDIT, "role_forbids"),
        (replace(ANN, role="agent-writer"), "x", "bob", Kind.CREATE, None),
        (replace(ANN, role="team-admin", namespaces=("x",)), "x/y", "bob", Kind.DELETE, None),
        (
            replace(ANN, role="team-admin", namespaces=("x",)),
            "z",
            "ann",
            Kind.CREATE,
            "namespace_not_of_key",
        ),
        (replace(ANN, role="system-admin"), "z", "bob", Kind.DELETE, None),
        (
            replace(ANN, role="system-admin", namespaces=("x",)),
            "z",
            "ann",
            Kind.EDIT,
            "namespace_not_of_key",
        ),
    ],
)
def test_how_far_a_key_reaches(
    caller: Caller, namespace: str, owner: str, kind: Kind, code: str | None
) -> None:
    (node,) = mesh("a")
    made, _ = gate(node)
    check = made.of_key(caller)
    op = Op(dot=dot(), kind=kind, namespace=namespace, owner=owner, agent="ann")
    if check is None:
        assert caller.role is None
    elif code is None:
        check(op)
    else:
        with pytest.raises(DeniedError) as caught:
            check(op)
        assert caught.value.code == code
