"""`chaos run` and `chaos list`.

Law: seed and plan are printed and written down before anything starts. A cycle that failed is
told at once, with the command that plays it again.
"""

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chaos.campaign.folder import CampaignFolder, FolderTakenError
from chaos.campaign.plan import BadPlanError, Plan, Turn, plan_of, plans, read_plan, rest_of
from chaos.campaign.progress import CycleProgress
from chaos.campaign.runner import CampaignAbortedError, Runner, innermost
from chaos.campaign.tally import Tally
from chaos.catalogue import CATALOGUE
from chaos.check.campaign import check_campaign
from chaos.faults.registry import injectors
from chaos.history import WHOLE, Anomaly, read_file
from chaos.mesh import NotSteadyError, Shape, opened
from chaos.network.places import in_namespaces, on_loopback
from chaos.process import NodeEndedError
from chaos.report.machine import machine
from chaos.report.parts import NoPartsError, read_parts
from chaos.sandbox import is_inside, means, play_inside
from chaos.workloads import WORKLOADS

if TYPE_CHECKING:
    # argparse has no public name for what `add_subparsers` returns.
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

_FOLDER: Final = Path("chaos-campaign")
_SHOWN_MAX: Final = 20
# A log that is outlasted in seconds, and cut as soon; what is in force without it is days.
CONFIG: Final = {"storage": {"log_bytes_max": 2 << 20, "maintenance_interval_secs": 1.0}}
_NODES_MIN: Final = 2
_STOPS_S: Final = 1.0  # a terminal says it to the harness and to its room, so it is heard twice
_HASTY: Final = 130
_ABORTS: Final = (CampaignAbortedError, NotSteadyError, NodeEndedError, OSError)
"""What ends a campaign that was begun; an OSError: the machine has no room for the history."""


def add_command(subparsers: "Subparsers") -> None:
    """Add `run` and `list`."""
    run = subparsers.add_parser("run", help="play a campaign on a mesh of real nodes")
    run.add_argument(
        "--plan", metavar="NAME|FILE", help=f"one of {', '.join(plans())} (smoke), or a file"
    )
    run.add_argument("--class", dest="classes", metavar="F01,...", help="only these classes")
    run.add_argument("--cycles", type=int, metavar="N", help="cycles of each class")
    run.add_argument("--seed", type=int, metavar="S", help="decides everything; drawn without")
    run.add_argument("--nodes", type=int, metavar="N")
    run.add_argument("--quorum-writes", type=int, metavar="W")
    run.add_argument("--folder", type=Path, default=_FOLDER, metavar="DIR")
    goes_on = run.add_mutually_exclusive_group()
    goes_on.add_argument(
        "--resume", action="store_true", help="go on with the campaign of the folder"
    )
    goes_on.add_argument(
        "--after",
        type=Path,
        nargs="+",
        metavar="HISTORY",
        help="play what these parts of a campaign have left, on a new mesh",
    )
    run.add_argument("--only", metavar="F01,...", help="play these now, leave the rest for later")
    run.add_argument("--stop-after", type=float, metavar="MINUTES", help="leave the rest for later")
    run.add_argument("--no-room", action="store_true", help="no namespaces, even where there are")
    run.add_argument("--json", action="store_true", help="one JSON document at the end")
    run.set_defaults(run=run_campaign)
    listed = subparsers.add_parser("list", help="the classes of faults, and which run here")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(run=list_classes)


