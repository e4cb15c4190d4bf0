"""Rivals are ended by their own id, however the block that needs them is left."""

import os
import sys
from pathlib import Path

import pytest

from tests.benchmarks.processes import started, version
from tests.benchmarks.sending import BenchmarkError

WAITS = [sys.executable, "-c", "import signal; signal.pause()"]
DEAF = [
    sys.executable,
    "-c",
    (
        "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "open('deaf', 'w').close(); signal.pause()"
    ),
]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_all_end_when_the_block_fails(tmp_path: Path) -> None:
    seen: list[int] = []
    failing = RuntimeError("a defect of a bench")
    with (  # noqa: PT012 - the block is what is tested
        pytest.raises(RuntimeError),
        started({"one": WAITS, "two": WAITS}, tmp_path, lambda _: True) as pids,
    ):
        seen.extend(pids.values())
        assert all(map(alive, seen))
        raise failing
    assert len(seen) == 2
    assert not any(map(alive, seen))


@pytest.mark.slow  # waits as long as a rival may take to end by itself
def test_one_that_does_not_listen_is_made_to_end(tmp_path: Path) -> None:
    with started({"deaf": DEAF}, tmp_path, lambda _: (tmp_path / "deaf").exists()) as pids:
        pid = pids["deaf"]
    assert not alive(pid)


def test_one_that_cannot_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    commands = {"good": WAITS, "bad": [sys.executable, "-c", "raise SystemExit('no such option')"]}
    begun: list[str] = []

    def ready(name: str) -> bool:
        begun.append(name)
        return name == "good"

    with (
        pytest.raises(BenchmarkError, match="bad did not start: no such option"),
        started(commands, tmp_path, ready),
    ):
        pytest.fail("the block was entered")
    assert set(begun) == {"good", "bad"}


def test_what_is_not_installed_has_no_version() -> None:
    assert version("a-program-that-nobody-has", "--version") is None
    assert version(sys.executable, "--version") == f"Python {sys.version.split()[0]}"
