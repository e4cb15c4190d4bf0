"""What a dead writer left with one member stays in that member's log, whatever its size."""

from dataclasses import replace

import pytest

from crdt.clock import shared
from tests.simulation import faults
from tests.simulation.heal import heal
from tests.simulation.world import World


def left_with_one_member() -> World:
    """A writer sends operations to one of two others, and dies before its own disk has them."""
    world = World(4, calm=True)
    heal(world)
    # In time whoever reaches nobody else believes a source; these reach each other.
    world.limits = replace(world.limits, second_ms=10**12)
    for process in world.procs.values():
        process.exchange.limits = world.limits
    world.keep_bytes, world.aged = 200, False
    writer, only = world.procs["a"], world.procs["b"]
    for number, link in list(world.links.items()):
        if {end.pid for end in link.ends} != {"a", "b"}:
            world.cut(number)
    for process, link in list(world.half):
        world.notice(process, link)
    before = only.disk.clock()
    for step in range(40):
        world.now_ms += 50
        writer.exchange.advance(writer.now_ms)
        if step < 4:
            world.workload.write(writer, step)
        writer.pump()
        for link in list(world.links.values()):
            world.fly(link)
            while link.flight["a"]:
                world.deliver(link, writer, faulty=False)
        only.pump()
        while only.queue:
            only.commit()
            only.pump()
    ahead = {actor for actor, seq in only.disk.clock().items() if seq > before.get(actor, 0)}
    assert ahead, "nothing reached it"
    assert writer.disk.clock() == before, "the writer has it too"
    world.kill("a")
    faults.truncate(world, only)
    only.pump()
    return world


def test_what_one_member_alone_has_reaches_the_others_from_its_log() -> None:
    world = left_with_one_member()
    heal(world)
    clocks = [shared(disk.clock()) for disk in world.disks.values()]
    assert all(clock == clocks[0] for clock in clocks)
    assert not world.stat["alarm_snapshot_unclaimed"], "an operator had to say who is right"


def test_a_limit_that_takes_the_only_copy_parts_them_until_an_operator_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faults, "copies_of", lambda _exchange: 1)
    world = left_with_one_member()
    heal(world)
    assert world.stat["alarm_snapshot_unclaimed"] >= 2
