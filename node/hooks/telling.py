"""Telling hooks afterwards.

Law: nobody waits for it. Each hook has a bounded line of its own and is told in order, one run
at a time, of all that has come up since; what finds no room is counted and lost, and so is what
waits when the process ends. What must never be missed is a subscription, which has a place in
the log to go on from.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from crdt.roles import within
from node.hooks.running import Runner
from node.hooks.verdict import Outcome
from node.live import Tasks
from node.memory.times import format_ms

TOGETHER_MAX: Final = 100
_LOST_TOLD: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One event.

    Attributes:
        event: of `node.events.names.TABLE`.
        about: what is told of it.
        namespace: where; empty for what has no place.
        here: whether it happened on this node, and did not come from another.
    """

    event: str
    about: Mapping[str, Any]
    namespace: str = ""
    here: bool = True


class _Line:
    """What one hook is still to be told."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self.idle = asyncio.Event()
        self.idle.set()
        self.waiting: deque[dict[str, Any]] = deque()
        self.lost = 0

    def wants(self, moment: Moment) -> bool:
        hook = self.runner.hook
        if moment.event not in hook.events or not (moment.here or hook.table.everywhere):
            return False
        spaces = hook.table.namespaces
        return not (moment.namespace and spaces) or within(moment.namespace, spaces)

    def put(self, shown: dict[str, Any]) -> None:
        around, name = self.runner.around, self.runner.hook.name
        if len(self.waiting) < self.runner.hook.table.queue_max:
            self.waiting.append(shown)
            return
        around.metrics.counter("hook_events_lost_total", name).inc()
        if self.lost % _LOST_TOLD == 0:
            around.log("hook_events_lost", hook=name, lost=self.lost + 1)
        self.lost += 1

    async def empty(self) -> None:
        """Tell all that waits."""
        hook, log = self.runner.hook, self.runner.around.log
        try:
            while self.waiting:
                some = [self.waiting.popleft() for _ in range(min(TOGETHER_MAX, len(self.waiting)))]
                items = [{"index": at, **one} for at, one in enumerate(some)]
                said = {"event": some[0]["event"], "count": len(items), "items": items}
                verdict = await self.runner.run(said)
                if verdict.outcome is not Outcome.OK:
                    why = verdict.why or "it said no to what has happened"
                    log("hook_failed", hook=hook.name, error=why, passed=True)
        finally:
            self.idle.set()


class Telling:
    """Tells the hooks that want to know.

    Args:
        runners: of all hooks.
        tasks: where they run.
    """

    def __init__(self, runners: Sequence[Runner], tasks: Tasks) -> None:
        self._lines = [_Line(one) for one in runners if one.hook.told]
        self._tasks = tasks
        self.wanted = frozenset(e for line in self._lines for e in line.runner.hook.told)
        """The events that anybody wants."""

    def tell(self, moment: Moment) -> None:
        """Have an event told; returns at once."""
        for line in self._lines:
            if not line.wants(moment):
                continue
            at = format_ms(line.runner.around.now_ms())
            line.put({"event": moment.event, "at": at, **moment.about})
            if line.idle.is_set() and self._tasks.group is not None:
                line.idle.clear()
                self._tasks.spawn(line.empty())

    async def settled(self, seconds: float) -> None:
        """Wait until nothing waits any more, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                for line in self._lines:
                    await line.idle.wait()
        except TimeoutError:
            return
