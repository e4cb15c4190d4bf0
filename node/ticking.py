"""When the engine looks at the clock.

Law: a node on which something waits ticks as often as deadlines and claims need it; one on which
nothing does ticks seldom, for a mesh at rest must not cost its machines anything. What is handed
to the disk meanwhile ends the long pause at once.
"""

import asyncio

from node.pulse import Pulse
from node.replication.engine import Engine


class Ticking:
    """The ticks of one engine.

    Args:
        engine: who is told the time.
        pulse: says when, and measures how late that comes.
    """

    def __init__(self, engine: Engine, pulse: Pulse) -> None:
        self._engine = engine
        self._pulse = pulse
        self._loop = asyncio.get_running_loop()
        self._idle = False
        self._timer: asyncio.TimerHandle | None = None
        self._over: asyncio.Future[None] = self._loop.create_future()
        engine.hurry = self.hurry

    async def run(self) -> None:
        """Tick until cancelled."""
        engine, pulse = self._engine, self._pulse
        while True:
            self._idle = not engine.waits
            self._over = self._loop.create_future()
            self._sleep(pulse.pause_seconds(idle=self._idle))
            await self._over
            pulse.beat()
            engine.waiting.pressure.lag_seconds = pulse.late_seconds
            engine.tick()

    def hurry(self) -> None:
        """Something waits from now on."""
        if self._idle:
            self._idle = False
            self._sleep(self._pulse.hurry_seconds())

    def _sleep(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._wake)

    def _wake(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
