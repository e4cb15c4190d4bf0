"""One cycle of one injector on a mesh that is played, under a virtual clock."""

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
from trio.testing import MockClock

from chaos.campaign.cycle import Cycle
from chaos.campaign.tally import Tally
from chaos.sandbox import Means
from chaos.stage import Stage


def played_on(
    mesh: Any, play: Callable[[Cycle], Awaitable[None]], *, code: str, seed: int, history: Path
) -> Cycle:
    """Let an injector play on a mesh that looks like one."""

    async def run() -> Cycle:
        with Tally(history) as recorder:
            recorder.event("cycle", cycle=1, workload="set", seed=seed, **{"class": code})
            rng = random.Random(seed)
            count = len(mesh.nodes)
            stage = Stage(
                client=mesh,
                recorder=recorder,
                nodes=[f"n{number + 1}" for number in range(count)],
                live=set(range(count)),
                rng=rng,
                cycle=1,
                namespace="chaos/c000001",
            )
            cycle = Cycle(
                number=1,
                code=code,
                seed=seed,
                mesh=mesh,
                stage=stage,
                recorder=recorder,
                rng=rng,
                hold_s=(0.1, 0.2),
                means=Means(),
            )
            await play(cycle)
            return cycle

    return trio.run(run, clock=MockClock(autojump_threshold=0))
