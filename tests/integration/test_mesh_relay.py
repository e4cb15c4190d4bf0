"""A mesh that is larger than what its writers push to all keeps the same promises.

Law: with `full_fanout_max = 0` the smallest mesh spreads by relay; real processes are killed
in it, and whatever was acknowledged is everywhere afterwards.
"""

import random

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until_linked
from tests.integration.rig_load import Load
from tests.integration.test_mesh_kill import check_kept

pytestmark = pytest.mark.integration

NARROW = {"federation": {"full_fanout_max": 0, "relay_extra": 0}}
"""A writer pushes to as many as the quorum takes, and the rest hears of it by way of those."""


def relaying(found: Found, count: int) -> list[RealNode]:
    return found(count, config=NARROW)


@pytest.mark.parametrize("victim", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_node_killed_under_load_loses_nothing(found: Found, victim: int) -> None:
    nodes = relaying(found, 4)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    load = Load(nodes, seed=seed)
    with load.running(1):
        load.until_written(random.Random(seed).randrange(50, 200))
        nodes[victim].kill()
        load.until_written(60)
        nodes[victim].start()
        load.until_written(60)
    until_linked(nodes)
    assert load.broken > 0, "nothing was in flight when the node died"
    check_kept(nodes, load)


@pytest.mark.slow
def test_all_nodes_killed_at_once_come_back_with_everything(found: Found) -> None:
    nodes = relaying(found, 4)
    load = Load(nodes)
    with load.running(1):
        load.until_written(200)
        for node in nodes:
            node.kill()
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    check_kept(nodes, load)


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing(found: Found) -> None:
    nodes = relaying(found, 5)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    load = Load(nodes, seed=seed)
    with load.running(1):
        for _ in range(8):
            load.until_written(draw.randrange(1, 150))
            victim = draw.choice(nodes)
            victim.kill()
            load.until_written(draw.randrange(1, 60))
            victim.start()
            until_linked(nodes)
    check_kept(nodes, load)
