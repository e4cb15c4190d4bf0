"""A disk is lost while agents write, in meshes of several sizes: who can be asked is asked.

Law: what is new about believing snapshots costs an honest mesh nothing but the question.
"""

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import check_equal, until, until_level, until_linked
from tests.integration.rig_load import Load
from tests.integration.test_mesh_disk import SHORT_LOG, lose_store, until_truncated, write

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_lost_disk_is_filled_by_a_snapshot_while_agents_write(found: Found, count: int) -> None:
    nodes = found(count, config=SHORT_LOG)
    promised = write(nodes[0], 600, size=4000)
    until_level(nodes)
    until_truncated(nodes)
    late, others = nodes[-1], nodes[:-1]
    late.kill()
    lose_store(late)
    with Load(others, seed=count).running():
        late.start()
        until(lambda: late.events("store_swapped"), "it joins", seen=late.tail)
    until_linked(nodes)
    check_equal(nodes, promised)
    asked = [one["word"] for one in late.events("snapshot_compared")]
    print(late.events("snapshot_compared"), late.events("snapshot_unconfirmed"))
    assert not late.events("snapshot_refused")
    if count == 2:
        assert not asked
        assert not late.events("snapshot_unconfirmed")
    else:
        assert "same" in asked
