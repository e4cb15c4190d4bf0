"""`chaos check HISTORY`: judge a history again, from the file alone.

Law: no node is asked and no verdict of the harness is believed. Exit code 0: nothing was found, 1:
something was, 2: the file cannot be read, or is no history.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from chaos.check.campaign import Campaign, check_campaign
from chaos.check.cycle import Judged
from chaos.history import read_file

_SUMS: Final = ("acknowledged", "attempted", "lost", "invented", "duplicated", "diverged")
_VERDICTS: Final = ("pass", "fail", "void", "not_run")
_SHOWN_MAX: Final = 20
_HEADS: Final = {
    "not_run": "not run",
    "acknowledged": "acked",
    "attempted": "of",
    "duplicated": "doubled",
    "diverged": "unequal",
}
"""So that the table fits into 80 columns."""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `check` to the commands of a parser."""
    made = commands.add_parser("check", help="judge a history again, from the file alone")
    made.add_argument("history", type=Path, metavar="HISTORY", help="history.jsonl of a campaign")
    made.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    made.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge, print, and return the exit code."""
    try:
        campaign = check_campaign(read_file(args.history))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{args.history}: {error}\n")
        return 2
    if not campaign.judged and campaign.begin is None:
        sys.stderr.write(f"{args.history}: no cycle is in it\n")
        return 2
    document = _document(campaign)
    if args.json:
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
    else:
        _print(document)
    return 1 if document["anomalies"] else 0


def _document(campaign: Campaign) -> dict[str, Any]:
    classes: defaultdict[str, list[Judged]] = defaultdict(list)
    for each in campaign.judged:
        classes[each.fault_class].append(each)
    anomalies = [
        {"cycle": each.cycle, "class": each.fault_class, **one._asdict()}
        for each in campaign.judged
        for one in each.anomalies
    ]
    anomalies.extend({"cycle": 0, "class": "", **one._asdict()} for one in campaign.anomalies)
    return {
        "campaign": campaign.begin.campaign if campaign.begin else "",
        "cycles": len(campaign.judged),
        "unfinished": campaign.unfinished,
        "classes": [{"class": code, **_sums(classes[code])} for code in sorted(classes)],
        "totals": _sums(campaign.judged),
        "anomalies": anomalies,
    }


def _sums(judged: list[Judged]) -> dict[str, int]:
    verdicts = {name: sum(each.verdict == name for each in judged) for name in _VERDICTS}
    sums = {name: sum(getattr(each, name) for each in judged) for name in _SUMS}
    return {"cycles": len(judged), **verdicts, **sums}


def _print(document: dict[str, Any]) -> None:
    console = Console()
    title = escape(f"{document['campaign']}: {document['cycles']} cycles, judged anew")
    table = Table(title=title, box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("class", no_wrap=True)
    columns = ("cycles", *_VERDICTS, *_SUMS)
    for name in columns:
        table.add_column(_HEADS.get(name, name), justify="right", no_wrap=True)
    for row in document["classes"]:
        table.add_row(row["class"], *(str(row[name]) for name in columns))
    table.add_row("all", *(str(document["totals"][name]) for name in columns), style="bold")
    console.print(table)
    if document["unfinished"]:
        told = ", ".join(map(str, document["unfinished"]))
        console.print(f"not played to the end, not judged: {told}")
    for one in document["anomalies"][:_SHOWN_MAX]:
        place = f"cycle {one['cycle']} {one['class']}" if one["cycle"] else "at the end"
        text = f"{place}: {one['checker']}/{one['rule']}: {one['detail']}"
        ops = f" (operations {', '.join(map(str, one['ops']))})" if one["ops"] else ""
        console.print(text + ops, markup=False, highlight=False)
    more = len(document["anomalies"]) - _SHOWN_MAX
    if more > 0:
        console.print(f"and {more} more; --json has them all")
