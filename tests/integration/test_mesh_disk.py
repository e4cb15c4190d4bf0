"""Nodes that come back with less than they had: no disk, an old disk, a disk behind the log."""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import (
    RealNode,
    check_equal,
    content_hash,
    free_ports,
    until,
    until_level,
    until_linked,
)

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
SHORT_LOG: Mapping[str, Mapping[str, Any]] = {
    "storage": {
        "log_bytes_max": 1 << 20,
        "log_bytes_min": 0,
        "maintenance_interval_secs": 0.1,
    }
}


def write(node: RealNode, count: int, size: int = 100) -> dict[str, str]:
    """Store many through the bulk route; returns what was promised."""
    promised = {}
    for start in range(0, count, 100):
        items = [
            {"id": str(uuid.uuid4()), "title": f"memory {n}", "content": f"{n} " * (size // 4)}
            for n in range(start, min(start + 100, count))
        ]
        node.tell("POST", "/memories/bulk", items)
        promised |= {item["id"]: content_hash(item) for item in items}
    return promised


def lose_store(node: RealNode) -> None:
    """The disk is gone; the keys, which are elsewhere, are not."""
    for path in node.data_dir.iterdir():
        if path.name not in {"keys", "config.toml"}:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def until_truncated(nodes: list[RealNode]) -> None:
    for node in nodes:
        until(
            lambda node=node: node.metric("mnemesh_log_floor_ops") > 0,
            f"{node.name} truncates its log",
        )


def test_a_lost_disk_is_filled_again_from_the_log(found: Found) -> None:
    nodes = found(3)
    promised = write(nodes[0], 300)
    until_level(nodes)
    nodes[2].kill()
    lose_store(nodes[2])
    promised |= write(nodes[1], 100)
    nodes[2].start()
    until_linked(nodes)
    check_equal(nodes, promised)
    # It is a member as before, and its writes count as before.
    assert nodes[2].mesh()["quorum"] == {"n": 3, "w": 2}
    assert nodes[2].store("after the loss")["quorum_acks"] >= 2
    check_equal(nodes)


@pytest.mark.slow
def test_a_lost_disk_is_filled_again_by_a_snapshot_when_the_log_is_gone(found: Found) -> None:
    nodes = found(3, config=SHORT_LOG)
    promised = write(nodes[0], 1000, size=4000)
    until_level(nodes)
    until_truncated(nodes[:2])
    nodes[2].kill()
    lose_store(nodes[2])
    nodes[2].start()
    until_linked(nodes)
    check_equal(nodes, promised)
    assert nodes[2].metric("mnemesh_store_changes_total") > 0
    assert nodes[2].store("after the snapshot")["quorum_acks"] >= 2
    check_equal(nodes)


def test_a_node_behind_the_log_joins_a_snapshot_and_keeps_its_own_writes(found: Found) -> None:
    nodes = found(3, config=SHORT_LOG, flags=("--quorum-timeout-ms", "200"))
    one, two, three = nodes
    promised = write(one, 10)
    until_level(nodes)
    # What node-3 wrote alone reached nobody before it went away.
    one.kill()
    two.kill()
    alone = three.ask("POST", "/memories", {"title": "alone", "content": "on node-3"})
    assert alone.status == 503
    three.kill()
    one.spawn()
    two.spawn()
    one.wait_alive()
    two.wait_alive()
    until(lambda: one.ready() and two.ready(), "two of three serve")
    promised |= write(one, 1000, size=4000)
    # The log of the two goes although node-3 has not seen it: it is too large.
    until_truncated([one, two])
    three.start()
    until_linked(nodes)
    check_equal(nodes, promised)
    assert three.metric("mnemesh_store_changes_total") > 0
    for node in nodes:
        assert node.get(alone.body["id"])["title"] == "alone"


def test_an_old_copy_of_the_data_reuses_no_name_and_converges(found: Found, tmp_path: Path) -> None:
    nodes = found(3)
    one, _, three = nodes
    promised = write(three, 20)
    deleted = three.store("deleted after the copy")["id"]
    assert three.stop() == 0
    copy = tmp_path / "copy"
    shutil.copytree(three.data_dir, copy)
    three.start()
    until_linked(nodes)
    dots = {three.store(f"after the copy {n}")["durability"]["dot"] for n in range(20)}
    one.tell("DELETE", f"/memories/{deleted}")
    promised |= write(three, 20)
    until_level(nodes)
    three.kill()
    shutil.rmtree(three.data_dir)
    shutil.copytree(copy, three.data_dir)
    three.start()
    until_linked(nodes)
    dots_after = {three.store(f"after the restore {n}")["durability"]["dot"] for n in range(20)}
    assert not dots & dots_after
    actors, actors_after = ({d.partition(":")[0] for d in some} for some in (dots, dots_after))
    assert not actors & actors_after
    check_equal(nodes, promised)
    # What was deleted after the copy stays deleted.
    assert three.ask("GET", f"/memories/{deleted}").status == 404


@pytest.mark.slow
def test_a_restored_copy_of_every_node_at_once_only_loses_what_came_after(
    found: Found, tmp_path: Path
) -> None:
    nodes = found(3)
    promised = write(nodes[0], 30)
    check_equal(nodes, promised)
    for node in nodes:
        assert node.stop() == 0
        shutil.copytree(node.data_dir, tmp_path / f"copy-{node.name}")
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    write(nodes[1], 30)
    for node in nodes:
        node.kill()
        shutil.rmtree(node.data_dir)
        shutil.copytree(tmp_path / f"copy-{node.name}", node.data_dir)
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    promised |= write(nodes[2], 30)
    check_equal(nodes, promised)
    assert nodes[0].held().keys() == promised.keys()


@pytest.mark.slow
def test_a_second_process_on_copied_data_is_found_out(found: Found, tmp_path: Path) -> None:
    nodes = found(3)
    one, two, three = nodes
    promised = write(three, 10)
    assert three.stop() == 0
    shutil.copytree(three.data_dir, tmp_path / "twin")
    three.start()
    until_linked(nodes)
    port, agent_port = free_ports(2)
    flags = list(three.flags)
    flags[flags.index("--port") + 1] = str(port)
    flags[flags.index("--agent-listen") + 1] = f"127.0.0.1:{agent_port}"
    twin = RealNode(
        name="twin", data_dir=tmp_path / "twin", flags=flags, agent=("127.0.0.1", agent_port)
    )
    try:
        twin.start()
        until(
            lambda: any(node.events("twin_detected") for node in (one, two, twin)),
            "somebody notices the twin",
        )
        # The first one goes on undisturbed; the twin confirms nothing.
        assert three.store("still here")["quorum_acks"] >= 2
        short = twin.ask("POST", "/memories", {"title": "from the twin", "content": "text"})
        assert short.status == 503
        assert not twin.links()
    finally:
        twin.clean_up()
    until_linked(nodes)
    check_equal(nodes, promised)
