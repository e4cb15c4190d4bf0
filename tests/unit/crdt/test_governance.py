from dataclasses import replace
from typing import Any

import pytest

from crdt import governance as subject
from crdt.dot import GOVERNANCE, Dot
from crdt.governance import Genesis, Governance
from crdt.governance_tally import Tally, read
from crdt.op import Kind, Op
from crdt.policy import Answer
from tests.unit.crdt.rig import Node, dot, key_of, mesh, node_of, spread

GENESIS = Genesis(cluster="test", founders=("a", "b"))


def place(name: str, seq: int = 1) -> Dot:
    return dot(name, seq, GOVERNANCE)


def founding(name: str, **changes: Any) -> Op:
    fields = {
        "genesis": GENESIS.id,
        "node": node_of(name),
        "key": key_of(name),
        "claim": name,
        "name": name,
        "url": name,
    }
    return Op(dot=place(name), kind=Kind.FOUND, set={**fields, **changes})


def made(*ops: Op) -> Governance:
    out = Governance(GENESIS)
    for op in ops:
        out.apply(op)
    return out


def test_founders_are_ready_members_and_free_places_count() -> None:
    one = made(founding("a"))
    assert one.now.ready == {node_of("a")}
    assert (one.now.n, one.now.unbound, one.now.quorum()) == (2, {"b"}, 2)
    two = made(founding("a"), founding("b"))
    assert (two.now.n, two.now.unbound) == (2, frozenset())


@pytest.mark.parametrize(
    "change",
    [
        {"genesis": b"x" * 32},
        {"node": b"x" * 32},
        {"key": b"x" * 32},
        {"key": "text"},
        {"claim": "c"},
        {"claim": ["a"]},
    ],
)
def test_a_founding_out_of_order_does_not_count(change: dict[str, Any]) -> None:
    governance = made(founding("a", **change))
    assert governance.now.members == {}
    assert governance.keys == {}
    assert len(governance) == 1


def test_a_place_is_taken_once_below_the_heads() -> None:
    first = founding("a")
    second = founding("b", claim="a")._replace(heads=(first.dot,))
    assert set(made(first, second).now.members) == {node_of("a")}


def test_heads_are_what_nothing_has_seen() -> None:
    governance = made(founding("a"), founding("b"))
    assert governance.heads == tuple(sorted([place("a"), place("b")]))
    governance.apply(Op(dot=place("a", 2), kind=Kind.POLICY, heads=governance.heads))
    assert governance.heads == (place("a", 2),)
    assert governance.dominates((place("a", 2),), (place("b"),))
    assert not governance.dominates((place("b"),), (place("a", 2),))
    assert governance.dominates((), ())


def test_an_added_node_counts_once_it_is_ready() -> None:
    a, b = mesh("a", "b")
    add = a.add("c")
    a.commit()
    assert node_of("c") in a.replica.governance.now.members
    assert (a.replica.governance.now.n, a.replica.governance.keys[node_of("c")]) == (2, key_of("c"))
    ready = Op(dot=place("c"), kind=Kind.READY, births=frozenset([add.dot]), heads=(add.dot,))
    assert a.replica.governance.apply(ready)
    assert a.replica.governance.now.n == 3
    del b


def test_nobody_says_ready_for_another() -> None:
    a, _ = mesh("a", "b")
    add = a.add("c")
    theirs = Op(dot=place("b", 9), kind=Kind.READY, births=frozenset([add.dot]), heads=(add.dot,))
    assert not a.replica.governance.apply(theirs)


def test_a_removed_member_neither_counts_nor_governs() -> None:
    a, b, c = mesh("a", "b", "c")
    adds = a.replica.governance.now.members[node_of("c")].adds
    removal = a.govern(Kind.REMOVE, id="c", supersedes=adds)
    spread([a, b, c])
    state = b.replica.governance.now
    assert (node_of("c") in state.members, state.n) == (False, 2)
    late = Op(dot=place("c", 9), kind=Kind.POLICY, namespace="*", heads=(removal.dot,))
    assert not b.replica.governance.apply(late)
    assert b.replica.governance.now.policies == {}


