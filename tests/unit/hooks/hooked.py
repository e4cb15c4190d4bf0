"""Hooks for tests: those that answer as told, and real ones with a script each."""

import asyncio
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.events.names import hook_events
from node.hooks.running import Surroundings
from node.hooks.verdict import Outcome, Verdict
from node.live import Tasks
from node.metrics import Metrics
from node.settings.hook_tables import Hook, HookTable

YES = Verdict(outcome=Outcome.OK)
Lines = list[tuple[str, dict[str, Any]]]


class Nowhere:
    """A resolver that knows no name."""

    async def resolve(self, host: str, port: int) -> list[str]:
        raise OSError(f"{host}:{port}")


def declared(name: str, *on: str, **further: Any) -> Hook:
    """A hook as the settings would make it."""
    events = frozenset(event for one in on for event in hook_events(one))
    assert events, on
    table = HookTable(on=on, **{"command": ("/bin/true",), **further})
    return Hook(name=name, table=table, events=events)


def surroundings(log: Lines | None = None, **environ: str) -> Surroundings:
    """What a node gives its hooks."""
    lines: Lines = [] if log is None else log
    return Surroundings(
        node_id="ab" * 32,
        name="here",
        now_ms=lambda: 1_770_000_000_000,
        environ=environ,
        resolver=Nowhere(),
        metrics=Metrics(),
        log=lambda event, **facts: lines.append((event, facts)),
    )


@dataclass
class Told:
    """A runner that answers as told and remembers what it was asked."""

    hook: Hook
    verdict: Verdict = YES
    log: Lines = field(default_factory=list)
    got: list[Mapping[str, Any]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    complained: bytes = b""

    def __post_init__(self) -> None:
        self.around = surroundings(self.log)

    async def run(self, document: Mapping[str, Any]) -> Verdict:
        self.got.append(document)
        if self.hold is not None:
            await self.hold.wait()
        return self.verdict


def script(folder: Path, text: str, name: str = "hook.sh") -> str:
    """An executable file with a program in sh."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


class Running:
    """A task group for hooks, as a node has one while it serves."""

    def __init__(self) -> None:
        self.tasks = Tasks()
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Tasks:
        self.tasks.open(await self._group.__aenter__())
        return self.tasks

    async def __aexit__(self, *error: object) -> None:
        self.tasks.close()
        await self._group.__aexit__(*error)  # type: ignore[arg-type]  # as it was given
