"""A node at rest looks at the clock seldom, one on which something waits often."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from node.metrics import Metrics
from node.pulse import Pulse
from node.replication.engine import Engine
from node.ticking import Ticking


class Stage:
    """The engine and the loop of a `Ticking`, whose timers are fired by hand."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.hurry: Callable[[], None] = lambda: None
        self.waiting = SimpleNamespace(pressure=SimpleNamespace(lag_seconds=0.0))
        self.ticks = 0
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.cancelled = 0

    def tick(self) -> None:
        self.ticks += 1

    def create_future(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

    def call_later(self, seconds: float, call: Callable[[], None]) -> Any:
        self.timers.append((round(seconds, 6), call))
        return SimpleNamespace(cancel=self._cancel)

    def _cancel(self) -> None:
        self.cancelled += 1

    @property
    def pauses(self) -> list[float]:
        return [seconds for seconds, _ in self.timers]


async def ticked(stage: Stage, act: Callable[[Stage], None]) -> None:
    """Begin to tick, act during the first pause, then let the last timer go off."""
    pulse = Pulse(Metrics(), tick_seconds=0.05, idle_seconds=0.2, now=lambda: 100.0)
    ticking = Ticking(cast("Engine", stage), pulse)
    ticking._loop = cast("asyncio.AbstractEventLoop", stage)
    running = asyncio.create_task(ticking.run())
    await asyncio.sleep(0)
    act(stage)
    stage.timers[-1][1]()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_at_rest_the_next_tick_is_far_off() -> None:
    stage = Stage(waits=False)
    asyncio.run(ticked(stage, lambda _: None))

    assert stage.pauses[0] == 0.2
    assert stage.ticks == 1


def test_where_something_waits_the_next_tick_is_near_and_is_not_put_off() -> None:
    stage = Stage(waits=True)
    asyncio.run(ticked(stage, lambda held: held.hurry()))

    assert stage.pauses[0] == 0.05
    assert (len(stage.pauses), stage.ticks) == (2, 1)


def test_what_begins_to_wait_ends_a_long_pause() -> None:
    stage = Stage(waits=False)
    asyncio.run(ticked(stage, lambda held: held.hurry()))

    assert stage.pauses[:2] == [0.2, 0.05]
    assert (stage.cancelled, stage.ticks) == (2, 1)
