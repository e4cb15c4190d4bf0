"""A harness as a process of its own, and what it leaves on the machine.

Law: it is ended by its own pid or by that of its room, and whatever it may leave behind is looked
for from outside: processes by the folder in their command line, mounts, links, names of network
namespaces, loop devices and rules of the kernel.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90.0
_IN_A_ROOM = (
    "import sys; from chaos.sandbox import play_inside; sys.exit(play_inside(sys.argv[1:]))"
)

needs_room = pytest.mark.skipif(
    not sys.platform.startswith("linux")
    or any(shutil.which(tool) is None for tool in ("unshare", "ip", "nft", "nsenter"))
    or subprocess.run(
        [*"unshare --net --mount --pid --fork --mount-proc true".split()],  # noqa: SIM905
        capture_output=True,
        check=False,
    ).returncode
    != 0,
    reason="this machine gives no room: unshare, ip, nft and nsenter must work",
)


def until(holds: Callable[[], Any], what: str, *, seconds: float = PATIENCE_S) -> Any:
    """Wait for a state, with a deadline."""
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.02)
    return found


class Harness:
    """One `chaos run`, with its words in a file."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.said = folder.with_name(f"{folder.name}.said")
        command = [sys.executable, "-P", "-m", "chaos", "run", "--folder", str(folder), *words]
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=said, stderr=said, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.process.kill()
        self.process.wait()

    def rows(self, kind: str) -> list[dict[str, Any]]:
        path = self.folder / "history.jsonl"
        if not path.exists():
            return []
        lines = path.read_text().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.endswith("\n")]
        return [row for row in rows if row["kind"] == kind]

    def until(self, kind: str, count: int = 1) -> None:
        """Wait until the history has so many lines of a kind."""

        def there() -> bool:
            assert self.process.poll() is None, self.said.read_text()
            return len(self.rows(kind)) >= count

        until(there, f"{count} {kind} in the history")

    def room(self) -> int:
        """The pid of the room's first process, as it is seen from outside."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")

        def first() -> int:
            for child in children.read_text().split():
                with contextlib.suppress(OSError):
                    told = Path(f"/proc/{child}/status").read_text()
                    # Two numbers: the one here, and the one in its own namespace.
                    (ours,) = [line for line in told.splitlines() if line.startswith("NSpid:")]
                    if ours.split()[1:] == [child, "1"]:
                        return int(child)
            return 0

        return int(until(first, "a room"))

    def ended(self, seconds: float = PATIENCE_S) -> int:
        return self.process.wait(timeout=seconds)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


def of_folder(folder: Path) -> list[str]:
    """Command lines of living processes that name the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if f"{folder}/" in words or words.rstrip().endswith(str(folder)):
            found.append(f"{path.parent.name} {words}")
    return found


def world() -> set[str]:
    """What a room makes and must not leave: mounts, links, names, loop devices, rules."""
    found = set(Path("/proc/self/mountinfo").read_text().splitlines())
    names = Path("/run/netns")
    found |= {f"netns {path.name}" for path in names.iterdir()} if names.exists() else set()
    for words in (["ip", "-o", "link"], ["losetup", "-a"], ["nft", "list", "tables"]):
        if shutil.which(words[0]):
            told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
            found |= {f"{words[0]} {line.partition(' qdisc')[0]}" for line in told.splitlines()}
    return found


def check_gone(folder: Path, before: set[str]) -> None:
    """Nothing of a campaign is left on the machine."""
    until(lambda: not of_folder(folder), "its processes end", seconds=10)
    until(lambda: not world() - before, f"only what was there: {world() - before}", seconds=10)


def run_in_a_room(*words: str) -> dict[str, Any]:
    """Run a module of the tests as the first process of a room; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", _IN_A_ROOM, sys.executable, "-m", *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
