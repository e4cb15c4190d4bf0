from crdt.dot import Dot
from crdt.sealing import seal_approved
from tests.unit.crdt.rig import Side, linked, mesh, talk


def council() -> tuple[Side, Side, Dot]:
    a, b = (Side(node) for node in mesh("a", "b"))
    a.node.agent("bob")
    a.node.agent("cat")
    a.node.policy("n", "ann", write="approve", approver={"consensus": 1})
    linked(a, b)
    a.commit()
    talk(a, b)
    held = a.node.create("r", "ann")
    a.commit()
    talk(a, b)
    return a, b, held


def test_nothing_is_sealed_without_an_approval() -> None:
    a, b, _ = council()
    assert (seal_approved(a.exchange), seal_approved(b.exchange)) == (0, 0)


def test_the_node_that_asked_seals_once_all_members_hold_the_votes() -> None:
    a, b, held = council()
    a.node.vote(held, "bob")
    assert seal_approved(a.exchange) == 0, "not even its own disk holds the vote"
    a.commit()
    assert seal_approved(a.exchange) == 0, "the other member does not hold it"
    talk(a, b)
    assert seal_approved(b.exchange) == 0, "not the one that asked"
    assert seal_approved(a.exchange) == 1
    assert seal_approved(a.exchange) == 0, "once"
    a.commit()
    talk(a, b)
    assert b.node.replica.pending[held].sealed == a.node.replica.pending[held].sealed > 0


def test_a_member_that_is_away_may_have_said_no() -> None:
    a, b, held = council()
    b.node.vote(held, "cat", yes=False)
    a.node.vote(held, "bob")
    a.commit()
    a.exchange.link_down(1)
    assert a.node.view("r") is not None
    assert seal_approved(a.exchange) == 0
    linked(a, b, 2)
    talk(a, b, 2)
    assert seal_approved(a.exchange) == 0
    assert a.node.view("r") is None, "rejected, although it had shown"


def test_what_a_member_holds_and_this_one_lacks_may_be_a_no() -> None:
    a, b, held = council()
    b.node.vote(held, "cat", yes=False)
    b.commit()  # on its disk, told to nobody: it is ahead of what it was asked about
    a.node.vote(held, "bob")
    a.commit()
    for data in a.boxes[1].take(2**30):
        b.exchange.receive(1, data)
    b.commit()
    b.exchange.tick()
    claims = [data for data in b.boxes[1].take(2**30) if not data.startswith(b"\x92\x0c")]
    for data in claims:  # its acknowledgements arrive before what it pushed
        a.exchange.receive(1, data)
    assert seal_approved(a.exchange) == 0
