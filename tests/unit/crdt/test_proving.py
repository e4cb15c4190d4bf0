import pytest

from crdt.dot import GOVERNANCE, Dot
from crdt.governance import Genesis
from crdt.op import Kind
from crdt.proving import Proof, UnprovenError
from crdt.state import ActorRow
from tests.unit.crdt.rig import Node, actor, genuine, mesh


def proof(node: Node) -> Proof:
    """The proof of somebody who has nothing yet."""
    return Proof(node.replica.genesis, genuine, 100)


def history(node: Node) -> list[bytes]:
    return list(node.disk.load().governance)


def governed() -> Node:
    a, _ = mesh("a", "b")
    a.policy(write="owner")
    a.commit()
    a.agent("ann")
    a.commit()
    a.create()
    a.commit()
    return a


def test_what_its_authors_signed_is_proven_from_the_founding_on() -> None:
    a = governed()
    taken = proof(a)
    taken.take(history(a))
    taken.only(history(a), a.disk.actors)
    taken.covers(a.disk.actors)
    assert taken.governance.heads == a.replica.governance.heads
    assert taken.governance.now.ready == a.replica.governance.now.ready


def test_what_is_known_is_passed_over_and_what_is_new_goes_on_from_it() -> None:
    a = governed()
    taken = proof(a)
    taken.trust(history(a)[:2])
    taken.take(history(a))
    taken.covers(a.disk.actors)
    assert len(taken.governance) == len(a.replica.governance)


def test_a_signature_of_somebody_else_is_refused() -> None:
    a = governed()
    rogue = Node("a", ("a", "b"), a.disk.copy())
    rogue.started(sign=lambda _: bytes(64))
    rogue.govern(Kind.AGENT, id="mallory", agent="mallory", set={"agent_type": "human"})
    rogue.commit()
    with pytest.raises(UnprovenError, match="bad"):
        proof(a).take(history(rogue))


@pytest.mark.parametrize("lost", [0, 1])
def test_a_bundle_that_is_left_out_is_missed(lost: int) -> None:
    a = governed()
    held = history(a)
    del held[lost]
    with pytest.raises(UnprovenError, match="behind"):
        proof(a).take(held)


def test_what_is_claimed_must_be_shown_and_what_is_shown_claimed() -> None:
    a = governed()
    held = history(a)
    taken = proof(a)
    taken.take(held[:-1])
    with pytest.raises(UnprovenError, match="claimed"):
        taken.covers({k: r for k, r in a.disk.actors.items() if k[:1] == GOVERNANCE})
    last = Node("a", ("a", "b"), a.disk).replica.actors
    short = {k: ActorRow(r.seq - 1, r.hash, r.heads) for k, r in last.items()}
    with pytest.raises(UnprovenError, match="unclaimed"):
        taken.only(held, short)


def test_heads_that_nobody_knows_and_another_end_of_a_line_are_refused() -> None:
    a = governed()
    taken = proof(a)
    taken.take(history(a))
    unknown = (Dot(actor("z", GOVERNANCE), 1),)
    with pytest.raises(UnprovenError, match="heads"):
        taken.covers({actor("a"): ActorRow(1, bytes(32), unknown)})
    line = next(k for k in a.disk.actors if k[:1] == GOVERNANCE)
    row = a.disk.actors[line]
    with pytest.raises(UnprovenError, match="fork"):
        taken.covers({line: ActorRow(row.seq, bytes(32), row.heads)})


def test_another_lane_and_another_cluster_are_refused_and_twice_is_once() -> None:
    a = governed()
    held = history(a)
    taken = proof(a)
    taken.take([held[0], *held])
    assert len(taken.governance) == len(a.replica.governance)
    with pytest.raises(UnprovenError, match="wrong_lane"):
        proof(a).take([b.data for b in a.sealed if b.actor[:1] != GOVERNANCE])
    elsewhere = Proof(Genesis(cluster="other", founders=("a", "b")), genuine, 100)
    with pytest.raises(UnprovenError, match="bad"):
        elsewhere.take(held)
    with pytest.raises(UnprovenError, match="malformed"):
        proof(a).take([b"no bundle"])
