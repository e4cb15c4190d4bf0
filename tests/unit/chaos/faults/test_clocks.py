"""A wrong clock is proved by what the node says, and nobody with a right one may follow it."""

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from chaos.campaign.cycle import Cycle
from chaos.client import Answer
from chaos.faults import clocks
from chaos.mesh import Shape
from tests.unit.chaos.faults.rig_cycle import played_on


@dataclass
class Clocked:
    """A node that takes orders about its clock, and says which one is in force."""

    obeys: bool = True
    looks_until_whole: int = 0
    ordered: str = ""

    def order(self, point: str, what: str) -> None:
        assert point == "clock"
        self.ordered = what

    def said(self, point: str) -> str:
        if point != "clock" or not self.ordered:
            return ""
        self.looks_until_whole -= 1
        if self.looks_until_whole >= 0:
            return ""
        return self.ordered.partition(" ")[0] if self.obeys else "0"


@dataclass
class FakeMesh:
    """Stamps are as far ahead as a test says, by node."""

    nodes: list[Clocked]
    lead_s: Callable[[int], float]
    shape: Shape = field(default_factory=lambda: Shape(nodes=5, quorum_writes=3))

    @property
    def client(self) -> "FakeMesh":
        return self

    async def ask(self, node: int, method: str, *_: object, **__: object) -> Answer:
        await trio.lowlevel.checkpoint()
        if method == "POST":
            return Answer(201, {"id": "x"}, {}, "ok")
        stamp = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.lead_s(node))
        return Answer(200, {"created_at": stamp.isoformat()}, {}, "ok")


def played(
    tmp_path: Path,
    play: Callable[[Cycle], Awaitable[None]],
    seed: int,
    *,
    lead_s: Callable[[int], float] = lambda _: 0.0,
    obeys: bool = True,
    looks: int = 0,
) -> tuple[Cycle, FakeMesh]:
    print(f"seed {seed}")
    mesh = FakeMesh([Clocked(obeys, looks) for _ in range(5)], lead_s)

    cycle = played_on(mesh, play, code="F30", seed=seed, history=tmp_path / f"history {seed}")
    return cycle, mesh


@pytest.mark.parametrize("play", [clocks.skewed, clocks.jumping, clocks.far_future])
def test_a_minority_is_told_another_time_and_says_so(
    play: Callable[[Cycle], Awaitable[None]], tmp_path: Path
) -> None:
    offsets = set()
    for seed in range(20):
        cycle, mesh = played(tmp_path, play, seed)
        wrong = [node for node in mesh.nodes if node.ordered]
        assert 1 <= len(wrong) <= 2
        assert len(cycle.proofs) == len(wrong)
        assert all(cycle.proofs)
        assert cycle.broken == []
        offsets |= {int(node.ordered.split()[0]) for node in wrong}
    assert len(offsets) > 2
    assert 0 not in offsets


def test_a_node_that_goes_on_by_its_own_clock_is_no_proof(tmp_path: Path) -> None:
    cycle, _ = played(tmp_path, clocks.skewed, 1, obeys=False)
    assert not any(cycle.proofs)


def test_an_offset_that_is_just_being_written_is_waited_for(tmp_path: Path) -> None:
    cycle, _ = played(tmp_path, clocks.skewed, 1, looks=3)
    assert cycle.proofs
    assert all(cycle.proofs)


def test_who_follows_a_wrong_clock_breaks_the_promise(tmp_path: Path) -> None:
    cycle, _ = played(tmp_path, clocks.far_future, 1, lead_s=lambda _: 86_400.0)
    assert cycle.broken == [
        "no right clock follows a wrong one",
        "the jump itself is not followed",
    ]
    cycle, _ = played(tmp_path, clocks.skewed, 2, lead_s=lambda _: 5.5)
    assert cycle.broken == [], "what a mesh tolerates by its settings is no breach"
