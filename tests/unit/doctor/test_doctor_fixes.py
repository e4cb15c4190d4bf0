"""What findings tell people to type: commands and options that exist, settings that exist."""

import re
import shlex
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import typer

from node.cli.app import command_tree
from node.doctor import examine
from node.doctor.facts import Facts
from node.doctor.node_sections import NOT_RUNNING
from node.doctor.steps import set_to
from node.settings import TABLE
from tests.unit.doctor.healthy import healthy, settings_with
from tests.unit.doctor.planted_facts import PLANTED

_COMMAND = re.compile(r"`(mnemesh [^`]+)`")
_LINE = re.compile(r"under \[([\w.-]+)\], (?:write|take out) (\w+)")
_FOLDER = " --data-dir '/some where/else'"


def planted(change: dict[str, Any]) -> Facts:
    facts = healthy(**change)
    return replace(facts, node=replace(facts.node, options=_FOLDER, start=_FOLDER))


@cache
def commands() -> Any:
    return typer.main.get_command(command_tree())


def check_command(line: str) -> None:
    """That there is such a command and that it has the options."""
    command, words = commands(), shlex.split(line)[1:]
    while hasattr(command, "commands") and not words[0].startswith("-"):
        assert words[0] in command.commands, line
        command, words = command.commands[words[0]], words[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("row", PLANTED, ids=lambda row: row[0])
def test_a_fix_can_be_typed(row: Any) -> None:
    facts = planted(row[1])
    settings = {row.name for row in TABLE}
    for section in examine(facts):
        for finding in section.findings:
            assert finding.fix.count("`") % 2 == 0, finding.fix
            for line in _COMMAND.findall(finding.fix):
                check_command(line)
                away = line.startswith(("mnemesh node allow", "mnemesh init"))
                assert away or line.endswith(_FOLDER), line
            for part, key in _LINE.findall(finding.fix):
                known = f"{part.partition('.')[0]}.{key}"
                assert known in settings or part.startswith("hooks."), finding.fix


@pytest.mark.parametrize("planned", [row for row in PLANTED if row[0] == "not-running"])
def test_a_stopped_node_is_started_by_its_fix(planned: Any) -> None:
    fixes = [
        f.fix
        for s in examine(planted(planned[1]))
        for f in s.findings
        if f.link == NOT_RUNNING.link
    ]
    assert fixes == [f"Start it: `mnemesh serve --detach{_FOLDER}`"]


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ("file /c", 'In /nowhere/data/config.toml, under [permissions], write mode = "enforce"; '),
        ("default", 'In /nowhere/data/config.toml, under [permissions], write mode = "enforce"; '),
        ("flag --x", "Take  out of the command that starts the node, "),
        ("environment X", "Take MNEMESH_PERMISSIONS_MODE out of the environment of the node, "),
    ],
)
def test_a_setting_is_changed_where_it_comes_from(origin: str, wanted: str) -> None:
    held = replace(settings_with(), origins={"permissions.mode": origin})
    words = set_to(healthy(settings=held), "permissions.mode", "enforce")
    assert words.startswith(wanted)
    assert "4711" in words or "mnemesh stop" in words


def test_a_setting_that_needs_a_restart_says_so_and_one_that_goes_is_taken_out() -> None:
    facts = healthy()
    assert "start the node again" in set_to(facts, "storage.map_bytes", 1)
    assert "under [quorum], take out writes; `kill -HUP 4711`" in set_to(
        facts, "quorum.writes", None
    )
    assert "x.y to true" in set_to(facts, "x.y", value=True)
