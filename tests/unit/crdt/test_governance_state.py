from typing import Any

import pytest

from crdt.op import Kind, Op
from crdt.policy import Answer
from tests.unit.crdt.rig import Node, dot, mesh, spread


def role(node: Node, subject: str, name: str, agent: str = "ann", *spaces: str) -> bool:
    seen = node.replica.governance.live(Kind.ROLE, subject=subject)
    before = node.replica.refused
    node.govern(
        Kind.ROLE,
        id=subject,
        agent=agent,
        supersedes=seen,
        set={"role": name, "namespaces": list(spaces)},
    )
    return node.replica.refused == before


def policy(node: Node, namespace: str, agent: str, **rules: Any) -> bool:
    before = node.replica.refused
    node.policy(namespace, agent, **rules)
    return node.replica.refused == before


def test_while_nobody_is_named_anybody_governs_what_nobody_keeps() -> None:
    (a,) = mesh("a")
    assert policy(a, "x", "ann", write="deny")
    assert not policy(a, "x", "bob", write="any")
    assert policy(a, "x", "ann", write="owner")
    assert policy(a, "y", "bob", write="deny")
    assert policy(a, "x/z", "bob", write="any"), "nobody keeps x/z itself"
    assert policy(a, "x", "anonymous:req-1", write="any"), "the machine itself, nameless"
    assert policy(a, "x", "bob", write="any"), "what a nameless one set, nobody keeps"


def test_once_somebody_is_named_only_keepers_and_administrators_govern() -> None:
    (a,) = mesh("a")
    assert policy(a, "x", "ann", write="any")
    assert role(a, "root", "system-admin", "ann")
    assert not policy(a, "y", "bob", write="any")
    assert not role(a, "bob", "system-admin", "bob")
    assert role(a, "bob", "team-admin", "root", "y")
    assert policy(a, "y/deep", "bob", write="any")
    assert not policy(a, "z", "bob", write="any")
    assert policy(a, "x/under", "ann", write="deny"), "an author edits its subtree"
    assert policy(a, "x", "root")
    assert not policy(a, "x", "ann", write="any"), "cleared, it is kept by nobody"


def test_readers_and_writers_govern_nothing_that_they_once_kept() -> None:
    (a,) = mesh("a")
    assert policy(a, "x", "ann", write="any")
    assert role(a, "root", "system-admin", "ann")
    assert role(a, "ann", "agent-writer", "root")
    assert not policy(a, "x", "ann", write="deny")


def test_the_owner_of_a_namespace_edits_it() -> None:
    (a,) = mesh("a")
    assert role(a, "root", "system-admin", "ann")
    seen = a.replica.governance.live(Kind.POLICY, namespace="x")
    body = {"governance": {"write": "owner"}, "owner": "bob"}
    a.govern(Kind.POLICY, namespace="x", agent="root", supersedes=seen, set=body)
    assert policy(a, "x/y", "bob", write="deny")
    creation = Op(
        dot=dot("a"), kind=Kind.CREATE, namespace="x", agent="bob", owner="bob",
        heads=a.replica.governance.heads,
    )  # fmt: skip
    assert a.replica.verdict(creation).answer is Answer.ALLOW


def test_a_policy_takes_the_place_of_none_elsewhere() -> None:
    (a,) = mesh("a")
    a.policy("x", "ann", write="deny")
    theirs = a.replica.governance.live(Kind.POLICY, namespace="x")
    a.govern(
        Kind.POLICY,
        namespace="y",
        agent="bob",
        supersedes=theirs,
        set={"governance": {"write": "any"}},
    )
    state = a.replica.governance.now
    assert state.policies["x"][0].rules == {"write": "deny"}
    assert state.policies["y"][0].rules == {"write": "any"}


def test_a_founding_names_the_first_administrators() -> None:
    a = Node("a")
    a.started(admins=("root", "ops"))
    a.found()
    assert a.replica.governance.now.admins == {"root", "ops"}
    assert role(a, "ops", "", "root")
    assert a.replica.governance.now.admins == {"root"}


