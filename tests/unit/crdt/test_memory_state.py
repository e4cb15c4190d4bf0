import pytest

from crdt.dot import DATA, PRIVATE
from crdt.memory_state import MemoryState
from crdt.op import Kind
from crdt.state import BelowFloorError
from tests.unit.crdt.rig import Node, cut_log, draft, mesh, shared_state, snapshot


def wrote(count: int) -> Node:
    node = Node("a").found()
    for n in range(count):
        node.create(f"r{n}", title="x" * 50)
        node.commit()
    return node


def test_a_page_holds_at_least_one_and_stops_at_the_limit() -> None:
    disk = wrote(4).disk
    page = disk.page({}, 1)
    assert (len(page.bundles), page.complete) == (1, False)
    whole = disk.page({}, 10**6)
    assert (len(whole.bundles), whole.complete) == (5, True)
    assert list(whole.bundles)[:1] == list(page.bundles)
    assert disk.page(disk.clock(), 1) == type(page)([], complete=True)


def test_governance_goes_first_and_the_private_lane_never() -> None:
    node = wrote(2)
    node.write(draft(Kind.CREATE, "s", private=True, title="secret"))
    node.policy(write="any")
    sealed = node.commit()
    assert [b.actor[:1] for b in sealed] == [b"g", b"p"]
    page = node.disk.page({}, 10**6)
    governance = [b.data for b in node.sealed if b.actor[:1] == b"g"]
    data = [b.data for b in node.sealed if b.actor[:1] == DATA]
    assert list(page.bundles) == governance + data


def test_a_tail_is_one_actors_in_order() -> None:
    node = wrote(3)
    actor = node.replica.own[DATA]
    line = [b.data for b in node.sealed if b.actor == actor]
    assert node.disk.tail(actor, 0, 10**6) == line
    assert node.disk.tail(actor, 2, 10**6) == line[2:]
    assert node.disk.tail(b"nobody", 0, 9) == []


def test_cutting_takes_the_oldest_that_all_rows_cover() -> None:
    node = wrote(4)
    actor = node.replica.own[DATA]
    last = len(node.disk.tail(actor, 3, 10**6)[0])
    assert cut_log(node.disk, [{actor: 2}]) == {actor: 2}
    assert len(node.disk.tail(actor, 2, 10**6)) == 2
    assert cut_log(node.disk, [{}], most=last) == {actor: 3}
    assert node.disk.load().actors[actor].floor == 3
    assert len(node.disk.load().governance) == 1


def test_nothing_below_the_floor_is_served() -> None:
    node = wrote(3)
    cut_log(node.disk)
    with pytest.raises(BelowFloorError):
        node.disk.page({}, 10**6)
    with pytest.raises(BelowFloorError):
        node.disk.tail(node.replica.own[DATA], 0, 10**6)
    level = node.disk.page(node.disk.clock(), 10**6)
    assert (list(level.bundles), level.complete) == ([], True)


def test_a_snapshot_goes_by_rows_and_leaves_the_private_lane_out() -> None:
    node = wrote(3)
    node.write(draft(Kind.CREATE, "s", private=True, title="secret"))
    node.commit()
    for rows in (1, 2, 1000):
        copy = snapshot(node.disk, rows)
        assert shared_state(copy) == shared_state(node.disk)
        assert not any(key[:1] == PRIVATE for key in (*copy.records, *copy.actors))


def test_a_staged_actor_of_data_has_its_floor_at_its_end() -> None:
    node = wrote(2)
    copy = snapshot(node.disk)
    floors = {actor[:1]: row.floor for actor, row in copy.actors.items()}
    assert floors == {b"g": 0, b"d": 2}


def test_joining_keeps_the_own_private_lane_and_drops_overtaken_lines() -> None:
    a, b = mesh("a", "b")
    a.create("shared", title="x")
    a.commit()
    b.pull(a)
    a.edit("shared", title="y")
    a.commit()
    b.write(draft(Kind.CREATE, "s", private=True, title="secret"))
    b.commit()
    joined = b.disk.joined_with(snapshot(a.disk))
    assert shared_state(joined) == shared_state(a.disk)
    assert joined.record(b"pmemory/s") == b.disk.record(b"pmemory/s") is not None
    overtaken = a.replica.own[DATA]
    assert joined.tail(overtaken, 2, 10**6) == []
    assert joined.actors[overtaken].floor == 2


def test_a_copy_is_frozen() -> None:
    node = wrote(1)
    copy = node.disk.copy()
    before = shared_state(copy)
    node.create("more")
    node.commit()
    assert shared_state(copy) == before != shared_state(node.disk)


def test_a_state_loads_what_was_committed() -> None:
    node = wrote(2)
    loaded = node.disk.load()
    assert loaded.digest == node.replica.digest
    assert {a: r.seq for a, r in loaded.actors.items()} == node.replica.clock
    assert loaded.arrivals == 3
    assert MemoryState().load().genesis == b""
    assert loaded.genesis