def test_behind_the_cut_a_removed_members_work_stands() -> None:
    a, _, c = mesh("a", "b", "c")
    heads = c.replica.governance.heads
    a.govern(Kind.REMOVE, id="c", supersedes=a.replica.governance.now.members[node_of("c")].adds)
    work = Op(dot=dot("c"), kind=Kind.CREATE, heads=heads)
    assert a.replica.governance.state(heads).verdict(work).answer is Answer.ALLOW
    assert a.replica.governance.now.verdict(work).answer is Answer.DENY


def test_a_later_policy_takes_the_place_of_what_it_saw() -> None:
    a, b = mesh("a", "b")
    a.policy(write="deny")
    a.policy(write="any")
    assert len(a.replica.governance.now.policies["*"]) == 1
    b.policy(write="approve")
    a.commit()
    b.commit()
    spread([a, b])
    assert len(a.replica.governance.now.policies["*"]) == 2
    wanted = Op(dot=dot("a"), kind=Kind.CREATE, heads=a.replica.governance.heads)
    assert a.replica.governance.now.verdict(wanted).answer is Answer.PENDING
    assert a.replica.governance.live(Kind.POLICY, namespace="n") == frozenset()


def test_being_human_takes_all_concurrent_registrations() -> None:
    a, b = mesh("a", "b")
    a.agent("bob", "human")
    b.agent("bob", "system")
    a.commit()
    b.commit()
    spread([a, b])
    assert a.replica.governance.now.agents["bob"]["agent_type"] == "system"
    assert a.replica.governance.now.agents == b.replica.governance.now.agents
    a.agent("bob", "human")
    assert a.replica.governance.now.agents["bob"]["agent_type"] == "human"


def test_a_state_below_old_heads_does_not_move() -> None:
    node = Node("a").found()
    heads = node.replica.governance.heads
    for n in range(60):
        node.policy(f"n{n}", write="deny")
    assert node.replica.governance.state(heads).policies == {}
    assert len(node.replica.governance.now.policies) == 60


def test_quorum_is_a_majority_unless_set() -> None:
    (a,) = mesh("a")
    state = a.replica.governance.now
    assert [replace(state, unbound=frozenset("xyzuv"[:n])).quorum() for n in range(5)] == [
        1,
        2,
        2,
        3,
        3,
    ]
    assert (state.quorum(0), state.quorum(1), state.quorum(3)) == (1, 1, 3)


def test_many_registrations_are_not_held_once_for_every_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subject, "_ENTRIES_KEPT", 400)
    governance = Governance(GENESIS)
    governance.apply(founding("a"))
    for number in range(100):
        op = Op(
            dot=place("a", number + 2),
            kind=Kind.AGENT,
            id=f"agent-{number}",
            set={"agent_type": "human", "registered_at": number},
            heads=governance.heads,
        )
        assert governance.apply(op)
    assert len(governance.now.agents) == 100
    assert len(governance._states) <= 16
    assert governance.now.agents["agent-7"] is governance.state((place("a", 9),)).agents["agent-7"]


def test_states_reached_step_by_step_are_those_read_from_the_whole_history() -> None:
    """Seventy agents register, change and bind keys; every state stands beside one made anew."""
    node = Node("a", ("a",)).found()
    for n in range(140):
        key = {"public_key": bytes([n % 70]) * 32} if n % 3 else {}
        seen = node.replica.governance.live(Kind.AGENT, subject=f"ai:{n % 70}")
        node.govern(
            Kind.AGENT,
            id=f"ai:{n % 70}",
            agent=f"ai:{n % 70}",
            supersedes=seen if n % 2 else frozenset(),
            set={"agent_type": "human" if n % 5 else "system", **key},
        )
        if n % 10 == 0:
            node.policy("n", "ann", write="registered")
        governance = node.replica.governance
        whole = Tally()
        for op, counts in zip(governance.history(), governance._valid, strict=True):
            if counts:
                whole.take(op)
        assert governance.now == read(whole, frozenset({"a"}))