def test_a_concurrent_withdrawal_of_a_role_is_not_undone() -> None:
    a, b = mesh("a", "b")
    role(a, "root", "system-admin", "ann")
    a.commit()
    spread([a, b])
    role(a, "bob", "system-admin", "root")
    role(b, "bob", "agent-reader", "root")
    a.commit()
    b.commit()
    spread([a, b])
    for node in (a, b):
        assert node.replica.governance.now.roles["bob"].role == "agent-reader"
        assert node.replica.governance.now.admins == {"root"}


def test_a_role_narrows_what_policies_allow() -> None:
    (a,) = mesh("a")
    role(a, "root", "system-admin", "ann")
    role(a, "bob", "agent-reader", "root")
    heads = a.replica.governance.heads
    wish = Op(dot=dot("a"), kind=Kind.CREATE, namespace="x", agent="bob", owner="bob", heads=heads)
    assert a.replica.verdict(wish).answer is Answer.DENY


def test_a_member_that_does_not_enforce_says_so_to_all() -> None:
    a, b = mesh("a", "b")
    a.policy("*", "ann", write="deny")
    a.govern(Kind.MODE, id=a.replica.me.node_id.hex(), agent="ann", set={"mode": "advisory"})
    a.commit()
    spread([a, b])
    heads = b.replica.governance.heads
    for node in (a, b):
        lax = Op(dot=dot("a"), kind=Kind.CREATE, namespace="x", agent="bob", heads=heads)
        strict = Op(dot=dot("b"), kind=Kind.CREATE, namespace="x", agent="bob", heads=heads)
        assert node.replica.verdict(lax).answer is Answer.ALLOW
        assert node.replica.verdict(strict).answer is Answer.DENY


def test_what_a_lax_member_lets_pass_is_noted() -> None:
    (a,) = mesh("a")
    a.policy("*", "ann", write="deny")
    a.govern(Kind.MODE, id=a.replica.me.node_id.hex(), agent="ann", set={"mode": "advisory"})
    a.replica.take_notes()
    a.create("r", "bob")
    assert [note.kind for note in a.replica.take_notes()] == ["tolerated"]


@pytest.mark.parametrize("word", ["lax", "", 1, None])
def test_an_unknown_mode_does_not_count(word: object) -> None:
    (a,) = mesh("a")
    a.govern(Kind.MODE, id=a.replica.me.node_id.hex(), agent="ann", set={"mode": word})
    assert a.replica.governance.now.modes == {}


def bind(node: Node, subject: str, key: bytes | None, agent: str | None = None) -> bool:
    before = node.replica.refused
    seen = node.replica.governance.live(Kind.AGENT, subject=subject)
    fields = {"agent_type": "system", **({"public_key": key} if key is not None else {})}
    node.govern(Kind.AGENT, id=subject, agent=agent or subject, supersedes=seen, set=fields)
    return node.replica.refused == before


def test_a_key_belongs_to_one_agent() -> None:
    (a,) = mesh("a")
    assert bind(a, "bob", b"k" * 32)
    assert not bind(a, "cat", b"k" * 32)
    assert not bind(a, "cat", b"short")
    assert a.replica.governance.now.bound_keys == {b"k" * 32: "bob"}
    assert not bind(a, "bob", b"n" * 32, agent="cat"), "nobody registers a bound agent anew"
    assert bind(a, "bob", b"n" * 32)


def test_a_concurrent_registration_without_the_key_does_not_unbind_it() -> None:
    a, b = mesh("a", "b")
    bind(a, "bob", b"k" * 32)
    bind(b, "bob", None)
    a.commit()
    b.commit()
    spread([a, b])
    for node in (a, b):
        assert node.replica.governance.now.agents["bob"]["public_key"] == b"k" * 32
