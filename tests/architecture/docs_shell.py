"""Runs the commands of a document as a reader would, in homes of their own.

Law: what a reader types is what runs. Only what differs from reader to reader is put in:
ports that are free here, the names of machines, and fingerprints, each asked of its machine.
Every node that a document starts is ended by its process id, whatever happened before.
"""

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from node.lock import find_holder
from tests.architecture.docs_blocks import PYTHON, ROOT, Block
from tests.architecture.docs_warm import Warm

_BLOCK_SECONDS: Final = 60.0
_UNTIL_SECONDS: Final = 30.0
_GONE_SECONDS: Final = 10.0
_PORTS: Final = range(12_000, 32_000)
_MESH_PORTS: Final = 9
_MESH_BASE: Final = 9100
_MACHINE: Final = re.compile(r"node-([a-c])\.example:9077")
_FINGERPRINT: Final = re.compile(r"FINGERPRINT_OF_([A-C])\b")
_MESH_PORT: Final = re.compile(rf"\b{_MESH_BASE // 10}([0-{_MESH_PORTS - 1}])\b")
_HERE: Final = "here"


def _free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    # Below the range from which the system takes ports for outgoing connections.
    span = _PORTS.stop - _PORTS.start - count
    start = os.getpid() * count % span
    for tried in range(0, span, count):
        base = _PORTS.start + (start + tried) % span
        with contextlib.ExitStack() as stack:
            try:
                for port in range(base, base + count):
                    held = stack.enter_context(socket.socket())
                    held.bind(("", port))
            except OSError:
                continue
            return base
    raise AssertionError("no free ports")


@dataclass(slots=True)
class Stage:
    """The machines of one document; leaving it ends whatever still runs there."""

    folder: Path
    base: int = field(default_factory=lambda: _free_ports(_MESH_PORTS + 6))
    tools: Path = field(init=False)
    fingerprints: dict[str, str] = field(default_factory=dict)
    warm: Warm | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.tools = self.folder / "tools"
        self.tools.mkdir(parents=True)
        if shutil.which("curl") is None:
            shim = self.tools / "curl"
            script = Path(__file__).with_name("docs_curl.py")
            shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')
            shim.chmod(0o755)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def warm_up(self) -> None:
        """From now on `mnemesh` is run by a process that has read the program already."""
        self.warm = Warm(self.tools)

    def _ports(self, machine: str) -> tuple[int, int]:
        place = self.base + _MESH_PORTS + 2 * max("abc".find(machine), 0)
        return place, place + 1

    def _home(self, machine: str) -> Path:
        home = self.folder / machine
        if not home.exists():
            (home / "work").mkdir(parents=True)
            (home / "work" / "docs").symlink_to(ROOT / "docs")
        return home

    def _environment(self, machine: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MNEMESH_", "XDG_"))}
        path = [str(Path(sys.executable).parent), kept.get("PATH", "/usr/bin:/bin")]
        path = [*path, str(self.tools)] if self.warm is None else [str(self.tools), *path]
        own = {"HOME": str(self._home(machine)), "NO_COLOR": "1", "COLUMNS": "200"}
        if machine != _HERE:
            own["MNEMESH_PORT"] = str(self._ports(machine)[0])
        return {**kept, **own, "PATH": ":".join(path)}

    def _sh(self, machine: str, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-eu", "-c", script],
            cwd=self._home(machine) / "work",
            env=self._environment(machine),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BLOCK_SECONDS,
            check=False,
        )

    def _filled_in(self, block: Block, machine: str) -> str:
        text = _MACHINE.sub(lambda m: f"127.0.0.1:{self._ports(m[1])[0]}", block.text)
        text = _FINGERPRINT.sub(lambda m: self._fingerprint(m[1].lower()), text)
        text = _MESH_PORT.sub(lambda m: str(self.base + int(m[1])), text)
        if machine == _HERE:
            return text
        own, agent = self._ports(machine)
        return text.replace("9077", str(own)).replace("9078", str(agent))

    def _fingerprint(self, machine: str) -> str:
        if machine not in self.fingerprints:
            ran = self._sh(machine, "mnemesh node fingerprint")
            assert ran.returncode == 0, ran.stdout
            self.fingerprints[machine] = ran.stdout.strip()
        return self.fingerprints[machine]

    def run(self, block: Block) -> str:
        """Run a block to its end, or until it shows what it shall.

        Returns:
            What it printed.
        """
        machine = block.tags.get("on") or _HERE
        script = self._filled_in(block, machine)
        if block.language == PYTHON:
            script = self._program(machine, script)
        wanted, until = block.tags.get("shows", ""), block.tags.get("until", "")
        deadline = time.monotonic() + (_UNTIL_SECONDS if until else 0)
        while True:
            ran = self._sh(machine, script)
            if ran.returncode == 0 and (until or wanted) in ran.stdout:
                return ran.stdout
            if time.monotonic() >= deadline:
                story = f"{block.place} ended with {ran.returncode}, wanted {until or wanted!r}"
                raise AssertionError(f"{story}\n{script}\n--\n{ran.stdout}{self._logs()}")

    def _program(self, machine: str, text: str) -> str:
        """Puts a Python program into a file, and gives the command that runs it."""
        path = self._home(machine) / "block.py"
        path.write_text(text, encoding="utf-8")
        return f'"{sys.executable}" -W error "{path}"'

    def _logs(self) -> str:
        logs = sorted(self.folder.rglob("node.log"))
        return "".join(f"\n-- {log}\n{log.read_text()[-1500:]}" for log in logs)

    def end(self) -> None:
        """End every node that still runs, and wait until it is gone."""
        if self.warm is not None:
            self.warm.end()
        for lock in self.folder.rglob("lock"):
            holder = find_holder(lock)
            if holder is None:
                continue
            try:
                watched = os.pidfd_open(holder.pid)
            except ProcessLookupError:
                continue
            try:
                os.kill(holder.pid, signal.SIGKILL)
                select.select([watched], [], [], _GONE_SECONDS)
            finally:
                os.close(watched)
