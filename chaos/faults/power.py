"""F22: power loss, by replay of what a node wrote.

Law: the machine's power is not ours to take, so a node of its own is traced under load and every
image of its files that a loss of power may leave is opened by the node's own code. The mesh of
the campaign goes on beside it. The proof is that the log explains the node's files byte by byte,
and that the images differ from one another.
"""

from functools import partial
from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults.registry import fault
from chaos.power.cycle import power_cycle

_IMAGES: Final = 40
_REQUESTS: Final = 120


@fault("F22", needs=("strace",))
async def power_loss(cycle: Cycle) -> None:
    """A traced node, and forty images of its files."""
    cycle.inject("a node is traced, and loses power at many moments", images=_IMAGES)
    result = await trio.to_thread.run_sync(
        partial(
            power_cycle,
            seed=cycle.rng.getrandbits(32),
            count=_IMAGES,
            requests=_REQUESTS,
            keep=cycle.mesh.folder,
        )
    )
    cycle.prove(
        "the log explains the files, and the images differ",
        result.compared_bytes > 0 and result.distinct > _IMAGES // 2,
        distinct=result.distinct,
        syncs=result.syncs,
    )
    cycle.expect(
        "every image opens with all that was acknowledged",
        result.ok,
        anomalies=dict(result.anomalies),
        required=result.required,
        log=result.log,
    )
