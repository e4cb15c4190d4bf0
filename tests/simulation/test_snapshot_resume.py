"""A receiver that dies in the middle of a snapshot goes on where its disk stands."""

from crdt.clock import shared
from crdt.memory_state import MemoryState
from tests.simulation import faults
from tests.simulation.heal import _finish, level
from tests.simulation.world import World


def test_a_snapshot_is_resumed_after_a_crash() -> None:
    world = World(4, calm=True)
    world.chunk_rows, world.keep_bytes = 2, 0
    _connect_all(world)
    _until_level(world)
    source = world.procs["a"]
    for step in range(60):
        source.exchange.advance(source.now_ms)
        world.workload.write(source, step)
        source.pump()
        _turn(world)
    _until_level(world)

    world.kill("c")
    world.replace_disk("c", MemoryState())
    for pid in ("a", "b"):
        faults.truncate(world, world.procs[pid])
    assert any(row.floor for row in source.replica.actors.values()), "nothing was cut"
    world.boot("c", "c")
    _connect_all(world)
    for _ in range(2000):
        if world.stat["chunks"] >= 3:
            break
        _turn(world)
    assert world.stat["chunks"] >= 3
    assert world.stat["snapshot_joins"] == 0

    world.kill("c")
    world.boot("c", "c")
    _connect_all(world)
    before = world.stat["chunks"]
    _until_level(world)
    assert world.stat["resumed"] == 1
    total = -(-sum(1 for _ in source.disk._rows()) // world.chunk_rows)
    assert world.stat["chunks"] - before < total, "it began again from the first row"
    assert shared(world.disks["c"].clock()) == shared(source.disk.clock())


def _connect_all(world: World) -> None:
    procs = list(world.procs.values())
    for place, left in enumerate(procs):
        for right in procs[place + 1 :]:
            world.connect(left, right)
    for process, link in list(world.half):
        world.notice(process, link)


def _turn(world: World) -> None:
    """One message a link, one effect a process."""
    world.now_ms += 50
    for link in list(world.links.values()):
        world.fly(link)
        for end in link.ends:
            if link.flight[end.pid]:
                world.deliver(link, end, faulty=False)
    for process in list(world.procs.values()):
        process.work()
        process.pump()
        process.commit()
        process.exchange.advance(process.now_ms)
        process.exchange.tick()
        process.pump()
    world.check()


def _until_level(world: World) -> None:
    for _ in range(2000):
        if level(world):
            return
        _connect_all(world)
        _turn(world)
        for process in list(world.procs.values()):
            _finish(process)
    raise AssertionError("the world did not come level")
