import json
import shlex
from typing import Any

import pytest

from chaos.report.figures import bound, kind_of, quantile, report_of
from chaos.report.reading import read
from chaos.report.shape import ClassRow, Report
from tests.unit.chaos.report.made import EXPECTED, NAMES, Maker, begin, campaign, lines, verdict


@pytest.fixture(scope="module")
def made() -> Report:
    return report_of(read(lines(campaign(5, 3))), NAMES)


def row(report: Report, name: str) -> ClassRow:
    return next(one for one in report["classes"] if one["class"] == name)


def test_fifty_classes_of_three_cycles(made: Report) -> None:
    totals = made["totals"]
    assert len(made["classes"]) == 50
    assert [one["class"] for one in made["classes"]] == list(NAMES)
    assert (totals["cycles"], totals["pass"], totals["fail"]) == (147, 145, 1)
    assert (totals["void"], totals["aborted"], totals["not_run"]) == (1, 0, 1)
    assert (totals["lost"], totals["invented"], totals["duplicated"]) == (1, 0, 0)
    assert totals["classes_judged"] == 49
    assert totals["attempted"] == 146 * 40
    assert totals["bound95"] is None
    assert totals["expectations"] == [145, 146]
    assert made["seconds"] == pytest.approx(147 * 6)


def test_a_class_that_passed(made: Report) -> None:
    one = row(made, "F01")
    assert (one["name"], one["cycles"], one["pass"]) == ("fault of kind 1", 3, 3)
    assert one["bound95"] == 1.0
    assert one["expectations"] == {EXPECTED: [3, 3]}
    assert one["proven"] == 3
    assert one["attempted"] == 120


def test_a_failure_has_its_seed_and_its_command(made: Report) -> None:
    assert row(made, "F22")["bound95"] is None
    (failure,) = made["failures"]
    assert (failure["class"], failure["why"], failure["anomalies"]) == ("F22", "1 write lost", 1)
    assert failure["replay"] == (
        f"mnemesh chaos run --class F22 --cycles 1 --seed {failure['seed']} "
        "--nodes 5 --quorum-writes 3"
    )
    (found,) = made["anomalies"]
    assert (found["kind"], found["cycle"]) == ("lost", failure["cycle"])


def test_void_and_unplayed_are_listed_with_their_reasons(made: Report) -> None:
    assert [(one["class"], one["verdict"], one["why"]) for one in made["not_tested"]] == [
        ("F08", "not_run", "tc has no netem on this machine"),
        ("F15", "void", "no proof of the fault"),
    ]
    assert row(made, "F08")["why_not_run"] == "tc has no netem on this machine"
    assert row(made, "F15")["attempted"] == 80


def test_classes_that_the_history_does_not_mention_are_not_tested() -> None:
    found = report_of(read(lines(campaign(5, 1, classes=("F01",)))), {"F01": "a", "F02": "b"})
    assert found["not_tested"] == [
        {"class": "F02", "cycle": None, "verdict": "not_run", "why": "not part of this campaign"}
    ]


@pytest.mark.parametrize(
    ("plan", "why"),
    [
        ({"classes": {"F01": 2, "F02": 2}}, "in the plan, and not played yet"),
        ({"classes": ["F02"]}, "not part of this campaign"),
        ("full", "not part of this campaign"),
    ],
)
def test_a_class_of_the_plan_that_was_not_reached_is_told_as_that(plan: object, why: str) -> None:
    made = read(lines(campaign(5, 1, classes=("F01",))))
    made.begin["plan"] = plan
    (untested,) = report_of(made, {"F01": "a", "F02": "b"})["not_tested"]
    assert (untested["class"], untested["why"]) == ("F02", why)


@pytest.mark.thorough
def test_three_thousand_cycles() -> None:
    names = tuple(NAMES)[:4]
    found = report_of(read(lines(campaign(6, 750, classes=names, writes=4))), NAMES)
    assert found["totals"]["pass"] == 3000
    assert found["totals"]["bound95"] == 0.001
    assert found["totals"]["acknowledged"] <= found["totals"]["attempted"] == 12_000
    assert {one["bound95"] for one in found["classes"]} == {0.004}


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 11)]
    assert [quantile(values, share) for share in (0.5, 0.9, 1)] == [5.0, 9.0, 10.0]
    assert quantile([3.0], 0.5) == 3.0
    assert quantile([], 0.5) is None


def test_the_bound_is_given_only_where_nothing_failed() -> None:
    assert [bound(n, 0) for n in (0, 1, 3, 300)] == [None, 1.0, 1.0, 0.01]
    assert bound(300, 1) is None


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        ("lost", "lost"),
        ("dot_missing", "lost"),
        ("resurrected", "invented"),
        ("dot_reused", "duplicated"),
        ("clocks", "diverged"),
        ("unread", "diverged"),
        ("stale", "other"),
        ("unmet", "unmet"),
        ("", "other"),
    ],
)
def test_every_rule_belongs_to_a_promise_or_to_none(rule: str, kind: str) -> None:
    assert kind_of(rule) == kind


def test_an_anomaly_of_a_void_cycle_is_counted() -> None:
    lost: dict[str, Any] = {"checker": "set", "rule": "lost", "detail": "x"}
    rows = [begin(), *Maker(2).play("F01", "void", anomalies=[lost])]
    assert report_of(read(lines(rows)))["totals"]["lost"] == 1


def test_a_replay_of_a_hostile_name_runs_nothing_else() -> None:
    rows = [begin(), *Maker(2).play("F01; rm -rf $(x) `y`\n", "fail")]
    (failure,) = report_of(read(lines(rows)))["failures"]
    words = shlex.split(failure["replay"])
    assert words[:5] == ["mnemesh", "chaos", "run", "--class", "F01; rm -rf $(x) `y`\n"]


def test_the_report_is_json_whatever_the_history_holds() -> None:
    rows = [begin(campaign="\ud800", plan={"a": "\u202e"}), verdict(1, "\udfff", 0.0, "not_run")]
    report = report_of(read(lines(rows)))
    assert json.loads(json.dumps(report)) == report


def test_an_empty_history_gives_an_empty_report() -> None:
    report = report_of(read([]))
    assert report["totals"]["cycles"] == 0
    assert report["totals"]["bound95"] is None
    assert report["classes"] == []
