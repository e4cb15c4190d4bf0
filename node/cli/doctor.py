"""`mnemesh doctor`: what is wrong with a node, and what to do about it.

Law: the running node is asked, never this process. Silent when there is nothing to do; the
exit code says how bad it is: 0, 8 for warnings, 9 for something critical, 6 when no node runs,
with what its files alone show.
"""

import os
import time
from typing import Any, Final

import typer

from node.cli.client import Client, running_facts, running_target, why_not_running
from node.cli.options import AsJson, DataDir, KeyDir, options_of, paths_of
from node.cli.output import Output, table
from node.doctor.finding import as_json as told
from node.doctor.offline import examine_offline
from node.errors import Exit, NodeError

_EXITS: Final = {"warning": Exit.DOCTOR_WARNS, "critical": Exit.DOCTOR_CRITICAL}
_WELL: Final = "ok"
_WORST_FIRST: Final = ("critical", "warning", "info")


def doctor(*, data_dir: DataDir = None, key_dir: KeyDir = None, as_json: AsJson = False) -> None:
    """Say what is wrong with the node, and what to do about it."""
    out = Output(as_json=as_json)
    paths = paths_of(data_dir, key_dir)
    if running_facts(paths) is None:
        sections = examine_offline(
            paths,
            environ=os.environ,
            now_ms=time.time_ns() // 1_000_000,
            why=why_not_running(paths),
            options=options_of(paths),
        )
        _answer(out, told(sections))
        raise typer.Exit(int(Exit.UNREACHABLE))
    data = Client(running_target(paths)).call("GET", "/api/v1/doctor").data
    if not isinstance(data, dict) or not isinstance(data.get("sections"), list):
        raise NodeError("the node's answer of its doctor cannot be read")
    _answer(out, data)
    code = _EXITS.get(str(data.get("severity")), Exit.OK)
    if code is not Exit.OK:
        raise typer.Exit(int(code))


def _answer(out: Output, data: dict[str, Any]) -> None:
    rows = [
        (
            str(finding["severity"]),
            section["name"],
            finding["text"],
            finding["fix"],
            finding["link"],
        )
        for section in data["sections"]
        for finding in section["findings"]
        if finding["severity"] != _WELL
    ]
    rows.sort(key=lambda row: _WORST_FIRST.index(row[0]) if row[0] in _WORST_FIRST else 0)
    people = [table(("SEVERITY", "SECTION", "WHAT", "DO", "SEE"), rows)] if rows else []
    out.answer(data, people)
    if not rows:
        out.say(f"{len(data['sections'])} sections, nothing to do.")
