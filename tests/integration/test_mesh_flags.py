"""A mesh founded by flags: no `init`, no `join`, certificates that the operator brings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, check_equal, cleaned_up, until
from tests.integration.rig_mesh import Authority, founded, start_all

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
FOUR = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"]


@pytest.fixture(params=["authority", pytest.param("self-signed", marks=pytest.mark.slow)])
def four(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[RealNode]]:
    authority = Authority(tmp_path / "ca") if request.param == "authority" else None
    nodes = founded(tmp_path, 4, authority=authority, hosts=FOUR)
    yield from _given(nodes)


@pytest.fixture
def three(tmp_path: Path) -> Iterator[list[RealNode]]:
    yield from _given(founded(tmp_path, 3))


def _given(nodes: list[RealNode]) -> Iterator[list[RealNode]]:
    with cleaned_up(nodes):
        yield nodes


def test_four_processes_on_four_addresses_are_one_mesh_at_once(four: list[RealNode]) -> None:
    start_all(four)
    for node in four:
        mesh = node.mesh()
        assert mesh["quorum"] == {"n": 4, "w": 3}
        assert {m["name"] for m in mesh["members"]} == {"node-1", "node-2", "node-3", "node-4"}
        written = node.store(f"from {node.name}")
        assert written["durability"]["acks"] >= 3
        assert written["quorum_acks"] == written["durability"]["acks"]
        assert len(written["durability"]["peers"]) == written["durability"]["acks"] - 1
    check_equal(four)
    # Without a key of its own, a node founded by flags makes none.
    assert not list(four[0].data_dir.rglob("api_key"))


def test_a_node_that_starts_late_gets_everything(three: list[RealNode]) -> None:
    one, two, late = three
    for node in (one, two):
        node.spawn()
    for node in (one, two):
        node.wait_alive()
    until(lambda: one.ready() and two.ready(), "two of three serve with their quorum")
    ids = [one.store("early", f"text {number}")["id"] for number in range(20)]
    late.start()
    until(late.ready, "the late one is ready")
    check_equal(three)
    assert set(late.held()) == set(ids)


def test_a_node_that_finds_itself_in_its_list_says_so(tmp_path: Path) -> None:
    (node,) = founded(tmp_path, 1)
    port = node.url.rpartition(":")[2]
    # The same address by another name: only the greeting can tell.
    node.flags += ["--quorum-peers", f"https://localhost:{port}", "--quorum-writes", "1"]
    with cleaned_up([node]):
        node.start()
        until(lambda: node.events("self_in_peers"), f"it notices: {node.tail()}")
        assert node.store("still works")["durability"]["local"] is True
        assert node.stop() == 0