def run_campaign(args: argparse.Namespace) -> int:
    """Play a campaign; returns the exit code."""
    err = Console(stderr=True, highlight=False)
    if not is_inside() and not args.no_room:
        code = play_inside([sys.executable, "-P", "-m", "chaos", *sys.argv[1:]])
        if code is not None:
            return code
        err.print("no namespaces here: classes that need them are reported as not run")
    folder = CampaignFolder(args.folder.resolve())
    try:
        plan = folder.resume() if args.resume else plan_from(args)
        only = _only(args, plan)
        if not args.resume:
            folder.begin(plan)
        turns = [turn for turn in folder.left(plan) if turn.code in only]
        code = trio.run(_until_told, folder, plan, turns, args, err)
    except (BadPlanError, FolderTakenError) as error:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 2
    except BaseExceptionGroup as group:
        ours, others = group.split(_ABORTS)
        if others is not None or ours is None:
            raise
        err.print(f"[red]aborted:[/] {escape(str(innermost(ours)))}", soft_wrap=True)
        err.print(f"the stores and logs are in {folder.mesh}")
        return 3
    finally:
        folder.leave()
    if code is None:
        raise KeyboardInterrupt
    return code


def plan_from(args: argparse.Namespace) -> Plan:
    """The plan of a command line.

    Raises:
        BadPlanError: it cannot be played.
    """
    if args.after:
        return _rest(args)
    plan = read_plan(args.plan) if args.plan or not args.classes else Plan()
    if args.classes:
        plan = replace(plan, classes={c: plan.classes.get(c, 1) for c in _codes(args.classes)})
    if args.cycles is not None:
        plan = replace(plan, classes=dict.fromkeys(plan.classes, args.cycles))
    most = max(plan.classes.values(), default=0)
    if most < 1:
        raise BadPlanError(f"plan {plan.name}: {most} cycles play nothing")
    nodes = plan.nodes if args.nodes is None else args.nodes
    writes = plan.quorum_writes if args.nodes is None else nodes // 2 + 1
    writes = writes if args.quorum_writes is None else args.quorum_writes
    if nodes < _NODES_MIN:
        raise BadPlanError(f"a mesh of {nodes} has no link to break: {_NODES_MIN} nodes or more")
    if not 1 <= writes <= nodes:
        raise BadPlanError(f"{writes} of {nodes} nodes can never confirm a write")
    seed = args.seed if args.seed is not None else (plan.seed or secrets.randbelow(2**31))
    return replace(plan, nodes=nodes, quorum_writes=writes, seed=seed)


def _rest(args: argparse.Namespace) -> Plan:
    """What the parts of a campaign have left.

    Raises:
        BadPlanError: they are no parts, or something else is asked for beside them.
    """
    asked = (args.plan, args.classes, args.cycles, args.seed, args.nodes, args.quorum_writes)
    if any(one is not None for one in asked):
        raise BadPlanError("plan, seed and mesh are those of the parts: leave them out")
    try:
        return rest_of(read_parts(args.after))
    except (OSError, NoPartsError) as error:
        raise BadPlanError(f"cannot go on after these: {error}") from error


def _codes(given: str) -> list[str]:
    """Classes as somebody typed them.

    Raises:
        BadPlanError: there is no such class.
    """
    wanted = [code.strip().upper() for code in given.split(",")]
    return list(plan_of({"classes": dict.fromkeys(wanted, 1)}, "by hand").classes)


def _only(args: argparse.Namespace, plan: Plan) -> Collection[str]:
    """Classes of a plan that are to be played now.

    Raises:
        BadPlanError: it does not play one of those that were asked for.
    """
    only = _codes(args.only) if args.only else plan.classes
    for code in only:
        if code not in plan.classes:
            raise BadPlanError(f"{code} is not in the plan, which plays {', '.join(plan.classes)}")
    return only


async def _until_told(
    folder: CampaignFolder, plan: Plan, turns: list[Turn], args: argparse.Namespace, err: Console
) -> int | None:
    """Play until the end or until a signal says stop; None for the latter."""
    code: int | None = None
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    with trio.open_signal_receiver(*numbers) as said:

        async def listen(scope: trio.CancelScope) -> None:
            first: float | None = None
            async for _ in said:
                if first is None:
                    first = trio.current_time()
                    err.print("the nodes are being ended; a second word ends them at once")
                    scope.cancel()
                elif trio.current_time() - first > _STOPS_S:
                    os._exit(_HASTY)  # whatever still runs dies with this process

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen, nursery.cancel_scope)
            code = await _play(folder, plan, turns, args, err)
            nursery.cancel_scope.cancel()
    return code


