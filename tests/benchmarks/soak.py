"""`python -m tests.benchmarks.soak`: a mesh under steady load while its nodes come and go.

Law: every acknowledged write is read back from every node at the end; one that is not there
fails the run, however flat the rest is. All nodes are restarted in turn, orderly and by
SIGKILL, but the first one only during the first third: what leaks in it shows in the rest. The
last node also flaps: it is stopped in its tracks and let go again. It prints its verdict as
JSON; samples go to a file of JSON lines, plots to one HTML page.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.benchmarks import machine
from tests.benchmarks.lookups import Client
from tests.benchmarks.mesh import BenchmarkError, Mesh, Node, running
from tests.benchmarks.pacing import pause
from tests.benchmarks.soak_load import Ledger, Writer, ident, written
from tests.benchmarks.soak_report import page
from tests.benchmarks.soak_samples import Sampler
from tests.benchmarks.soak_verdict import series, verdict

SETTINGS: Final = {
    # A log that is cut while the run lasts: else the store could not but grow.
    "MNEMESH_STORAGE_LOG_BYTES_MIN": str(8 << 20),
    "MNEMESH_STORAGE_MAINTENANCE_INTERVAL_SECS": "5",
}
_CYCLE_SECONDS: Final = (4.0, 30.0)
_SAMPLE_SECONDS: Final = (0.5, 5.0)
_FLAPS: Final = 3
_FLAP_SHARE: Final = 0.1
_WRITERS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Attributes:
        seconds: how long.
        nodes: N.
        rate: requests a second, of all writers together.
        records: memories that are written over and over.
    """

    seconds: float
    nodes: int = 3
    rate: float = 100.0
    records: int = 2_000

    @property
    def cycle_seconds(self) -> float:
        """Time from one disturbance to the next."""
        least, most = _CYCLE_SECONDS
        return min(max(self.seconds / 10, least), most)

    @property
    def sample_seconds(self) -> float:
        """Time between two samples."""
        least, most = _SAMPLE_SECONDS
        return min(max(self.seconds / 200, least), most)


def disturbances(plan: Plan) -> list[tuple[float, str, int]]:
    """When what is done to which node: (seconds, what, place of the node)."""
    found = []
    turn, at = 0, plan.cycle_seconds
    while at < plan.seconds - plan.cycle_seconds / 2:
        rounds, which = divmod(turn, 3)
        if which == 2:
            found.append((at, "flap", plan.nodes - 1))
        else:
            first = 0 if at < plan.seconds / 3 else 1
            place = first + rounds % (plan.nodes - first)
            found.append((at, ("restart", "kill")[which], place))
        turn += 1
        at += plan.cycle_seconds
    return found


def disturb(mesh: Mesh, what: str, node: Node, plan: Plan) -> None:
    """Do one thing to one node; it runs again afterwards."""
    if what == "restart":
        mesh.stop(node)
        mesh.start(node)
    elif what == "kill":
        os.kill(node.pid, signal.SIGKILL)
        mesh.start(node)
    else:
        pid, length = node.pid, plan.cycle_seconds * _FLAP_SHARE
        for _ in range(_FLAPS):
            os.kill(pid, signal.SIGSTOP)
            try:
                pause(length)
            finally:
                os.kill(pid, signal.SIGCONT)
            pause(length)


@contextmanager
def loaded(mesh: Mesh, plan: Plan, ledger: Ledger) -> Iterator[None]:
    """Writers on all nodes."""
    over = threading.Event()
    share = plan.records // _WRITERS
    writers = [
        Writer(
            mesh.nodes,
            place,
            range(place * share, (place + 1) * share),
            pace_seconds=_WRITERS / plan.rate,
            ledger=ledger,
            over=over,
        )
        for place in range(_WRITERS)
    ]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        over.set()
        for writer in writers:
            writer.join()


