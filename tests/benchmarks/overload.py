"""`overload`: twice what a mesh can take, from clients that do not wait.

Law: the sustainable rate is measured first, in the same run, with 64 clients that wait. What
was acknowledged is read back from another node, every one of it. The bounds that the node has
to keep are stated here and judged in the line; a line that fails is a result, not an error.

A node takes no more connections than its limit, and each brings one write at a time; at 2,048
of them no more than 2,048 writes can wait, which is less than the node would let wait. So that
the node sheds and not its listener, more are allowed here, and there are as many clients.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import sizes
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, drive, running
from tests.benchmarks.scale import CONTENT_BYTES, Line, Scale

SECONDS: Final = {"tiny": 1.0, "quick": 5.0, "bench": 10.0, "full": 30.0}
FACTOR: Final = 2.0
CALM: Final = 0.5
CLIENTS: Final = 64
CONNECTIONS: Final = 6_000
# Twice what the node lets wait (writes_wait_ms_max, 0.5 s): the rest is for reading, answering
# and a machine that the load shares with the nodes.
P99_MS_MAX: Final = 1_000.0
GOODPUT_MIN: Final = 0.8
GROWTH_MIB_MAX: Final = 64.0
_SETTINGS: Final = {
    "MNEMESH_LOGGING_LEVEL": "warning",
    "MNEMESH_LIMITS_CONNECTIONS_MAX": str(2 * CONNECTIONS),
    "MNEMESH_LIMITS_CONNECTIONS_PER_ADDRESS_MAX": str(2 * CONNECTIONS),
}
_PATIENCE_SECONDS: Final = 10.0
_SAMPLE_SECONDS: Final = 0.5
_RUN_SECONDS: Final = 180.0
_MIB: Final = 2**20


def overload(folder: Path, scale: Scale) -> Iterator[Line]:
    """Sustainable, then twice that, then half of it."""
    seconds = SECONDS[scale.name]
    connections = 64 if scale.name == "tiny" else CONNECTIONS
    with running(folder, environment=_SETTINGS) as mesh:
        node = mesh.nodes[0]
        calm = drive(
            node, kind="write", clients=CLIENTS, seconds=seconds, content_bytes=CONTENT_BYTES
        )
        rate = calm["per_second"]
        yield {"bench": "overload", "load": "sustainable", "per_second": rate, **_latency(calm)}
        before = _anonymous(mesh)
        watch = _Watch(mesh)
        arrivals = {"seconds": seconds, "connections": connections}
        told = arrive(node, prefix="over", rate=rate * FACTOR, **arrivals)
        samples = watch.end()
        after = arrive(node, prefix="calm", rate=rate * CALM, **arrivals)
        mesh.settle()
        lost = {
            name: missing(mesh.nodes[1], name, run.pop("numbers"))
            for name, run in (("over", told), ("calm", after))
        }
        growth = round(max(samples[-3:]) - samples[len(samples) // 3], 1)
        yield {
            "bench": "overload",
            "load": "twice",
            "rate": round(rate * FACTOR, 1),
            **told,
            "acknowledged_and_lost": lost["over"],
            "anonymous_mib": {"before": before, "most": max(samples), "last": samples[-1]},
            "growth_mib_over_last_two_thirds": growth,
            "goodput_of_sustainable": round(told["accepted_per_second"] / rate, 3),
            **judged(told, growth, lost["over"], sustainable=rate),
        }
        yield {
            "bench": "overload",
            "load": "after",
            "rate": round(rate * CALM, 1),
            **after,
            "acknowledged_and_lost": lost["calm"],
        }


def judged(
    told: dict[str, Any], growth_mib: float, lost: int, *, sustainable: float
) -> dict[str, bool]:
    """Whether the node kept its bounds; `sustainable` is what it takes of clients that wait."""
    p99, shed_p99 = (told[name].get("p99") for name in ("accepted_ms", "shed_ms"))
    refused = set(told["statuses"]) - {"200", "201", "503"}
    return {
        "sheds": told["statuses"].get("503", 0) > 0,
        "says_when_to_retry": told["shed_without_retry_after"] == 0,
        "nothing_but_201_and_503": not refused,
        "goodput_holds": told["accepted_per_second"] >= GOODPUT_MIN * sustainable,
        "refused_in_time": shed_p99 is None or shed_p99 <= P99_MS_MAX,
        "latency_is_bounded": p99 is not None and p99 <= P99_MS_MAX,
        "memory_is_bounded": growth_mib <= GROWTH_MIB_MAX,
        "nothing_lost": lost == 0,
    }


def _latency(calm: dict[str, Any]) -> Line:
    return {"accepted_ms": {"p50": calm["p50_ms"], "p99": calm["p99_ms"], "max": calm["max_ms"]}}


def arrive(node: Node, *, prefix: str, **wanted: Any) -> dict[str, Any]:
    """Run the open-loop driver in a process of its own; also what it was acknowledged.

    Raises:
        BenchmarkError: it failed.
    """
    wanted = {"content_bytes": CONTENT_BYTES, "patience_seconds": _PATIENCE_SECONDS, **wanted}
    spec = {"url": node.url, "key": node.key, "prefix": prefix, **wanted}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.openloop"],
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        timeout=_RUN_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"the open-loop driver failed: {done.stderr.strip()[-400:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def missing(node: Node, prefix: str, numbers: list[int]) -> int:
    """How many of these writes a node does not give back."""
    wanted = {"numbers": numbers, "connections": CLIENTS, "seconds": _RUN_SECONDS / 2}
    told = arrive(node, prefix=prefix, **wanted)
    found: int = told["statuses"].get("200", 0)
    return len(numbers) - found


def _anonymous(mesh: Mesh) -> float:
    return round(sizes.memory_bytes(mesh.nodes[0].pid)["anonymous"] / _MIB, 1)


class _Watch:
    """Anonymous memory of the first node, now and then, from a thread of its own."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._over = threading.Event()
        self._samples: list[float] = [_anonymous(mesh)]
        self._thread = threading.Thread(target=self._run)
        self._began = time.monotonic()
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(_SAMPLE_SECONDS):
            self._samples.append(_anonymous(self._mesh))

    def end(self) -> list[float]:
        """All samples, in MiB."""
        self._over.set()
        self._thread.join()
        return self._samples
