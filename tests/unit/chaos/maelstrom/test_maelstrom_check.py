"""Doctored histories are caught, each by its rule; clean ones are not."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from chaos.maelstrom.check import (
    Checker,
    check_counter,
    check_echo,
    check_growing,
    check_ids,
    check_set,
    quantiles,
)
from chaos.maelstrom.history import Op

NODES = ["n1", "n2", "n3"]
Ops = list[Op]


def op(f: str, node: str, at: float, **fields: Any) -> Op:
    given = {"outcome": "ok", "ended_s": at + 0.01, **fields}
    return Op(f=f, node=node, began_s=at, **given)


def sets() -> Ops:
    """Thirty adds, one of them indefinite and kept, one refused; reads that see what was there."""
    ops, kept = [], []
    for number in range(30):
        outcome = {7: "info", 9: "fail"}.get(number, "ok")
        ops.append(op("add", NODES[number % 3], number, value=number, outcome=outcome))
        kept += [number] if outcome != "fail" else []
        ops.append(op("read", NODES[number % 3], number + 0.5, answer=list(kept)))
    return ops + [op("read", node, 100, answer=list(kept), final=True) for node in NODES]


def counts(delta: Callable[[int], int] = lambda n: n % 4) -> Ops:
    ops, total = [], 0
    for number in range(30):
        ops.append(op("add", NODES[number % 3], number, value=delta(number)))
        total += delta(number)
        ops.append(op("read", NODES[number % 3], number + 0.5, answer=total))
    return ops + [op("read", node, 100, answer=total, final=True) for node in NODES]


def ids() -> Ops:
    return [op("generate", NODES[n % 3], n, answer=f"id{n}") for n in range(30)]


def echoes() -> Ops:
    return [op("echo", NODES[n % 3], n, value=f"e{n}", answer=f"e{n}") for n in range(30)]


def finals(ops: Ops) -> Ops:
    return [o for o in ops if o.final]


def _lost(ops: Ops) -> None:
    finals(ops)[1].answer.remove(3)


def _lost_everywhere(ops: Ops) -> None:
    for o in ops:
        if o.f == "read":
            o.answer = [n for n in o.answer if n != 3]


def _invented(ops: Ops) -> None:
    for o in finals(ops):
        o.answer.append(999)


def _refused_but_there(ops: Ops) -> None:
    for o in finals(ops):
        o.answer.append(9)


def _too_early(ops: Ops) -> None:
    next(o for o in ops if o.f == "read").answer.append(20)


def _doubled(ops: Ops) -> None:
    finals(ops)[2].answer.append(4)


def _diverged(ops: Ops) -> None:
    finals(ops)[0].answer.remove(7)  # indefinite: may be missing, but then on all


def _forgotten(ops: Ops) -> None:
    reads = [o for o in ops if o.f == "read" and o.node == "n1" and not o.final]
    reads[5].answer.remove(0)


def _unread(ops: Ops) -> None:
    finals(ops)[0].outcome = "info"


def _wrong(ops: Ops) -> None:
    for o in finals(ops):
        o.answer -= 1


def _one_differs(ops: Ops) -> None:
    next(o for o in ops if o.f == "add" and o.value).outcome = "info"
    finals(ops)[0].answer -= next(o for o in ops if o.f == "add" and o.value).value


def _above(ops: Ops) -> None:
    next(o for o in ops if o.f == "read").answer += 1000


def _fell(ops: Ops) -> None:
    reads = [o for o in ops if o.f == "read" and o.node == "n2" and not o.final]
    reads[4].answer = 0


def _below(ops: Ops) -> None:
    next(o for o in ops if o.f == "read").answer = -1000


def _twice(ops: Ops) -> None:
    ops[20].answer = ops[3].answer


def _other(ops: Ops) -> None:
    ops[4].answer = "e5"


def falling() -> Ops:
    return counts(lambda n: n % 7 - 3)


DOCTORED: list[tuple[Callable[[], Ops], Checker, Callable[[Ops], None], str]] = [
    (sets, check_set, _lost, "lost"),
    (sets, check_set, _lost_everywhere, "lost"),
    (sets, check_set, _invented, "invented"),
    (sets, check_set, _refused_but_there, "invented"),
    (sets, check_set, _too_early, "invented"),
    (sets, check_set, _doubled, "doubled"),
    (sets, check_set, _diverged, "diverged"),
    (sets, check_set, _forgotten, "forgotten"),
    (sets, check_set, _unread, "unread"),
    (counts, check_growing, _wrong, "wrong_sum"),
    (counts, check_growing, _one_differs, "diverged"),
    (counts, check_growing, _above, "invented"),
    (counts, check_growing, _fell, "fell"),
    (counts, check_growing, _unread, "unread"),
    (falling, check_counter, _wrong, "wrong_sum"),
    (falling, check_counter, _below, "invented"),
    (falling, check_counter, _one_differs, "diverged"),
    (falling, check_counter, _unread, "unread"),
    (ids, check_ids, _twice, "duplicate_id"),
    (echoes, check_echo, _other, "wrong_echo"),
]


@pytest.mark.parametrize(("made", "check", "doctor", "rule"), DOCTORED)
def test_a_doctored_history_is_caught_by_its_rule(
    made: Callable[[], Ops], check: Checker, doctor: Callable[[Ops], None], rule: str
) -> None:
    ops = made()
    doctor(ops)
    assert rule in {anomaly.rule for anomaly in check(ops, NODES).anomalies}


@pytest.mark.parametrize(
    ("made", "check"),
    [
        (sets, check_set),
        (counts, check_growing),
        (falling, check_counter),
        (ids, check_ids),
        (echoes, check_echo),
    ],
)
def test_a_clean_history_is_not_flagged(made: Callable[[], Ops], check: Checker) -> None:
    found = check(made(), NODES)
    assert found.valid, found.anomalies
    assert found.figures["attempted"] >= 29


def test_an_indefinite_add_may_show_or_not() -> None:
    for kept in (True, False):
        last = [1, 2] if kept else [1]
        ops = [
            op("add", "n1", 0, value=1),
            op("add", "n1", 1, value=2, outcome="info", ended_s=float("inf")),
            *(op("read", node, 9, answer=list(last), final=True) for node in NODES),
        ]
        assert check_set(ops, NODES).valid
        total = sum(last)
        for o in finals(ops):
            o.answer = total
        assert check_counter(ops, NODES).valid
        for o in finals(ops):
            o.answer = 2
        assert {a.rule for a in check_counter(ops, NODES).anomalies} == {"wrong_sum"}


def test_elements_are_told_apart_by_value_not_by_form() -> None:
    ops = [
        op("add", "n1", 0, value={"a": 1, "b": [None]}),
        op("add", "n1", 1, value=1),
        op("add", "n1", 1, value="1"),
        *(op("read", n, 9, answer=[{"b": [None], "a": 1}, "1", 1], final=True) for n in NODES),
    ]
    assert check_set(ops, NODES).valid


def test_reads_that_overlap_are_in_no_order() -> None:
    ops = [
        op("add", "n1", 0, value=5),
        op("read", "n1", 1, answer=5, ended_s=4),
        op("read", "n1", 2, answer=0, ended_s=3),
        *(op("read", n, 9, answer=5, final=True) for n in NODES),
    ]
    assert check_growing(ops, NODES).valid


def test_stale_reads_are_counted_and_no_anomaly() -> None:
    ops = [
        op("add", "n1", 0, value=1),
        op("read", "n2", 1, answer=[]),
        *(op("read", n, 9, answer=[1], final=True) for n in NODES),
    ]
    found = check_set(ops, NODES)
    assert found.valid
    assert (found.figures["stale"], found.figures["stable"]) == (1, 1)
    assert found.figures["stable_latencies_ms"]["1"] == 990.0


@pytest.mark.parametrize("seed", range(20))
def test_random_sums_agree_with_a_dumb_twin(seed: int) -> None:
    dice = random.Random(seed)
    print("seed", seed)
    adds = [
        op("add", "n1", n, value=dice.randint(-5, 5), outcome=dice.choice(["ok", "info", "fail"]))
        for n in range(8)
    ]
    sure = sum(o.value for o in adds if o.outcome == "ok")
    maybe = [o.value for o in adds if o.outcome == "info"]
    possible = {
        sure + sum(v for place, v in enumerate(maybe) if mask >> place & 1)
        for mask in range(1 << len(maybe))
    }
    for answer in range(-60, 61):
        ops = [*adds, *(op("read", n, 99, answer=answer, final=True) for n in NODES)]
        rules = {a.rule for a in check_counter(ops, NODES).anomalies}
        assert ("wrong_sum" in rules) == (answer not in possible)


def test_quantiles_of_nothing_and_of_one() -> None:
    assert quantiles([]) == {}
    assert quantiles([3.0]) == {"0": 3.0, "0.5": 3.0, "0.95": 3.0, "0.99": 3.0, "1": 3.0}
