"""`ladder`: the same 1,000 records on ever larger meshes of one machine, and where the knee is.

Law: W is the majority, eight clients write through the first node, and a rung counts when all
is acknowledged and all nodes are equal in clock and digest. The tail is told by the nodes
themselves: each answers a read with the causal token of the last write once it has it.
CPU is counted with what the nodes do when nothing is written, and that is told beside it.
"""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlsplit

from tests.benchmarks import sizes
from tests.benchmarks.machine import Cpu, cpu_of, link_bytes
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, drive, running
from tests.benchmarks.pacing import pause
from tests.benchmarks.scale import CONTENT_BYTES, Line, Scale

RUNGS: Final[Mapping[str, tuple[int, ...]]] = {
    "tiny": (2,),
    "quick": (2, 5),
    "bench": (2, 5, 10),
    "full": (2, 5, 10, 25, 50),
}
RECORDS: Final = 1_000
CLIENTS: Final = 8
_TINY_RECORDS: Final = 50
_IDLE_SECONDS: Final = 3.0
_TOKEN_WAIT_MS: Final = 10_000
_KNEE: Final = 1.5
_MICRO: Final = 1_000_000
FULL_FANOUT: Final = 12
MODES: Final[Mapping[str, Mapping[str, str]]] = {
    "all": {"MNEMESH_FEDERATION_FULL_FANOUT_MAX": "1000"},
    "relay": {"MNEMESH_FEDERATION_FULL_FANOUT_MAX": str(FULL_FANOUT)},
}
"""The writer pushes to all members, or to a few of them and the rest is relayed."""
_SLOW_MESH: Final = {"MNEMESH_QUORUM_TIMEOUT_MS": "10000"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What the knee is told from.

    Attributes:
        nodes: N.
        all_cpu_us: CPU per write of all nodes together.
        per_second: writes per second.
    """

    nodes: int
    all_cpu_us: float
    per_second: float


def ladder(folder: Path, scale: Scale) -> Iterator[Line]:
    """Every rung of this scale; further settings come as MNEMESH_ variables from outside."""
    yield from climb(folder, RUNGS[scale.name], _TINY_RECORDS if scale.name == "tiny" else RECORDS)


def climb(
    folder: Path, rungs: Sequence[int], records: int, modes: Sequence[str] = tuple(MODES)
) -> Iterator[Line]:
    """One line a rung and way of spreading; after more than two rungs, one about each knee."""
    seen: dict[str, list[Rung]] = {mode: [] for mode in modes}
    for nodes in rungs:
        # Where all are pushed to anyway, there is one way.
        for mode in modes if nodes > FULL_FANOUT else modes[:1]:
            environment = {**_SLOW_MESH, **(MODES[mode] if nodes > FULL_FANOUT else {})}
            line = rung(folder / f"{nodes}-{mode}", nodes, records, environment)
            yield {**line, "load": mode}
            step = Rung(
                nodes=nodes, all_cpu_us=line["cpu_us"]["all"], per_second=line["writes_per_second"]
            )
            for one in (mode,) if nodes > FULL_FANOUT else modes:
                seen[one].append(step)
    for mode, steps in seen.items():
        if len(steps) > 2:
            yield {"bench": "ladder", "load": f"knee, {mode}", **knee(steps)}


def knee(rungs: Sequence[Rung]) -> Line:
    """The first N whose CPU per write and node is half more than on the best rung.

    Up to there one more node costs what each node before it did; the rate falls because there
    is more to do. From there on nodes cost each other.
    """
    shares = {one.nodes: one.all_cpu_us / one.nodes for one in rungs}
    least = min(shares.values())
    over = [nodes for nodes, share in shares.items() if share > _KNEE * least]
    best = min(nodes for nodes, share in shares.items() if share == least)
    return {
        "knee_nodes": min((nodes for nodes in over if nodes > best), default=None),
        "cpu_us_per_write_and_node": {str(n): round(share, 1) for n, share in shares.items()},
    }


def rung(folder: Path, nodes: int, records: int, environment: Mapping[str, str]) -> Line:
    """One mesh of so many nodes."""
    began = time.monotonic()
    with running(folder, nodes=nodes, writes=nodes // 2 + 1, environment=environment) as mesh:
        up = round(time.monotonic() - began, 1)
        mesh.settle()
        idle = _idle(mesh)
        before = _Usage(mesh)
        told = drive(
            mesh.nodes[0],
            kind="write",
            clients=CLIENTS,
            requests=records - 1,
            content_bytes=CONTENT_BYTES,
        )
        tail = _tail(mesh)
        mesh.settle()
        used = before.until_now(records)
        return {
            "bench": "ladder",
            "nodes": nodes,
            "needed": nodes // 2 + 1,
            "seconds_to_make_the_mesh": up,
            "acknowledged": told["answers"] + 1,
            "equal": True,
            "tail_ms": tail,
            "writes_per_second": told["per_second"],
            "p50_ms": told["p50_ms"],
            "p99_ms": told["p99_ms"],
            **used,
            "idle_cpu_ms_per_node_and_second": idle,
            "anonymous_mib_per_node": _memory(mesh),
        }


class _Usage:
    """CPU, messages and bytes since it was made."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._pids = [node.pid for node in mesh.nodes]
        self._cpu = [cpu_of(pid) for pid in self._pids]
        self._ops = _exchanged(mesh)
        self._bytes = link_bytes(self._pids[0], mesh.peer_ports)

    def until_now(self, records: int) -> Line:
        used: list[Cpu] = [
            cpu_of(pid) - before for pid, before in zip(self._pids, self._cpu, strict=True)
        ]
        moved = link_bytes(self._pids[0], self._mesh.peer_ports)
        writer = None
        if moved is not None and self._bytes is not None:
            writer = {
                "received": round((moved[0] - self._bytes[0]) / records),
                "sent": round((moved[1] - self._bytes[1]) / records),
            }
        others = [cpu.total for cpu in used[1:]]
        return {
            "cpu_us": {
                "all": round(sum(cpu.total for cpu in used) * _MICRO / records, 1),
                "writer": round(used[0].total * _MICRO / records, 1),
                "other_node": round(median(others) * _MICRO / records, 1),
                "greatest_other_node": round(max(others) * _MICRO / records, 1),
            },
            "writer_link_bytes_per_write": writer,
            "ops_exchanged_per_write": round((_exchanged(self._mesh) - self._ops) / records, 2),
        }


def _exchanged(mesh: Mesh) -> float:
    """Operations received by all nodes together, those received twice included."""
    return sum(received(node.ask("/api/v1/metrics").decode()) for node in mesh.nodes)


def received(page: str) -> float:
    """Operations that a node received from all its peers, from its page of metrics."""
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith("mnemesh_sync_ops_total{") and 'direction="in"' in line
    )


