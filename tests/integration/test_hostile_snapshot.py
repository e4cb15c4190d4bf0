"""One member that offers snapshots of its own making, against a mesh that loses nothing by it.

Law: whatever one member serves, what was acknowledged stays on every disk, nothing that nobody
signed is believed, and an alarm names the source.
"""

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from chaos.hostile import snapshots
from chaos.hostile.attacks import Attack
from chaos.hostile.seen import caught_up
from chaos.hostile.wire import Kind
from tests.integration.rig import check_equal, cleaned_up, until, until_linked
from tests.integration.rig_mesh import founded
from tests.integration.test_hostile_peer import QUICK, World, besieged, victim
from tests.integration.test_mesh_disk import lose_store

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]
CONFIG = {"limits": {**QUICK["limits"], "session_timeout_ms": 3000}}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    nodes = founded(tmp_path / "mesh", 3, config=CONFIG)
    with cleaned_up(nodes):
        yield besieged(tmp_path, nodes)


@pytest.mark.parametrize("attack", [snapshots.offer, snapshots.govern])
def test_a_snapshot_of_one_member_takes_nothing_from_the_others(
    world: World, attack: Attack
) -> None:
    found = trio.run(attack, world.target, random.Random(1))
    print(found)
    assert [one for one in found if not one.ok] == []
    check_equal(world.nodes)
    assert all(not node.events("store_swapped") for node in world.nodes)


def test_a_node_that_lost_its_disk_takes_no_store_that_the_others_do_not_hold(
    world: World,
) -> None:
    """The rogue is the only one in reach when it is asked; the others come before it is done."""
    late, *others = world.nodes
    kept = [late.store(f"held by all {n}")["id"] for n in range(20)]
    check_equal(world.nodes)
    target, member = world.target, world.target.member

    async def learn() -> bytes:
        async with member.linked(target.victims[1]) as link:
            assert await caught_up(member, link)
        return snapshots.rows_of(member, {})

    rows = trio.run(learn)
    late.kill()
    lose_store(late)
    for node in others:
        os.kill(node.pid, signal.SIGSTOP)
    linked_before = len(late.events("peer_connected"))
    late.spawn()
    late.wait_alive()

    async def others_come() -> None:
        for node in others:
            os.kill(node.pid, signal.SIGCONT)
        came = linked_before + 1 + len(others)
        await trio.to_thread.run_sync(
            lambda: until(lambda: len(late.events("peer_connected")) >= came, "the others come")
        )

    async def lie() -> bool:
        member.mute = {Kind.WANT}
        async with member.linked(victim(late)) as link:
            served = await snapshots.serve(link, rows, others_come)
            await trio.to_thread.run_sync(
                lambda: until(lambda: late.events("snapshot_refused"), "it is refused")
            )
            return served

    try:
        assert trio.run(lie)
    finally:
        member.mute = set()
        for node in others:
            os.kill(node.pid, signal.SIGCONT)
    until_linked(world.nodes)
    check_equal(world.nodes)
    assert all(late.ask("GET", f"/memories/{ident}").status == 200 for ident in kept)
    refused = late.events("snapshot_refused")
    assert [one["peer"] for one in refused] == [target.name]
    assert "holds other rows" in refused[0]["detail"]
    said = json.loads((late.data_dir / "snapshot_sources.json").read_text())
    assert list(said["refused"]) == [member.node_id.hex()]
