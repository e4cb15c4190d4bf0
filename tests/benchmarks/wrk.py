"""wrk as the load: what it is told and what it says.

Law: of what wrk prints one line counts, which our own script wrote; every field of it must be
there and be a whole number, and an answer that was not good makes the measurement void.
"""

import json
import math
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.sending import BenchmarkError
from tests.benchmarks.shapes import MARK, Shape

_FAULTS: Final = ("connect", "read", "write", "status", "timeout")
_FIELDS: Final = frozenset({"requests", "duration_us", "p50_us", "p99_us", "max_us", *_FAULTS})
_GRACE_SECONDS: Final = 30.0


def installed() -> bool:
    """Whether wrk is on the path."""
    return shutil.which("wrk") is not None


def press(
    shape: Shape, url: str, key: str | None, folder: Path, *, clients: int, seconds: float
) -> dict[str, Any]:
    """Load a server for so many whole seconds; the fields that our own driver gives.

    Raises:
        BenchmarkError: wrk failed, or an answer was not good.
    """
    script = folder / "load.lua"
    script.write_text(shape.lua(key), encoding="utf-8")
    whole = max(1, math.ceil(seconds))  # wrk knows no parts of a second
    words = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{whole}s"]
    before = _children_seconds()
    try:
        done = subprocess.run(
            [*words, "--timeout", "20s", "--script", str(script), url],
            capture_output=True,
            text=True,
            timeout=whole + _GRACE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"wrk did not end: {error}") from error
    if done.returncode:
        raise BenchmarkError(f"wrk failed: {(done.stderr or done.stdout).strip()[-400:]}")
    return told(done.stdout, clients=clients, cpu_seconds=_children_seconds() - before)


def told(text: str, *, clients: int, cpu_seconds: float) -> dict[str, Any]:
    """What wrk measured, in the words of our own driver.

    Raises:
        BenchmarkError: the line is not there once and whole, or tells of faults.
    """
    lines = [line.removeprefix(MARK) for line in text.splitlines() if line.startswith(MARK)]
    if len(lines) != 1:
        raise BenchmarkError(f"wrk told {len(lines)} measurements, expected one: {text[-400:]}")
    try:
        found = json.loads(lines[0])
    except ValueError as error:
        raise BenchmarkError(f"wrk told no JSON: {lines[0]}") from error
    if not isinstance(found, dict) or found.keys() != _FIELDS:
        raise BenchmarkError(f"wrk told other fields than expected: {lines[0]}")
    if not all(type(value) is int and value >= 0 for value in found.values()):
        raise BenchmarkError(f"wrk told what is no whole number: {lines[0]}")
    if faults := {name: found[name] for name in _FAULTS if found[name]}:
        raise BenchmarkError(f"not every answer was good: {faults}")
    if not found["requests"] or not found["duration_us"]:
        raise BenchmarkError(f"wrk got no answer: {lines[0]}")
    seconds = found["duration_us"] / 1e6
    return {
        "clients": clients,
        "answers": found["requests"],
        "good": found["requests"],
        "statuses": {"good": found["requests"]},
        "window_seconds": round(seconds, 3),
        "per_second": round(found["requests"] / seconds, 1),
        "p50_ms": found["p50_us"] / 1000,
        "p99_ms": found["p99_us"] / 1000,
        "max_ms": found["max_us"] / 1000,
        "driver_cpu_seconds": round(cpu_seconds, 3),
    }


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
