"""A process that stands still for longer than its links bear, and goes on."""

import os
import signal

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_linked
from tests.integration.rig_load import Load

pytestmark = pytest.mark.integration

QUICK = {"limits": {"ping_interval_ms": 300}}


@pytest.mark.parametrize(
    "rounds",
    [pytest.param(1, marks=pytest.mark.thorough), pytest.param(8, marks=pytest.mark.slow)],
)
def test_a_node_that_stood_still_comes_back_by_itself(found: Found, rounds: int) -> None:
    nodes = found(3, config=QUICK)
    load = Load(nodes, seed=7)
    with load.running():
        for turn in range(rounds):
            load.until_written(60)
            still = nodes[turn % len(nodes)]
            stand_still(still, [node for node in nodes if node is not still], load)
            until_linked(nodes)
            assert still.is_alive()
    check_equal(nodes, load.promised)


def stand_still(still: RealNode, awake: list[RealNode], load: Load) -> None:
    """Until the others have given it up and gone on without it."""
    os.kill(still.pid, signal.SIGSTOP)
    try:
        until(lambda: all(still.name not in n.links() for n in awake), "the links ended")
        load.until_written(60)
    finally:
        os.kill(still.pid, signal.SIGCONT)
