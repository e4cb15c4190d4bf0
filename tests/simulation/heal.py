"""Phase two: the world heals, and everything must come level and stay so."""

from typing import TYPE_CHECKING

from crdt.clock import ahead, shared
from crdt.op import Kind
from tests.simulation.broken import need
from tests.simulation.faults import seal
from tests.simulation.process import node_of

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import Link, World


def heal(world: "World") -> None:
    """End all faults; demand convergence, steady push, and that nothing committed is lost.

    Two nodes that share a wrong time source keep it: their own links refuse their stamps, so
    each one's bundles must reach the others by way of the second.
    """
    _mend(world)
    bound = 80 + 8 * sum(len(line) for line in world.twin.lines.values())
    rounds = 0
    while not level(world):
        need(rounds < bound, "I15 not level after healing", rounds, _where(world))
        _round(world)
        rounds += 1
    world.stat["rounds"] += rounds
    for _ in range(40):
        _round(world)
    need(level(world), "I15 did not stay level", _where(world))
    _no_island(world)
    if not world.stubborn:
        _streams_stand(world)
        _decisions(world)
        _steady_state(world)
    _nothing_lost(world)


def _mend(world: "World") -> None:
    for pid in [pid for pid in world.disks if "~" in pid]:
        world.kill(pid)
        world.replace_disk(pid, None)
    world.skew = dict.fromkeys(world.stubborn, world.most_skew)
    for number in list(world.links):
        world.cut(number)
    for process, link in list(world.half):
        world.notice(process, link)
    world.half = []
    for pid in sorted(world.disks):
        if pid not in world.procs:
            world.boot(pid, world.names[pid])


def _round(world: "World", step_ms: int = 400) -> None:
    world.now_ms += step_ms
    world.step_no += 1
    procs = [world.procs[pid] for pid in sorted(world.procs)]
    for place, left in enumerate(procs):
        for right in procs[place + 1 :]:
            world.connect(left, right)
    for link in list(world.links.values()):
        _deliver_all(world, link)
    for process in procs:
        _finish(process)
    if world.step_no % 3 == 0:
        for process in procs:
            process.exchange.heartbeat.beat()
    for process, link in list(world.half):
        world.notice(process, link)
    world.check()


def _deliver_all(world: "World", link: "Link") -> None:
    """What is queued now arrives; what that causes comes in the next round."""
    world.fly(link)
    for end in link.ends:
        for _ in range(len(link.flight[end.pid])):
            if not link.dead and link.flight[end.pid]:
                world.deliver(link, end, faulty=False)


def _finish(process: "Process") -> None:
    """The disk catches up, and a tick passes."""
    while process.tasks:
        process.work()
        process.pump()
    while process.queue:
        process.commit()
        process.pump()
    process.exchange.advance(process.now_ms)
    process.exchange.tick()
    process.pump()


def final_members(world: "World") -> list[str]:
    """The nodes that are members by what the founders, and then the members, know.

    A joiner whose admission lay on disks that were all lost or rolled back is an island: the
    rule that a member links it only once W disks hold the admission allows that only after
    more disks were lost than a quorum survives.
    """
    names = {pid for pid in world.disks if pid in world.founders} - world.removed
    for _ in range(6):
        known = {
            op.dot
            for pid in names
            for op in world.procs[pid].replica.governance.history()
            if op.dot in world.twin.ops
        }
        held = set(world.twin.rules.members(frozenset(known)).values())
        fresh = {pid for pid in world.disks if node_of(pid) in held}
        if fresh == names or not fresh:
            break
        names = fresh
    return sorted(names)


def _no_island(world: "World") -> None:
    members = final_members(world)
    taken_out = {
        op.id
        for line in world.twin.lines.values()
        for bundle in line
        for op in bundle.ops
        if op.kind is Kind.REMOVE
    }
    lost = world.stat["lose"] + world.stat["restore"] + world.stat["clone"]
    for pid, disk in world.disks.items():
        # A founder that the others' wrong clocks keep from taking its place is no island.
        waits = pid in world.founders and not world.procs[pid].replica.joined
        apart = pid not in members and pid not in taken_out and bool(disk.clock()) and not waits
        need(not apart or lost > 1, "an island: its admission is gone", pid)


def level(world: "World") -> bool:
    members = final_members(world)
    first = shared(world.disks[members[0]].clock())
    return all(
        shared(world.disks[pid].clock()) == first
        and shared(world.procs[pid].replica.clock) == first
        for pid in members
    )


def _where(world: "World") -> dict[str, object]:
    return {
        pid: (
            len(process.replica.clock),
            sum(process.replica.clock.values()),
            process.exchange.catchup.session,
            process.exchange.catchup.joining,
            process.replica.joined,
            sorted(process.links),
        )
        for pid, process in world.procs.items()
    }


def _streams_stand(world: "World") -> None:
    members = final_members(world)
    for pid in members:
        process = world.procs[pid]
        need(not process.exchange.catchup.running, "I15 a session waits for ever", pid)
        need(not process.exchange.catchup.joining, "I15 a join waits for ever", pid)
        need(process.replica.joined, "I15 never joined", pid)
        linked = {p.node_id: p for p in process.exchange.peers.values()}
        for other in members:
            if other != pid:
                peer = linked.get(node_of(other))
                need(peer is not None, "I15 no link", pid, other)
                if peer is not None:
                    need(peer.pulling and peer.pushing, "I15 the stream stands still", pid, other)
                    need(not peer.stopped, "I12 a pair stopped", pid, other)


def _decisions(world: "World") -> None:
    """Votes and seals go round while the mesh is whole; what is sealed stays everywhere."""
    for _ in range(3):
        for pid in final_members(world):
            process = world.procs[pid]
            process.exchange.advance(process.now_ms)
            if process.may_mint():
                world.stat["votes"] += world.workload.decide(process)
                process.pump()
        _round(world)
        _round(world)
        for pid in final_members(world):
            process = world.procs[pid]
            process.exchange.advance(process.now_ms)
            seal(world, process)
            process.pump()
        for _ in range(2):
            _round(world)
    for _ in range(200):
        if level(world):
            break
        _round(world)
    need(level(world), "I15 votes and seals do not come level", _where(world))
    # A store that came back from a backup may vote about what it saw and forgot.
    if not any(world.stat[fault] for fault in ("restore", "clone", "lose")):
        for pid in final_members(world):
            overruled = world.twin.overruled(world.disks[pid].clock())
            need(not overruled, "a seal overruled a no", pid, overruled)


def _steady_state(world: "World") -> None:
    """One write on each node reaches all by push alone."""
    members = final_members(world)
    sessions = sum(world.procs[pid].exchange.catchup.sessions for pid in members)
    for pid in members:
        process = world.procs[pid]
        process.exchange.advance(process.now_ms)
        world.workload.write(process, world.step_no)
        process.pump()
    for _ in range(4):
        _round(world, 10)
    need(level(world), "I15 push does not reach", _where(world))
    after = sum(world.procs[pid].exchange.catchup.sessions for pid in members)
    need(after == sessions, "I15 the steady state needed a catch-up")


def _nothing_lost(world: "World") -> None:
    members = set(final_members(world))
    last = world.disks[min(members)].clock()
    for dot, held in world.committed.items():
        if held & members:
            need(last.get(dot[0], 0) >= dot[1], "a committed write is lost", dot)
    for left in members:
        for right in members:
            a, b = world.disks[left].clock(), world.disks[right].clock()
            need(not ahead(shared(a), b), "I15 clocks differ", left, right)
