"""F17, F19 to F21, F48: processes that die, stand still, end decently, or begin all at once.

Law: a process is ended by the pid it was started under, or by its own hand at a point it was
ordered to; the kernel's word about it (exit code, state in /proc) is the proof. What was asked of
a node while it died is asked again with its retry key: it has one effect or none, never two.
"""

import signal
from pathlib import Path
from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults.probes import CREATED, Probe, back, death, expect_once, serves, title_of, write
from chaos.faults.registry import fault
from chaos.process import NodeEndedError

COMMITTED: Final = "store.commit.synced"
CONFIRMED: Final = "answer.before"
DRAIN_S: Final = 10.0
_DIALS_PER_PAIR: Final = 25
_STORM_S: Final = 1.0


def state_of(pid: int) -> str:
    """The state letter of a process, as proc(5) has it; `T` is stopped."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()[0]


# --- death ----------------------------------------------------------------------------------


@fault("F17")
async def writer_killed(cycle: Cycle) -> None:
    """A node that is written to dies after the commit, before anybody is told.

    Either its own disk has the write and no peer was told, or the quorum has it and the agent
    was not told.
    """
    node = cycle.pick()
    point = cycle.rng.choice((COMMITTED, CONFIRMED))
    after = cycle.rng.choice((0, 0, 1, 3))
    process = cycle.mesh.nodes[node]
    process.order(point, f"crash after {after}" if after else "crash")
    cycle.inject("a writer is to die", node=node, point=point, after=after)
    told = await _write_until_it_dies(cycle, node)
    code = await death(cycle, node)
    cycle.prove("the node carried the order out", process.fired(point))
    cycle.prove("the kernel says SIGKILL", code == -signal.SIGKILL, code=code)
    await cycle.hold(cycle.rng.uniform(0.0, 0.3))
    await back(cycle, node)
    await expect_once(cycle, node, told)


async def _write_until_it_dies(cycle: Cycle, node: int) -> list[Probe]:
    told: list[Probe] = []
    while cycle.mesh.nodes[node].runs and len(told) < 100:
        told.append(await write(cycle, node, title_of(cycle, "writer")))
    return told


@fault("F19")
async def all_killed(cycle: Cycle) -> None:
    """SIGKILL to all nodes in the same moment, while clients write."""
    cycle.stage.live.clear()
    node = cycle.pick()
    sure = await write(cycle, node, title_of(cycle, "before"))
    async with trio.open_nursery() as nursery:
        # One more is on its way when they die: it may surface, once.
        nursery.start_soon(write, cycle, node, title_of(cycle, "meanwhile"))
        await trio.sleep(cycle.rng.uniform(0.0, 0.02))
        pids = [one.pid for one in cycle.mesh.nodes]
        for one in cycle.mesh.nodes:
            one.signal(signal.SIGKILL)
    codes = [await one.ended() for one in cycle.mesh.nodes]
    cycle.inject("all nodes are killed", pids=pids)
    cycle.prove("the kernel says SIGKILL of each", set(codes) == {-signal.SIGKILL}, codes=codes)
    silent = await cycle.mesh.client.ask(node, "GET", "/livez", timeout_s=1)
    cycle.prove("nobody answers", silent.status == 0, got=silent.status)
    await back(cycle, *cycle.everyone)
    await expect_once(cycle, cycle.pick(), [sure] if sure.status == CREATED else [])


# --- standing still ---------------------------------------------------------------------------


@fault("F20")
async def stopped(cycle: Cycle) -> None:
    """SIGSTOP to a minority, mostly for a moment, now and then for many seconds."""
    few = cycle.minority()
    long = cycle.rng.random() < 0.1
    seconds = cycle.rng.uniform(6.0, 12.0) if long else cycle.rng.uniform(0.5, 2.5)
    for node in few:
        cycle.stage.live.discard(node)
        cycle.mesh.nodes[node].pause()
    cycle.inject("nodes are stopped", nodes=few, seconds=round(seconds, 2))
    pids = [cycle.mesh.nodes[node].pid for node in few]
    # A signal is on its way for a moment.
    still = await cycle.until(lambda: all(state_of(pid) == "T" for pid in pids), seconds=2)
    cycle.prove("the kernel says that they are stopped", still, states=[*map(state_of, pids)])
    answer = await cycle.mesh.client.ask(few[0], "GET", "/livez", timeout_s=0.3)
    cycle.prove("a stopped node does not answer", answer.status == 0, got=answer.status)
    one = await write(cycle, cycle.others(*few)[0], title_of(cycle, "without"))
    cycle.expect("the others confirm without them", one.status == CREATED, got=one.status)
    await cycle.hold(seconds)
    for node in few:
        cycle.mesh.nodes[node].resume()
    cycle.stage.live |= set(few)
    cycle.healed("nodes go on", nodes=few)
    for node in few:
        cycle.expect("it serves again", await serves(cycle, node), node=node)
    same = pids == [cycle.mesh.nodes[node].pid for node in few]
    cycle.expect("it is the same process", same)


# --- beginning anew ---------------------------------------------------------------------------


@fault("F21")
async def rolling_restart(cycle: Cycle) -> None:
    """One after the other is ended with SIGTERM and started, while clients write."""
    order = cycle.rng.sample(cycle.everyone, len(cycle.everyone))
    cycle.inject("a rolling restart", order=order)
    before = [one.pid for one in cycle.mesh.nodes]
    slowest = 0.0
    for node in order:
        cycle.stage.live.discard(node)
        began = trio.current_time()
        try:
            code: int | None = await cycle.mesh.nodes[node].stop()
        except NodeEndedError:
            code = None
        took = trio.current_time() - began
        slowest = max(slowest, took)
        detail = {"node": node, "code": code, "seconds": round(took, 3)}
        cycle.expect("it drains and ends with 0 in time", code == 0 and took <= DRAIN_S, **detail)
        await back(cycle, node)
        # The next one goes when this one is a member again, as an operator would wait.
        cycle.expect("it serves again", await serves(cycle, node), node=node)
    after = [one.pid for one in cycle.mesh.nodes]
    anew = all(old != new for old, new in zip(before, after, strict=True))
    cycle.prove("every process is another one", anew, slowest_s=round(slowest, 3))


@fault("F48")
async def all_rejoin(cycle: Cycle) -> None:
    """All nodes end, and all begin in the same moment."""
    cycle.stage.live.clear()
    decently = cycle.rng.random() < 0.5
    async with trio.open_nursery() as nursery:
        for node in cycle.everyone:
            one = cycle.mesh.nodes[node]
            nursery.start_soon(one.stop if decently else one.kill)
    cycle.inject("all nodes have ended", by="SIGTERM" if decently else "SIGKILL")
    cycle.prove("none runs", not any(one.runs for one in cycle.mesh.nodes))
    accepted = cycle.mesh.wires.accepted
    before = dict(accepted)
    await cycle.mesh.start(*cycle.everyone)
    linked = await cycle.mesh.until_linked()
    cycle.stage.live |= set(cycle.everyone)
    dials = {pair: accepted[pair] - before.get(pair, 0) for pair in accepted}
    most = max(dials.values(), default=0)
    cycle.expect("no storm of dials", most <= _DIALS_PER_PAIR, most=most)
    settled = sum(accepted.values())
    await cycle.hold(_STORM_S)
    late = sum(accepted.values()) - settled
    cycle.expect("nobody dials once all are linked", late <= len(dials), late=late)
    cycle.recorder.event(
        "note", what="rejoined", linked_s=round(linked, 3), dials=dials_text(dials)
    )


def dials_text(dials: dict[tuple[int, int], int]) -> dict[str, int]:
    """Counts of pairs under names that JSON can hold."""
    return {f"{source}>{target}": count for (source, target), count in sorted(dials.items())}
