"""One process per directory, and nothing to clean after any death."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.errors import LockHeld, Refused
from node.lock import DirectoryLock, Holder, find_holder

_HOLD = """
import sys, pathlib
from node.lock import DirectoryLock
DirectoryLock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate(timeout=10)


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    process = hold(tmp_path / "d" / "lock")
    try:
        with pytest.raises(LockHeld, match=f"process {process.pid}") as caught:
            DirectoryLock(tmp_path / "d" / "lock", pause=lambda _seconds: None).acquire()
        assert caught.value.exit_code == 4
        found = find_holder(tmp_path / "d" / "lock")
        assert found is not None
        assert found.pid == process.pid
    finally:
        end(process, signal.SIGKILL)


def test_nothing_is_left_to_clean_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = hold(path)
    end(process, signal.SIGKILL)
    assert str(process.pid) in path.read_text(encoding="utf-8")
    assert find_holder(path) is None
    with DirectoryLock(path, now_ms=lambda: 7):
        assert find_holder(path) == Holder(pid=os.getpid(), started_ms=7)
    assert find_holder(path) is None


def test_looking_neither_makes_the_file_nor_takes_the_lock(tmp_path: Path) -> None:
    assert find_holder(tmp_path / "lock") is None
    assert not (tmp_path / "lock").exists()
    with DirectoryLock(tmp_path / "lock"):
        assert find_holder(tmp_path / "lock") is not None
        assert find_holder(tmp_path / "lock") is not None


def test_a_holder_that_has_not_written_its_name_is_still_a_holder(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "lock"):
        (tmp_path / "lock").write_text("{", encoding="utf-8")
        assert find_holder(tmp_path / "lock") == Holder(pid=0, started_ms=0)


def test_the_wait_for_a_probe_has_an_end(tmp_path: Path) -> None:
    pauses: list[float] = []
    now = [0.0]

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += 0.1

    with DirectoryLock(tmp_path / "lock"):
        second = DirectoryLock(tmp_path / "lock", monotonic=lambda: now[0], pause=pause)
        with pytest.raises(LockHeld):
            second.acquire()
    assert 2 <= len(pauses) <= 4


def test_the_folder_and_the_file_are_private(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "d" / "lock"):
        assert (tmp_path / "d").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "d" / "lock").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(Refused, match="cannot use the data directory") as caught:
        DirectoryLock(tmp_path / "file" / "lock").acquire()
    assert "--data-dir" in caught.value.fix


def test_letting_go_twice_is_harmless(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path / "lock")
    lock.acquire()
    lock.release()
    lock.release()
    assert find_holder(tmp_path / "lock") is None
