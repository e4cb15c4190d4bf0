"""`python -m chaos maelstrom test`: play one workload against one program.

Law: options are called what the original calls them, where it has them. The exit code is 0
for `pass`, 1 for `fail`, 2 for `void` and for what could not be started or understood.

    python -m chaos maelstrom test -w broadcast --node-count 5 --time-limit 10 --rate 50 \
        --nemesis partition -- ./my-node --its-option
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from rich.console import Console

from chaos.maelstrom.history import record
from chaos.maelstrom.nemesis import TARGETS
from chaos.maelstrom.network import DISTRIBUTIONS
from chaos.maelstrom.options import Options
from chaos.maelstrom.play import Play, StartError
from chaos.maelstrom.show import show
from chaos.maelstrom.verdict import report
from chaos.maelstrom.workload import TOPOLOGIES, WORKLOADS
from chaos.recorder import Recorder

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its type

EXIT: Final = {"pass": 0, "fail": 1, "void": 2}
_SEEDS: Final = 2**31
_NODES_MAX: Final = 100


def add_command(subparsers: "Subparsers") -> None:
    """Register `maelstrom` beside the other commands."""
    parser = subparsers.add_parser(
        "maelstrom", help="play Maelstrom's workloads against a program that speaks its protocol"
    )
    acts = parser.add_subparsers(dest="act", required=True)
    test = acts.add_parser("test", help="run one test")
    add_options(test)
    test.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of a test."""
    add = parser.add_argument
    add("-w", "--workload", choices=list(WORKLOADS), required=True)
    add("--bin", metavar="FILE", help="the program that plays a node, without arguments")
    add("--node-count", type=_count, default=5, metavar="N")
    add("--time-limit", type=_positive, default=10.0, metavar="SECONDS")
    add("--rate", type=_positive, default=20.0, metavar="PER_SECOND", help="of all clients")
    add("--concurrency", type=_clients, default="1n", metavar="N", help="clients; 2n: two a node")
    add("--nemesis", choices=["none", "partition"], default="none")
    add("--nemesis-interval", type=_positive, metavar="SECONDS", help="default: a quarter")
    add("--partition-targets", type=_targets, default=tuple(TARGETS), metavar=",".join(TARGETS))
    add("--latency", type=_share_free, default=0.0, metavar="MS", help="mean, between nodes")
    add("--latency-dist", choices=DISTRIBUTIONS, default="exponential")
    add("--p-loss", type=_share, default=0.0, metavar="SHARE", help="of messages between nodes")
    add("--p-double", type=_share, default=0.0, metavar="SHARE", help="that arrive twice")
    add("--topology", choices=TOPOLOGIES, default="grid")
    add("--availability", choices=["any", "total"], default="any")
    add("--recovery", type=_positive, default=10.0, metavar="SECONDS")
    add("--rpc-timeout", type=_positive, default=5.0, metavar="SECONDS")
    add("--seed", type=int, help="default: drawn, and said")
    add("--history", type=Path, metavar="FILE", help="write every operation here as JSON lines")
    add("--json", action="store_true", help="the report as one JSON object")
    add("command", nargs="*", help="after `--`: program and arguments; default: this project's")


def run(args: argparse.Namespace) -> int:
    """Play the test that the arguments describe, print the report, and say how it ended."""
    options = options_of(args)
    console = Console(stderr=True) if args.json else Console()
    try:
        play = Play(options)
        played = trio.run(play.run)
    except BaseExceptionGroup as several:
        if several.split((StartError, OSError))[1] is not None:
            raise
        console.print(f"not started: {first_of(several)}", markup=False)
        return EXIT["void"]
    if args.history is not None:
        with Recorder(args.history) as recorder:
            recorder.event(
                "begin",
                campaign=f"maelstrom {options.workload}",
                seed=options.seed,
                nodes=options.nodes,
                quorum_writes=1,
                plan={"command": list(options.argv)},
            )
            record(played.ops, recorder)
    said = report(options, played)
    if args.json:
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        show(said, console)
    return EXIT[said["outcome"]]


def first_of(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error that a group holds."""
    held: BaseException = several
    while isinstance(held, BaseExceptionGroup):
        held = held.exceptions[0]
    return held


def options_of(args: argparse.Namespace) -> Options:
    """Arguments as options."""
    nodes: int = args.node_count
    clients: str = args.concurrency
    count = int(clients[:-1]) * nodes if clients.endswith("n") else int(clients)
    seed = args.seed if args.seed is not None else time.time_ns() % _SEEDS
    return Options(
        workload=args.workload,
        command=tuple(args.command) or ((args.bin,) if args.bin else ()),
        node_count=nodes,
        concurrency=count,
        rate=args.rate,
        time_limit_s=args.time_limit,
        partition=args.nemesis == "partition",
        targets=args.partition_targets,
        nemesis_interval_s=args.nemesis_interval or args.time_limit / 4,
        latency_ms=args.latency,
        latency_dist=args.latency_dist,
        p_loss=args.p_loss,
        p_double=args.p_double,
        topology=args.topology,
        total=args.availability == "total",
        recovery_s=args.recovery,
        rpc_timeout_s=args.rpc_timeout,
        seed=seed,
    )


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("a number above zero is wanted")
    return number


def _share_free(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("a number from zero is wanted")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("a share from 0 to below 1 is wanted")
    return number


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _NODES_MAX:
        raise argparse.ArgumentTypeError(f"1 to {_NODES_MAX} nodes")
    return number


def _clients(text: str) -> str:
    number = text.removesuffix("n")
    if not number.isascii() or not number.isdigit() or not int(number):
        raise argparse.ArgumentTypeError("a number, or a number a node as in 2n")
    return text


def _targets(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := [name for name in names if name not in TARGETS]:
        raise argparse.ArgumentTypeError(f"no such target: {', '.join(unknown)}")
    return names
