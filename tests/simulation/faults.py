"""Every kind of step the world can take, and how often."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from crdt.log_rule import LogRule, copies_of, rows_of
from crdt.memory_state import MemoryState
from crdt.op import Kind, Op
from tests.simulation.process import Process, key_of, node_of

if TYPE_CHECKING:
    from tests.simulation.world import World

BASE = {
    "deliver": 60.0,
    "commit": 14,
    "mint": 22,
    "govern": 2.5,
    "vote": 7,
    "seal": 5,
    "tick": 12,
    "beat": 1,
    "truncate": 3,
    "connect": 8,
    "cut": 1.2,
    "notice": 3,
    "work": 8,
    "crash": 0.8,
    "restart": 3,
    "backup": 0.7,
    "restore": 0.5,
    "lose": 0.2,
    "clone": 0.25,
    "unclone": 0.5,
    "add": 1.2,
    "remove": 0.5,
    "skew": 0.6,
    "month": 0.3,
}
FAULTS = ("cut", "crash", "backup", "restore", "lose", "clone", "add", "remove", "govern", "skew")


def weights(r: random.Random, *, calm: bool) -> dict[str, float]:
    """How often each step comes, varied by the seed."""
    out = dict(BASE)
    for kind in r.sample(sorted(out), 6):
        out[kind] *= r.choice([0.3, 0.3, 2, 3])
    if calm:
        out.update(dict.fromkeys((*FAULTS, "truncate"), 0))
    return out


def deliver(world: "World") -> None:
    ready = []
    for link in (*world.links.values(), *{id(k): k for _, k in world.half}.values()):
        world.fly(link) if not link.dead else None
        ready += [(link, end) for end in link.ends if link.flight[end.pid]]
    if ready:
        link, end = world.random.choice(ready)
        for _ in range(world.random.randint(1, 3)):
            if link.flight[end.pid]:
                world.deliver(link, end)


def on(action: Callable[["World", Process], None]) -> Callable[["World"], None]:
    """A step of one random process."""

    def step(world: "World") -> None:
        process = world.pick()
        if process is not None:
            process.exchange.advance(process.now_ms)
            action(world, process)
            if world.procs.get(process.pid) is process:
                process.pump()

    return step


def mint(world: "World", process: Process) -> None:
    if process.may_mint():
        world.stat["minted"] += world.workload.write(process, world.step_no)


def govern(world: "World", process: Process) -> None:
    if process.may_mint() and process.replica.joined:
        world.workload.govern(process)
        world.stat["governed"] += 1


def vote(world: "World", process: Process) -> None:
    if process.may_mint() and process.replica.joined:
        world.stat["votes"] += world.workload.decide(process)


def seal(world: "World", process: Process) -> None:
    if not (process.may_mint() and process.replica.joined):
        return
    world.stat["seals"] += world.workload.seal(process)


def truncate(world: "World", process: Process) -> None:
    if process.exchange.catchup.joining or process.queue or world.lies(process):
        return  # of a rogue that cuts its log nobody would ever hear what it alone has
    rule = LogRule(
        rows=rows_of(process.exchange),
        log_bytes_max=world.keep_bytes,
        log_bytes_min=0,
        log_ms_max=0,
        copies=1 if world.aged else copies_of(process.exchange),
    )
    floors = process.disk.truncate(rule)
    if world.bug == "floor":
        for actor, floor in floors.items():
            row = process.disk.actors[actor]
            process.disk.actors[actor] = type(row)(row.seq, row.hash, row.heads, 0)
            del floor
        return
    process.replica.truncated(floors)
    world.stat["truncated"] += len(floors)


def connect(world: "World", process: Process) -> None:
    other = world.pick()
    if other is not None:
        world.connect(process, other)


def cut(world: "World") -> None:
    if world.links:
        world.cut(world.random.choice(sorted(world.links)))
        world.stat["cut"] += 1


def notice(world: "World") -> None:
    if world.half:
        world.notice(*world.random.choice(world.half))


def crash(world: "World", process: Process) -> None:
    world.stat["crash"] += 1
    world.stat["torn_tail"] += bool(process.queue or process.replica.dirty)
    world.kill(process.pid)


def restart(world: "World") -> None:
    down = [
        pid
        for pid in sorted(world.disks)
        if pid not in world.procs and world.names[pid] not in world.removed
    ]
    if down:
        pid = world.random.choice(down)
        world.boot(pid, world.names[pid])


def backup(world: "World", process: Process) -> None:
    if "~" not in process.pid:
        world.backups.append((process.pid, process.disk.copy()))


def restore(world: "World") -> None:
    if world.backups:
        pid, state = world.random.choice(world.backups)
        world.kill(pid)
        world.replace_disk(pid, state.copy())
        world.stat["restore"] += 1
        world.boot(pid, world.names[pid])


def lose(world: "World", process: Process) -> None:
    if world.stat["lose"] < 1 and "~" not in process.pid:
        world.kill(process.pid)
        world.replace_disk(process.pid, MemoryState())
        world.incoming.pop(process.pid, None)
        world.stat["lose"] += 1
        world.boot(process.pid, process.name)


def clone(world: "World", process: Process) -> None:
    twin = process.pid + "~"
    if "~" not in process.pid and twin not in world.disks and process.replica.joined:
        world.disks[twin] = process.disk.copy()
        world.boot(twin, process.name)
        world.stat["clone"] += 1


def unclone(world: "World") -> None:
    for pid in [pid for pid in world.disks if "~" in pid][:1]:
        world.kill(pid)
        world.replace_disk(pid, None)


def add(world: "World", process: Process) -> None:
    if not process.may_mint() or not process.replica.joined or process.name in world.removed:
        return
    again = world.removed and world.random.random() < 0.7
    if again:
        name = world.random.choice(sorted(world.removed))
        if node_of(name) in process.replica.governance.now.members:
            return
        world.removed.discard(name)
        world.stat["added_again"] += 1
    elif world.joiners < 2:
        name = "ef"[world.joiners]
        world.joiners += 1
        world.stat["added"] += 1
    else:
        return
    process.replica.mint_governance(
        lambda dot, heads, hlc: Op(
            dot=dot,
            kind=Kind.ADD,
            id=name,
            hlc=hlc,
            heads=heads,
            set={"node": node_of(name), "key": key_of(name), "name": name, "url": name},
        ),
        process.now_ms,
    )
    if name not in world.disks:
        world.disks[name] = MemoryState()
        world.boot(name, name)


def remove(world: "World", process: Process) -> None:
    if not process.may_mint() or not process.replica.joined or len(world.removed) >= 2:
        return
    state = process.replica.governance.now
    nodes = sorted(state.members)
    enough = process.exchange.tally.reachable() >= state.quorum()
    if len(nodes) <= 3 or state.unbound or process.me_id not in nodes or not enough:
        return
    member = state.members[world.random.choice(nodes)]
    if member.node_id == process.me_id or member.name in world.stubborn:
        return  # two wrong clocks can only relay for each other while both are members
    world.removed.add(member.name)
    world.stat["removed"] += 1
    process.replica.mint_governance(
        lambda dot, heads, hlc: Op(
            dot=dot,
            kind=Kind.REMOVE,
            id=member.name,
            hlc=hlc,
            heads=heads,
            supersedes=member.adds,
        ),
        process.now_ms,
    )


def skew(world: "World", process: Process) -> None:
    if world.skewing and process.name not in world.stubborn:
        ms = world.random.choice([0, 0, 3_000, 20_000, -20_000])
        world.skew[process.name] = ms
        world.most_skew = max(world.most_skew, ms)
        world.stat["skewed"] += 1


def month(world: "World") -> None:
    world.month += 1


STEPS: dict[str, Callable[["World"], None]] = {
    "deliver": deliver,
    "commit": on(lambda _, p: p.commit()),
    "mint": on(mint),
    "govern": on(govern),
    "vote": on(vote),
    "seal": on(seal),
    "tick": on(lambda _, p: p.exchange.tick()),
    "beat": on(lambda _, p: p.exchange.heartbeat.beat()),
    "truncate": on(truncate),
    "connect": on(connect),
    "cut": cut,
    "notice": notice,
    "work": on(lambda _, p: p.work()),
    "crash": on(crash),
    "restart": restart,
    "backup": on(backup),
    "restore": restore,
    "lose": on(lose),
    "clone": on(clone),
    "unclone": unclone,
    "add": on(add),
    "remove": on(remove),
    "skew": on(skew),
    "month": month,
}
