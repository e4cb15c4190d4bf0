"""`lag`: how late each node's event loop runs under full load, scraped, and while a peer returns.

Law: told twice, by the node (its histogram of late ticks, over this window alone) and by a
process outside that asks /livez at a fixed pace. A loop is also late when the machine gives its
thread no processor, so the share of time that it stood in the kernel's run queue is told beside
(schedstat, nanoseconds): what is late without that is the node's own doing.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import measure
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, drive, running, waited
from tests.benchmarks.scale import CONTENT_BYTES, Line, Scale

SECONDS: Final = {"tiny": 1.0, "quick": 4.0, "bench": 10.0, "full": 20.0}
TARGET_MS: Final = 10.0
CLIENTS: Final = 64
_RATE: Final = 100.0
_HISTOGRAM: Final = "mnemesh_event_loop_delay_seconds_bucket"
_NANO: Final = 1e9
_RETURN_SECONDS: Final = 120.0


def lag(folder: Path, scale: Scale) -> Iterator[Line]:
    """Load alone, load and scrapes, load and scrapes and a peer that catches up."""
    seconds = SECONDS[scale.name]
    with running(folder) as mesh:
        measure.seed(mesh, 1000)
        mesh.settle()
        yield {"bench": "lag", "load": "idle", **_window(mesh, mesh.nodes, seconds / 2, 0)}
        yield {"bench": "lag", "load": "writes", **_window(mesh, mesh.nodes, seconds, CLIENTS)}
        with _scraped(mesh.nodes):
            line = _window(mesh, mesh.nodes, seconds, CLIENTS)
        yield {"bench": "lag", "load": "writes, scraped", **line}
        yield {
            "bench": "lag",
            "load": "writes, scraped, a peer catches up",
            **_returning(mesh, scale, seconds),
        }


def _returning(mesh: Mesh, scale: Scale, seconds: float) -> Line:
    away = mesh.nodes[2]
    mesh.stop(away)
    measure.seed_more(mesh, scale.catchup_ops)
    target = mesh.nodes[0].mesh()["clock"]
    mesh.start(away)
    with _scraped(mesh.nodes):
        line = _window(mesh, mesh.nodes, seconds, CLIENTS)
    began = time.monotonic()
    if not waited(lambda: _covers(away, target), _RETURN_SECONDS):
        raise BenchmarkError("the node did not catch up")
    line["caught_up_seconds_after_the_window"] = round(time.monotonic() - began, 1)
    mesh.settle()
    return line


def _covers(node: Node, target: Mapping[str, int]) -> bool:
    clock = node.mesh()["clock"]
    return all(clock.get(actor, 0) >= seq for actor, seq in target.items())


def _window(mesh: Mesh, nodes: tuple[Node, ...], seconds: float, clients: int) -> Line:
    """Lag over one window, with so many clients on the first node."""
    del mesh
    before = {node.name: buckets(_page(node)) for node in nodes}
    queued = {node.name: queue_seconds(node.pid) for node in nodes}
    with ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        outside = pool.submit(_probe, nodes, seconds)
        line: Line = {}
        if clients:
            told = drive(
                nodes[0],
                kind="write",
                clients=clients,
                seconds=seconds,
                content_bytes=CONTENT_BYTES,
            )
            line = {name: told[name] for name in ("per_second", "p50_ms", "p99_ms")}
        livez = outside.result()
    passed = time.monotonic() - began
    inside = {
        node.name: _told(difference(before[node.name], buckets(_page(node)))) for node in nodes
    }
    waits = {
        node.name: round((queue_seconds(node.pid) - queued[node.name]) / passed, 3)
        for node in nodes
    }
    worst = max(one["p99_ms_at_most"] for one in inside.values())
    return {
        **line,
        "loop_lag": inside,
        "livez_ms": livez,
        "loop_waits_for_a_processor": waits,
        "p99_within_target": worst <= TARGET_MS,
    }


def _page(node: Node) -> str:
    return node.ask("/api/v1/metrics").decode()


def buckets(page: str) -> dict[float, float]:
    """The cumulative buckets of the node's histogram of late ticks: seconds to count."""
    found = {}
    for line in page.splitlines():
        if line.startswith(_HISTOGRAM):
            bound = line.partition('le="')[2].partition('"')[0]
            found[float(bound)] = float(line.rpartition(" ")[2])
    return found


def difference(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """What was counted between two pages."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}


def at_most(found: Mapping[float, float], share: float) -> float:
    """The least bound that so great a share of what was counted does not exceed, seconds."""
    total = max(found.values(), default=0.0)
    return min((bound for bound, count in found.items() if count >= share * total), default=0.0)


def _told(found: Mapping[float, float]) -> dict[str, float]:
    return {
        "ticks": max(found.values(), default=0.0),
        "p50_ms_at_most": at_most(found, 0.5) * 1000,
        "p99_ms_at_most": at_most(found, 0.99) * 1000,
        "max_ms_at_most": at_most(found, 1.0) * 1000,
    }


def queue_seconds(pid: int) -> float:
    """How long the main thread, which runs the loop, has waited for a processor so far."""
    text = Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii")
    return int(text.split()[1]) / _NANO


def _probe(nodes: tuple[Node, ...], seconds: float) -> dict[str, Any]:
    places = [{"name": node.name, "url": node.url, "key": node.key} for node in nodes]
    spec = {"places": places, "rate": _RATE, "seconds": seconds, "path": "/livez"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.probing"],
        input=json.dumps(spec),
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"the probe failed: {done.stderr.strip()[-400:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@contextmanager
def _scraped(nodes: tuple[Node, ...]) -> Iterator[None]:
    """Every node's page of metrics is asked for once a second."""
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(1.0):
            for node in nodes:
                node.ask("/metrics")

    thread = threading.Thread(target=scrape, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
