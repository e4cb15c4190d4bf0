"""What the kernel knows: the machine, and what each process has used of it.

Law: read from /proc and nothing else (proc(5)), so that a measurement costs the measured
nothing. Where a fact is not to be had it is None, never a guess.
"""

import os
import platform
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TICK: Final = os.sysconf("SC_CLK_TCK")
_SYNCS: Final = 64


def facts() -> dict[str, Any]:
    """What figures depend on."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "python_ms": python_ms(),
        "load_average_before": [round(load, 2) for load in os.getloadavg()],
    }


def python_ms() -> float:
    """Least CPU milliseconds of a fixed loop: tells optimised builds of one Python from others."""
    took = []
    for _ in range(_SYNCS):
        began = time.thread_time()
        kept: dict[str, tuple[int, str]] = {}
        for number in range(20_000):
            text = str(number)
            kept[text] = (number, text)
        took.append(time.thread_time() - began)
    return round(min(took) * 1000, 2)


def _cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def sync_ms(folder: Path) -> float:
    """Median milliseconds to append 4 KiB to a file and make it durable."""
    path = folder / "sync.probe"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    took = []
    try:
        for _ in range(_SYNCS):
            began = time.perf_counter()
            os.write(handle, bytes(4096))
            os.fdatasync(handle)
            took.append(time.perf_counter() - began)
    finally:
        os.close(handle)
        path.unlink()
    return round(sorted(took)[_SYNCS // 2] * 1000, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """CPU seconds of one process so far.

    Attributes:
        user: in its own code, all threads.
        system: in the kernel for it, all threads.
        loop: user and system of the main thread, which runs the event loop.
        rest: of the other threads: committer, executors.
    """

    user: float
    system: float
    loop: float
    rest: float

    @property
    def total(self) -> float:
        return self.user + self.system

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(
            user=self.user - other.user,
            system=self.system - other.system,
            loop=self.loop - other.loop,
            rest=self.rest - other.rest,
        )


def _times(stat: Path) -> tuple[float, float]:
    # The name in brackets may hold anything; the fields begin after the last bracket.
    parts = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(parts[11]) / _TICK, int(parts[12]) / _TICK


def cpu_of(pid: int) -> Cpu:
    """What a process has used."""
    user, system = _times(Path(f"/proc/{pid}/stat"))
    loop = sum(_times(Path(f"/proc/{pid}/task/{pid}/stat")))
    return Cpu(user=user, system=system, loop=loop, rest=user + system - loop)


def resident_mib(pid: int) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def busy_seconds() -> float:
    """CPU seconds that the whole machine has spent on anything."""
    first = Path("/proc/stat").read_text(encoding="utf-8").partition("\n")[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(n) for n in first[:8])
    return (user + nice + system + irq + softirq + steal) / _TICK


def link_bytes(pid: int, ports: set[int]) -> tuple[int, int] | None:
    """(received, sent) over the present TCP connections of a process that touch some ports.

    None without `ss`, the one program that can ask the kernel for another's counters.
    """
    try:
        told = subprocess.run(
            ["ss", "-tinpHO"],  # noqa: S607 - wherever the system keeps it
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    received = sent = 0
    for line in told.splitlines():
        ends = {int(port) for port in re.findall(r"\S+:(\d+)\s", line[:200])}
        if f"pid={pid}," not in line or not ends & ports:
            continue
        received += _counter(line, "bytes_received")
        sent += _counter(line, "bytes_sent")
    return received, sent


def _counter(line: str, name: str) -> int:
    found = re.search(rf"\b{name}:(\d+)", line)
    return int(found.group(1)) if found else 0


def interpreter() -> str:
    """The Python that runs everything here."""
    return sys.executable
