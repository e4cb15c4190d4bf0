"""`mnemesh doctor`: what is wrong with a node, and what to do about it.

Law: the running node is asked, never this process. Silent when there is nothing to do; the
exit code says how bad it is: 0, 8 for warnings, 9 for something critical, 6 when no node runs or
the one that does is silent, with what its files alone show.
"""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from node.cli.client import Client, running_facts, running_target, why_not_running
from node.cli.options import AsJson, DataDir, KeyDir, options_of, paths_of
from node.cli.output import Output, plain
from node.doctor.finding import Severity
from node.doctor.finding import as_json as told
from node.doctor.offline import examine_offline
from node.doctor.table import SECTIONS
from node.errors import Exit, NodeError, Unreachable, UsageError
from node.paths import Paths

_EXITS: Final = {"warning": Exit.DOCTOR_WARNS, "critical": Exit.DOCTOR_CRITICAL}
_WORST_FIRST: Final = ("critical", "warning", "info", "ok")
_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "cyan", "ok": "green"}
_TO_DO: Final = frozenset({"critical", "warning"})

Data = dict[str, Any]


def doctor(
    *,
    section: Annotated[
        str | None,
        typer.Option("--section", metavar="NAME", help="Only this one.", show_default=False),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Show also what is only worth knowing, and what is well."),
    ] = False,
    data_dir: DataDir = None,
    key_dir: KeyDir = None,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with the node, and what to do about it."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    known = [check.name for check in SECTIONS]
    if section is not None and section not in known:
        raise UsageError(f"there is no section {section!r}", fix=f"One of {', '.join(known)}")
    data = _running(paths)
    code = Exit.OK
    if data is None:
        data, code = _stopped(paths), Exit.UNREACHABLE
    if section is not None:
        data = _only(data, section)
    if code is Exit.OK:
        code = _EXITS.get(str(data.get("severity")), Exit.OK)
    _answer(out, data, everything=everything)
    if code is not Exit.OK:
        raise typer.Exit(int(code))


def _running(paths: Paths) -> Data | None:
    """What the running node says of itself; None when there is none, or it does not answer."""
    if running_facts(paths) is None:
        return None
    try:
        # A key that others can read is a finding, and no reason not to look.
        client = Client(running_target(paths, loose=True))
        data = client.call("GET", "/api/v1/doctor").data
    except Unreachable:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("sections"), list):
        raise NodeError("the node's answer of its doctor cannot be read")
    return data


def _stopped(paths: Paths) -> Data:
    silent = running_facts(paths) is not None
    return told(
        examine_offline(
            paths,
            paths_of(None),
            environ=os.environ,
            now_ms=time.time_ns() // 1_000_000,
            why="the process does not answer" if silent else why_not_running(paths),
            start=options_of(paths),
        )
    )


def _only(data: Data, name: str) -> Data:
    kept = [section for section in data["sections"] if section["name"] == name]
    severity = kept[0]["severity"] if kept else Severity.OK.word
    return {**data, "severity": severity, "sections": kept}


def _answer(out: Output, data: Data, *, everything: bool) -> None:
    found = [
        (section["name"], finding)
        for section in data["sections"]
        for finding in section["findings"]
    ]
    found.sort(key=lambda one: _WORST_FIRST.index(one[1]["severity"]))
    shown = [one for one in found if everything or one[1]["severity"] in _TO_DO]
    out.answer(data, [_table(shown)] if shown else [])
    told_of = [finding["severity"] for _, finding in found]
    if everything or _TO_DO.intersection(told_of):
        return
    worth = told_of.count("info")
    what = "1 thing is" if worth == 1 else f"{worth} things are"
    more = f"; {what} worth knowing, see --all" if worth else ""
    out.say(f"{len(data['sections'])} sections, nothing to do{more}.")


def _table(found: Sequence[tuple[str, Mapping[str, str]]]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("SEVERITY", "SECTION"):
        made.add_column(column, no_wrap=True)
    made.add_column("WHAT, AND WHAT TO DO", overflow="fold")
    for name, finding in found:
        severity = finding["severity"]
        words = Text(plain(finding["text"]))
        for label, key in (("do", "fix"), ("see", "link")):
            if finding[key]:
                words.append(f"\n{label}: ", style="dim").append(plain(finding[key]))
        made.add_row(Text(severity, style=_STYLES[severity]), Text(plain(name)), words)
    return made
