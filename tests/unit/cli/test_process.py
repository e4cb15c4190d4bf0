"""Processes are started, found, signalled and ended by the lock they hold."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli.process import (
    Spawned,
    StartFailed,
    last_line,
    serve_command,
    signal_node,
    spawn,
    stop_node,
    wait_for,
    wait_listening,
)
from node.errors import NodeError
from node.lock import find_holder
from node.paths import Paths, resolve_paths

_NODE = """
import os, pathlib, signal, sys
from node.facts import ListenerFacts
from node.lock import DirectoryLock
home = pathlib.Path(sys.argv[1])
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
DirectoryLock(home / "lock").acquire()
print("listening", flush=True)  # before the facts: who reads them may read this
ListenerFacts(
    pid=os.getpid(), node_id="", name="", cluster="", agent_url="", peer_url="", fingerprint="",
    api_key_file="", key_dir="", allowlist="", config="", argv=(), started_at=0,
).write(home / "listener.json")
while True:
    signal.pause()
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return resolve_paths({}, tmp_path, data_dir=tmp_path / "d")


def start(paths: Paths, *more: str) -> Spawned:
    process = spawn([sys.executable, "-c", _NODE, str(paths.data_dir), *more], paths)
    assert wait_listening(process, paths).pid == process.pid
    return process


def test_a_node_is_started_found_and_stopped(paths: Paths) -> None:
    process = start(paths)
    assert last_line(paths.log) == "listening"
    assert paths.log.stat().st_mode & 0o777 == 0o600
    assert stop_node(paths, force=False, seconds=10) == process.pid
    assert wait_for(process.poll, 10) == -signal.SIGTERM
    assert find_holder(paths.lock) is None
    assert stop_node(paths, force=False) is None


def test_one_that_does_not_listen_to_reason_is_killed_only_by_force(paths: Paths) -> None:
    process = start(paths, "deaf")
    with pytest.raises(NodeError, match="still runs") as caught:
        stop_node(paths, force=False, seconds=0.05)
    assert "--force" in caught.value.fix
    assert stop_node(paths, force=True, seconds=0.05) == process.pid
    assert wait_for(process.poll, 10) == -signal.SIGKILL
    assert wait_for(lambda: find_holder(paths.lock) is None or None, 10)


def test_a_start_that_fails_tells_the_last_word_and_the_code(paths: Paths) -> None:
    process = spawn([sys.executable, "-c", "print('no port'); raise SystemExit(4)"], paths)
    with pytest.raises(StartFailed, match="no port") as caught:
        wait_listening(process, paths)
    assert caught.value.exit_code == 4


def test_a_start_that_takes_too_long_has_an_end(paths: Paths) -> None:
    process = spawn([sys.executable, "-c", "import signal; signal.pause()"], paths)
    try:
        with pytest.raises(StartFailed, match="does not listen"):
            wait_listening(process, paths, seconds=0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert wait_for(process.poll, 10)


def test_nobody_is_signalled_by_a_stale_note(paths: Paths) -> None:
    process = start(paths)
    os.kill(process.pid, signal.SIGKILL)
    assert wait_for(process.poll, 10)
    assert paths.lock.read_text(encoding="utf-8")
    assert signal_node(paths, signal.SIGTERM) is None


def test_the_command_line_works_from_a_folder_that_holds_a_node_of_its_own(
    tmp_path: Path,
) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "__init__.py").write_text("raise SystemExit(99)", encoding="utf-8")
    done = subprocess.run(
        serve_command(["--help"]), cwd=tmp_path, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert b"--quorum-writes" in done.stdout
