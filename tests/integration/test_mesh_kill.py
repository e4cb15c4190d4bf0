"""`kill -9` of any node at any moment loses nothing that was acknowledged."""

import random

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until_linked
from tests.integration.rig_load import Load

pytestmark = pytest.mark.integration


def check_kept(nodes: list[RealNode], load: Load) -> None:
    """Every acknowledged write is everywhere, and nothing that was deleted came back."""
    check_equal(nodes, load.promised)
    assert load.promised
    assert not nodes[0].held().keys() & load.deleted


SLOW = pytest.mark.slow


@pytest.mark.parametrize("victim", [pytest.param(0, marks=SLOW), 1, pytest.param(2, marks=SLOW)])
def test_a_node_killed_under_load_loses_nothing(found: Found, victim: int) -> None:
    nodes = found(3)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    load = Load(nodes, seed=seed)
    with load.running():
        load.until_written(draw.randrange(50, 300))
        nodes[victim].kill()
        # The other two are a quorum: work goes on without the dead one.
        load.until_written(100)
        nodes[victim].start()
        load.until_written(100)
    until_linked(nodes)
    assert load.broken > 0, "nothing was in flight when the node died"
    check_kept(nodes, load)


@pytest.mark.slow
def test_twelve_kills_at_random_moments_lose_nothing(found: Found) -> None:
    nodes = found(3)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    load = Load(nodes, seed=seed)
    with load.running():
        for _ in range(12):
            load.until_written(draw.randrange(1, 400))
            victim = draw.choice(nodes)
            victim.kill()
            load.until_written(draw.randrange(1, 100))
            victim.start()
            until_linked(nodes)
    check_kept(nodes, load)


def test_all_nodes_killed_at_once_come_back_with_everything(found: Found) -> None:
    nodes = found(3)
    load = Load(nodes)
    with load.running():
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
def test_an_orderly_stop_under_load_ends_with_nothing_open(found: Found) -> None:
    nodes = found(3)
    load = Load(nodes)
    with load.running():
        load.until_written(100)
        assert nodes[1].stop() == 0
        load.until_written(50)
    nodes[1].start()
    until_linked(nodes)
    check_kept(nodes, load)
