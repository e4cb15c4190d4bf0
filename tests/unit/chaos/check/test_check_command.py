"""`chaos check`: the file alone is judged, cycle by cycle and at the end."""

import argparse
import json
import random
from pathlib import Path
from typing import Any

import pytest

from chaos.check import command
from chaos.check.campaign import check_campaign
from chaos.history import parse
from tests.unit.chaos.check.rig_model import WORKLOADS, Row, clean, final_record

BEGIN: Row = {
    "kind": "begin",
    "campaign": "[red]try[/red]",
    "seed": 1,
    "nodes": ["n1", "n2", "n3"],
    "quorum_writes": 2,
    "plan": {},
    "version": "0",
}


def numbered(rows: list[Row], cycle: int, after: int) -> list[Row]:
    """The same history as another cycle."""
    return [
        {
            **row,
            **({"cycle": cycle} if "cycle" in row else {}),
            **({"op": row["op"] + after} if "op" in row else {}),
        }
        for row in rows
    ]


def settled(workload: str) -> list[Row]:
    """A clean history without unsettled writes."""
    for seed in range(1000):
        rows = clean(workload, seed, 12)
        answered = {row["op"] for row in rows if row["kind"] in ("ok", "fail")}
        if {row["op"] for row in rows if row["kind"] == "invoke"} == answered:
            return rows
    raise AssertionError("no history without an unsettled write")


def whole(rows: list[Row], cycle: int) -> list[Row]:
    """What the stores hold of a cycle at the end of a campaign."""
    return [
        {
            **row,
            "cycle": cycle,
            "scope": "all",
            "policies": {},
            "records": {i: {"hash": held["hash"]} for i, held in row["records"].items()},
        }
        for row in rows
        if row["kind"] == "final"
    ]


def campaign() -> list[Row]:
    first, second = settled("set"), settled("register")
    return [
        BEGIN,
        *numbered(first, 1, 0),
        *numbered(second, 2, 1000),
        *whole(first, 1),
        *whole(second, 2),
    ]


def run(tmp_path: Path, rows: list[Row], *flags: str) -> int:
    path = tmp_path / "history.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    parser = argparse.ArgumentParser()
    command.add_command(parser.add_subparsers())
    given = parser.parse_args(["check", str(path), *flags])
    code: int = given.run(given)
    return code


def anomalies(rows: list[Row]) -> set[tuple[str, str]]:
    judged = check_campaign(parse(row) for row in rows)
    return {(one.checker, one.rule) for one in judged.anomalies}


def test_a_clean_campaign_is_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, campaign()) == 0
    shown = capsys.readouterr().out
    assert "[red]try[/red]: 2 cycles" in shown
    assert run(tmp_path, campaign(), "--json") == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["totals"]["pass"] == 2
    assert document["classes"][0]["class"] == "F01"
    assert document["anomalies"] == []


