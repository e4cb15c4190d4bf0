"""A real node, run under strace while clients write to it, and its write log.

Law: the node is the program that users run, with the options they have. It is stopped in order
at the end, so that nothing is under way; the log that comes out is proved against its files.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from chaos.power.disk import check_complete
from chaos.power.following import Follower
from chaos.power.load import Writer
from chaos.power.promises import Promises
from chaos.power.syscalls import read_calls, trace_command
from chaos.power.writelog import WriteLog

DATA_DIR: Final = "node"
"""Folder of the node below the root of its log; the node makes it itself."""

SETTINGS: Final = {
    "MNEMESH_STORAGE_LOG_BYTES_MIN": "0",
    "MNEMESH_STORAGE_LOG_BYTES_MAX": str(1 << 20),
    "MNEMESH_STORAGE_MAINTENANCE_INTERVAL_SECS": "0.3",
}
"""The log is cut early and often, so that cutting is in the trace."""

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05
_WRITERS: Final = 4

Progress = Callable[[str, int, int], None]
"""Told a phase, how much of it is done, and how much there is."""


class LoadFailed(Exception):  # noqa: N818 - it says what happened
    """The node could not be run under load; its log tells why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A log, what was promised while it was written, and what was compared of it.

    Attributes:
        log: proved to be complete.
        promises: to all clients.
        compared_bytes: of the files that the replay equals.
        lines: of the trace.
        seconds: it took.
    """

    log: WriteLog
    promises: Promises
    compared_bytes: int
    lines: int
    seconds: float


def record(
    folder: Path,
    *,
    requests: int,
    seed: int,
    python: Sequence[str] = (sys.executable, "-P"),
    settings: Mapping[str, str] = SETTINGS,
    progress: Progress = lambda _phase, _done, _all: None,
) -> Recorded:
    """Run a node twice on a new folder, under load, and follow what it did to its files.

    In the first life all clients write while the store's file is written anew (an erasure was
    made); the second one opens what the first one left and goes on.

    Args:
        folder: empty; gets the traces, the logs and the node's files.
        requests: of all clients together.
        seed: draws what they do.
        python: the interpreter that has the node installed.
        settings: environment of the node.
        progress: told how far it is.

    Raises:
        LoadFailed: the node or a client failed.
        chaos.power.writelog.Incomplete: the log does not explain the files.
        chaos.power.syscalls.TraceError: the trace cannot be read.
    """
    began = time.monotonic()
    root = folder / "files"
    root.mkdir(parents=True)
    promises, follower, lines = Promises(), Follower(root), 0
    for life, share in enumerate((requests * 2 // 3, requests - requests * 2 // 3)):
        trace = folder / f"trace-{life}"
        with _node(root / DATA_DIR, trace, python, settings) as url:
            _load(url, life, share, promises, seed, progress)
        lines += _follow(follower, trace, lines)
        trace.unlink()
    compared = check_complete(follower.log)
    return Recorded(
        log=follower.log,
        promises=promises,
        compared_bytes=compared,
        lines=lines,
        seconds=time.monotonic() - began,
    )


def _follow(follower: Follower, trace: Path, first: int) -> int:
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        with trace.open(encoding="ascii", errors="surrogateescape") as file:
            for line in file:
                count += 1
                yield line

    follower.follow(read_calls(lines(), first))
    return count


@contextmanager
def _node(
    data_dir: Path, trace: Path, python: Sequence[str], settings: Mapping[str, str]
) -> Iterator[str]:
    """A traced node that serves; stopped in order afterwards."""
    port = _free_port()
    command = [*python, "-m", "node", "serve", "--data-dir", str(data_dir)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    log = trace.with_suffix(".log")
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("MNEMESH_", "XDG_"))}
    with log.open("wb") as out:
        process = subprocess.Popen(
            trace_command(trace, command),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**environ, **settings},
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/api/v1"
    try:
        _wait_served(url, process, log)
        yield url
        _stop(process)
        if process.wait(_STOP_SECONDS) != 0:
            raise LoadFailed(f"the node ended with {process.returncode}: {_tail(log)}")
    finally:
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask the node, not strace, to end."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in children:
        os.kill(int(pid), signal.SIGTERM)


def _wait_served(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LoadFailed(f"the node ended with {process.returncode}: {_tail(log)}")
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5.0).status_code == httpx.codes.OK:
                return
        time.sleep(_POLL_SECONDS)
    raise LoadFailed(f"the node did not serve within {_START_SECONDS:g} s: {_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-800:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _load(
    url: str, life: int, requests: int, promises: Promises, seed: int, progress: Progress
) -> None:
    """All clients at once; meanwhile the store is written anew and the chains are verified."""
    stop = threading.Event()
    writers = [
        Writer(
            url,
            name=f"w{life}{number}",
            requests=requests // _WRITERS,
            promises=promises,
            seed=seed,
            stop=stop,
        )
        for number in range(_WRITERS)
    ]
    before = promises.attempted
    for writer in writers:
        writer.thread.start()
    try:
        for writer in writers:
            while writer.thread.is_alive():
                writer.thread.join(4 * _POLL_SECONDS)
                _beside(url, promises)
                progress("load", promises.attempted - before, requests)
    finally:
        stop.set()
        for writer in writers:
            writer.thread.join()
    failed = [writer.trouble for writer in writers if writer.trouble is not None]
    if failed:
        raise LoadFailed(f"a client failed: {failed[0]!r}")


def _beside(url: str, promises: Promises) -> None:
    """What an operator does: rewrite the file, and note how far the audit chain has come."""
    with suppress(httpx.HTTPError, KeyError, TypeError, ValueError):
        httpx.post(f"{url}/compact", json={}, timeout=60.0)
        told = httpx.get(f"{url}/verify", timeout=60.0).json()
        promises.entries.append((promises.clock(), int(told["events"]["head"])))
