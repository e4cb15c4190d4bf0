"""A pass needs evidence; the command line says what it means."""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chaos.history import Completion, Invoke, read_file
from chaos.maelstrom.check import Anomaly, Finding
from chaos.maelstrom.command import add_command, options_of
from chaos.maelstrom.history import Op, record
from chaos.maelstrom.nemesis import Window
from chaos.maelstrom.options import Options
from chaos.maelstrom.show import show
from chaos.maelstrom.verdict import Played, outcome, report
from chaos.recorder import Recorder

NET = {
    "all": {"msgs_per_op": 1},
    "clients": {},
    "servers": {"msgs_per_op": 1},
    **dict.fromkeys(("lost", "doubled", "cut", "undeliverable"), 0),
}
OPTIONS = Options(workload="g-set", node_count=3, partition=True)


def played(**fields: Any) -> Played:
    ops = [Op(f="add", node="n1", value=n, outcome="ok", ended_s=1.0) for n in range(10)]
    window = Window(kind="one", what="n1 | n2 n3", began_s=0.1, ended_s=0.9, cut=3)
    default = Played(
        ops=ops,
        finding=Finding(anomalies=()),
        faults=[],
        windows=[window],
        net=NET,
        converged_s=0.5,
        seconds=2.0,
    )
    return replace(default, **fields)


def test_a_clean_test_with_a_real_partition_passes() -> None:
    assert outcome(OPTIONS, played()) == ("pass", [], [])


def test_a_partition_that_took_nothing_proves_nothing() -> None:
    window = Window(kind="one", what="", began_s=0.1, ended_s=0.2)
    for windows in ([], [window]):
        assert outcome(OPTIONS, played(windows=windows))[0] == "void"
        assert outcome(replace(OPTIONS, partition=False), played(windows=windows))[0] == "pass"


@pytest.mark.parametrize("acknowledged", [0, 1, 2])
def test_under_a_fifth_acknowledged_is_no_evidence(acknowledged: int) -> None:
    ops = played().ops
    for op in ops[acknowledged:]:
        op.outcome = "info"
    assert outcome(OPTIONS, played(ops=ops))[0] == ("pass" if acknowledged == 2 else "void")


def test_a_kind_that_never_succeeded_is_no_evidence() -> None:
    ops = [*played().ops, Op(f="read", node="n1", outcome="fail")]
    assert outcome(OPTIONS, played(ops=ops))[::2] == ("void", ["no read succeeded"])


def test_what_broke_a_rule_fails_also_without_evidence() -> None:
    finding = Finding(anomalies=(Anomaly(rule="lost", detail="n1 lacks 3"),))
    assert outcome(OPTIONS, played(finding=finding, windows=[]))[0] == "fail"
    assert outcome(OPTIONS, played(faults=["n1 ended by itself with 1"]))[0] == "fail"


def test_total_availability_allows_no_refusal() -> None:
    ops = played().ops
    ops[4].outcome, ops[4].error = "fail", "temporarily-unavailable"
    assert outcome(OPTIONS, played(ops=ops))[0] == "pass"
    verdict, anomalies, _ = outcome(replace(OPTIONS, total=True), played(ops=ops))
    assert (verdict, anomalies[0].rule) == ("fail", "unavailable")


def test_the_report_is_plain_data_and_can_be_shown() -> None:
    said = report(OPTIONS, played())
    assert json.loads(json.dumps(said)) == said
    assert said["stats"]["add"]["latency_ms"]["1"] == 1000.0
    console = Console(record=True, width=100)
    finding = Finding(anomalies=(Anomaly(rule="lost", detail="n1 lacks [3]"),))
    show(report(OPTIONS, played(finding=finding, windows=[])), console)
    text = console.export_text()
    assert "n1 lacks [3]" in text
    assert "no partition took a message" in text
    assert "fail, seed 0" in text


def test_a_history_is_written_in_the_common_form(tmp_path: Path) -> None:
    ops = [
        Op(f="add", node="n1", client="c1", value=3, outcome="ok", began_s=2.0, ended_s=2.5),
        Op(f="read", node="n2", client="c2", outcome="info", began_s=1.0, error="no answer"),
    ]
    with Recorder(tmp_path / "history") as recorder:
        record(ops, recorder)
    events = list(read_file(tmp_path / "history"))
    first, ended = events[0], events[1]
    assert isinstance(first, Invoke)
    assert isinstance(ended, Completion)
    assert (first.f, first.node, first.args["began_s"], ended.outcome) == (
        "read",
        "n2",
        1.0,
        "info",
    )


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_command(parser.add_subparsers(required=True))
    return parser.parse_args(["maelstrom", "test", *words])


def test_the_command_line_of_the_original_is_understood() -> None:
    words = (
        "-w broadcast --node-count 5 --time-limit 20 --rate 10 --nemesis partition --latency 100"
    )
    options = options_of(parse(*words.split(), "--seed", "3", "--", "node", "-x", "--", "y"))
    assert options.command[:2] == ("node", "-x")
    assert (options.node_count, options.rate, options.partition) == (5, 10.0, True)
    assert (options.concurrency, options.nemesis_interval_s, options.seed) == (5, 5.0, 3)
    assert options_of(parse("-w", "echo", "--concurrency", "3n")).concurrency == 15
    assert options_of(parse("-w", "echo", "--bin", "./x")).argv == ("./x",)
    assert options_of(parse("-w", "echo")).argv[-2:] == ("--workload", "echo")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "-w kafka",
        "-w echo --rate 0",
        "-w echo --node-count 0",
        "-w echo --p-loss 1",
        "-w echo --latency -1",
        "-w echo --concurrency n",
        "-w echo --partition-targets half",
    ],
)
def test_what_makes_no_sense_is_refused(words: str) -> None:
    with pytest.raises(SystemExit):
        parse(*words.split())
