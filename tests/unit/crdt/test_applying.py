from crdt.applying import key_of
from crdt.op import Kind, Op
from crdt.policy import Answer
from tests.unit.crdt.rig import Node, dot, mesh


def kinds(node: Node) -> list[str]:
    return [note.kind for note in node.replica.take_notes()]


def test_what_happens_is_noted_once() -> None:
    (a,) = mesh("a")
    a.replica.take_notes()
    a.agent("bob")
    a.policy("n", "ann", write="approve", approver={"agent": "bob"})
    held = a.create("r", "ann")
    a.vote(held, "bob")
    a.seal(held)
    assert kinds(a) == ["governed", "governed", "pending", "voted", "sealed"]
    assert kinds(a) == []


def test_a_refused_operation_is_noted_with_who_and_what() -> None:
    a, b = mesh("a", "b")
    a.create("r", "bob")
    b.policy("n", "ann", write="deny")
    a.commit()
    op = Op(
        dot=dot("a", 9), kind=Kind.CREATE, collection="memory", id="x", namespace="n",
        agent="bob", owner="bob", heads=b.replica.governance.heads,
    )  # fmt: skip
    b.replica.take_notes()
    b.replica.applying.take(op)
    (note,) = b.replica.take_notes()
    assert (note.kind, note.agent, note.namespace, note.detail) == (
        "refused", "bob", "n", "create x",
    )  # fmt: skip
    assert b.replica.read(key_of(op)) is None


def test_a_gate_that_fails_refuses() -> None:
    (a,) = mesh("a")
    unknown = Op(dot=dot("a"), kind=Kind.CREATE, namespace="n", heads=(dot("z", 7),))
    assert a.replica.verdict(unknown).answer is Answer.DENY


def test_a_vote_about_nothing_is_void() -> None:
    (a,) = mesh("a")
    a.replica.take_notes()
    a.replica.applying.take(Op(dot=dot("a", 5), kind=Kind.VOTE, target=dot("a", 4)))
    assert kinds(a) == ["void"]
