"""`python -m tests.benchmarks`: measure, and print JSON lines; `profile` looks inside a node.

Law: every line can be read alone. First the machine, then one line a measurement, at the end
one summary line a figure with its median, least and greatest.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import machine
from tests.benchmarks.catalogue import BENCHES, TAGS
from tests.benchmarks.mesh import BenchmarkError
from tests.benchmarks.profiling import profile
from tests.benchmarks.scale import REPEATS, SCALES, Line, Size


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
    for name in asked.only or [name for name, bench in BENCHES.items() if size in bench.sets]:
        bench = BENCHES[name]
        repeats = asked.repeats or min(REPEATS[size], bench.repeats or REPEATS[size])
        for repeat in range(1, repeats + 1):
            _say(f"{name}, run {repeat} of {repeats}", quiet=asked.json)
            for line in bench.run(folder / f"{name}-{repeat}", SCALES[size]):
                yield {**line, "repeat": repeat}


def summaries(lines: list[Line]) -> Iterator[Line]:
    """One line a figure over all its repeats: [median, least, greatest]."""
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        if "skipped" in line:
            continue
        groups.setdefault(tuple(line.get(name) for name in TAGS), []).append(line)
    for tag, group in groups.items():
        named = {name: value for name, value in zip(TAGS, tag, strict=True) if value is not None}
        flat = [dict(_figures(line)) for line in group]
        spread = {
            name: [round(median(found), 3), min(found), max(found)]
            for name in flat[0]
            if (found := [one[name] for one in flat if name in one])
        }
        yield {"summary": True, **named, "repeats": len(group), **spread}


def _figures(line: Line, prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in line.items():
        if isinstance(value, dict):
            yield from _figures(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            numbered = {str(place): one for place, one in enumerate(value, 1)}
            yield from _figures(numbered, f"{prefix}{name}.")
        elif type(value) in (int, float) and name not in (*TAGS, "repeat"):
            yield prefix + name, value


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    with tempfile.TemporaryDirectory(dir=asked.dir, prefix="mnemesh-bench-") as made:
        folder = Path(made)
        try:
            if asked.mode == "profile":
                return profile(folder, clients=asked.clients, index=asked.node - 1)
            _print({"machine": {**machine.facts(), "sync_4k_ms": machine.sync_ms(folder)}})
            began = time.monotonic()
            lines = []
            for line in run(asked, folder):
                _print(line)
                lines.append(line)
            for line in summaries(lines):
                _print(line)
        except BenchmarkError as error:
            _print({"error": str(error)})
            return 1
        _say(f"{time.monotonic() - began:.0f} s", quiet=asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
