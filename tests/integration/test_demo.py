"""The demonstration, as a process: its last line, and what it leaves behind, which is nothing."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import clean_environment, until

pytestmark = pytest.mark.integration


def start(folder: Path, *flags: str) -> "subprocess.Popen[str]":
    # Output goes to a file, so that waiting for words never blocks the one who speaks.
    folder.mkdir(exist_ok=True)
    with (folder.parent / "said").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "node", "demo", *flags],
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            env=clean_environment() | {"TMPDIR": str(folder), "NO_COLOR": "1"},
            start_new_session=True,
            # A test run that a shell put into the background ignores it, and its children would.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one thread
        )


def said(folder: Path) -> str:
    return (folder.parent / "said").read_text()


def result(folder: Path) -> Any:
    return json.loads(said(folder).splitlines()[-1])


def processes_on(folder: Path) -> Sequence[int]:
    """Processes whose command line names this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.thorough),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "tmp"
    process = start(folder)
    try:
        # At a moment when nodes run and agents write.
        until(lambda: "bulk route" in said(folder), "agents write", seen=lambda: said(folder))
        assert len(processes_on(folder)) == 3
        os.kill(process.pid, number)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait(20)
    assert result(folder) == {"demo": "interrupted", "nodes": 3}
    assert processes_on(folder) == []
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_the_demonstration_ends_with_its_verdict(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    began = time.monotonic()
    process = start(folder)
    try:
        assert process.wait(90) == 0, said(folder)
    finally:
        process.kill()
        process.wait(20)
    assert time.monotonic() - began < 60
    told = result(folder)
    assert list(told) == [
        "demo", "nodes", "acknowledged", "lost", "converged", "catchup_ops", "catchup_seconds",
    ]  # fmt: skip
    assert (told["demo"], told["nodes"], told["lost"], told["converged"]) == ("ok", 3, 0, True)
    assert told["acknowledged"] > 100
    assert told["catchup_ops"] > 0
    assert told["catchup_seconds"] > 0
    words = said(folder)
    for proof in ("kill -9 node-2", "durability.local true", "in conflict with it", "refused"):
        assert proof in words
    assert processes_on(folder) == []
    assert list(folder.iterdir()) == []
