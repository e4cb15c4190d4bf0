import json
import random
from typing import Any

import pytest

from chaos.report.reading import ABORTED, AGREES, DIFFERS, DOWN, UNKNOWN, Campaign, parse, read
from tests.unit.chaos.report.made import EXPECTED, WHAT, Maker, begin, campaign, lines, verdict

START = {"kind": "cycle", "cycle": 1, "class": "F01", "workload": "set", "seed": 7, "at": 10.0}


def of(*rows: dict[str, Any]) -> Campaign:
    return read(lines(rows))


def test_a_cycle_is_read_whole() -> None:
    maker = Maker(3)
    (cycle,) = of(begin(), *maker.play("F01")).cycles
    assert (cycle.name, cycle.number, cycle.workload, cycle.verdict) == ("F01", 1, "set", "pass")
    assert (cycle.at, cycle.seconds) == (0.0, 6.0)
    assert cycle.attempted == 40
    assert len(cycle.answers_s) == len(cycle.latencies_ms) == cycle.acknowledged
    assert [(b.what, b.start_s, b.end_s) for b in cycle.bands] == [(WHAT, 2.0, 4.0)]
    assert cycle.proven
    assert cycle.expectations == [(EXPECTED, True)]
    assert {len(strip) for strip in cycle.strips.values()} == {24}
    assert sorted(cycle.strips) == ["n1", "n2", "n3", "n4", "n5"]


def test_a_cycle_ends_with_its_verdict_however_late_its_records_are_read_once_more() -> None:
    maker = Maker(3)
    rows = [begin(), *maker.play("F01"), *maker.play("F02")]
    whole = {"kind": "final", "scope": "all", "at": 500.0, "node": "n1", "records": {}}
    found = of(*rows, *({**whole, "cycle": number} for number in (0, 1, 2)))
    assert [cycle.seconds for cycle in found.cycles] == [6.0, 6.0]


def test_latency_is_from_the_question_to_its_answer() -> None:
    cycle = of(
        begin(),
        START,
        {"kind": "invoke", "op": 1, "cycle": 1, "at": 10.5, "f": "add"},
        {"kind": "invoke", "op": 2, "cycle": 1, "at": 10.5, "f": "read"},
        {"kind": "invoke", "op": 3, "cycle": 1, "at": 10.5, "f": "write"},
        {"kind": "ok", "op": 1, "at": 10.75},
        {"kind": "ok", "op": 2, "at": 10.8},
        {"kind": "info", "op": 3, "at": 11.0},
        {"kind": "ok", "op": 99, "at": 11.5},
        verdict(1, "F01", 12.0, "pass", acknowledged=1, attempted=2),
    ).cycles[0]
    assert list(cycle.answers_s) == [0.75]
    assert list(cycle.latencies_ms) == [250.0]


def test_a_cycle_without_a_verdict_is_aborted_and_kept() -> None:
    first, *_ = Maker(4).play("F01")
    found = of(begin(), first, {"kind": "resume", "at": 5.0}, *Maker(4).play("F01"))
    assert [cycle.verdict for cycle in found.cycles] == [ABORTED, "pass"]
    assert found.resumes == 1
    assert "stopped" in found.cycles[0].why


def test_a_class_that_was_not_run_needs_no_cycle() -> None:
    (cycle,) = of(begin(), verdict(0, "F08", 1.0, "not_run", why="no netem")).cycles
    assert (cycle.name, cycle.verdict, cycle.why) == ("F08", "not_run", "no netem")


def test_nothing_that_comes_later_makes_a_failure_unseen() -> None:
    one = {"checker": "set", "rule": "lost", "detail": "x"}
    found = of(
        begin(),
        START,
        verdict(1, "F01", 11.0, "fail", why="lost", anomalies=[one]),
        verdict(1, "F01", 12.0, "pass"),
    )
    assert found.cycles[0].verdict == "fail"
    assert len(found.cycles[0].anomalies) == 1


def test_a_verdict_of_no_kind_passes_nothing() -> None:
    assert of(begin(), START, verdict(1, "F01", 11.0, "great")).cycles[0].verdict == "void"


def look(at: float, **digests: str | None) -> dict[str, Any]:
    nodes = {
        name: {"digest": digest or "", "lag": 0, "up": digest is not None}
        for name, digest in digests.items()
    }
    return {"kind": "sample", "cycle": 1, "at": at, "nodes": nodes}


def test_nodes_agree_with_most_and_of_equals_with_those_who_agreed() -> None:
    cycle = of(
        begin(),
        START,
        look(10.0, n1="b", n2="a", n3="a"),
        look(10.5, n1="b", n2="a", n3=None),
        look(11.0, n1="", n2="a"),
    ).cycles[0]
    strips = {name: "".join(strip) for name, strip in cycle.strips.items()}
    assert strips == {
        "n1": DIFFERS + DIFFERS + UNKNOWN,
        "n2": AGREES * 3,
        "n3": AGREES + DOWN + UNKNOWN,
    }


def test_a_heal_of_everything_ends_every_band() -> None:
    fault = {"kind": "fault", "cycle": 1, "ok": True}
    cycle = of(
        begin(),
        START,
        {**fault, "at": 11.0, "phase": "inject", "what": "a"},
        {**fault, "at": 12.0, "phase": "inject", "what": "b"},
        {**fault, "at": 13.0, "phase": "heal", "what": "a"},
        {**fault, "at": 14.0, "phase": "heal", "what": "everything"},
    ).cycles[0]
    assert [(b.what, b.start_s, b.end_s) for b in cycle.bands] == [("a", 1, 3), ("b", 2, 4)]


def test_a_torn_line_is_counted() -> None:
    text = [*lines([*campaign(1, 1, classes=("F01",))]), '{"kind":"inv']
    found = read(text)
    assert found.unreadable == 1
    assert len(found.cycles) == 1


@pytest.mark.parametrize("line", ["[]", "7", "null", "{}", '{"kind":3}', "[" * 100_000, "\xff"])
def test_what_is_no_event_is_none(line: str) -> None:
    assert list(parse([line, line.encode("latin-1")])) == [None, None]


def test_fields_of_any_kind_break_nothing() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    strange: list[Any] = [None, [], {}, -1, 1e400, True, "x", [[1]], {"a": 1}, float("nan")]
    rows = [*Maker(9).play("F01")]
    for _ in range(300):
        row = dict(dice.choice(rows))
        row[dice.choice(list(row))] = dice.choice(strange)
        if not isinstance(row["kind"], str):
            continue
        found = read([json.dumps(begin()), *(json.dumps(r) for r in rows[:9]), json.dumps(row)])
        assert found.cycles
