"""`python -m tests.simulation.scale`: what a write costs in a mesh of ten to a thousand nodes.

Prints one JSON line a run and draws docs/scale.svg. Times are virtual: links of 2 to 8 ms, a
disk of 2 ms, ticks and beats as in the node. What is counted is exact: every message and every
byte that a node sends from the first write until two ticks after every disk has every write,
beats apart.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.simulation.curve import draw
from tests.simulation.large import BEAT_MS, TICK_MS, Mesh, Plan

ROOT = Path(__file__).parents[2]
IDLE_MS = 3_000
SLICE_MS = 5
LIMIT_MS = 120_000
W = 3


def measure(plan: Plan) -> dict[str, Any]:
    """Run one plan."""
    began = time.process_time()
    mesh = Mesh(plan)
    idle = _idle(mesh)
    writers = _begin(mesh)
    start = mesh.now_ms
    while not mesh.settled and mesh.now_ms - start < LIMIT_MS:
        mesh.run(mesh.now_ms + SLICE_MS)
        mesh.look()
    settled = mesh.settled
    mesh.run(mesh.now_ms + 2 * TICK_MS)
    writes = len(mesh.written)
    others = [n for n in mesh.nodes if n.number not in writers]
    mine = [mesh.nodes[number] for number in writers]
    everywhere = sorted(w.everywhere_ms - w.at_ms for w in mesh.written.values())
    quorum = sorted(w.quorum_ms - w.at_ms for w in mesh.written.values())
    return {
        "nodes": plan.nodes,
        "mode": "relay" if plan.relay else "full",
        "w": plan.w,
        "loss": plan.loss,
        "churn_ms": plan.churn_ms,
        "writes": writes,
        "converged": settled,
        "pushes_by_author": round(mesh.authored / writes, 2),
        "writer_messages": round(sum(n.sent for n in mine) / writes, 1),
        "writer_bytes": round(sum(n.sent_bytes for n in mine) / writes),
        "writer_received": round(sum(n.received for n in mine) / writes, 1),
        "mean_messages": round(sum(n.sent for n in mesh.nodes) / writes / plan.nodes, 2),
        "mean_bytes": round(sum(n.sent_bytes for n in mesh.nodes) / writes / plan.nodes),
        "max_messages": round(max(n.sent for n in others) / writes, 2),
        "max_bytes": round(max(n.sent_bytes for n in others) / writes),
        "hops_max": max(max(w.hops.values()) for w in mesh.written.values()),
        "quorum_ms": [quorum[len(quorum) // 2], quorum[-1]],
        "everywhere_ms": [everywhere[len(everywhere) // 2], everywhere[-1]],
        "catch_ups": sum(n.exchange.catchup.sessions for n in mesh.nodes),
        "pushes_lost": mesh.lost,
        "idle_messages_per_s": round(idle, 1),
        "cpu_s": round(time.process_time() - began, 1),
    }


def _idle(mesh: Mesh) -> float:
    """Messages a second that each node sends while nothing is written."""
    mesh.run(mesh.now_ms + BEAT_MS)
    before = sum(n.sent + n.beats for n in mesh.nodes)
    mesh.run(mesh.now_ms + IDLE_MS)
    after = sum(n.sent + n.beats for n in mesh.nodes)
    for node in mesh.nodes:
        node.sent = node.sent_bytes = node.received = 0
    return (after - before) / len(mesh.nodes) / (IDLE_MS / 1000)


def _begin(mesh: Mesh) -> set[int]:
    """Put the writes and the departures on the calendar."""
    plan = mesh.plan
    writers = [i * plan.nodes // plan.writers for i in range(plan.writers)]
    for place in range(plan.writes):
        when = mesh.now_ms + 1 + place * plan.every_ms
        mesh.at(when, "write", writers[place % plan.writers])
    leavers = [n for n in range(plan.nodes) if n not in writers]
    mesh.random.shuffle(leavers)
    span = plan.writes * plan.every_ms
    for place in range(span // plan.churn_ms if plan.churn_ms else 0):
        when = mesh.now_ms + 1 + place * plan.churn_ms
        mesh.at(when, "leave", leavers[place])
        mesh.at(when + 10 * plan.churn_ms, "return", leavers[place])
    mesh.run(mesh.now_ms + 1)
    return set(writers)


def plans(*, quick: bool) -> Iterator[Plan]:
    """What is run; the last ones take a minute each."""
    sizes = [10, 25, 50, 100] if quick else [10, 25, 50, 100, 200, 300, 500, 1_000]
    for nodes in sizes:
        yield Plan(nodes=nodes, w=W, relay=True)
        if nodes <= 300:  # every tick N * N messages: a thousand would take an hour
            yield Plan(nodes=nodes, w=W, relay=False)
    for nodes in (100,) if quick else (100, 300):
        base = Plan(nodes=nodes, w=W, relay=True)
        for loss in (0.05, 0.2):
            yield replace(base, loss=loss)
        yield replace(base, loss=0.05, churn_ms=100)
        if nodes <= 100:
            full = replace(base, relay=False)
            yield replace(full, loss=0.05)
            yield replace(full, loss=0.2)
            yield replace(full, loss=0.05, churn_ms=100)
    for nodes in sizes[2:4]:  # a majority: what the quorum itself asks for
        for relay in (True, False):
            yield Plan(nodes=nodes, w=nodes // 2 + 1, relay=relay)


def main() -> int:
    """Run all plans."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.scale")
    parser.add_argument("--quick", action="store_true", help="up to a hundred nodes")
    parser.add_argument("--nodes", type=int, help="one run of that many nodes, and no curve")
    parser.add_argument("--w", type=int, default=W, help="disks that must hold a write")
    parser.add_argument("--full", action="store_true", help="push to all in that run")
    parser.add_argument("--loss", type=float, default=0.0, help="share of pushes lost in it")
    parser.add_argument("--churn-ms", type=int, default=0, help="a node leaves this often in it")
    args = parser.parse_args()
    if args.nodes:
        plan = Plan(nodes=args.nodes, w=args.w, relay=not args.full)
        print(json.dumps(measure(replace(plan, loss=args.loss, churn_ms=args.churn_ms))))
        return 0
    rows = []
    for plan in plans(quick=args.quick):
        rows.append(measure(plan))
        print(json.dumps(rows[-1]), flush=True)
    if not args.quick:
        (ROOT / "docs" / "scale.svg").write_text(draw(rows), encoding="utf-8")
    return 0 if all(row["converged"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
