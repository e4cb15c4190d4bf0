"""Every mutation reaches every node, by each of the three ways: push, catch-up, snapshot.

The table of routes says what mutates; a route without a deed fails the test.
"""

from pathlib import Path

import pytest

from node.http.routes import API, Touches
from node.http.table import TABLE
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_deeds import Deed, deeds, wanted
from tests.integration.rig_push import Pusher

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SHORT_LOG = {
    "storage": {"log_bytes_max": 1 << 20, "log_bytes_min": 0, "maintenance_interval_secs": 0.1},
    "federation": {"share_private": True},
}
Deeds = dict[tuple[str, str], Deed]


def _tag(way: str, number: int) -> str:
    return f"{way}-{number:02d}"


def _do_all(node: RealNode, table: Deeds, way: str) -> None:
    for number, (name, deed) in enumerate(table.items()):
        try:
            deed.do(node, _tag(way, number))
        except AssertionError as error:
            raise AssertionError(f"{name} by {way}: {error}") from error


def _check_all(nodes: list[RealNode], table: Deeds, way: str) -> None:
    wrong = []
    for number, (name, deed) in enumerate(table.items()):
        tag = _tag(way, number)
        for node in nodes:
            seen = deed.look(node, tag)
            if seen != wanted(deed, tag):
                wrong.append(f"{name} by {way} on {node.name}: {seen!r}")
    assert not wrong, "\n".join(wrong)


def test_every_mutation_replicates_by_push_catch_up_and_snapshot(
    found: Found, tmp_path: Path
) -> None:
    nodes = found(3, config=SHORT_LOG)
    one, _, three = nodes
    until_level(nodes)
    table = deeds(Pusher.enrolled(one, tmp_path / "peer"))
    lanes = {
        (route.method, route.path.removeprefix(API))
        for route in TABLE
        if route.touches is Touches.WRITES
    }
    assert lanes == set(table), f"without a deed, or without a route: {lanes ^ set(table)}"

    _do_all(one, table, "push")
    until_level(nodes)
    _check_all(nodes, table, "push")

    three.kill()
    _do_all(one, table, "late")
    three.start()
    until_linked(nodes)
    until_level(nodes)
    _check_all(nodes, table, "late")

    three.kill()
    swaps = 0
    _do_all(one, table, "snap")
    _fill(one)
    until(lambda: one.metric("mnemesh_log_floor_ops") > 0, "the log is cut")
    three.start()
    until_linked(nodes)
    until_level(nodes)
    assert three.metric("mnemesh_store_changes_total") > swaps, "it was no snapshot"
    _check_all(nodes, table, "snap")


def _fill(node: RealNode) -> None:
    """More than the log may hold, so that its oldest part goes although somebody lacks it."""
    for start in range(0, 1000, 100):
        items = [
            {"title": f"filling {start + n}", "content": f"{n} " * 2000, "tier": "long"}
            for n in range(100)
        ]
        node.tell("POST", "/memories/bulk", items)
