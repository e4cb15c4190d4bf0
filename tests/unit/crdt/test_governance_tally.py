from itertools import permutations

from crdt.dot import GOVERNANCE
from crdt.governance_tally import Tally, read
from crdt.op import Kind, Op
from tests.unit.crdt.rig import dot, key_of, node_of


def place(name: str, seq: int = 1):  # noqa: ANN201 - a dot
    return dot(name, seq, GOVERNANCE)


FOUND = Op(
    dot=place("a"),
    kind=Kind.FOUND,
    set={
        "node": node_of("a"),
        "key": key_of("a"),
        "claim": "a",
        "name": "a",
        "url": "a",
        "admins": ["root"],
    },
)
POLICY = Op(dot=place("a", 2), kind=Kind.POLICY, namespace="n", agent="ann", set={"governance": {}})
NEXT = POLICY._replace(dot=place("b", 1), supersedes=frozenset([POLICY.dot]))
OTHER = POLICY._replace(dot=place("c", 1))
LEAVES = Op(dot=place("b", 2), kind=Kind.ROLE, id="root", supersedes=frozenset([FOUND.dot]), set={})


def summed(*ops: Op) -> Tally:
    tally = Tally()
    for op in ops:
        tally.take(op)
    return tally


def test_the_order_of_what_is_concurrent_does_not_matter() -> None:
    states = [
        read(summed(FOUND, POLICY, *rest), frozenset({"a"}))
        for rest in permutations([NEXT, OTHER, LEAVES])
    ]
    assert all(state == states[0] for state in states)
    assert {policy.dot for policy in states[0].policies["n"]} == {NEXT.dot, OTHER.dot}
    assert states[0].admins == frozenset()


def test_a_copy_goes_its_own_way() -> None:
    first = summed(FOUND)
    second = first.copy()
    second.take(POLICY)
    assert read(first, frozenset()).policies == {}
    assert set(read(second, frozenset()).policies) == {"n"}


def test_a_founding_names_the_first_administrators() -> None:
    state = read(summed(FOUND), frozenset({"a", "b"}))
    assert (state.admins, state.unbound) == (frozenset({"root"}), frozenset({"b"}))
