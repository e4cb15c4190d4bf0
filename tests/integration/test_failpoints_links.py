"""A defect while bundles of a peer are taken ends the node, whichever side had dialled.

Law: a task group ends a node for what fails on a link that it dialled; links that were accepted run
as somebody else's handlers, which pass over what fails in them.
"""

from contextlib import suppress

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_linked
from tests.integration.rig_faults import arm, ended, fired, order, revive
from tests.integration.rig_mesh import start_all

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def accepted(node: RealNode) -> bool:
    """Whether the link to its only peer came in."""
    return not node.events("peer_connected")[-1]["dialled"]


@pytest.mark.parametrize("point", ["push.received", "bundle.taken"])
def test_a_defect_on_a_link_that_came_in_ends_the_node(found: Found, point: str) -> None:
    nodes = found(2, start=False)
    for node in nodes:
        arm(node)
    start_all(nodes)
    until_linked(nodes)
    nodes[0].store("before")
    (taker,) = [node for node in nodes if accepted(node)]
    (other,) = [node for node in nodes if node is not taker]
    order(taker, point, "raise")
    with suppress(AssertionError):  # its quorum may be gone
        other.store("while it takes this")
    until(lambda: ended(taker) is not None, "it ends", seen=taker.tail)
    assert fired(taker, point)
    assert ended(taker) == 1
    revive(taker)
    until_linked(nodes)
    check_equal(nodes)
    assert len(taker.held()) == 2
