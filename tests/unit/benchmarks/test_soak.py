"""The pure parts of a soak: its plan, its ledger, its verdict and its page."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.soak import Plan, disturbances, soak
from tests.benchmarks.soak_load import Ledger, written
from tests.benchmarks.soak_report import page, plot
from tests.benchmarks.soak_verdict import judge, series, slope, verdict


def samples(count: int, rising: float = 0.0) -> list[dict[str, Any]]:
    return [
        {
            "seconds": float(n * 5),
            "writes_per_second": 90.0,
            "ms": {"write": {"p50": 3.0, "p99": 9.0 + n % 3, "max": 20.0}},
            "nodes": {
                "node-1": {"pid": 1, "anonymous_mib": 80.0 + rising * n, "files": 40, "threads": 9},
                "node-2": None if n % 10 == 0 else {"pid": 2, "anonymous_mib": 70.0, "files": 41},
            },
        }
        for n in range(count)
    ]


def test_every_node_is_restarted_and_the_first_one_only_in_the_first_third() -> None:
    plan = Plan(seconds=1800, nodes=3)
    done = disturbances(plan)

    assert {what for _, what, _ in done} == {"restart", "kill", "flap"}
    assert {place for _, _, place in done} == {0, 1, 2}
    assert {place for _, what, place in done if what == "flap"} == {2}
    assert all(at < 600 for at, _, place in done if place == 0)
    assert {(w, p) for at, w, p in done if at > 600 and w != "flap"} == {
        ("restart", 1),
        ("restart", 2),
        ("kill", 1),
        ("kill", 2),
    }


def test_a_short_run_is_disturbed_too() -> None:
    assert len(disturbances(Plan(seconds=20))) >= 3


def test_the_ledger_finds_what_was_acknowledged_and_is_not_shown() -> None:
    ledger = Ledger()
    ledger.good("write", 0.001, number=1, value=10)
    ledger.good("write", 0.001, number=1, value=12)
    ledger.good("write", 0.001, number=2, value=5)

    assert ledger.lost({1: 12, 2: 9}) == []
    assert ledger.lost({1: 10, 2: 5}) == [1]
    assert ledger.lost({1: 12}) == [2]


def test_the_number_is_read_from_a_content() -> None:
    assert written("42 and words") == 42
    assert written("words") == -1


def test_the_slope_is_not_moved_by_a_few_bad_moments() -> None:
    drawn = random.Random(3)
    print("seed 3")
    points = [(float(x), 2.0 * x + drawn.uniform(-1, 1)) for x in range(100)]
    points[10] = (10.0, 9000.0)
    points[50] = (50.0, -9000.0)

    assert slope(points) == pytest.approx(2.0, abs=0.05)
    assert slope([(1.0, 1.0)]) == 0.0


def test_what_rises_only_while_warming_up_is_flat() -> None:
    points = [(float(x), min(x, 30) * 10.0) for x in range(100)]

    assert judge("anonymous_mib", points)["flat"] is True
    assert judge("anonymous_mib", [(x, x * 10.0) for x, _ in points])["flat"] is False
    assert judge("anonymous_mib", points[:3])["flat"] is None


def test_the_verdict_names_what_rises_and_fails_for_one_lost_write() -> None:
    flat, rising = samples(100), samples(100, rising=1.0)

    assert verdict(flat, lost=0, seconds=500)["verdict"] == "passed"
    assert verdict(flat, lost=1, seconds=500)["verdict"] == "failed"
    assert verdict(rising, lost=0, seconds=500)["rising"] == ["anonymous_mib of node-1"]
    assert verdict(rising, lost=0, seconds=20)["verdict"] == "too short to judge"


def test_memory_is_judged_where_one_process_ran_all_the_time() -> None:
    taken = samples(100)
    for n, sample in enumerate(taken):
        sample["nodes"]["node-1"] |= {"pid": 1 if n < 60 else 7, "anonymous_mib": float(n)}

    figures = verdict(taken, lost=0, seconds=500)["figures"]["anonymous_mib"]

    assert figures["node-1"] == {"flat": None, "why": "restarted"}
    assert figures["node-2"]["flat"] is True


def test_a_node_that_is_down_has_no_points() -> None:
    assert len(series(samples(100))["anonymous_mib"]["node-2"]) == 90


def test_the_page_stands_alone_and_escapes_what_it_shows() -> None:
    taken = samples(40)
    found = verdict(taken, lost=0, seconds=20)
    facts = {"cpu": "<script>alert(1)</script>"}
    events = [{"seconds": 50.0, "event": "kill", "node": "node-2"}]

    text = page(facts, found, series(taken), events)

    assert "<script" not in text
    assert "http" not in text
    assert text.count("<svg") >= 4
    assert "kill node-2" in text


def test_a_plot_of_nothing_but_zeros_can_be_drawn() -> None:
    assert "polyline" in plot("zeros", {"node-1": [(0.0, 0.0), (1.0, 0.0)]}, [])


@pytest.mark.slow
@pytest.mark.integration
def test_a_short_soak_loses_nothing(tmp_path: Path) -> None:
    done = soak(
        tmp_path / "mesh",
        Plan(seconds=20, rate=60, records=160),
        tmp_path / "samples.jsonl",
        told=False,
    )

    assert done["facts"]["acknowledged writes"] > 100
    assert done["found"]["lost"] == 0
    assert len(done["events"]) >= 3
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) > 20
