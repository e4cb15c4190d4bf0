from crdt.notes import note
from crdt.op import Kind, Op
from tests.unit.crdt.rig import dot


def test_a_note_says_what_it_is_about() -> None:
    told = note("refused", Op(dot=dot(), kind=Kind.DELETE, id="r", namespace="n", agent="ann"))
    assert (told.kind, told.dot, told.agent, told.namespace) == ("refused", dot(), "ann", "n")
    assert told.detail == "delete r"
    assert note("governed", Op(dot=dot(), kind=Kind.POLICY, namespace="n")).detail == "policy n"
    assert note("voted", Op(dot=dot(), kind=Kind.VOTE)).detail == "vote"
