"""Following what the doctor prints, to the letter, on real nodes.

Law: a fix is followed as an operator would read it: what stands in backticks is run by a shell,
settings that it names are written to the file that it names, a node that it starts again is started
as before. What is only words is left to the test.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.settings.toml_file import write_config
from tests.integration.rig import RealNode, clean_environment, until
from tests.integration.rig_commands import mnemesh

_WRITE = re.compile(r"In (\S+), under \[([\w.-]+)\], write (\w+) = (.+?); ")
_TAKE_OUT = re.compile(r"In (\S+), under \[([\w.-]+)\], take out (\w+); ")
_FLAG = re.compile(r"Take (--[\w-]+) out of the command")
_VARIABLE = re.compile(r"(?:Take|or unset) (\w+) out of the environment")
_COMMAND = re.compile(r"(?:On ([\w-]+): )?`([^`]+)`")
_START = "start the node"
Finding = tuple[str, str, str]


def note_backup(node: RealNode, *, hours: float = 0.0) -> None:
    """Let a node think that it was backed up so long ago."""
    at_ms = int((time.time() - hours * 3600) * 1000)
    note = {"at_ms": at_ms, "path": "/backups", "id": "0"}
    (node.data_dir / "last_backup.json").write_text(json.dumps(note))


def asked(node: RealNode) -> Any:
    """What a node says of itself."""
    return node.tell("GET", "/doctor")


def commanded(node: RealNode) -> Any:
    """The answer of `mnemesh doctor --json`; its exit code must be that of its severity."""
    ran = mnemesh("doctor", "--json", node=node)
    assert ran.code == {"warning": 8, "critical": 9}.get(ran.json["severity"], 0), ran
    return ran.json


def found_in(answer: Mapping[str, Any], least: Sequence[str]) -> list[Finding]:
    """(section, severity, text) of what is as bad as one of these."""
    return [
        (section["name"], finding["severity"], finding["text"])
        for section in answer["sections"]
        for finding in section["findings"]
        if finding["severity"] in least
    ]


@dataclass
class Ward:
    """Nodes in care, and what is known to be so on the one that is asked.

    Attributes:
        nodes: by name.
        looked: the one whose doctor is asked.
        usual: what it says when nothing is planted.
        ignored: words of what is no fault of a test: others may fill the disk that it is on.
    """

    nodes: dict[str, RealNode]
    looked: RealNode
    folder: Path
    usual: set[Finding] = field(default_factory=set)
    ignored: str = "are free on the disk of the store"

    def new(self) -> list[tuple[Finding, str]]:
        """What is found beside the usual, each with its fix."""
        answer = asked(self.looked)
        fixes = [f["fix"] for s in answer["sections"] for f in s["findings"] if _is_bad(f)]
        links = [f["link"] for s in answer["sections"] for f in s["findings"] if _is_bad(f)]
        assert all(link.startswith("docs/doctor.md#") for link in links), links
        pairs = zip(found_in(answer, ("info", "warning", "critical")), fixes, strict=True)
        return [
            (found, fix)
            for found, fix in pairs
            if found not in self.usual and self.ignored not in found[2]
        ]

    def settle(self) -> None:
        """Learn what is usual; nothing of it may be worse than worth knowing."""
        until(lambda: not self._severe(), "all is well", seen=self._severe)
        self.usual = set(found_in(asked(self.looked), ("info",)))

    def _severe(self) -> list[Finding]:
        found = found_in(asked(self.looked), ("warning", "critical"))
        return [one for one in found if self.ignored not in one[2]]

    def expect(self, wanted: Sequence[tuple[str, str, str]], seconds: float = 20.0) -> list[str]:
        """Wait until exactly that is found: section, severity, words in the text. Their fixes."""

        def exactly() -> list[str] | None:
            new = self.new()
            if len(new) != len(wanted):
                return None
            fixes = []
            for section, severity, words in wanted:
                fits = [
                    fix
                    for (s, how, text), fix in new
                    if _fits((s, how, text), section, severity, words)
                ]
                if len(fits) != 1:
                    return None
                fixes.append(fits[0])
            return fixes

        fixes = until(exactly, f"{wanted}", seconds, seen=self.new)
        said = found_in(commanded(self.looked), ("info", "warning", "critical"))
        for section, severity, words in wanted:
            assert any(_fits(found, section, severity, words) for found in said), said
        return fixes

    def expect_well(self, seconds: float = 20.0) -> None:
        """Wait until nothing is found beside the usual."""
        until(lambda: not self.new(), "all is well again", seconds, seen=self.new)

    # --- following a fix -----------------------------------------------------------------

    def follow(self, fix: str, **filled: str) -> None:
        """Do what a fix says; `filled` are the words in capitals."""
        node, text = self.looked, fix.partition("; or, ")[0]
        for path, section, key, value in _WRITE.findall(text):
            change(Path(path), section, key, value)
        for path, section, key in _TAKE_OUT.findall(text):
            change(Path(path), section, key, None)
        for flag in _FLAG.findall(text):
            at = node.flags.index(flag)
            del node.flags[at : at + 2]
        for name in _VARIABLE.findall(text):
            node.environment.pop(name, None)
        for where, command in _COMMAND.findall(text):
            self.shell(command, self.nodes.get(where, node), filled)
        if _START in text and node.process is None:
            node.start()
            until(lambda: node.ready(quorum=False), f"{node.name} serves", seen=node.tail)

    def shell(self, command: str, node: RealNode, filled: Mapping[str, str]) -> None:
        """Type one command, on the machine of a node."""
        for word, text in filled.items():
            command = re.sub(rf"\b{word}\b", text, command)
        shim = self.folder / "bin" / "mnemesh"
        if not shim.exists():
            shim.parent.mkdir(parents=True)
            shim.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m node "$@"\n')
            shim.chmod(0o755)
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            env=clean_environment()
            | {
                "PATH": f"{shim.parent}:{os.environ['PATH']}",
                "MNEMESH_DATA_DIR": str(node.data_dir),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, f"{command}: {ran.returncode} {ran.stdout} {ran.stderr}"
        if command.startswith("mnemesh stop") and node.process is not None:
            node.process.wait(20)
            node.process = None


def _is_bad(finding: Mapping[str, str]) -> bool:
    return finding["severity"] != "ok"


def _fits(found: Finding, section: str, severity: str, words: str) -> bool:
    return found[:2] == (section, severity) and words in found[2]


def change(path: Path, section: str, key: str, value: str | None) -> None:
    """Write one setting, as its TOML spells it, or take it out."""
    data: dict[str, Any] = tomllib.loads(path.read_text()) if path.exists() else {}
    data.pop("schema_version", None)
    *outer, last = section.split(".")
    table = data
    for name in [*outer, last]:
        table = table.setdefault(name, {})
    if value is None:
        table.pop(key, None)
    else:
        table[key] = tomllib.loads(f"x = {value}")["x"]
    rewrite(path, data)


def rewrite(path: Path, data: Mapping[str, Any]) -> None:
    """Write a configuration; tables within tables are written by hand."""
    flat = {name: table for name, table in data.items() if name != "hooks"}
    write_config(path, flat)
    lines = []
    for name, table in data.get("hooks", {}).items():
        lines.append(f"\n[hooks.{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    with path.open("a") as file:
        file.write("\n".join(lines) + "\n")


def configure(node: RealNode, section: str, key: str, value: str | None) -> None:
    """Change one setting and have it read."""
    change(node.data_dir / "config.toml", section, key, value)
    hup(node)


def hup(node: RealNode) -> None:
    if node.process is not None:
        node.process.send_signal(signal.SIGHUP)


def restart(node: RealNode, between: Callable[[], object] = int) -> None:
    """Stop a node, do something to its folder, start it again."""
    if node.process is not None:
        node.stop()
    between()
    node.start()
    until(lambda: node.ready(quorum=False), f"{node.name} serves", seen=node.tail)
