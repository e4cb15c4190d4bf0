"""`python -m tests.benchmarks profile`: where a node's time goes under load.

Law: a sampling profiler on a running node, or nothing: a tracing one inside it would measure
itself. py-spy is used when it is installed anywhere on the path; the project does not need it.
"""

import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.mesh import BenchmarkError, Mesh, drive, running

_SECONDS: Final = 8
_RATE: Final = 400
_ROWS: Final = 45
_LOOP: Final = "run_locked"
_COMMITTER: Final = "Committer._run"


def profile(folder: Path, *, clients: int, index: int) -> int:
    """Sample one node of three under quorum writes and print both of its threads.

    Raises:
        BenchmarkError: py-spy is not installed, or may not look into processes.
    """
    spy = shutil.which("py-spy")
    if spy is None:
        raise BenchmarkError(
            "py-spy is not on the path; put it into a virtual environment of its own, "
            "and that environment's bin folder on the path"
        )
    raw = folder / "samples.txt"
    with running(folder / "mesh") as mesh:
        load = threading.Thread(target=_load, args=(mesh, clients))
        load.start()
        try:
            pid = str(mesh.nodes[index].pid)
            where = ["--pid", pid, "--duration", str(_SECONDS), "--rate", str(_RATE)]
            form = ["--format", "raw", "--function", "--output", str(raw)]
            done = subprocess.run(
                [spy, "record", *where, *form], capture_output=True, text=True, check=False
            )
        finally:
            load.join()
    if done.returncode:
        raise BenchmarkError(f"py-spy: {done.stderr.strip()[-300:]}")
    stacks = raw.read_text(encoding="utf-8").splitlines()
    for title, mark in (("event loop", _LOOP), ("committer", _COMMITTER)):
        _print_ranking(title, [line for line in stacks if mark in line])
    return 0


def _load(mesh: Mesh, clients: int) -> None:
    wanted: dict[str, Any] = {"kind": "write", "clients": clients}
    drive(mesh.nodes[0], **wanted, seconds=_SECONDS + 4)


def _print_ranking(title: str, stacks: list[str]) -> None:
    own: Counter[str] = Counter()
    below: Counter[str] = Counter()
    total = 0
    for line in stacks:
        path, _, count = line.rpartition(" ")
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in path.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            below[frame] += int(count)
    out = sys.stdout
    out.write(f"\n{title}: {total} samples\n{'own':>7} {'with callees':>13}\n")
    for frame, count in own.most_common(_ROWS):
        out.write(f"{count / total:7.1%} {below[frame] / total:13.1%}  {frame}\n")
