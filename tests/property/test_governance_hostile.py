"""Governance that a member signed to do harm: judged in bounded work, and never an exception.

Work is counted in versions of policies looked at, not in seconds.
"""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.dot import GOVERNANCE, Dot
from crdt.governance import Governance
from crdt.op import Kind, Op
from crdt.policy import _HOPS_MAX, Answer, _Inquiry
from tests.property.governance_histories import probes
from tests.unit.crdt.rig import Node, actor, key_of, mesh, node_of

MANY = 1_000


class Forger:
    """A member that mints whatever it likes, each operation under an actor of its own."""

    def __init__(self) -> None:
        (self.node,) = mesh("a")
        self.governance: Governance = self.node.replica.governance
        self.start = self.governance.heads
        self.births = 10

    def say(self, kind: Kind, *, heads: tuple[Dot, ...] = (), **parts: Any) -> bool:
        self.births += 1
        dot = Dot(actor("a", GOVERNANCE, self.births), 1)
        parts = {"agent": "eve", **parts}
        return self.governance.apply(Op(dot=dot, kind=kind, heads=heads or self.start, **parts))

    def policy(self, namespace: str, parent: str = "", **rules: Any) -> bool:
        body = {"governance": rules, **({"parent": parent} if parent else {})}
        return self.say(Kind.POLICY, namespace=namespace, set=body)

    def work(self, namespace: str = "x") -> int:
        """Versions looked at for one verdict below the present heads."""
        looks, plain = [0], _Inquiry._version

        def counted(*args: Any) -> Any:
            looks[0] += 1
            return plain(*args)

        wish = Op(
            dot=Dot(actor("a"), 1),
            kind=Kind.CREATE,
            namespace=namespace,
            agent="bob",
            owner="bob",
            heads=self.governance.heads,
        )
        with patch.object(_Inquiry, "_version", counted):
            self.governance.state(wish.heads).verdict(wish)
        return looks[0]


def test_a_chain_of_a_thousand_parents_is_left_at_its_bound() -> None:
    forger = Forger()
    for n in range(MANY):
        assert forger.policy(f"c{n}", f"c{n + 1}", inherit=True)
    assert forger.work("c0") == _HOPS_MAX


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_a_loop_of_parents_ends_at_the_root(size: int) -> None:
    forger = Forger()
    forger.policy("*", write="deny")
    for n in range(size):
        assert forger.policy(f"c{n}", f"c{(n + 1) % size}", inherit=True)
    assert forger.work("c0") == _HOPS_MAX + 1
    state = forger.governance.now
    for probe in probes(forger.governance.heads):
        state.verdict(probe)


def test_a_thousand_concurrent_versions_are_looked_at_once_each() -> None:
    forger = Forger()
    for n in range(MANY):
        assert forger.policy("x", approver={"agent": f"agent-{n}"}, write="approve")
    assert forger.work() == MANY


def test_versions_that_all_have_parents_in_loops_cost_no_more_than_the_bound() -> None:
    """Every level once for each distance: the worst that such a history can do."""
    forger = Forger()
    levels = 30
    for n in range(levels):
        for m in range(levels):
            assert forger.policy(f"c{n}", f"c{m}", inherit=True)
    assert forger.work("c0") <= levels * levels * _HOPS_MAX


def test_a_namespace_of_two_thousand_bytes_is_walked_once() -> None:
    forger = Forger()
    forger.policy("a", write="deny")
    deep = "/".join(["a"] * 1_000)
    assert forger.work(deep) == 1
    assert forger.governance.now.keeps("eve", deep)


def test_concurrent_history_is_summed_once_for_each_set_of_heads() -> None:
    forger = Forger()
    for n in range(MANY):
        forger.policy(f"n{n % 7}", write="deny")
    heads = forger.governance.heads
    assert len(heads) == MANY
    assert forger.governance.state(heads) is forger.governance.state(heads)


# --- bodies --------------------------------------------------------------------------

leaves: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-5, 2**63) | st.sampled_from(["", "a", "human", "*"])
)
leaves = st.one_of(leaves, st.binary(max_size=3), st.just(b"k" * 32), st.floats(allow_nan=False))
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=3), v, max_size=3)
)
NAMES = (
    *("governance", "parent", "owner", "standard_id", "agent_type", "public_key", "capabilities"),
    *("registered_at", "role", "namespaces", "mode", "node", "key", "claim", "genesis", "admins"),
)
rules = st.dictionaries(
    st.sampled_from(["write", "delete", "approver", "inherit", "approval_timeout_secs"]), values
)
bodies = st.dictionaries(st.sampled_from(NAMES), values | rules, max_size=5)
kinds = st.sampled_from(
    [Kind.POLICY, Kind.AGENT, Kind.ROLE, Kind.MODE, Kind.ADD, Kind.REMOVE, Kind.FOUND]
)
texts = st.sampled_from(["", "*", "x", "x//y", "/", "x/", "a" * 255, "\x00"])


@given(st.lists(st.tuples(kinds, bodies, texts, texts), max_size=8), st.booleans())
def test_no_body_stops_a_verdict(drawn: list[Any], chained: bool) -> None:  # noqa: FBT001 - drawn
    forger = Forger()
    for kind, body, subject, agent in drawn:
        good: dict[Kind, dict[str, Any]] = {
            Kind.POLICY: {"governance": {"write": "approve"}},
            Kind.ROLE: {"role": ""},
        }
        proper = {"node": node_of("e"), "key": key_of("e"), "claim": "a"}
        whole = {**good.get(kind, {}), **(proper if kind in {Kind.ADD, Kind.FOUND} else {}), **body}
        parts: dict[str, Any] = {"id": subject, "namespace": subject, "agent": agent}
        heads = forger.governance.heads if chained else ()
        forger.say(kind, heads=heads, set=whole, supersedes=frozenset(forger.start), **parts)
        forger.say(kind, heads=heads, set=whole, **parts)
    state = forger.governance.now
    assert isinstance(state.bound_keys, dict)
    for probe in probes(forger.governance.heads):
        assert isinstance(state.verdict(probe).answer, Answer)
    for space in ("", "*", "x", "/", "x//y"):
        assert state.may_govern("eve", space) in {True, False}


def test_huge_lists_of_namespaces_do_not_count() -> None:
    forger = Forger()
    roomy = [f"n{n}" for n in range(64)]
    assert forger.say(Kind.ROLE, id="bob", set={"role": "team-admin", "namespaces": roomy})
    huge = [f"n{n}" for n in range(100_000)]
    assert not forger.say(Kind.ROLE, id="cat", set={"role": "team-admin", "namespaces": huge})
    assert "cat" not in forger.governance.now.roles


def test_a_verdict_that_fails_refuses() -> None:
    """Whatever a later version may get wrong: an error is a refusal, the same everywhere."""
    node = Node("a").found()

    def broken(*_: Any) -> Any:
        raise RuntimeError("planted")

    node.policy("*", "ann", write="any")
    wish = Op(dot=Dot(actor("a"), 1), kind=Kind.CREATE, heads=node.replica.governance.heads)
    assert node.replica.verdict(wish).answer is Answer.ALLOW
    wish = wish._replace(agent="bob")  # what was answered once is not asked again
    with patch.object(_Inquiry, "at", broken):
        assert node.replica.verdict(wish).answer is Answer.DENY
