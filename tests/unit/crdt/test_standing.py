from crdt.dot import GOVERNANCE, lane_of
from crdt.op import Kind
from crdt.standing import be_ready, found
from tests.unit.crdt.rig import Node, Side, linked, mesh, node_of, talk


def test_a_founder_founds_once_and_serves_at_once() -> None:
    node = Node("a")
    assert not node.replica.joined
    assert found(node.replica, node.now_ms)
    assert found(node.replica, node.now_ms)
    node.commit()
    assert [op.kind for op in node.replica.governance.history()] == [Kind.FOUND]
    assert node.replica.joined
    node.started()
    assert node.replica.joined


def test_who_is_no_founder_can_only_join() -> None:
    node = Node("z", ("a",))
    assert node.replica.must_join
    assert not found(node.replica, node.now_ms)
    assert not node.replica.has_open


def test_founders_that_meet_are_one_mesh() -> None:
    a, b = Side(Node("a", ("a", "b"))), Side(Node("b", ("a", "b")))
    linked(a, b)
    talk(a, b)
    for side in (a, b):
        assert side.node.replica.joined
        assert side.node.replica.governance.now.ready == {node_of("a"), node_of("b")}


def test_a_founder_that_lost_its_disk_founds_no_second_time() -> None:
    a, b = mesh("a", "b")
    b.create()
    b.commit()
    a.pull(b)
    left, fresh = Side(a), Side(Node("b", ("a", "b")))
    fresh.node.births = 50
    linked(left, fresh)
    talk(left, fresh)
    assert fresh.node.replica.joined
    founded = [
        op
        for op in fresh.node.replica.governance.history()
        if op.kind is Kind.FOUND and op.dot.actor[13:] == node_of("b")
    ]
    assert len(founded) == 1
    assert fresh.node.values() == {}


def test_a_joiner_says_ready_only_once_it_has_caught_up() -> None:
    (a,) = mesh("a")
    for n in range(5):
        a.create(f"r{n}")
        a.commit()
    a.add("z")
    a.commit()
    left, joiner = Side(a, page_bytes_max=1), Side(Node("z", ("a",)))
    be_ready(joiner.exchange)
    assert not joiner.node.replica.has_open
    linked(left, joiner)
    joined_at: list[bool] = []
    for _ in range(30):
        talk(left, joiner, rounds=1)
        held = sum(n for act, n in joiner.node.replica.clock.items() if lane_of(act) != GOVERNANCE)
        assert not joiner.node.replica.joined or held == 5
        joined_at.append(joiner.node.replica.joined)
    assert joined_at[-1]
    assert not joined_at[0]
    assert a.replica.governance.now.n == 2
