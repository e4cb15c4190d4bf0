"""Who reaches whom under each partition, for meshes of many sizes and many draws.

The mesh is fake and its wires are real: a node confirms a write when it reaches a quorum both
ways, and a probe is answered unless one of the two directions is held.
"""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from chaos.campaign.cycle import Cycle
from chaos.client import Answer
from chaos.faults import links, partitions
from chaos.mesh import Shape
from chaos.network.places import Place
from chaos.network.wires import Wires
from tests.unit.chaos.faults.rig_cycle import played_on

SIZES = [(3, 2), (4, 3), (5, 3), (7, 4), (3, 3), (2, 2), (5, 1)]
SEEDS = range(12)


class FakeWires(Wires):
    """Wires that carry nothing, and answer a probe by what is held."""

    async def probe(self, source: int, target: int) -> bool:
        await trio.lowlevel.checkpoint()
        return not (self.flows[source, target].held or self.flows[target, source].held)


@dataclass
class FakeMesh:
    shape: Shape
    wires: FakeWires
    packets: None = None

    @property
    def nodes(self) -> range:
        return range(self.shape.nodes)

    @property
    def client(self) -> "FakeMesh":
        return self

    def reached(self, node: int) -> set[int]:
        """Whom a node hears and is heard by, without going through another."""
        flows = self.wires.flows
        return {
            other
            for other in self.nodes
            if other == node or not (flows[node, other].held or flows[other, node].held)
        }

    async def ask(self, node: int, method: str, *_: object, **__: object) -> Answer:
        await trio.lowlevel.checkpoint()
        if method == "GET":
            return Answer(200, {}, {}, "ok")
        if len(self.reached(node)) >= self.shape.quorum_writes:
            # The proxy still carries what goes out; see F03.
            return Answer(201, {"id": "x"}, {}, "ok")
        for other in self.nodes:
            if other != node and not self.wires.flows[node, other].held:
                self.wires.flows[node, other].passed += 100
        return Answer(503, {}, {}, "info")


def played(
    tmp_path: Path, size: tuple[int, int], seed: int, play: Callable[[Cycle], Awaitable[None]]
) -> tuple[Cycle, FakeMesh]:
    print(f"size {size}, seed {seed}")
    nodes, writes = size
    places = [
        Place(name=f"n{n}", host="127.0.0.1", port=30_000 + n, agent_port=1) for n in range(nodes)
    ]
    mesh = FakeMesh(
        Shape(nodes=nodes, quorum_writes=writes), FakeWires(places, random.Random(seed))
    )

    history = tmp_path / f"h{nodes}-{writes}-{seed}"
    return played_on(mesh, play, code="F01", seed=seed, history=history), mesh


def groups(mesh: FakeMesh) -> list[set[int]]:
    """Nodes that reach one another, through others too."""
    found: list[set[int]] = []
    for node in mesh.nodes:
        joined = mesh.reached(node)
        for one in [one for one in found if one & joined]:
            found.remove(one)
            joined |= one
        found.append(joined)
    return found


@pytest.mark.parametrize("size", SIZES)
def test_a_minority_is_cut_off_and_a_quorum_is_left_wherever_there_can_be_one(
    size: tuple[int, int], tmp_path: Path
) -> None:
    for seed in SEEDS:
        cycle, mesh = played(tmp_path, size, seed, partitions.minority)
        few, most = sorted(groups(mesh), key=len)[:: len(groups(mesh)) - 1]
        assert few | most == set(mesh.nodes)
        assert few != most
        assert len(most) >= mesh.shape.quorum_writes or size[0] == size[1]
        assert cycle.proofs
        assert all(cycle.proofs)
        if len(few) < mesh.shape.quorum_writes:
            assert cycle.broken == []


@pytest.mark.parametrize("size", [size for size in SIZES if size[1] > 1])
def test_without_a_majority_no_group_is_a_quorum(size: tuple[int, int], tmp_path: Path) -> None:
    for seed in SEEDS:
        cycle, mesh = played(tmp_path, size, seed, partitions.no_majority)
        assert max(map(len, groups(mesh))) < mesh.shape.quorum_writes
        assert all(cycle.proofs)
        assert cycle.broken == []


@pytest.mark.parametrize("size", [size for size in SIZES if size[1] > 1])
def test_of_lost_acknowledgements_only_the_way_back_is_cut(
    size: tuple[int, int], tmp_path: Path
) -> None:
    for seed in SEEDS:
        cycle, mesh = played(tmp_path, size, seed, partitions.lost_acknowledgements)
        held = {pair for pair, flow in mesh.wires.flows.items() if flow.held}
        (writer,) = {target for _, target in held}
        assert held == {(other, writer) for other in mesh.nodes if other != writer}
        assert all(cycle.proofs)
        assert cycle.broken == []


@pytest.mark.parametrize("size", [(3, 2), (4, 3), (5, 3), (7, 4)])
def test_a_bridge_is_the_one_node_that_reaches_both_halves(
    size: tuple[int, int], tmp_path: Path
) -> None:
    for seed in SEEDS:
        cycle, mesh = played(tmp_path, size, seed, partitions.bridge)
        whole = [node for node in mesh.nodes if mesh.reached(node) == set(mesh.nodes)]
        assert len(whole) == 1
        assert groups(mesh) == [set(mesh.nodes)]
        halves = {frozenset(mesh.reached(n) - set(whole)) for n in mesh.nodes if n not in whole}
        assert len(halves) == 2
        assert all(cycle.proofs)


@pytest.mark.parametrize("size", [(3, 2), (4, 3), (5, 3), (7, 4)])
def test_in_a_ring_each_reaches_two_and_all_are_joined(
    size: tuple[int, int], tmp_path: Path
) -> None:
    for seed in SEEDS:
        cycle, mesh = played(tmp_path, size, seed, partitions.ring)
        near = sorted(len(mesh.reached(node)) - 1 for node in mesh.nodes)
        assert near == ([1, 1, 2] if size[0] == 3 else [2] * size[0])
        assert groups(mesh) == [set(mesh.nodes)]
        assert all(cycle.proofs)


def test_what_was_stalled_is_freed_by_the_class_itself(tmp_path: Path) -> None:
    for seed in SEEDS:
        cycle, mesh = played(tmp_path, (5, 3), seed, links.stalled_and_freed)
        assert not any(flow.held for flow in mesh.wires.flows.values())
        assert all(cycle.proofs)


def test_pairs_between_two_sides_are_both_ways() -> None:
    assert partitions.between([0], [1, 2]) == {(0, 1), (1, 0), (0, 2), (2, 0)}
    assert partitions.between([], [1]) == set()
