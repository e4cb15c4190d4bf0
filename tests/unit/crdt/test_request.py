import pytest

from crdt.op import Draft, Kind
from crdt.request import DeniedError
from tests.unit.crdt.rig import Node, draft, mesh


def moved(namespace: str, owner: str = "ann") -> list[Draft]:
    birth = Draft(
        kind=Kind.CREATE,
        collection="memory",
        id="r",
        namespace=namespace,
        owner=owner,
        set={"title": 1},
    )
    return [birth, draft(Kind.DELETE, "r")]


def space(node: Node) -> str | None:
    seen = node.view("r")
    return None if seen is None else seen.namespace


def prepared(**policies: str) -> tuple[Node, Node]:
    a, b = mesh("a", "b")
    a.create("r", "ann", title=1)
    a.agent("bob")
    for namespace, level in policies.items():
        a.policy(namespace, "ann", write=level, delete=level, approver={"agent": "bob"})
    a.commit()
    return a, b


@pytest.mark.parametrize("held", ["there", "n"])
def test_a_move_of_which_one_side_is_held_is_held_whole(held: str) -> None:
    a, _ = prepared(**{held: "approve"})
    before = space(a)
    ops = a.write(*moved("there"), agent="ann")
    assert all(op.dot in a.replica.pending for op in ops)
    assert space(a) == before, "nothing shows before the approval"
    assert a.view("r").rivals == 0  # type: ignore[union-attr]  # it is there
    for op in ops:
        a.vote(op.dot, "bob")
    assert space(a) == "there"
    assert a.view("r").rivals == 0  # type: ignore[union-attr]  # it is there


def test_half_the_votes_show_nothing() -> None:
    a, _ = prepared(there="approve")
    before = space(a)
    first, _ = a.write(*moved("there"), agent="ann")
    a.vote(first.dot, "bob")
    assert space(a) == before


def test_a_move_between_lanes_is_never_half_held() -> None:
    a, _ = prepared(there="approve")
    secret = Draft(
        kind=Kind.CREATE, collection="memory", id="s", namespace="n", set={"t": 1}, private=True
    )
    a.write(secret)
    out = Draft(kind=Kind.CREATE, collection="memory", id="s", namespace="there", set={"t": 1})
    end = Draft(kind=Kind.DELETE, collection="memory", id="s", private=True)
    with pytest.raises(DeniedError):
        a.write(out, end)
