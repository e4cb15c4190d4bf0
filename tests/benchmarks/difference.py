"""`difference`: what it costs two nodes to become equal again, by the difference, not the store.

Law: the same 1,000 operations are missing on a small and on a large store, several times over.
The node that lacks them is not started anew, which would drown the figure: it is stopped in its
tracks (SIGSTOP) while they are written, until its peer has given the link up, and let go again.
CPU of both sides is counted in nanoseconds from the kernel (schedstat) until the clocks cover
each other; bytes are those of the new link, TLS and frames included.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

from node.store import Store
from tests.benchmarks import lookups, sizes
from tests.benchmarks.filling import fill
from tests.benchmarks.machine import link_bytes
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, running
from tests.benchmarks.pacing import pause
from tests.benchmarks.scale import Line, Scale

OPERATIONS: Final = 1_000
STORES: Final[Mapping[str, tuple[int, int]]] = {
    "tiny": (1_000, 2_000),
    "quick": (2_000, 10_000),
    "bench": (10_000, 100_000),
    "full": (10_000, 1_000_000),
}
CPU_SHARE_MAX: Final = 1.20
BYTES_SHARE_MAX: Final = 1.15
_REPEATS: Final = 3
_DEADLINE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_REST_SECONDS: Final = 1.0
_NANO: Final = 1e9
_MICRO: Final = 1e6
_SETTINGS: Final = {
    # A peer that is silent is given up soon, so that a repeat takes seconds.
    "MNEMESH_LIMITS_PING_INTERVAL_MS": "500",
    # A disk that takes in a large store may sync for seconds; that is not what is asked.
    "MNEMESH_QUORUM_TIMEOUT_MS": "60000",
}


def difference(folder: Path, scale: Scale) -> Iterator[Line]:
    """Both stores, then how they compare."""
    costs = {}
    for records in STORES[scale.name]:
        line = _on(folder / str(records), records)
        costs[records] = line
        yield {"bench": "difference", "records": records, **line}
    small, large = costs.values()
    yield {"bench": "difference", "load": "compared", **compared(small, large)}


def compared(small: Mapping[str, Any], large: Mapping[str, Any]) -> Line:
    """The large store's cost in shares of the small one's, and whether the bounds are kept."""
    shares = {
        side: round(large[f"{side}_cpu_us"]["median"] / small[f"{side}_cpu_us"]["median"], 3)
        for side in ("receiver", "source")
    }
    moved = [one["bytes_moved_per_byte_of_ops"] for one in (small, large)]
    return {
        "cpu_share": shares,
        "cpu_within_20_percent": all(share <= CPU_SHARE_MAX for share in shares.values()),
        "bytes_within_bound": all(one is None or one <= BYTES_SHARE_MAX for one in moved),
    }


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all threads that live, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text(encoding="ascii").split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended meanwhile
    return total / _NANO


def _on(folder: Path, records: int) -> Line:
    with running(folder, nodes=2, writes=1, environment=_SETTINGS) as mesh:
        fill(mesh.nodes[0], first=0, count=records)
        mesh.settle()
        for node in mesh.nodes:
            lookups.settle(lookups.Client(node))
        rounds = [_round(mesh, records + turn * OPERATIONS) for turn in range(_REPEATS)]
        stopped = mesh.nodes[0]
        mesh.stop(stopped)
        ops_bytes = log_bytes(stopped, OPERATIONS)
    return _summary(rounds, ops_bytes)


def _round(mesh: Mesh, first: int) -> dict[str, float | None]:
    """One difference, made and made up for."""
    source, away = mesh.nodes
    pids = {"source": source.pid, "receiver": away.pid}
    os.kill(pids["receiver"], signal.SIGSTOP)
    try:
        fill(source, first=first, count=OPERATIONS)
        target = source.mesh()["clock"]
        lookups.settle(lookups.Client(source))
        _until(lambda: not source.metric("peer_up"), "the silent peer was not given up")
        pause(_REST_SECONDS)
        before = {side: cpu_seconds(pid) for side, pid in pids.items()}
    finally:
        os.kill(pids["receiver"], signal.SIGCONT)
    began = time.monotonic()
    _until(lambda: _covers(away, target), "the node did not catch up")
    took = time.monotonic() - began
    used = {side: cpu_seconds(pid) - before[side] for side, pid in pids.items()}
    moved = link_bytes(pids["receiver"], mesh.peer_ports)
    lookups.settle(lookups.Client(away))
    indexed = cpu_seconds(pids["receiver"]) - before["receiver"]
    mesh.settle()
    pause(_REST_SECONDS)
    return {
        **used,
        "receiver_indexed": indexed,
        "seconds": took,
        "bytes": float(moved[0]) if moved else None,
    }


def _summary(rounds: list[dict[str, float | None]], ops_bytes: int) -> Line:
    def per_op(name: str) -> dict[str, float]:
        found = [value * _MICRO / OPERATIONS for one in rounds if (value := one[name]) is not None]
        return {
            "median": round(median(found), 1),
            "least": round(min(found), 1),
            "greatest": round(max(found), 1),
        }

    moved = [value for one in rounds if (value := one["bytes"]) is not None]
    return {
        "operations": OPERATIONS,
        "receiver_cpu_us": per_op("receiver"),
        "receiver_cpu_us_with_its_index": per_op("receiver_indexed"),
        "source_cpu_us": per_op("source"),
        "seconds": round(median(one["seconds"] or 0.0 for one in rounds), 2),
        "bytes_moved_per_byte_of_ops": round(median(moved) / ops_bytes, 3) if moved else None,
    }


def log_bytes(node: Node, ops: int) -> int:
    """Bytes of the newest bundles, of the one actor that wrote, which hold so many operations.

    The node must not run.
    """
    store = Store(sizes.store_of(node.data_dir), entropy=bytes)
    try:
        actors = store.load().actors
        busiest = max(actors, key=lambda actor: actors[actor].seq)
        after = actors[busiest].seq - ops
        return sum(len(data) for data in store.tail(busiest, after, 1 << 40))
    finally:
        store.close()


def _covers(node: Node, target: Mapping[str, int]) -> bool:
    try:
        clock = node.mesh()["clock"]
    except OSError:
        return False
    return all(clock.get(actor, 0) >= seq for actor, seq in target.items())


def _until(reached: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise BenchmarkError(otherwise)
        time.sleep(_POLL_SECONDS)
