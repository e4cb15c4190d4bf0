"""Medians and ratios: paired by repeat, judged by their bound, and never made up."""

from typing import Any

import pytest

from tests.benchmarks.catalogue import BENCHES, TAGS
from tests.benchmarks.scale import REPEATS, SCALES
from tests.benchmarks.summary import Pick, Target, flat, summaries
from tests.benchmarks.targets import TARGETS

OURS = Pick({"bench": "b", "side": "ours"}, "rate")
THEIRS = Pick({"bench": "b", "side": "theirs"}, "rate")


def line(side: str, repeat: int, rate: float, **more: Any) -> dict[str, Any]:
    return {"bench": "b", "side": side, "repeat": repeat, "rate": rate, **more}


def judged(sign: str, number: float, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return Target("faster", sign, number, OURS, THEIRS).judged(lines)


def test_a_ratio_is_taken_within_a_repeat() -> None:
    # A slow moment hit both sides of the second repeat; a ratio of medians would be 2, 1 or 20.
    lines = [line("ours", 1, 20), line("theirs", 1, 10), line("ours", 2, 2), line("theirs", 2, 1)]
    told = judged(">=", 2, lines)
    assert (told["got"], told["least"], told["greatest"]) == (2.0, 2.0, 2.0)
    assert (told["reached"], told["repeats"], told["wanted"]) == (True, 2, ">=2")


@pytest.mark.parametrize(
    ("sign", "number", "reached"),
    [(">=", 2, True), (">", 2, False), ("<=", 2, True), ("<", 2, False), (">=", 2.1, False)],
)
def test_a_bound_is_met_or_not(sign: str, number: float, *, reached: bool) -> None:
    assert judged(sign, number, [line("ours", 1, 4), line("theirs", 1, 2)])["reached"] is reached


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line("ours", 1, 4)],
        [line("theirs", 1, 4)],
        [line("ours", 1, 4), line("theirs", 2, 4)],
        [line("ours", 1, 4), line("theirs", 1, 0)],
        [{"skipped": "theirs", "why": "not installed", "repeat": 1}, line("ours", 1, 4)],
    ],
)
def test_what_was_not_measured_is_neither_reached_nor_missed(lines: list[dict[str, Any]]) -> None:
    told = judged(">=", 1, lines)
    assert (told["got"], told["reached"]) == (None, None)


def test_a_star_stands_for_the_greatest() -> None:
    pick = Pick({"bench": "b"}, "lag.*.p99")
    lines = [{"bench": "b", "repeat": 1, "lag": {"x": {"p99": 3, "p50": 9}, "y": {"p99": 5}}}]
    assert pick.found([*lines, {"bench": "b", "repeat": 2}]) == {1: 5}


def test_numbers_of_a_line_are_named_by_their_place() -> None:
    found = dict(flat({"a": 1, "b": {"c": 2.5, "d": "no"}, "e": [3, {"f": 4}], "g": True}))
    assert found == {"a": 1, "b.c": 2.5, "e.1": 3, "e.2.f": 4}


def test_a_summary_tells_median_least_and_greatest_of_one_figure() -> None:
    lines = [line("ours", n, rate) for n, rate in enumerate((3, 1, 2), 1)]
    lines += [line("theirs", 1, 9), {"error": "x", "repeat": 1}, {"skipped": "y", "why": "z"}]
    ours, theirs = summaries(lines, TAGS)
    assert ours == {
        "summary": True,
        "bench": "b",
        "side": "ours",
        "repeats": 3,
        "rate": [2, 1, 3],
    }
    assert theirs["rate"] == [9, 9, 9]


def test_a_figure_that_a_repeat_lacks_is_of_the_others() -> None:
    lines = [line("ours", 1, 3, late=None), line("ours", 2, 3, late=5)]
    (told,) = summaries(lines, TAGS)
    assert told["late"] == [5, 5, 5]


def test_every_target_asks_a_bench_that_exists() -> None:
    picks = [pick for target in TARGETS for pick in (target.of, target.over) if pick is not None]
    assert {pick.tags["bench"] for pick in picks} <= BENCHES.keys()
    assert len({target.name for target in TARGETS}) == len(TARGETS)


def test_sizes_and_repeats_are_told_for_every_set() -> None:
    assert SCALES.keys() == REPEATS.keys()
    assert all(bench.sets <= SCALES.keys() for bench in BENCHES.values())
