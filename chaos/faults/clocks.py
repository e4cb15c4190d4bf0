"""F30 to F32: clocks that are wrong.

Law: a node is told another time through its own folder of orders, for a library that fakes the
clock of a process breaks its waits. The proof is twofold: the node says which offset is in force,
and its stamps show it. Order among acknowledged writes is judged by the checkers; here only what
the node promises about clocks.
"""

import datetime as dt
from typing import Final

from chaos.campaign.cycle import Cycle
from chaos.faults.registry import fault

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_TOLERATED_MS: Final = 5_000  # clock_skew_ms_max of the mesh
_ORDERED: Final = ("register", "causal", "session", "delete", "set")


async def set_clock(cycle: Cycle, node: int, order: str) -> None:
    """Tell a node another time, and prove that it goes by it."""
    process = cycle.mesh.nodes[node]
    process.order("clock", order)
    cycle.inject("a clock is off", node=node, order=order)
    # Whatever makes it look at its clock will do; a write most of all.
    await cycle.probe_write(node)
    await cycle.until(lambda: process.said("clock"))
    said = process.said("clock")
    cycle.prove("the node goes by the other clock", said not in ("", "0"), said=said)


async def stamp_lead_s(cycle: Cycle, node: int) -> float | None:
    """How far a fresh stamp of a node is ahead of our clock; None when it makes none."""
    answer, _ = await cycle.probe_write(node)
    body = answer.body if isinstance(answer.body, dict) else {}
    got = await cycle.mesh.client.ask(node, "GET", f"/memories/{body.get('id', '-')}")
    if got.status != 200:
        return None
    stamped = dt.datetime.fromisoformat(got.body["created_at"])
    return (stamped - dt.datetime.now(dt.UTC)).total_seconds()


async def _expect_followed_by_none(cycle: Cycle, wrong: list[int]) -> None:
    """Who has a right clock does not go by a wrong one."""
    for node in cycle.others(*wrong)[:1]:
        lead = await stamp_lead_s(cycle, node)
        ahead = lead is not None and lead > (_TOLERATED_MS + 1000) / 1000
        cycle.expect("no right clock follows a wrong one", not ahead, lead_s=lead)


@fault("F30", workloads=_ORDERED)
async def skewed(cycle: Cycle) -> None:
    """Clocks of a minority are off by seconds to an hour, to either side."""
    wrong = cycle.minority()
    for node in wrong:
        offset = cycle.rng.choice((-_HOUR_MS, -60_000, -4_000, 2_000, 4_000, _HOUR_MS))
        await set_clock(cycle, node, str(offset))
    await cycle.hold()
    await _expect_followed_by_none(cycle, wrong)


@fault("F31", workloads=_ORDERED)
async def jumping(cycle: Cycle) -> None:
    """A clock jumps to and fro."""
    node = cycle.pick()
    offset = cycle.rng.choice((-30_000, -3_000, 3_000, 30_000))
    await set_clock(cycle, node, f"{offset} jump 0.2")
    await cycle.hold(cycle.rng.uniform(0.5, 1.0))
    await _expect_followed_by_none(cycle, [node])


@fault("F32", workloads=_ORDERED)
async def far_future(cycle: Cycle) -> None:
    """A clock is days ahead."""
    node = cycle.pick()
    await set_clock(cycle, node, str(cycle.rng.choice((_DAY_MS, 30 * _DAY_MS, 3650 * _DAY_MS))))
    await cycle.hold()
    await _expect_followed_by_none(cycle, [node])
    lead = await stamp_lead_s(cycle, node)
    # It goes on by the time it had, or refuses to stamp; it never says yes to a far stamp.
    followed = lead is not None and lead > (_TOLERATED_MS + 1000) / 1000
    cycle.expect("the jump itself is not followed", not followed, lead_s=lead)
