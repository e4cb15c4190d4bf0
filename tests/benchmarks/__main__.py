"""`python -m tests.benchmarks`: measure, and print JSON lines; `profile` looks inside a node.

Law: every line can be read alone. First the machine, then one line a measurement, at the end
one summary line a figure with its median, least and greatest, and one line a target. Tables for
people go to standard error.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tests.benchmarks import etcd, machine, redis, tables
from tests.benchmarks.catalogue import BENCHES, TAGS
from tests.benchmarks.processes import version
from tests.benchmarks.profiling import profile
from tests.benchmarks.scale import REPEATS, SCALES, Line, Size
from tests.benchmarks.sending import BenchmarkError
from tests.benchmarks.summary import summaries
from tests.benchmarks.targets import TARGETS


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("mode", nargs="?", choices=("run", "profile"), default="run")
    sizes = parser.add_mutually_exclusive_group()
    for size in SCALES:
        about = f"{REPEATS[size]} of each, {SCALES[size].seconds:g} s a figure"
        sizes.add_argument(
            f"--{size}", dest="size", action="store_const", const=size, default="bench", help=about
        )
    parser.add_argument("--only", choices=tuple(BENCHES), action="append", help="these alone")
    parser.add_argument(
        "--load", choices=("wrk", "own"), help="who sends; wrk where installed, else our own driver"
    )
    parser.add_argument("--repeats", type=int, help="runs of each")
    parser.add_argument("--json", action="store_true", help="nothing but JSON, no words beside it")
    parser.add_argument("--dir", type=Path, help="where the nodes keep their data")
    parser.add_argument("--clients", type=int, default=64, help="profile: clients (64)")
    parser.add_argument("--node", type=int, default=1, help="profile: which node (1 takes writes)")
    return parser.parse_args()


def _say(words: str, *, quiet: bool) -> None:
    if not quiet:
        print(words, file=sys.stderr, flush=True)


def _print(line: Line) -> None:
    print(json.dumps(line), flush=True)


def run(asked: argparse.Namespace, folder: Path) -> Iterator[Line]:
    """All measurements that were asked for."""
    size: Size = asked.size
    scale = replace(SCALES[size], load=asked.load)
    for name in asked.only or [name for name, bench in BENCHES.items() if size in bench.sets]:
        bench = BENCHES[name]
        repeats = asked.repeats or min(REPEATS[size], bench.repeats or REPEATS[size])
        for repeat in range(1, repeats + 1):
            _say(f"{name}, run {repeat} of {repeats}", quiet=asked.json)
            # One bench that fails says so, and the others are measured all the same.
            try:
                for line in bench.run(folder / f"{name}-{repeat}", scale):
                    yield {"repeat": repeat, **line}
            except BenchmarkError as error:
                yield {"error": str(error), "of": name, "repeat": repeat}
            finally:
                # What a mesh of one repeat left on the disk must not slow the next.
                shutil.rmtree(folder / f"{name}-{repeat}", ignore_errors=True)


def _ended(number: int, frame: FrameType | None) -> None:
    """Told to end: leave every block, so that whatever was started is ended too."""
    del frame
    raise SystemExit(128 + number)


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ended)
    with tempfile.TemporaryDirectory(dir=asked.dir, prefix="mnemesh-bench-") as made:
        folder = Path(made)
        if asked.mode == "profile":
            try:
                return profile(folder, clients=asked.clients, index=asked.node - 1)
            except BenchmarkError as error:
                _print({"error": str(error)})
                return 1
        _print({"machine": {**machine.facts(), "sync_4k_ms": machine.sync_ms(folder), **rivals()}})
        began = time.monotonic()
        lines = []
        for line in run(asked, folder):
            _print(line)
            lines.append(line)
    _tell(lines, set(asked.only or BENCHES), quiet=asked.json)
    _say(f"{time.monotonic() - began:.0f} s", quiet=asked.json)
    return int(any("error" in line for line in lines))


def _tell(lines: list[Line], asked: set[str], *, quiet: bool) -> None:
    totals = list(summaries(lines, TAGS))
    # Who asked for some benches by name wants to hear of those; a whole run hides no target.
    judged = [target.judged(lines) for target in TARGETS if target.of.tags["bench"] in asked]
    for line in (*totals, *judged):
        _print(line)
    if not quiet:
        skipped = {line["why"]: line for line in lines if "skipped" in line}
        tables.show(totals, judged, list(skipped.values()))


def rivals() -> Line:
    """The versions of what is compared with, and of what sends the load; None for absent."""
    sender = version("wrk", "-v")
    return {"wrk": sender, "etcd": etcd.installed(), "redis": redis.installed()}


if __name__ == "__main__":
    sys.exit(main())
