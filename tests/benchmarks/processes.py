"""Servers that are not ours: started, waited for and ended.

Law: what was started is ended by its own process id when the block is left, however it is left;
first politely, then not. Nothing is ever found or ended by its name.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.benchmarks.sending import BenchmarkError

_START_SECONDS: Final = 30.0
_END_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
_TOLD_CHARS: Final = 400


@contextmanager
def started(
    commands: Mapping[str, Sequence[str]], folder: Path, ready: Callable[[str], bool]
) -> Iterator[dict[str, int]]:
    """Processes by name, each with a log in the folder; yields their ids once all are ready.

    Raises:
        BenchmarkError: one ended before it was ready, or took too long; its last words are told.
    """
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, words in commands.items():
            with (folder / f"{name}.log").open("wb") as log:
                running[name] = subprocess.Popen(
                    words, stdout=log, stderr=subprocess.STDOUT, env=_environment(), cwd=folder
                )
        for name, process in running.items():
            wait_for(name, process, ready, folder / f"{name}.log")
        yield {name: process.pid for name, process in running.items()}
    finally:
        end(running.values())


def wait_for(
    name: str, process: "subprocess.Popen[bytes]", ready: Callable[[str], bool], log: Path
) -> None:
    """Until one process answers."""
    deadline = time.monotonic() + _START_SECONDS
    while not ready(name):
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(encoding="utf-8", errors="replace")[-_TOLD_CHARS:]
            raise BenchmarkError(f"{name} did not start: {words.strip()}")
        time.sleep(_POLL_SECONDS)


def end(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
    """Ask all to end, wait, and make those that remain."""
    every = tuple(processes)
    for process in every:
        process.terminate()
    for process in every:
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def version(program: str, *words: str) -> str | None:
    """The first line that a program says of itself; None where it is not installed."""
    if shutil.which(program) is None:
        return None
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


def _environment() -> dict[str, str]:
    """Ours without what would configure a rival behind our back."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
