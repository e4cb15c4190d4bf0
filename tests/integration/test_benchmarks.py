"""The benchmarks run from end to end at the smallest size, and leave nothing behind."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.targets import TARGETS

pytestmark = [pytest.mark.slow, pytest.mark.integration]
ROOT = Path(__file__).parents[2]
ONLY = ("writes", "bulk", "reads", "catchup", "bootstrap", "documents", "etcd", "redis")
RIVALS = {"etcd": "etcd", "redis": "redis-server"}


def ran(folder: Path, *words: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--tiny", "--dir", str(folder), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "targets" in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def left(folder: Path) -> list[str]:
    """Command lines of processes that have to do with a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words and "pytest" not in words:
            found.append(words)
    return found


@pytest.mark.parametrize("sender", ["own", "wrk"])
def test_a_whole_run_measures_both_sides(tmp_path: Path, sender: str) -> None:
    if shutil.which(sender) is None and sender != "own":
        pytest.skip("wrk is not installed")
    words = [word for name in ONLY for word in ("--only", name)]
    lines = ran(tmp_path, "--load", sender, *words)
    assert "machine" in lines[0]
    benches = {line["bench"] for line in lines if "bench" in line}
    for name, program in RIVALS.items():
        sides = {line["side"] for line in lines if line.get("bench") == name and "side" in line}
        skipped = {line["skipped"] for line in lines if "skipped" in line}
        if shutil.which(program) is None:
            assert name in skipped
        else:
            assert sides == {"mnemesh", name}
    assert benches >= set(ONLY) - RIVALS.keys()
    senders = {line["driver"] for line in lines if line.get("bench") == "writes"}
    assert senders == {sender}
    judged = {line["target"]: line for line in lines if "target" in line}
    assert judged.keys() == {t.name for t in TARGETS if t.of.tags["bench"] in ONLY}
    assert judged["catch-up, bytes moved per byte of operations"]["got"] is not None
    for line in (line for line in lines if "all_cpu_us" in line and "repeat" in line):
        assert line["ops_per_second"] > 0
        assert line["all_cpu_us"] > 0
    assert list(tmp_path.iterdir()) == []
    assert left(tmp_path) == []
