"""Scenes that no seed draws by itself: one deliberate damage in an otherwise calm world."""

from crdt.digest import move, weight
from crdt.memory_state import MemoryState
from tests.simulation.checks import check_state
from tests.simulation.heal import heal, level
from tests.simulation.world import World


def calm_world(seed: int, steps: int = 250) -> World:
    """A world in which nothing fails, level at the end, with records on every disk."""
    world = World(seed, calm=True)
    world.stubborn = ()
    world.skew = {}
    for _ in range(steps):
        world.step()
        world.check()
    heal(world)
    return world


def damage(disk: MemoryState) -> bytes:
    """Lose one record as a faulty merge would: the digest agrees with what is left."""
    key = next(key for key in sorted(disk.records) if key[:1] == b"d")
    disk.digest = move(disk.digest, weight(key, disk.records.pop(key)), 0)
    return key


def damaged_pair(seed: int) -> tuple[World, str, str, bytes]:
    """Two level nodes at equal clocks, one of which lost a record; no check has run since."""
    world = calm_world(seed)
    sick, healthy = sorted(world.disks)[:2]
    world.kill(sick)
    key = damage(world.disks[sick])
    world.boot(sick, sick)
    assert level(world)
    return world, sick, healthy, key


def meet(world: World, left: str, right: str) -> None:
    """Link two nodes, let them talk until both are still, and beat once both ways."""
    one, two = world.procs[left], world.procs[right]
    world.connect(one, two)
    _talk(world, left, right)
    for process in (one, two):
        process.exchange.advance(process.now_ms)
        process.exchange.heartbeat.beat()
        process.pump()
    _talk(world, left, right)


def _talk(world: World, left: str, right: str) -> None:
    link = world.links[world.procs[left].links[right]]
    for _ in range(50):
        world.fly(link)
        for end in link.ends:
            while link.flight[end.pid]:
                world.deliver(link, end, faulty=False)
        for process in link.ends:
            while process.tasks or process.queue:
                process.work()
                process.commit()
                process.pump()
    assert not any(link.flight.values())


def force_join(world: World, into: str, source: str) -> None:
    """Planted: join a snapshot at equal clocks, which the rules forbid."""
    theirs, after = MemoryState(), b""
    while True:
        rows, after = world.disks[source].chunk(after, 50)
        theirs.stage(rows)
        if not after:
            break
    world.replace_disk(into, world.disks[into].joined_with(theirs))


def look_at(world: World, name: str) -> None:
    """The check of the simulator, for one disk."""
    world.checked.clear()
    check_state(world, f"disk {name}", world.disks[name])


def sessions(world: World) -> int:
    """How many catch-ups were begun by anybody."""
    return sum(process.exchange.catchup.sessions for process in world.procs.values())
