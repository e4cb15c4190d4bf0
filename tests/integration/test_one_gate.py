"""Every lane that changes anything passes the one gate.

A real node is started by a launcher that shuts its gate as soon as a file exists. Then every
route of the table that changes something is asked, with a request that it would otherwise
take; each must be refused by that gate, and nothing may have changed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from node.http.routes import API, Needs, Touches
from node.http.table import TABLE
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until_level
from tests.integration.rig_lanes import asked_by_every_lane, furnished, lanes
from tests.integration.rig_push import Pusher

LAUNCHER = """
import os, sys
from node import errors
from node.gate import Gate
passes = Gate.check
def check(self, caller, wish):
    if os.path.exists(os.environ["GATE_IS_SHUT"]):
        raise errors.Denied("the gate is shut", code="gate_is_shut")
    passes(self, caller, wish)
Gate.check = check
from node.cli import main
sys.exit(main())
"""


@pytest.fixture
def shut(found: Found, tmp_path: Path) -> Callable[[], tuple[RealNode, RealNode]]:
    def start() -> tuple[RealNode, RealNode]:
        nodes = found(2, start=False)
        for node in nodes:
            node.launch = ("-P", "-c", LAUNCHER)
            node.environment["GATE_IS_SHUT"] = str(tmp_path / "shut")
            node.start()
        return nodes[0], nodes[1]

    return start


def test_every_lane_passes_the_one_gate(
    shut: Callable[[], tuple[RealNode, RealNode]], tmp_path: Path
) -> None:
    node, other = shut()
    until_level([node, other])
    known = furnished(node)
    pusher = Pusher.enrolled(node, tmp_path / "peer")
    until_level([node, other])
    before = node.mesh()["clock"]
    (tmp_path / "shut").touch()
    for name, status, body in asked_by_every_lane(node, pusher, known):
        said = (status, body["error"])
        assert said == (403, "gate_is_shut"), f"{name} goes round the gate: {said}"
    assert node.mesh()["clock"] == before, "something was minted behind the gate"


def test_lanes_that_change_nothing_are_no_lanes() -> None:
    """What says that it touches nothing must be a read, or be named here."""
    quiet = {
        (route.method, route.path.removeprefix(API))
        for route in TABLE
        if route.method != "GET" and route.touches is not Touches.WRITES
    }
    assert quiet == {
        ("POST", "/federation/peers"),  # whom this node bridges to: its operator's, not shared
        ("DELETE", "/federation/peers"),
        ("POST", "/integrity/scrub"),  # this node looks at its own disk
        ("POST", "/session/start"),  # draws a name and stores nothing
        ("POST", "/kg/query"),  # questions whose words do not fit an address
        ("POST", "/recall"),
        ("POST", "/index/rebuild"),  # this node's own files: the same memory in another order
        ("POST", "/compact"),
        ("POST", "/mcp"),  # each tool asks the routes of this table, and so their gate
        ("DELETE", "/mcp"),
        ("POST", "/auto_tag"),  # a model suggests; what is written comes with a request of its own
        ("POST", "/expand_query"),
        ("POST", "/check_duplicate"),
        ("POST", "/cluster"),
        ("POST", "/mesh/introduce"),
        ("POST", "/mesh/join"),
        ("POST", "/mesh/remove"),
    }
    assert all(route.needs is not Needs.OPEN for route in lanes())
