"""What can change while the node runs: the settings in force, and the tasks that come and go.

Law: a task always has an owner that awaits it; a setting is asked for when it is needed, so
that a reload takes hold at once.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from node.settings import Settings


@dataclass(slots=True)
class Live:
    """What is in force.

    Attributes:
        settings: as the operator made them, the last time they were read.
        api_keys: SHA-256 of the node's own API key; empty without one.
    """

    settings: Settings
    api_keys: tuple[bytes, ...] = ()

    def quorum_timeout_ms(self) -> int:
        """How long a write waits for its quorum."""
        return self.settings.quorum.timeout_ms


@dataclass(slots=True)
class Tasks:
    """Tasks that come and go; owned by the node's task group while it serves."""

    group: asyncio.TaskGroup | None = None
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def open(self, group: asyncio.TaskGroup) -> None:
        """From now on tasks run in this group."""
        self.group = group

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine; its end is awaited by the group."""
        if self.group is None:
            work.close()
            return
        task = self.group.create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    def close(self) -> None:
        """No new tasks; cancel those that run."""
        self.group = None
        for task in self.running:
            task.cancel()
