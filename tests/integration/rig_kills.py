"""Stories of nodes that are killed under load, told of any mesh.

Law: whatever was acknowledged is everywhere afterwards, and nothing that was deleted came back.
A story is told of running nodes by the test that made them; each prints its seed.
"""

import random

from tests.integration.rig import RealNode, check_equal, until_linked
from tests.integration.rig_load import Load


def check_kept(nodes: list[RealNode], load: Load) -> None:
    """Every acknowledged write is everywhere, and nothing that was deleted came back."""
    check_equal(nodes, load.promised)
    assert load.promised
    assert not nodes[0].held().keys() & load.deleted


def drawn() -> tuple[int, random.Random]:
    """A seed, which is printed, and what draws by it."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return seed, random.Random(seed)


def kill_one(nodes: list[RealNode], victim: int, *, writers: int = 2, after: int = 300) -> None:
    """One dies at a random moment of its first writes; the others are a quorum and go on."""
    seed, draw = drawn()
    load = Load(nodes, seed=seed)
    with load.running(writers):
        load.until_written(draw.randrange(50, after))
        nodes[victim].kill()
        load.until_written(60)
        nodes[victim].start()
        load.until_written(60)
    until_linked(nodes)
    assert load.broken > 0, "nothing was in flight when the node died"
    check_kept(nodes, load)


def kill_all(nodes: list[RealNode], *, writers: int = 2) -> None:
    """All die at once and come back side by side."""
    load = Load(nodes)
    with load.running(writers):
        load.until_written(200)
        for node in nodes:
            node.kill()
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    check_kept(nodes, load)


def kill_at_random(
    nodes: list[RealNode], times: int, *, writers: int = 2, apart: int = 400
) -> None:
    """One after the other dies at random moments, and is back before the next does."""
    seed, draw = drawn()
    load = Load(nodes, seed=seed)
    with load.running(writers):
        for _ in range(times):
            load.until_written(draw.randrange(1, apart))
            victim = draw.choice(nodes)
            victim.kill()
            load.until_written(draw.randrange(1, 60))
            victim.start()
            until_linked(nodes)
    check_kept(nodes, load)