def test_an_anomaly_is_one_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = campaign()
    finals = [row for row in rows if row.get("scope") == "cycle" and row["cycle"] == 1]
    for final in finals:
        value = {"title": "t", "content": "from nowhere"}
        final["records"] = {**final["records"], "s-x": final_record(value)}
    assert run(tmp_path, rows) == 1
    assert "set/invented" in capsys.readouterr().out
    assert run(tmp_path, rows, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["totals"]["invented"] == 1
    assert document["totals"]["fail"] == 1
    assert document["anomalies"][0]["cycle"] == 1


@pytest.mark.parametrize("text", ["", "no json\n", '{"kind":"invoke"}\n'])
def test_what_is_no_history_is_two(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "h"
    path.write_text(text)
    assert command.run(argparse.Namespace(history=path, json=False)) == 2
    assert command.run(argparse.Namespace(history=tmp_path / "none", json=False)) == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_history_that_somebody_edited_is_judged_or_refused(workload: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    rows = [BEGIN, *settled(workload)]
    codes = set()
    for _ in range(60):
        edited = json.loads(json.dumps(rows))
        row = rng.choice(edited)
        name = rng.choice(sorted(row))
        if rng.random() < 0.5:
            del row[name]
        else:
            row[name] = rng.choice([None, 0, "", [], {}, [[]], {"a": None}])
        codes.add(run(tmp_path, edited, "--json"))
    assert codes <= {0, 1, 2}
    assert 2 in codes


def test_a_cycle_that_was_cut_off_is_told_and_not_judged() -> None:
    rows = [row for row in settled("set") if row["kind"] != "final"]
    judged = check_campaign(parse(row) for row in [BEGIN, *rows])
    assert judged.unfinished == [1]
    assert judged.judged == []


def test_what_a_cycle_left_must_be_there_at_the_end() -> None:
    rows = campaign()
    for row in rows:
        if row.get("scope") == "all" and row["cycle"] == 1:
            row["records"].pop(min(row["records"]))
    assert anomalies(rows) == {("campaign", "lost")}


def test_what_a_cycle_left_must_be_as_it_was() -> None:
    rows = campaign()
    for row in rows:
        if row.get("scope") == "all" and row["cycle"] == 2:
            row["records"][min(row["records"])] = {"hash": "other"}
    assert anomalies(rows) == {("campaign", "hashes")}


def test_nothing_may_come_to_a_settled_cycle() -> None:
    rows = campaign()
    for row in rows:
        if row.get("scope") == "all" and row["cycle"] == 2:
            row["records"]["s-x"] = {"hash": "new"}
    assert anomalies(rows) == {("campaign", "invented")}


def test_one_node_must_not_differ_at_the_end() -> None:
    rows = campaign()
    one = next(row for row in rows if row.get("scope") == "all")
    one["records"].pop(min(one["records"]))
    assert ("convergence", "ids") in anomalies(rows)


def test_a_cycle_whose_records_nobody_has_is_lost() -> None:
    rows = [row for row in campaign() if row.get("scope") != "all" or row["cycle"] != 1]
    assert anomalies(rows) == {("campaign", "lost")}


def test_a_node_that_was_not_read_is_told() -> None:
    rows = campaign()
    rows.remove(next(row for row in rows if row.get("scope") == "all"))
    assert anomalies(rows) == {("campaign", "unread")}


def test_a_cycle_that_was_begun_anew_after_others_is_judged_with_its_first_try() -> None:
    rows = [{**row} for row in settled("set")]
    half = next(at for at, row in enumerate(rows) if row["kind"] == "invoke") + 2
    other = [{**row, "cycle": 2} if "cycle" in row else row for row in settled("set")]
    verdict = {"kind": "verdict", "class": "F01", "verdict": "pass", "cycle": 1, "at": 9.0}
    again = {**rows[0]}
    told = [BEGIN, *rows[:half], *other, {**verdict, "cycle": 2}, again, *rows[half:], verdict]
    judged = check_campaign(parse(row) for row in told)
    assert (judged.unfinished, sorted(one.cycle for one in judged.judged)) == ([], [1, 2])


RESUME: Row = {"kind": "resume", "at": 9.0}


def verdict(cycle: int) -> Row:
    return {"kind": "verdict", "class": "F01", "verdict": "pass", "cycle": cycle, "at": 9.0}


def cut_while_it_was_read(rows: list[Row]) -> list[Row]:
    """The first try of a cycle: begun and proven, and one node read, before anything was added."""
    final = next(row for row in rows if row["kind"] == "final")
    return [*rows[:2], {**final, "records": {}}, RESUME]


@pytest.mark.parametrize("order", [(1,), (2, 1)])
def test_what_was_read_of_a_first_try_is_not_compared_with_the_second(
    order: tuple[int, ...],
) -> None:
    rows = settled("set")
    between = [*numbered(rows, 2, 1000), verdict(2), RESUME] if 2 in order else []
    told = [BEGIN, *cut_while_it_was_read(rows), *between, *rows, verdict(1)]
    judged = check_campaign(parse(row) for row in told)
    assert judged.unfinished == []
    verdicts = [(each.cycle, each.verdict) for each in judged.judged]
    assert verdicts == [(cycle, "pass") for cycle in order]


def test_the_proof_of_a_first_try_is_none_of_the_second() -> None:
    rows = settled("set")
    again = [row for row in rows if row["kind"] != "fault"]
    told = [BEGIN, *cut_while_it_was_read(rows), *again, verdict(1)]
    (judged,) = check_campaign(parse(row) for row in told).judged
    assert (judged.verdict, judged.why) == ("void", "no proof of the fault")


def test_a_cycle_that_was_not_read_on_all_nodes_does_not_pass() -> None:
    rows = settled("set")
    rows.remove(next(row for row in rows if row["kind"] == "final"))
    assert anomalies([BEGIN, *rows, verdict(1)]) == {("campaign", "unread")}
    cut = check_campaign(parse(row) for row in [BEGIN, *rows])
    assert (cut.unfinished, cut.judged, cut.anomalies) == ([1], [], [])
