"""`chaos report` and `chaos condense`: figures, a page, a summary; and what of a history is kept.

Law: reads histories, writes two files beside the last of them, and touches nothing else. A file
appears whole or not at all. Ends with 0 when the claim holds, with 1 when it does not, with 2 when
there is no history to read or no room for the page.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from chaos.campaign.folder import CampaignFolder
from chaos.catalogue import CATALOGUE
from chaos.report.figures import KINDS, report_of
from chaos.report.markdown import into, markdown
from chaos.report.page import page, verdict_of
from chaos.report.parts import NoPartsError, condensed, lines_of, read_parts
from chaos.report.reading import Campaign
from chaos.report.shape import Report
from chaos.report.words import counted, duration, figure, percent, visible

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - has no other name

_EXIT_FAILED: Final = 1
_EXIT_USAGE: Final = 2
_PIPE_COLUMNS: Final = 160
_FAILURES_SHOWN_MAX: Final = 20


def add_command(subparsers: "Subparsers") -> argparse.ArgumentParser:
    """Adds `report` and `condense` to the commands of the harness."""
    kept = subparsers.add_parser("condense", help="keep of a history what a report needs")
    kept.add_argument("history", type=Path, help="a history, or the folder of a campaign")
    kept.add_argument("into", type=Path, metavar="FILE.jsonl.gz", help="where it goes, packed")
    kept.set_defaults(run=condense)
    parser = subparsers.add_parser("report", help="figures and one HTML page from a history")
    parser.add_argument(
        "history",
        type=Path,
        nargs="+",
        help="a history, or the folder of a campaign; or all parts of one campaign",
    )
    parser.add_argument("--html", type=Path, help="where the page goes; beside the history if not")
    parser.add_argument("--json", action="store_true", help="print report.json, no tables")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--into", type=Path, metavar="FILE", help="renew the tables in a document")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Writes report.json and report.html; prints a summary.

    Args:
        args: history, html, json, markdown, into, as `add_command` declares them.

    Returns:
        The exit code.
    """
    names = {code: one.name for code, one in CATALOGUE.items()}
    histories = [_history(path) for path in args.history]
    try:
        campaign = read_parts(histories)
    except OSError as error:
        return _unread(histories, error)
    except NoPartsError as error:
        sys.stderr.write(f"{visible(error)}\n")
        return _EXIT_USAGE
    history = histories[-1]
    if not campaign.begin and not campaign.cycles:
        sys.stderr.write(f"{visible(history)} is not a history: no line of a campaign is in it\n")
        return _EXIT_USAGE
    page_path: Path = args.html or history.with_name("report.html")
    try:
        report = write(campaign, page_path.with_suffix(".json"), page_path, names)
    except OSError as error:
        return _unwritten(page_path, error)
    if args.into is not None:
        try:
            _put(args.into, into(args.into.read_text(encoding="utf-8"), report))
        except (OSError, ValueError) as error:
            return _unwritten(args.into, error)
    if args.json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    elif args.markdown:
        sys.stdout.write(markdown(report))
    else:
        _tell(report, page_path)
    return 0 if verdict_of(report)[0] else _EXIT_FAILED


def condense(args: argparse.Namespace) -> int:
    """Writes what is kept of a history.

    Args:
        args: history, into, as `add_command` declares them.

    Returns:
        The exit code.
    """
    history = _history(args.history)
    try:
        with lines_of(history) as lines:
            kept = condensed(lines)
    except OSError as error:
        return _unread([history], error)
    try:
        _put(args.into, kept)
    except OSError as error:
        return _unwritten(args.into, error)
    sys.stderr.write(f"{visible(args.into)}: {len(kept):,} bytes\n")
    return 0


def _history(given: Path) -> Path:
    return CampaignFolder(given).history if given.is_dir() else given


def _unread(histories: Sequence[Path], error: OSError) -> int:
    named = error.filename or ", ".join(map(str, histories))
    sys.stderr.write(f"cannot read {visible(named)}: {error.strerror or error}\n")
    return _EXIT_USAGE


def _unwritten(path: Path, error: Exception) -> int:
    sys.stderr.write(f"cannot write {visible(path)}: {visible(error)}\n")
    return _EXIT_USAGE


def write(
    campaign: Campaign, data: Path, html: Path, names: Mapping[str, str] | None = None
) -> Report:
    """Writes the figures and the page of a campaign, and returns the figures.

    Args:
        campaign: as `read` gives it.
        data: path of report.json.
        html: path of report.html.
        names: of all classes of the catalogue.

    Raises:
        OSError: a file cannot be written.
    """
    report = report_of(campaign, names)
    # Without non-ASCII letters, so that half a surrogate pair in a history can be written too.
    _put(data, json.dumps(report, indent=2) + "\n")
    _put(html, page(campaign, report))
    return report


def _put(path: Path, text: str | bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(text if isinstance(text, bytes) else text.encode())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _tell(report: Report, html: Path) -> None:
    width = None if sys.stdout.isatty() else _PIPE_COLUMNS
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for name in ("cycles", "pass", "fail", "void", "not run", "acked", *KINDS, "bound", "p50 s"):
        table.add_column(name, justify="right")
    table.add_column("max s", justify="right")
    for row in report["classes"]:
        loud = row["fail"] or row["lost"] or row["invented"] or row["duplicated"] or row["diverged"]
        share = row["acknowledged"] / row["attempted"] if row["attempted"] else None
        counts = (row["cycles"], row["pass"], row["fail"], row["void"], row["not_run"])
        kinds = (row["lost"], row["invented"], row["duplicated"], row["diverged"])
        table.add_row(
            visible(f"{row['class']} {row['name']}".strip(), 44),
            *(f"{count:,}" for count in counts),
            percent(share),
            *(f"{count:,}" for count in kinds),
            percent(row["bound95"], 2),
            *(figure(row["converged_s"][key]) for key in ("p50", "max")),
            style="bold red" if loud else None,
        )
    console.print(table)
    for one in report["failures"][:_FAILURES_SHOWN_MAX]:
        console.print(visible(f"{one['class']} cycle {one['cycle']}: {one['why']}"), style="red")
        console.print(f"  {visible(one['replay'])}")
    more = len(report["failures"]) - _FAILURES_SHOWN_MAX
    if more > 0:
        console.print(f"and {counted(more, 'more failed cycle')}, listed in the page")
    for found in report["whole"][:_FAILURES_SHOWN_MAX]:
        console.print(visible(f"at the end: {found['rule']}: {found['detail']}"), style="red")
    totals = report["totals"]
    good, said = verdict_of(report)
    console.print(
        f"\n{'holds' if good else 'does not hold'}: {said}; "
        f"{totals['acknowledged']:,} writes acknowledged in {duration(report['seconds'])}, "
        f"{counted(totals['void'], 'cycle')} void, {totals['aborted']:,} aborted, "
        f"{totals['not_run']:,} not run",
        style="bold green" if good else "bold red",
    )
    console.print(f"page: {visible(html)}")