def _idle(mesh: Mesh) -> float:
    """Milliseconds of CPU a second that a node uses when nothing is written."""
    pids = [node.pid for node in mesh.nodes]
    before = [cpu_of(pid).total for pid in pids]
    began = time.monotonic()
    pause(_IDLE_SECONDS)
    used = [cpu_of(pid).total - one for pid, one in zip(pids, before, strict=True)]
    return round(sum(used) / len(used) / (time.monotonic() - began) * 1000, 2)


def _memory(mesh: Mesh) -> dict[str, float]:
    found = [sizes.memory_bytes(node.pid)["anonymous"] / 2**20 for node in mesh.nodes]
    return {"median": round(median(found), 1), "greatest": round(max(found), 1)}


def _tail(mesh: Mesh) -> dict[str, float]:
    """Milliseconds from the last answer until the other nodes have everything."""
    lanes = [_Lane(node) for node in mesh.nodes]
    body = json.dumps({"title": "the last one", "content": "x" * CONTENT_BYTES}).encode()
    status, told = lanes[0].ask("POST", "/api/v1/memories", body, {})
    if status != HTTPStatus.CREATED:
        raise BenchmarkError(f"the last write was answered {status}")
    began = time.perf_counter()
    token = told["durability"]["token"]
    waiting = [
        threading.Thread(target=lane.reach, args=(told["id"], token, began)) for lane in lanes[1:]
    ]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join()
    took = [lane.took_ms for lane in lanes[1:]]
    if None in took:
        raise BenchmarkError("a node did not get the last write in time")
    known = [one for one in took if one is not None]
    return {"median": round(median(known), 1), "last": round(max(known), 1)}


class _Lane:
    """A connection to one node, opened before it is needed."""

    def __init__(self, node: Node) -> None:
        parts = urlsplit(node.url)
        self._key = node.key
        self._connection = http.client.HTTPConnection(
            str(parts.hostname), parts.port, timeout=2 * _TOKEN_WAIT_MS / 1000
        )
        self._connection.connect()
        self.took_ms: float | None = None

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, Any]]:
        """One request."""
        mine = {"x-api-key": self._key, "content-type": "application/json", **headers}
        self._connection.request(method, path, body=body, headers=mine)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def reach(self, ident: str, token: str, began: float) -> None:
        """Wait until the node has everything up to a token."""
        wait = {"x-causal-token": token, "x-causal-wait-ms": str(_TOKEN_WAIT_MS)}
        status, _ = self.ask("GET", f"/api/v1/memories/{ident}", None, wait)
        if status == HTTPStatus.OK:
            self.took_ms = (time.perf_counter() - began) * 1000
