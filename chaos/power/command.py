"""`mnemesh chaos power`: power loss, class F22, on a node of its own.

Law: exit code 0: every image kept every promise; 1: one did not; 2: it cannot be run here, or
what ran proves nothing. For people a bar and a table, with `--json` one document and no more.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaos.power.cycle import PowerResult, power_cycle, replay
from chaos.power.recording import LoadFailed
from chaos.power.recording import Progress as Tell
from chaos.power.syscalls import TraceError, missing
from chaos.power.writelog import Incomplete

_IMAGES: Final = 2000
_REQUESTS: Final = 600
_SHOWN: Final = 12
OK, BROKEN, NOT_RUN = 0, 1, 2


def add_command(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Register `power`."""
    made = subparsers.add_parser(
        "power",
        help="Power loss: open every legal crash image of a node's files (F22).",
        description="Run a real node under strace and load, rebuild what its files may look like"
        " after a power loss at any moment, open each image with the node's own code and compare"
        " it with what was acknowledged.",
    )
    made.add_argument("--images", type=_positive, default=_IMAGES, help="how many (default 2000)")
    made.add_argument(
        "--requests", type=_positive, default=_REQUESTS, help="of the load (default 600)"
    )
    made.add_argument("--seed", type=int, default=1, help="draws load and images (default 1)")
    made.add_argument("--keep", type=Path, help="folder for the write log when an image is broken")
    made.add_argument("--log", type=Path, help="judge such a log instead of running a node")
    made.add_argument("--json", action="store_true", help="one JSON document")
    made.set_defaults(run=run)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def run(args: argparse.Namespace) -> int:
    """Run one cycle and say what it showed."""
    why = "" if args.log else missing()
    if why:
        return _cannot(args, why)
    console = Console(stderr=True, quiet=args.json)
    try:
        with _bar(console) as tell:
            result = _result(args, tell)
    except (LoadFailed, Incomplete, TraceError) as error:
        return _cannot(args, f"{type(error).__name__}: {error}")
    if args.json:
        sys.stdout.write(json.dumps(result.data(), indent=2) + "\n")
    else:
        _show(Console(), result)
    return OK if result.ok else BROKEN


def _result(args: argparse.Namespace, tell: Tell) -> PowerResult:
    if args.log is not None:
        return replay(args.log, seed=args.seed, count=args.images, progress=tell)
    return power_cycle(
        seed=args.seed,
        count=args.images,
        requests=args.requests,
        keep=args.keep,
        progress=tell,
    )


def _cannot(args: argparse.Namespace, why: str) -> int:
    if args.json:
        sys.stdout.write(json.dumps({"ok": False, "not_run": why}) + "\n")
    else:
        sys.stderr.write(f"not run: {why}\n")
    return NOT_RUN


@contextmanager
def _bar(console: Console) -> Iterator[Tell]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        tasks: dict[str, int] = {}

        def tell(phase: str, done: int, whole: int) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=whole)
            bar.update(tasks[phase], completed=min(done, whole), total=whole)  # type: ignore[arg-type]  # TaskID is an int

        yield tell


def _show(console: Console, result: PowerResult) -> None:
    table = Table(title=f"Power loss (F22), seed {result.seed}", show_header=False)
    recall = ", ".join(f"{what} {count}" for what, count in sorted(result.recall.items()))
    rows = (
        ("writes acknowledged / sent", f"{result.acknowledged} / {result.attempted}"),
        ("operations in the log", f"{result.operations}, {result.syncs} of them syncs"),
        ("bytes that its replay explains", f"{result.compared_bytes}, all of them"),
        ("distinct images", str(result.images)),
        ("opened", str(result.opened)),
        ("with every promise kept", str(result.whole)),
        ("acknowledged records looked for", str(result.required)),
        ("derived index", recall),
        ("seconds: load, images", f"{result.record_s}, {result.judge_s}"),
    )
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)
    for rule, count in sorted(result.anomalies.items()):
        console.print(f"[bold red]{rule}[/]: {count}", highlight=False)
    for one in result.broken[:_SHOWN]:
        console.print(f"image {one.number}: {one.rule}: {one.detail} ({one.choice})", markup=False)
    if result.log:
        console.print(f"the write log is in {result.log}", markup=False)