async def _play(
    folder: CampaignFolder, plan: Plan, turns: list[Turn], args: argparse.Namespace, err: Console
) -> int:
    counts: Counter[str] = Counter()
    with Tally(folder.history) as recorder:
        if not recorder.resumed:
            recorder.event(
                "begin",
                campaign=folder.path.name,
                seed=plan.seed,
                nodes=[f"n{n + 1}" for n in range(plan.nodes)],
                quorum_writes=plan.quorum_writes,
                plan=plan.as_dict(),
                version=_version(),
                started=datetime.now(UTC).isoformat(timespec="seconds"),
                machine=machine(),
            )
        able = means()
        err.print(f"plan {plan.name}, seed {plan.seed}, {len(turns)} cycles, folder {folder.path}")
        shape = Shape(
            nodes=plan.nodes,
            quorum_writes=plan.quorum_writes,
            quorum_timeout_ms=plan.quorum_timeout_ms,
            config=CONFIG,
        )
        places = in_namespaces if able.namespaces else on_loopback
        with CycleProgress(err, plan, len(turns)) as told:
            async with opened(folder.mesh, shape, places, rng=random.Random(plan.seed)) as mesh:
                runner = Runner(
                    plan=plan,
                    mesh=mesh,
                    recorder=recorder,
                    means=able,
                    injectors=injectors(),
                    workloads=dict(WORKLOADS),
                    told=lambda turn, outcome: told(turn, outcome, counts),
                )
                await runner.play(turns, seconds=(args.stop_after or 1e9) * 60)
                await runner.read_all()
        # Judged anew from the file, with every cycle of earlier runs and the reads of whole stores.
        whole = check_campaign(read_file(folder.history)).anomalies
        recorder.event("note", what=WHOLE, anomalies=[one._asdict() for one in whole])
    return _said(folder, counts, whole, args, err)


def _said(
    folder: CampaignFolder,
    counts: Counter[str],
    whole: list[Anomaly],
    args: argparse.Namespace,
    err: Console,
) -> int:
    if args.json:
        document = {"folder": str(folder.path), "verdicts": dict(counts)}
        sys.stdout.write(json.dumps(document) + "\n")
    err.print(
        " · ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) or "nothing left"
    )
    for one in whole[:_SHOWN_MAX]:
        err.print(f"{one.checker} {one.rule}: {one.detail}", markup=False)
    err.print(f"mnemesh chaos report {folder.path}")
    return 1 if counts["fail"] or whole else 0


def _version() -> str:
    """What the program says of itself; chaos stands outside and asks."""
    asked = subprocess.run(
        [sys.executable, "-P", "-m", "node", "version"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def list_classes(args: argparse.Namespace) -> int:
    """Show the catalogue, and what can be played on this machine."""
    known = injectors()
    able = means() if is_inside() else None
    if able is None:
        code = play_inside([sys.executable, "-P", "-m", "chaos", *sys.argv[1:]])
        if code is not None:
            return code
        able = means()
    rows: list[dict[str, Any]] = []
    for code_, each in CATALOGUE.items():
        injector = known.get(code_)
        missing = able.missing(injector.needs) if injector else ["an injector"]
        rows.append(
            {
                "class": code_,
                "name": each.name,
                "must_hold": each.must_hold,
                "runs_here": not missing,
                "lacks": missing,
            }
        )
    if args.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return 0
    table = Table("class", "fault", "must hold, beside the law of all", "here")
    for row in rows:
        here = "yes" if row["runs_here"] else f"no: {', '.join(row['lacks'])}"
        table.add_row(row["class"], row["name"], row["must_hold"], here)
    Console().print(table)
    return 0
