"""Members gone rogue and strangers, as cycles of a campaign on a real mesh."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize("codes", ["F37,F41,F43", "F33,F42,F44,F45"])
def test_a_mesh_comes_level_after_a_member_went_rogue(tmp_path: Path, codes: str) -> None:
    """Every cycle passes, and the membership is what it was."""
    folder = tmp_path / "campaign"
    words = [sys.executable, "-P", "-m", "chaos", "run", "--class", codes, "--cycles", "1"]
    words += ["--seed", "7", "--nodes", "3", "--quorum-writes", "2", "--folder", str(folder)]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=False)
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    told = [(row["class"], row["verdict"], row["why"]) for row in rows if row["kind"] == "verdict"]
    assert len(told) == len(codes.split(","))
    assert {verdict for _, verdict, _ in told} == {"pass"}, told
    assert done.returncode == 0, done.stderr
