from crdt.clock import (
    ahead,
    beyond,
    covers,
    covers_all,
    governance,
    group_hash,
    grouped,
    merge,
    shared,
)
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot, new_actor
from tests.unit.crdt.rig import actor, node_of

A, B = actor("a"), actor("b")


def test_an_absent_actor_is_at_zero() -> None:
    assert covers({}, Dot(A, 0))
    assert not covers({}, Dot(A, 1))
    assert covers({A: 2}, Dot(A, 2))
    assert not covers({A: 2}, Dot(A, 3))


def test_all_means_every_one() -> None:
    assert covers_all({A: 2}, [])
    assert covers_all({A: 2, B: 1}, [Dot(A, 2), Dot(B, 1)])
    assert not covers_all({A: 2}, [Dot(A, 2), Dot(B, 1)])


def test_ahead_is_no_order() -> None:
    assert ahead({A: 1}, {})
    assert not ahead({}, {A: 1})
    assert not ahead({A: 1}, {A: 1})
    left, right = {A: 2, B: 1}, {A: 1, B: 2}
    assert ahead(left, right)
    assert ahead(right, left)


def test_merge_covers_both_and_changes_neither() -> None:
    left, right = {A: 2}, {A: 1, B: 3}
    assert merge(left, right) == {A: 2, B: 3}
    assert (left, right) == ({A: 2}, {A: 1, B: 3})


def test_beyond_is_what_differs() -> None:
    assert beyond({A: 2, B: 1}, {A: 1, B: 1}) == {A: 2}
    assert beyond({A: 1}, {A: 2}) == {A: 1}


def test_the_private_lane_never_leaves() -> None:
    lanes = {actor("a", lane): 1 for lane in (DATA, GOVERNANCE, PRIVATE)}
    assert shared(lanes) == {actor("a", DATA): 1, actor("a", GOVERNANCE): 1}
    assert governance(lanes) == {actor("a", GOVERNANCE): 1}


def test_groups_are_told_apart_by_month_and_by_what_they_hold() -> None:
    old = new_actor(DATA, 0, bytes(8), node_of("a"))
    groups = grouped({old: 1, A: 2, B: 3})
    assert sorted(map(len, groups.values())) == [1, 2]
    assert group_hash({A: 2, B: 3}) == group_hash({B: 3, A: 2})
    assert len({group_hash(c) for c in ({}, {A: 2}, {A: 3}, {B: 2}, {A: 2, B: 3})}) == 5
    assert len(group_hash({})) == 16
