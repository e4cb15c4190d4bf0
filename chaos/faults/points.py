"""F18: SIGKILL at every point where a node can be told to fail, from commit to migration.

Law: `POINTS` is the table of those points and of the deed that leads a node there; a test holds it
against the node's own. The order is carried out by the node itself, which says so by renaming its
file before it dies. A deed bears that the node is gone, and is asked again until it is.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.faults import deeds
from chaos.faults.probes import back, death, expect_once, serves, title_of, write
from chaos.faults.registry import fault
from chaos.process import NodeEndedError

_SIGKILL: Final = -9
_HIT_S: Final = 25.0
_TRIES: Final = 60

Deed = Callable[[Cycle, int], Awaitable[None]]


async def _write(cycle: Cycle, node: int) -> None:
    await write(cycle, node, title_of(cycle, "at a point"), timeout_s=3)


async def _be_written_to(cycle: Cycle, node: int) -> None:
    await write(cycle, cycle.rng.choice(cycle.others(node)), title_of(cycle, "at a point"))


async def _restart(cycle: Cycle, node: int) -> None:
    process = cycle.mesh.nodes[node]
    with suppress(NodeEndedError):
        await process.stop()
    cycle.mesh.client.forget(node)
    if not any(path.name.endswith(".fired") for path in process.orders.iterdir()):
        process.start()
        await cycle.until(lambda: not process.runs, seconds=_HIT_S)


async def _stop(cycle: Cycle, node: int) -> None:
    with suppress(NodeEndedError):
        await cycle.mesh.nodes[node].stop()


async def _compact(cycle: Cycle, node: int) -> None:
    await cycle.mesh.client.ask(node, "POST", "/compact", {}, timeout_s=5)


async def _register(cycle: Cycle, node: int) -> None:
    """Something that every node writes into its chain of events."""
    body = {"agent_id": f"ai:{cycle.rng.getrandbits(48):012x}", "agent_type": "system"}
    other = cycle.rng.choice(cycle.others(node))
    await cycle.mesh.client.ask(other, "POST", "/agents", body, timeout_s=3)


# Deeds on a mesh as it is.
PLAIN: Final[Mapping[str, Deed]] = {
    "identity.read": _restart,
    "certificate.read": _restart,
    "store.open": _restart,
    "store.schema": _restart,
    "start.facts": _restart,
    "shutdown.drain": _stop,
    "shutdown.close": _stop,
    "write.minted": _write,
    "push.before_send": _write,
    "push.sent": _write,
    "store.commit.before": _write,
    "feed.append": _write,
    "store.commit.written": _write,
    "store.commit.synced": _write,
    "ack.before_send": _write,
    "answer.before": _write,
    "link.greeting": _restart,
    "push.received": _be_written_to,
    "bundle.taken": _be_written_to,
    "join.note": _restart,
    "erase.copy": _compact,
    "erase.copied": _compact,
    "erase.built": _compact,
    "erase.swap": _compact,
    "erase.swapped": _compact,
    "audit.append": _register,
    "audit.countersign": _be_written_to,
    "allowlist.reload": deeds.touch_list,
    "nonce.commit": deeds.sign,
    "recall.commit": _write,
}
# Deeds that need a log that is soon cut, or webhooks that lead to this machine.
SET_UP: Final[Mapping[str, Deed]] = {
    "log.truncate": deeds.fill,
    "snapshot.staged": deeds.lose_disk_and_start,
    "snapshot.join": deeds.lose_disk_and_start,
    "snapshot.adopt.before": deeds.lose_disk_and_start,
    "snapshot.adopt.after": deeds.lose_disk_and_start,
    "webhook.deliver": deeds.hook,
    "webhook.delivered": deeds.hook,
}
# Deeds of another node, to which one of the others reacts: all of them are told to die.
BY_OTHERS: Final[Mapping[str, Deed]] = {
    "catchup.page": deeds.come_back_behind,
    "snapshot.freeze": deeds.come_back_empty,
    "snapshot.chunk": deeds.come_back_empty,
}
# Only a store that an older program wrote leads a node there; the suite kills it at each of them.
BEYOND: Final = frozenset(
    f"migration.{moment}" for moment in ("snapshot", "copied", "saved", "step", "stepped", "proven")
)
POINTS: Final[Mapping[str, Deed]] = {**PLAIN, **SET_UP, **BY_OTHERS}
_NEEDS_SET_UP: Final = frozenset({*SET_UP, "snapshot.freeze", "snapshot.chunk"})


@fault("F18")
async def killed_at_a_point(cycle: Cycle) -> None:
    """A node dies at a drawn point, or two do, each at its own."""
    point = cycle.row(sorted(POINTS))
    if point in _NEEDS_SET_UP:
        async with deeds.set_up(cycle):
            await _die_at(cycle, point)
        return
    await _die_at(cycle, point)
    if point not in BY_OTHERS:
        await _die_at(cycle, cycle.rng.choice(sorted(PLAIN.keys() - {point})))


async def _die_at(cycle: Cycle, point: str) -> None:
    node = cycle.pick()
    sure = await write(cycle, node, title_of(cycle, "before"))
    cycle.inject("a node is to die at a point", node=node, point=point)
    if point in BY_OTHERS:
        dead = await _others_die(cycle, node, point)
    else:
        dead = await _dies(cycle, node, point)
    # One who died at its start has to be started again, and that must work.
    for each in dead:
        cycle.mesh.nodes[each].clear_orders()
    down = [each for each in cycle.everyone if not cycle.mesh.nodes[each].runs]
    for each in down:
        await cycle.mesh.nodes[each].ended()
    await back(cycle, *down)
    await expect_once(cycle, node, [sure] if sure.status in range(200, 300) else [])
    for each in down:
        cycle.expect("it serves again", await serves(cycle, each), node=each, point=point)


async def _dies(cycle: Cycle, node: int, point: str) -> list[int]:
    process = cycle.mesh.nodes[node]
    process.order(point, "crash")
    codes: list[int | None] = []
    with trio.move_on_after(_HIT_S):
        for _ in range(_TRIES):
            await POINTS[point](cycle, node)
            if process.fired(point):
                break
            await trio.sleep(0.05)
    # Who died inside a deed has been waited for there.
    fired = process.fired(point)
    if fired:
        codes = [await death(cycle, node) if process.process is not None else _SIGKILL]
    cycle.prove("the node carried the order out", fired, point=point)
    cycle.prove("the kernel says SIGKILL", codes == [_SIGKILL], codes=codes)
    return [node]


async def _others_die(cycle: Cycle, node: int, point: str) -> list[int]:
    others = cycle.others(node)
    fired: list[int] = []

    def one_fired() -> bool:
        fired[:] = [each for each in others if cycle.mesh.nodes[each].fired(point)]
        return bool(fired)

    def order() -> None:
        for each in others:
            cycle.mesh.nodes[each].order(point, "crash")

    await deeds.before_coming_back(cycle, node, empty=POINTS[point] is deeds.come_back_empty)
    order()
    await POINTS[point](cycle, node)
    await cycle.until(one_fired, seconds=_HIT_S)
    for each in others:
        (cycle.mesh.nodes[each].orders / point).unlink(missing_ok=True)
    one_fired()
    codes = [await death(cycle, each) for each in fired]
    cycle.prove("a node carried the order out", fired, point=point, nodes=list(fired))
    cycle.prove("the kernel says SIGKILL", set(codes) == {_SIGKILL}, codes=codes)
    return list(fired)
