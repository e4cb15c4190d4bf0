from dataclasses import replace

from crdt.dot import dot_text
from crdt.notes import note
from crdt.op import Kind, Op
from crdt.pending import Pending
from tests.unit.crdt.rig import dot


def test_a_note_says_what_it_is_about() -> None:
    told = note("refused", Op(dot=dot(), kind=Kind.DELETE, id="r", namespace="n", agent="ann"))
    assert (told.kind, told.dot, told.agent, told.namespace) == ("refused", dot(), "ann", "n")
    assert told.detail == "delete r"
    assert note("governed", Op(dot=dot(), kind=Kind.POLICY, namespace="n")).detail == "policy n"
    assert note("voted", Op(dot=dot(), kind=Kind.VOTE)).detail == "vote no"


def test_a_decision_says_yes_or_no_and_about_what() -> None:
    held = Pending(b"dmemory/m-1", b"h" * 32, "ann", "human", action="delete", namespace="team")
    yes = Op(dot=dot("b"), kind=Kind.VOTE, agent="bob", set={"yes": True}, target=dot("a", 3))
    told = note("voted", yes, held)
    assert told.detail == f"vote yes {dot_text(dot('a', 3))} delete m-1"
    assert told.namespace == "team"
    no = yes._replace(set={"yes": "yes", "reason": "a secret"})
    assert note("void", no).detail == f"vote no {dot_text(dot('a', 3))}", "only a plain yes is one"
    seal = Op(dot=dot("a", 9), kind=Kind.SEAL, target=dot("a", 4))
    link = replace(held, key=b"dlink/x", leader=dot("a", 3))
    assert note("sealed", seal, link).detail == f"seal {dot_text(dot('a', 3))} delete link/x"
