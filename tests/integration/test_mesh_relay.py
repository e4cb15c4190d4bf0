"""A mesh that is larger than what its writers push to all keeps the same promises.

Law: with `full_fanout_max = 0` the smallest mesh spreads by relay; real processes are killed
in it, and whatever was acknowledged is everywhere afterwards.
"""

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode
from tests.integration.rig_kills import kill_all, kill_at_random, kill_one

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

NARROW = {"federation": {"full_fanout_max": 0, "relay_extra": 0}}
"""A writer pushes to as many as the quorum takes, and the rest hears of it by way of those."""


def relaying(found: Found, count: int) -> list[RealNode]:
    return found(count, config=NARROW)


@pytest.mark.parametrize("victim", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_a_node_killed_under_load_loses_nothing(found: Found, victim: int) -> None:
    kill_one(relaying(found, 4), victim, writers=1, after=200)


@pytest.mark.slow
def test_all_nodes_killed_at_once_come_back_with_everything(found: Found) -> None:
    kill_all(relaying(found, 4), writers=1)


@pytest.mark.slow
def test_kills_at_random_moments_lose_nothing(found: Found) -> None:
    kill_at_random(relaying(found, 5), 8, writers=1, apart=150)
