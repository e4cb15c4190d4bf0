"""Injectors on a small mesh: each proves its fault, and the cycle passes.

In a room of its own where the machine gives one; what needs a tool that is missing is `not_run`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration
SEED = 20_261


def verdicts(folder: Path, classes: str) -> dict[str, dict[str, Any]]:
    """Play one cycle of some classes; class -> verdict."""
    command = [sys.executable, "-m", "chaos", "run", "--class", classes, "--cycles", "1"]
    command += ["--seed", str(SEED), "--nodes", "3", "--quorum-writes", "2"]
    command += ["--folder", str(folder / "campaign")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    history = folder / "campaign" / "history.jsonl"
    assert history.exists(), done.stderr
    rows = [json.loads(line) for line in history.read_text().splitlines()]
    told = {row["class"]: row for row in rows if row["kind"] == "verdict"}
    broken = [row for row in rows if row["kind"] in ("fault", "expect") and not row["ok"]]
    for code, verdict in told.items():
        # A machine that is too slow for a proof voids a cycle; it must never fail one.
        assert verdict["verdict"] in {"pass", "void", "not_run"}, (code, verdict, broken)
    return told


@pytest.mark.slow
def test_all_nodes_killed_at_once(tmp_path: Path) -> None:
    told = verdicts(tmp_path, "F19")
    assert told["F19"]["verdict"] == "pass", told


@pytest.mark.slow
@pytest.mark.parametrize(
    "classes",
    [
        *("F17,F18,F20,F21,F48", "F38,F39,F40", "F16,F23,F24,F25", "F26,F27,F46", "F28,F29"),
        *("F34,F35,F36", "F47,F49,F50"),
    ],
)
def test_every_class_of_the_family_is_played(tmp_path: Path, classes: str) -> None:
    told = verdicts(tmp_path, classes)
    assert told.keys() == set(classes.split(","))
    passed = [code for code, verdict in told.items() if verdict["verdict"] == "pass"]
    unplayed = [code for code, verdict in told.items() if verdict["verdict"] == "not_run"]
    assert passed or unplayed, told
