"""The scripts of the cookbook are shell that any machine reads, and each is run by a test.

Law: an operator may run what stands there as it is. `tests/integration/test_cookbook.py` does.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.architecture.docs_blocks import ROOT

SCRIPTS: Final = sorted((ROOT / "docs" / "cookbook").glob("*.sh"))
RUN_BY: Final = ROOT / "tests" / "integration" / "test_cookbook.py"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_shell_and_says_what_it_does(script: Path) -> None:
    assert script.stat().st_mode & 0o111, "nobody can run it"
    subprocess.run(["/bin/sh", "-n", script], check=True)
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n# ")
    assert re.search(r"^# Law: ", text, re.MULTILINE)
    assert script.name in text, "the head shows no call"
    told = re.findall(r"^ *(--[a-z-]+)\)", text, re.MULTILINE)
    assert told
    assert [
        option for option in told if f"[{option}" not in text and f" {option}" not in text
    ] == []


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("shellcheck is not on this machine")
    done = subprocess.run([checker, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_script_is_run_by_a_test_and_told_in_a_document() -> None:
    assert SCRIPTS
    for script in SCRIPTS:
        assert script.name in RUN_BY.read_text(encoding="utf-8")
        assert script.name in (ROOT / "docs" / "production.md").read_text(encoding="utf-8")
