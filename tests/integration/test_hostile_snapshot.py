"""One member that offers a snapshot of its own making, against a mesh that is then thrown away.

Law: what is known to be missing is tested too. The test expects what is to hold and does not hold
yet; when it holds, the test says that its mark has to go.
"""

import random
from pathlib import Path

import pytest
import trio

from chaos.hostile import snapshots
from tests.integration.test_hostile_peer import lasting

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="docs/decisions/0025-snapshots-are-believed.md",
)
def test_a_snapshot_of_one_member_takes_nothing_from_the_others(tmp_path: Path) -> None:
    for world in lasting(tmp_path, 3):
        found = trio.run(snapshots.offer, world.target, random.Random(1))
        print(found)
        if not found[0].ok:
            raise RuntimeError("the attack did not get as far as its snapshot")
        assert [one for one in found if not one.ok] == []
