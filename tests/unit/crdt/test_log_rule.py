"""What a log keeps for whom."""

from types import SimpleNamespace
from typing import Any

import pytest

from crdt.clock import Clock
from crdt.dot import PRIVATE
from crdt.log_rule import LogRule, copies_of, rows_of
from tests.unit.crdt.rig import Node, spread

A, B = b"d" + b"a" * 44, b"d" + b"b" * 44
OWN = PRIVATE + b"a" * 44


def rule(*rows: Clock, most: int = 1000, least: int = 0, copies: int = 1) -> LogRule:
    return LogRule(
        rows=rows, log_bytes_max=most, log_bytes_min=least, log_ms_max=100, copies=copies
    )


def test_what_all_others_have_goes_above_the_least() -> None:
    both = rule({A: 5}, {A: 3}, least=50)
    assert both.lets_go(A, 3, held=51)
    assert not both.lets_go(A, 3, held=50)
    assert not both.lets_go(A, 4, held=999)
    assert not both.lets_go(B, 1, held=999)
    assert rule().lets_go(A, 9, held=1), "nobody else needs it"


def test_an_erasure_goes_below_the_least_and_takes_nothing_that_somebody_lacks() -> None:
    one = rule({A: 5}, least=50)
    assert one.lets_go(A, 5, held=9, marked=True)
    assert not one.lets_go(A, 6, held=9, marked=True)


@pytest.mark.parametrize("copies", [2, 3])
def test_a_limit_of_size_takes_what_enough_members_hold(copies: int) -> None:
    three = rule({A: 5}, {A: 4}, {}, copies=copies)
    assert three.lets_go(A, 4, held=1001)
    assert three.lets_go(A, 5, held=1001) is (copies == 2)
    assert not three.lets_go(A, 6, held=1001)
    assert not three.lets_go(A, 4, held=1000)


def test_age_and_a_size_beyond_measure_take_everything() -> None:
    alone = rule({}, {}, copies=2)
    assert alone.lets_go(A, 1, held=1, age_ms=101)
    assert not alone.lets_go(A, 1, held=1, age_ms=100)
    assert alone.lets_go(A, 1, held=16_001)
    assert not alone.lets_go(A, 1, held=16_000)


def test_nobody_else_can_need_the_private_lane() -> None:
    away = rule({}, {}, copies=2)
    assert away.lets_go(OWN, 1, held=1001)
    assert not away.lets_go(OWN, 1, held=1000)
    assert away.lets_go(OWN, 1, held=1, marked=True)


def exchange(names: tuple[str, ...], wanted: int | None) -> Any:
    nodes = [Node(name, names) for name in names]
    spread(nodes)
    return SimpleNamespace(replica=nodes[0].replica, wanted_w=wanted)


@pytest.mark.parametrize(
    ("members", "wanted", "copies"),
    [
        (1, None, 1),
        (2, 2, 1),  # whoever is alone with the source believes its snapshot
        (3, None, 2),
        (3, 1, 2),  # what one member claims alone is what an invention looks like
        (5, None, 3),
        (5, 4, 4),
    ],
)
def test_what_was_not_acknowledged_is_in_a_log(
    members: int, wanted: int | None, copies: int
) -> None:
    assert copies_of(exchange(tuple("abcde"[:members]), wanted)) == copies


def test_a_member_without_a_link_has_acknowledged_nothing() -> None:
    now = SimpleNamespace(members=("me", "linked", "met", "away"), unbound=("invited",))
    peers = {
        1: SimpleNamespace(node_id="linked", known=True, row={A: 3}),
        2: SimpleNamespace(node_id="met", known=False, row={A: 9}),
    }
    replica = SimpleNamespace(governance=SimpleNamespace(now=now), me=SimpleNamespace(node_id="me"))
    there: Any = SimpleNamespace(replica=replica, peers=peers)
    assert rows_of(there) == [{A: 3}, {}, {}, {}]
