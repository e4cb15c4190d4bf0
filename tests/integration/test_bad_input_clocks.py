"""A clock that is ten minutes ahead, and a peer of another cluster."""

from typing import Any

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_linked

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

AGAIN = {"id": "again", "title": "again", "content": "text"}
AHEAD = (
    "import runpy, sys, time; real = time.time_ns; "
    "time.time_ns = lambda: real() + 600_000_000_000; "
    "time.time = lambda: time.time_ns() / 1e9; "
    "sys.argv[0] = 'node'; runpy.run_module('node', run_name='__main__')"
)


@pytest.fixture
def one_clock_ahead(found: Found) -> list[RealNode]:
    """Three nodes, of which the third comes back ten minutes in the future."""
    nodes = found(3)
    nodes[0].store("on time", id="on-time")
    check_equal(nodes)
    three = nodes[2]
    three.kill()
    three.launch = ("-P", "-c", AHEAD)
    three.start()
    until(
        lambda: abs(three.metric("mnemesh_clock_skew_seconds")) > 500,
        "it has compared its clock with its peers",
        seen=three.tail,
    )
    return nodes


def skewed(node: RealNode) -> Any:
    """The refusal of a write by a node that sees that its clock is off."""
    reply = node.ask("POST", "/memories", {"title": "from the future", "content": "text"})
    return reply if reply.status == 503 and reply.body["error"] == "clock_skew" else None


def test_a_node_whose_clock_is_ten_minutes_ahead_mints_nothing(
    one_clock_ahead: list[RealNode],
) -> None:
    nodes = one_clock_ahead
    three = nodes[2]
    reply = skewed(three)
    assert reply is not None
    assert reply.headers["retry-after"]
    assert three.get("on-time")["title"] == "on time"
    assert not any("from the future" in titles(node) for node in nodes[:2])
    three.kill()
    three.launch = ("-P", "-m", "node")
    three.start()
    until_linked(nodes)
    until(lambda: three.ask("POST", "/memories", AGAIN).status == 201, "all clocks are right")
    assert three.store("right again")["quorum_acks"] >= 2
    check_equal(nodes)


def test_one_bad_clock_of_three_stops_nobody_else(one_clock_ahead: list[RealNode]) -> None:
    one, two, three = one_clock_ahead
    assert skewed(three)
    assert one.store("still on time")["quorum_acks"] >= 2
    assert two.store("this one too")["quorum_acks"] >= 2


def titles(node: RealNode) -> set[str]:
    return {memory["title"] for memory in node.tell("GET", "/export")["memories"]}


def test_two_clusters_do_not_mix(found: Found) -> None:
    one, two = found(2, start=False, flags=("--quorum-timeout-ms", "300"))
    one.flags += ["--cluster", "blue"]
    two.flags += ["--cluster", "green"]
    for node in (one, two):
        node.spawn()
    for node in (one, two):
        node.wait_alive()
    until(lambda: one.events("peer_refused") or two.events("peer_refused"), "one is refused")
    events = one.events("peer_refused") + two.events("peer_refused")
    assert any("cluster" in f"{event['reason']} {event['detail']}" for event in events)
    until(
        lambda: sum(
            node.metric("mnemesh_frames_rejected_total", reason="greeting_wrong_cluster")
            for node in (one, two)
        ),
        "it is counted",
    )
    assert not one.links() | two.links()
