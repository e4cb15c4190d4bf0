"""Random histories over lossy exchanges: what both meshes come to, and that they come to rest.

Law: a seed is the whole history; a failure prints it.
"""

import contextlib
import random

import pytest

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


async def act(side: Side, rng: random.Random, said: set[str]) -> None:
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
        value = f"{side.name} {rng.random()}"
        said.add(value)
        await side.edit(rng.choice(ids), **{rng.choice(FIELDS): value})


async def exchange(near: Side, far: Side, rng: random.Random, loss: float) -> None:
    with contextlib.suppress(PeerAway):
        await near.bridge_to(far, lambda _served: rng.random() < loss).round()


@pytest.mark.parametrize("seed", range(2000))
@pytest.mark.parametrize("mutual", [False, True])
async def test_meshes_come_to_the_same_and_to_rest(seed: int, *, mutual: bool) -> None:
    rng = random.Random(seed)
    clock = Clock()
    a, p = Side("node-a", clock), Side("node-p", clock)
    said: set[str] = set()
    for _ in range(30):
        await act(rng.choice([a, p]), rng, said)
        if rng.random() < 0.4:
            await exchange(a, p, rng, loss=0.15)
        if mutual and rng.random() < 0.4:
            await exchange(p, a, rng, loss=0.15)
    for _ in range(6):
        await exchange(a, p, rng, loss=0)
        if mutual:
            await exchange(p, a, rng, loss=0)
    assert shown(a) == shown(p)
    before = (a.ops, p.ops)
    await exchange(a, p, rng, loss=0)
    if mutual:
        await exchange(p, a, rng, loss=0)
    assert (a.ops, p.ops) == before, "nothing circles"
