from crdt.dot import DATA, PRIVATE
from crdt.op import Kind
from tests.unit.crdt.rig import Side, draft, linked, mesh, node_of, talk


def three() -> tuple[Side, Side, Side]:
    a, b, c = (Side(node) for node in mesh("a", "b", "c"))
    for link, (left, right) in enumerate([(a, b), (a, c), (b, c)], start=1):
        linked(left, right, link)
        talk(left, right, link)
    return a, b, c


def test_nothing_is_counted_before_anything_is_minted() -> None:
    a, _, _ = three()
    assert a.exchange.tally.quorum_seq() == 0


def test_a_write_counts_once_two_of_three_disks_hold_it() -> None:
    a, b, c = three()
    written = a.node.create()
    a.commit()
    tally = a.exchange.tally
    assert (tally.quorum_seq(), tally.holders(written)) == (0, {node_of("a")})
    talk(a, b, 1)
    assert (tally.quorum_seq(), tally.holders(written)) == (1, {node_of("a"), node_of("b")})
    assert tally.held_by_quorum(written)
    talk(a, c, 2)
    assert len(tally.holders(written)) == 3


def test_the_own_disk_is_one_of_them() -> None:
    a, b, c = three()
    a.node.create()
    a.exchange.minted(a.node.close())
    for other, link in ((b, 1), (c, 2)):
        talk(other, a, link)
    assert a.exchange.tally.quorum_seq() == 1
    # The talk committed on both sides; without the writer's own disk nothing counts.
    a.exchange.durable.pop(a.node.replica.own[DATA])
    assert a.exchange.tally.quorum_seq() == 0


def test_a_lost_link_takes_its_acknowledgement_along() -> None:
    a, b, _ = three()
    written = a.node.create()
    a.commit()
    talk(a, b, 1)
    assert a.exchange.tally.quorum_seq() == 1
    a.exchange.link_down(1)
    assert a.exchange.tally.quorum_seq() == 0
    assert a.exchange.tally.holders(written) == {node_of("a")}
    assert a.exchange.tally.reachable() == 2


def test_two_links_of_one_node_count_once() -> None:
    a, b, _ = three()
    a.exchange.wanted_w = 3
    linked(a, b, 9)
    talk(a, b, 9)
    a.node.create()
    a.commit()
    talk(a, b, 1)
    talk(a, b, 9)
    assert a.exchange.tally.quorum_seq() == 0


def test_the_private_lane_needs_no_other_disk() -> None:
    a, _, _ = three()
    a.node.write(draft(Kind.CREATE, "s", private=True))
    assert a.exchange.tally.quorum_seq(PRIVATE) == 0
    a.commit()
    assert a.exchange.tally.quorum_seq(PRIVATE) == 1


def test_a_membership_operation_is_counted_by_the_members_before_it() -> None:
    a, b, c = three()
    op = a.node.add("d")
    a.commit()
    tally = a.exchange.tally
    assert not tally.governed_by_quorum(op.dot, op.heads)
    talk(a, b, 1)
    assert tally.governed_by_quorum(op.dot, op.heads)
    assert tally.caught_up_with_all()
    del c
