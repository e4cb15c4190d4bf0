"""Whether this node has room for one write more, and the count of those it turned away.

Law: what waits for its quorum is looked at for every write that is about to be minted. Before
its body is looked at a write is only asked how long it has waited for its turn, and, while the
last one was refused, whether there is room again.
"""

import asyncio
from typing import TYPE_CHECKING, Final

from node.replication.pressure import Line, Shed

if TYPE_CHECKING:
    from node.replication.engine import Engine

_REASONS: Final = ("count", "bytes", "wait", "line")


class Room:
    """What the writes of an engine are let in by.

    Args:
        engine: whose writes wait.
        in_flight_max: most writes that may wait at once.
    """

    def __init__(self, engine: "Engine", in_flight_max: int) -> None:
        self._engine = engine
        self._in_flight_max = in_flight_max
        self._loop = asyncio.get_running_loop()
        self._shed = {
            reason: engine.metrics.counter("writes_shed_total", reason) for reason in _REASONS
        }
        self._refuses = False

    def missing(self) -> Shed | None:
        """Why there is no room for one write more; None when there is."""
        waiting = self._engine.waiting
        queue = waiting.queue()
        shed = waiting.pressure.refuses(queue, self._loop.time()) if queue.writes else None
        if shed is None and queue.writes >= self._in_flight_max:
            shed = Shed("count", f"{self._in_flight_max} are in flight", 1)
        self._refuses = shed is not None
        return shed if shed is None else self._counted(shed)

    def pressed(self, line: Line | None) -> Shed | None:
        """Why a write would be refused, asked before anything is known but that it is one.

        Args:
            line: how long it has waited for its turn; None when it did not.
        """
        shed = None if line is None else self._engine.waiting.pressure.keeps_waiting(line)
        if shed is not None:
            return self._counted(shed)
        return self.missing() if self._refuses else None

    def _counted(self, shed: Shed) -> Shed:
        self._shed[shed.reason].inc()
        return shed
