"""Random histories over lossy exchanges: what both meshes come to, and that they come to rest.

Law: a seed is the whole history; a failure prints it.
"""

import contextlib
import random

import pytest

from node.foreign.bridge import Bridge
from node.foreign.problems import PeerAway
from tests.unit.foreign.rig import Side
from tests.unit.http.fake_node import Clock

FIELDS = ("title", "content", "source", "entity_id")


def shown(side: Side) -> dict[str, dict[str, object]]:
    """What people wrote; the order of tags and the times are nobody's statement."""
    return {
        ident: {k: sorted(v) if k == "tags" else v for k, v in row.items() if k != "updated_at"}
        for ident, row in side.all_rows().items()
    }


async def act(side: Side, rng: random.Random) -> None:
    side.clock.ms += rng.randrange(1, 5_000)
    ids = sorted(side.all_rows())
    choice = rng.random()
    if not ids or choice < 0.2:
        await side.store(f"made {rng.random()}", tags=["t"], tier="long")
    elif choice < 0.3:
        await side.delete(rng.choice(ids))
    elif choice < 0.35:
        await side.edit(rng.choice(ids), namespace=rng.choice(["left", "right"]))
    elif choice < 0.5:
        await side.edit(rng.choice(ids), tags=rng.sample(["a", "b", "c"], rng.randrange(3)))
    else:
        await side.edit(rng.choice(ids), **{rng.choice(FIELDS): f"{side.name} {rng.random()}"})


Bridges = dict[str, Bridge]


def bridges(a: Side, p: Side, rng: random.Random, loss: list[float]) -> Bridges:
    def fails(_served: bool) -> bool:  # noqa: FBT001 - the rig's signature
        return rng.random() < loss[0]

    return {a.name: a.bridge_to(p, fails), p.name: p.bridge_to(a, fails)}


async def exchange(bridge: Bridge, clock: Clock) -> None:
    clock.ms += 10  # nothing travels in no time
    with contextlib.suppress(PeerAway):
        await bridge.round()


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("mutual", [False, True])
async def test_meshes_come_to_the_same_and_to_rest(seed: int, *, mutual: bool) -> None:
    rng = random.Random(seed)
    clock = Clock()
    a, p = Side("node-a", clock), Side("node-p", clock)
    loss = [0.15]
    of_a, of_p = bridges(a, p, rng, loss).values()
    for _ in range(30):
        await act(rng.choice([a, p]), rng)
        if rng.random() < 0.4:
            await exchange(of_a, clock)
        if mutual and rng.random() < 0.4:
            await exchange(of_p, clock)
    loss[0] = 0
    for _ in range(6):
        await exchange(of_a, clock)
        if mutual:
            await exchange(of_p, clock)
    assert shown(a) == shown(p)
    before = (a.ops, p.ops)
    await exchange(of_a, clock)
    if mutual:
        await exchange(of_p, clock)
    assert (a.ops, p.ops) == before, "nothing circles"
