"""What is measured: one function a figure, each gives the fields of one JSON line.

Law: a figure of work is taken from before the first request until all nodes are equal again,
so nothing that a write causes is left out; figures of time come from the driver's window.
"""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from node.store import Store
from tests.benchmarks.load import press, sender_for
from tests.benchmarks.machine import Cpu, cpu_of, link_bytes
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, drive, running, waited
from tests.benchmarks.scale import CONTENT_BYTES, Line, Scale
from tests.benchmarks.sending import Place
from tests.benchmarks.usage import Usage, per_op

_DEADLINE_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.02


class Account:
    """What a mesh uses between two moments."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        mesh.settle()
        self._ops = mesh.ops()
        self._commits = {node.name: node.metric("store_commits_total") for node in mesh.nodes}
        self._usage = Usage(mesh.processes())

    def close(self, told: Line, ops: int | None = None) -> Line:
        """The fields per operation, once the mesh is equal again.

        Args:
            told: what the sender measured.
            ops: operations that were made; None counts those that the mesh took.
        """
        self._usage.load_ended()
        lag = [node.gauge("event_loop_lag_seconds") for node in self._mesh.nodes]
        self._mesh.settle()
        made = (self._mesh.ops() - self._ops if ops is None else ops) or 1
        fields = self._usage.fields(made, told["driver_cpu_seconds"])
        waited = self._mesh.settle_index()
        commits = {
            node.name: (node.metric("store_commits_total") - self._commits[node.name]) / made
            for node in self._mesh.nodes
        }
        return {
            **fields,
            "until_index_level_cpu_us": self._usage.totals(made),
            "until_index_level_seconds": None if waited is None else round(waited, 2),
            "fsyncs_per_op": {name: round(share, 4) for name, share in commits.items()},
            "event_loop_lag_ms": [one if one is None else round(one * 1000, 2) for one in lag],
        }


def loaded(
    mesh: Mesh, scale: Scale, *, kind: str, clients: int, tls: bool = False, **wanted: Any
) -> Line:
    """One load on the first node: rate, latency and what it cost.

    Args:
        mesh: a running one.
        scale: how long, and who sends.
        kind: of request, as shapes name them.
        clients: requests in flight.
        tls: whether agents speak TLS to the node.
        wanted: what the kind needs further; `sender` to choose who sends.
    """
    items = wanted.get("items", 1)
    node = mesh.nodes[0]
    place = Place(url=node.tls_url if tls else node.url, key=node.key)
    sender = wanted.pop("sender", None) or sender_for(scale, kind)
    account = Account(mesh)
    told = press(place, scale, kind=kind, clients=clients, sender=sender, **wanted)
    fields = account.close(told, told["answers"] if kind == "read" else None)
    return {**figures(told, items), **fields}


def figures(told: Line, items: int = 1) -> Line:
    """Rate and latency of one load."""
    latency = {name: told[name] for name in ("p50_ms", "p99_ms", "max_ms")}
    share = round(told["p99_ms"] / told["p50_ms"], 2) if told["p50_ms"] else None
    return {
        "driver": told["driver"],
        "ops_per_second": round(told["per_second"] * items, 1),
        **latency,
        "p99_over_p50": share,
        "answers": told["answers"],
    }


def writes(folder: Path, scale: Scale) -> Iterator[Line]:
    """Quorum writes: POST /memories, 1 KB, N = 3, W = 2."""
    with running(folder) as mesh:
        for clients in scale.clients:
            line = loaded(mesh, scale, kind="write", clients=clients)
            yield {"bench": "writes", "clients": clients, **line}


def bulk(folder: Path, scale: Scale) -> Iterator[Line]:
    """Records through POST /memories/bulk."""
    with running(folder) as mesh:
        for items, clients in ((500, 4), (1000, 1), (1000, 4)):
            line = loaded(mesh, scale, kind="bulk", clients=clients, items=items)
            yield {"bench": "bulk", "clients": clients, "items": items, **line}


def reads(folder: Path, scale: Scale) -> Iterator[Line]:
    """GET /memories/{id} over records that lie on the disk."""
    with running(folder) as mesh:
        seed(mesh, 20_000)
        for clients in (1, 64):
            line = loaded(mesh, scale, kind="read", clients=clients, ids=20_000)
            yield {"bench": "reads", "clients": clients, **line}


def seed(mesh: Mesh, records: int) -> None:
    """Put so many records into the first node, in bulks of 1000, and wait until recall has them."""
    count = max(records // 1000, 1)
    drive(mesh.nodes[0], kind="seed", clients=2, requests=count, items=1000)
    mesh.settle()
    mesh.settle_index()  # or its work would be counted with what is measured next


def catchup(folder: Path, scale: Scale) -> Iterator[Line]:
    """A node that was away while others wrote comes back: the log is streamed to it."""
    with running(folder) as mesh:
        away = mesh.nodes[2]
        seed(mesh, 1000)
        mesh.settle()
        mesh.stop(away)
        start = _plain_start(mesh, away)
        seed_more(mesh, scale.catchup_ops)
        line = _returns(mesh, away, scale.catchup_ops, start)
    ops_bytes = _log_bytes(mesh.nodes[0], scale.catchup_ops)
    yield {"bench": "catchup", **line, **_per_byte(line, ops_bytes)}


def bootstrap(folder: Path, scale: Scale) -> Iterator[Line]:
    """A member that lost its store, when the log does not reach back: a snapshot is sent."""
    short = {
        "MNEMESH_STORAGE_LOG_BYTES_MIN": "0",
        "MNEMESH_STORAGE_LOG_BYTES_MAX": str(8 << 20),
        "MNEMESH_STORAGE_MAINTENANCE_INTERVAL_SECS": "0.5",
    }
    with running(folder, environment=short) as mesh:
        lost = mesh.nodes[2]
        seed(mesh, scale.catchup_ops)
        mesh.settle()
        _until(lambda: mesh.nodes[0].metric("log_floor_ops") > 0, "the log was never cut")
        mesh.stop(lost)
        start = _plain_start(mesh, lost)
        (lost.data_dir / "CURRENT").unlink()
        for store in lost.data_dir.glob("store-*"):
            shutil.rmtree(store)
        line = _returns(mesh, lost, scale.catchup_ops, start)
        line["snapshot"] = lost.metric("store_changes_total") > 0
    ops_bytes = CONTENT_BYTES * scale.catchup_ops
    yield {"bench": "bootstrap", **line, **_per_byte(line, ops_bytes)}


def seed_more(mesh: Mesh, records: int) -> None:
    """Write so many more records through bulk."""
    count = max(records // 1000, 1)
    drive(mesh.nodes[0], kind="bulk", clients=2, requests=count, items=1000)


def _plain_start(mesh: Mesh, node: Node) -> Cpu:
    """What a stopped node uses to start with nothing to catch up; it is stopped again."""
    mesh.start(node)
    mesh.settle()
    used = cpu_of(node.pid)
    mesh.stop(node)
    return used


def _returns(mesh: Mesh, away: Node, ops: int, start: Cpu) -> Line:
    """Start a node and follow it until it is equal to the first.

    Args:
        mesh: with all other nodes running.
        away: a stopped one.
        ops: operations that it lacks.
        start: what it uses to start when it lacks nothing, which is no cost of catching up.
    """
    sources = [node for node in mesh.nodes if node is not away]
    # Their indexes still take in what was written; that is not a cost of giving it away.
    waited(lambda: all(node.index_level() for node in sources), _DEADLINE_SECONDS)
    before = {node.name: cpu_of(node.pid) for node in sources}
    target = sources[0].mesh()["clock"]
    began = time.monotonic()
    mesh.start(away)
    listening = time.monotonic()
    _until(lambda: _covers(away, target), "the node did not catch up")
    ended = time.monotonic()
    moved = link_bytes(away.pid, mesh.peer_ports)
    mesh.settle()
    others = [cpu_of(node.pid) - before[node.name] for node in sources]
    given = [per_op(cpu, ops) for cpu in others]
    return {
        "ops": ops,
        "seconds_from_start": round(ended - began, 2),
        "seconds_listening": round(ended - listening, 2),
        "ops_per_second": round(ops / max(ended - listening, 1e-9)),
        "receiver_cpu_us": per_op(cpu_of(away.pid) - start, ops),
        "start_cpu_seconds": round(start.total, 2),
        "source_cpu_us": given,
        "busiest_source_cpu_us": max(one["total"] for one in given),
        "bytes_received": moved[0] if moved else None,
        "bytes_sent": moved[1] if moved else None,
    }


def _covers(node: Node, target: dict[str, int]) -> bool:
    try:
        clock = node.mesh()["clock"]
    except OSError:
        return False
    return all(clock.get(actor, 0) >= seq for actor, seq in target.items())


def _until(reached: Any, otherwise: str) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise BenchmarkError(otherwise)
        time.sleep(_POLL_SECONDS)


def _per_byte(line: Line, ops_bytes: int) -> Line:
    received = line["bytes_received"]
    share = round(received / ops_bytes, 3) if received is not None and ops_bytes else None
    return {"bytes_of_ops": ops_bytes, "bytes_moved_per_byte_of_ops": share}


def _log_bytes(node: Node, ops: int) -> int:
    """Bytes of the newest bundles of a stopped node that hold so many operations."""
    current = (node.data_dir / "CURRENT").read_text(encoding="utf-8").strip()
    store = Store(node.data_dir / current, entropy=bytes)
    clock: dict[bytes, int] = {}
    try:
        actors = store.load().actors
        busiest = max(actors, key=lambda actor: actors[actor].seq)
        clock = {actor: row.seq for actor, row in actors.items()}
        clock[busiest] = actors[busiest].seq - ops
        return sum(map(len, store.tail(busiest, clock[busiest], 1 << 40)))
    finally:
        store.close()