@contextmanager
def sampled(sampler: Sampler, every_seconds: float, *, told: bool) -> Iterator[None]:
    """Samples from a thread of their own, with a line on the terminal now and then."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(every_seconds):
            sample = sampler.take()
            if told:
                _say(_line(sample))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _line(sample: dict[str, Any]) -> str:
    memory = " ".join(
        "-" if one is None else f"{one['anonymous_mib']:.0f}" for one in sample["nodes"].values()
    )
    p99 = sample["ms"]["write"].get("p99", "-")
    rate = sample["writes_per_second"]
    return f"{sample['seconds']:7.0f} s  {rate:6.1f} writes/s  p99 {p99} ms  MiB {memory}"


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def soak(folder: Path, plan: Plan, samples: Path, *, told: bool = True) -> dict[str, Any]:
    """Run it all; the verdict, with the facts and events of the run.

    Args:
        folder: an empty place for the mesh.
        plan: what is run.
        samples: file of JSON lines.
        told: whether to say how it goes.
    """
    ledger, events = Ledger(), list[dict[str, Any]]()
    writes = plan.nodes // 2 + 1
    with running(folder, nodes=plan.nodes, writes=writes, environment=SETTINGS) as mesh:
        sampler = Sampler(mesh.nodes, ledger, samples)
        with loaded(mesh, plan, ledger), sampled(sampler, plan.sample_seconds, told=told):
            for at, what, place in disturbances(plan):
                pause(at - sampler.seconds)
                node = mesh.nodes[place]
                if told:
                    _say(f"{sampler.seconds:7.0f} s  {what} {node.name}")
                sampler.mark(what, node.name)
                events.append(
                    {"seconds": round(sampler.seconds, 1), "event": what, "node": node.name}
                )
                disturb(mesh, what, node, plan)
            pause(plan.seconds - sampler.seconds)
        mesh.settle()
        lost = {node.name: ledger.lost(read_back(node, ledger)) for node in mesh.nodes}
    worst = max(len(one) for one in lost.values())
    found = verdict(sampler.samples, lost=worst, seconds=plan.seconds)
    facts = {
        "seconds": plan.seconds,
        "nodes": plan.nodes,
        "requests per second": plan.rate,
        "memories": plan.records,
        "acknowledged writes": ledger.writes,
        "acknowledged writes lost": worst,
        "answers that were not good": dict(sorted(ledger.failures.items())),
        "disturbances": len(events),
        "rising": ", ".join(found["rising"]) or "nothing",
        **machine.facts(),
    }
    return {"facts": facts, "events": events, "found": found, "samples": sampler.samples}


def read_back(node: Node, ledger: Ledger) -> dict[int, int]:
    """The number that a node shows for each memory that was acknowledged."""
    with closing(Client(node)) as client:
        return {
            number: written(client.get(f"/memories/{ident(number)}")["content"])
            for number in ledger.acknowledged
        }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0, help="how long (1800)")
    parser.add_argument("--nodes", type=int, default=3, help="N (3)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (100)")
    parser.add_argument("--records", type=int, default=2_000, help="memories (2000)")
    parser.add_argument("--dir", type=Path, help="where the nodes keep their data")
    parser.add_argument("--out", type=Path, default=Path("soak"), help="folder of the results")
    return parser.parse_args()


def main() -> int:
    """Run it, write the report, say the verdict."""
    asked = _arguments()
    plan = Plan(seconds=asked.seconds, nodes=asked.nodes, rate=asked.rate, records=asked.records)
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=asked.dir, prefix="mnemesh-soak-") as folder:
        try:
            done = soak(Path(folder) / "mesh", plan, asked.out / "samples.jsonl")
        except BenchmarkError as error:
            print(json.dumps({"error": str(error)}))
            return 1
    report = asked.out / "report.html"
    text = page(done["facts"], done["found"], series(done["samples"]), done["events"])
    report.write_text(text, encoding="utf-8")
    print(json.dumps({**done["found"], "facts": done["facts"], "report": str(report)}))
    return 1 if done["found"]["verdict"] == "failed" else 0


if __name__ == "__main__":
    sys.exit(main())
