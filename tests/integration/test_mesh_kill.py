"""`kill -9` of any node at any moment loses nothing that was acknowledged."""

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import until_linked
from tests.integration.rig_kills import check_kept, kill_all, kill_at_random, kill_one
from tests.integration.rig_load import Load

pytestmark = pytest.mark.integration

SLOW = pytest.mark.slow


@pytest.mark.parametrize("victim", [pytest.param(0, marks=SLOW), 1, pytest.param(2, marks=SLOW)])
def test_a_node_killed_under_load_loses_nothing(found: Found, victim: int) -> None:
    kill_one(found(3), victim)


@pytest.mark.slow
def test_twelve_kills_at_random_moments_lose_nothing(found: Found) -> None:
    kill_at_random(found(3), 12)


@pytest.mark.thorough
def test_all_nodes_killed_at_once_come_back_with_everything(found: Found) -> None:
    kill_all(found(3))


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
