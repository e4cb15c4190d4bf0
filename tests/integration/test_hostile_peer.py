"""A member gone bad, of its own code, against a real mesh: every attack, every expectation.

Law: the attacks judge by what a node shows to anybody; the test judges once more by the nodes'
own words: level, equal in content, and no word of the attacker in any file of logs.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from chaos.hostile import (
    counting,
    equivocation,
    forged,
    malformed,
    oversized,
    shapes,
    strangers,
    twin,
    versions,
)
from chaos.hostile import member as members
from chaos.hostile.attacks import Attack
from chaos.hostile.target import Papers, Target, Victim
from tests.integration.rig import RealNode, check_equal, cleaned_up
from tests.integration.rig_mesh import founded, list_of, start_all
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
# Deadlines are the nodes' own; short ones make the same attack take less time.
QUICK = {
    "limits": {"headers_timeout_ms": 700, "body_timeout_ms": 1200, "handshake_timeout_ms": 1000}
}


@dataclass
class World:
    """A mesh, and a target that is its hostile member."""

    nodes: list[RealNode]
    target: Target

    def suffer(self, attack: Attack, seed: int, scale: float = 1.0) -> None:
        """Attack, and expect everything that the attack expects."""
        print(f"seed {seed}")
        self.target.scale = scale
        found = trio.run(attack, self.target, random.Random(seed))
        assert found
        broken = [(one.what, one.detail) for one in found if not one.ok]
        assert not broken
        check_equal(self.nodes)
        for node in self.nodes:
            assert self.target.marker not in node.log.read_text(errors="replace")


def besieged(folder: Path, nodes: list[RealNode]) -> World:
    """A mesh of honest nodes, and one member more that is not."""
    papers = Papers.make(folder / "papers")
    for node in nodes:
        for fingerprint, name in papers.listed.items():
            allowlist.add(list_of(node), fingerprint, name)
    start_all(nodes)
    target = Target(victims=[victim(node) for node in nodes], papers=papers, quiet=True)
    trio.run(enter, target)
    return World(nodes, target)


def victim(node: RealNode) -> Victim:
    host, _, port = node.url.removeprefix("https://").rpartition(":")
    return Victim(
        name=node.name,
        host=host,
        port=int(port),
        url=node.url,
        agent=node.agent,
        fingerprint=node.fingerprint,
        log=node.log,
        pid=node.pid,
    )


async def enter(target: Target) -> None:
    """Join, and be honest until every node counts on it."""
    member = await members.join(target)
    async with trio.open_nursery() as nursery:
        for one in target.victims:
            nursery.start_soon(member.follow, one)
        assert await members.until_counted(target)
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    yield from lasting(tmp_path_factory.mktemp("besieged"), 2)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[World]:
    yield from lasting(tmp_path, 3)


def lasting(folder: Path, count: int) -> Iterator[World]:
    nodes = founded(folder / "mesh", count, config=QUICK)
    with cleaned_up(nodes):
        yield besieged(folder, nodes)


def test_an_honest_member_of_foreign_code_counts_in_a_quorum(world: World) -> None:
    """The document suffices to write a peer: it joins, follows, acknowledges and mints."""
    target, one = world.target, world.nodes[0]

    async def work() -> None:
        member = target.member
        async with trio.open_nursery() as nursery:
            for each in target.victims:
                nursery.start_soon(member.follow, each)
            assert await members.until_counted(target)
            world.nodes[1].kill()
            stored = await target.victims[0].ask(
                "POST", "/memories", {"title": "a", "content": "b"}
            )
            assert stored.status == 201
            assert stored.json()["durability"]["peers"] == ["hostile"]
            nursery.cancel_scope.cancel()

    trio.run(work)
    world.nodes[1].start()
    target.victims = [victim(node) for node in world.nodes]
    check_equal(world.nodes)
    assert "hostile" in {member["name"] for member in one.mesh()["members"]}


@pytest.mark.parametrize(
    ("attack", "scale"),
    [
        (malformed.attack, 0.25),
        (forged.attack, 1.0),
        (equivocation.attack, 1.0),
        (strangers.attack, 1.0),
        (versions.attack, 1.0),
        (twin.attack, 1.0),
        (oversized.attack, 1.0),
        (shapes.attack, 0.1),
    ],
    ids=lambda given: given.__module__.rpartition(".")[2] if callable(given) else "",
)
def test_a_hostile_member_gains_nothing(world: World, attack: Attack, scale: float) -> None:
    world.suffer(attack, seed=random.randrange(2**32), scale=scale)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_thousands_of_malformed_messages(large: World, seed: int) -> None:
    large.suffer(malformed.attack, seed, scale=4.0)


@pytest.mark.slow
def test_a_request_cut_at_every_byte(large: World) -> None:
    large.suffer(shapes.attack, seed=4)


@pytest.mark.slow
def test_a_liar_counts_once(large: World) -> None:
    large.suffer(counting.attack, seed=5)


@pytest.mark.slow
def test_a_mesh_that_was_told_two_things_says_so(large: World) -> None:
    """What it leaves is not equal: an equivocation is found today, and not undone."""
    found = trio.run(equivocation.split, large.target, random.Random(6))
    assert [one for one in found if not one.ok] == []
