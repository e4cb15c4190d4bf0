"""The shipped core behind the Maelstrom protocol, and programs that are wrong, under the runner."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from chaos.maelstrom.command import first_of
from chaos.maelstrom.options import Options
from chaos.maelstrom.play import Play, StartError
from chaos.maelstrom.verdict import report
from chaos.maelstrom.workload import WORKLOADS

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

PROGRAM = str(Path(__file__).with_name("rig_maelstrom_program.py"))
ROOT = Path(__file__).parents[2]


def play(**options: Any) -> dict[str, Any]:
    given = Options(**{"node_count": 3, "time_limit_s": 2.0, "rate": 60.0, "seed": 11, **options})
    said = report(given, trio.run(Play(given).run))
    print(json.dumps({k: said[k] for k in ("outcome", "anomalies", "why_void", "seed", "net")}))
    return said


@pytest.mark.parametrize("workload", WORKLOADS)
def test_each_workload_passes_with_a_partition_a_delay_and_losses(workload: str) -> None:
    said = play(
        workload=workload,
        partition=True,
        nemesis_interval_s=0.4,
        latency_ms=10,
        p_loss=0.02,
        p_double=0.02,
        total=True,
    )
    assert said["outcome"] == "pass", said
    assert said["net"]["cut"] > 0
    assert said["availability"]["ok_fraction"] == 1.0
    assert sum(of["count"] for of in said["stats"].values()) > 40


def test_with_a_majority_asked_for_a_minority_is_indefinite_and_nothing_is_lost() -> None:
    said = play(
        workload="g-set",
        command=(
            *(sys.executable, "-m", "node", "maelstrom", "--workload", "g-set"),
            *("--quorum-writes", "0", "--quorum-timeout-ms", "300"),
        ),
        partition=True,
        targets=("one",),
        nemesis_interval_s=0.4,
        rate=100.0,
    )
    assert said["outcome"] == "pass", said
    assert said["stats"]["add"]["info"] > 0, "the one that was alone could not say yes"


@pytest.mark.slow
@pytest.mark.parametrize("workload", ["broadcast", "g-set", "g-counter", "pn-counter"])
def test_a_right_program_of_another_hand_passes(workload: str) -> None:
    said = play(workload=workload, command=(sys.executable, PROGRAM, workload), latency_ms=5)
    assert said["outcome"] == "pass", said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workload", "fault", "rule"),
    [
        ("broadcast", "forgets", "lost"),
        ("g-set", "forgets", "lost"),
        ("g-counter", "forgets", "wrong_sum"),
        ("pn-counter", "forgets", "wrong_sum"),
        ("g-set", "alone", "lost"),
        ("g-counter", "alone", "diverged"),
        ("g-set", "twice", "doubled"),
        ("unique-ids", "twice", "duplicate_id"),
        ("broadcast", "invents", "invented"),
        ("echo", "invents", "wrong_echo"),
        ("g-set", "shy", "unread"),
        ("g-set", "chatty", "protocol"),
        ("g-set", "extra", "protocol"),
        ("broadcast", "dies", "protocol"),
    ],
)
def test_a_program_that_is_wrong_is_caught(workload: str, fault: str, rule: str) -> None:
    said = play(
        workload=workload,
        command=(sys.executable, PROGRAM, workload, fault),
        rate=200.0,
        time_limit_s=1.0,
        recovery_s=0.3,
        rpc_timeout_s=0.3,
    )
    assert said["outcome"] == "fail"
    assert rule in {anomaly["rule"] for anomaly in said["anomalies"]}, said["anomalies"]


def test_a_program_that_does_not_begin_or_is_not_there_is_no_result() -> None:
    for command in ((sys.executable, "-c", ""), ("/nowhere/to/be/found",)):
        with pytest.raises(BaseExceptionGroup) as caught:
            play(workload="echo", command=command)
        assert isinstance(first_of(caught.value), StartError | OSError)


def test_the_command_prints_one_report_writes_a_history_and_leaves_no_process(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "chaos.maelstrom", "test", "-w", "unique-ids", "--json"),
            *("--node-count", "2", "--time-limit", "1", "--seed", "5"),
            *("--history", str(tmp_path / "history.jsonl")),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MAELSTROM_MARK": str(tmp_path)},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert (said["outcome"], said["seed"]) == ("pass", 5)
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) > 2
    mark = f"MAELSTROM_MARK={tmp_path}".encode()
    left = []
    for pid in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (pid / "environ").read_bytes():
                left.append(pid.name)
        except OSError:
            continue
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("workload", WORKLOADS)
def test_five_nodes_ten_seconds_with_partitions(workload: str) -> None:
    said = play(
        workload=workload,
        node_count=5,
        time_limit_s=10.0,
        rate=100.0,
        partition=True,
        nemesis_interval_s=1.5,
        latency_ms=20,
        p_loss=0.01,
        p_double=0.01,
        total=True,
        recovery_s=20.0,
    )
    print(json.dumps(said))
    assert said["outcome"] == "pass", said
