"""Every cycle ends with one verdict: whose trouble it was decides which."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from chaos.campaign.cycle import Cycle
from chaos.campaign.plan import Plan, Turn
from chaos.campaign.runner import CampaignAbortedError, Outcome, Runner
from chaos.campaign.tally import Tally
from chaos.check.campaign import check_campaign
from chaos.check.gathering import content_hash
from chaos.client import Answer
from chaos.faults.registry import Injector
from chaos.history import FinalRead, Verdict, read_file
from chaos.mesh import NotSteadyError, Shape
from chaos.network.places import Place, on_loopback
from chaos.process import NodeEndedError
from chaos.sandbox import Means
from chaos.stage import Stage

NAMES = ("n1", "n2", "n3")


async def passing(seconds: float) -> None:
    """Let virtual time pass."""
    await trio.sleep_until(trio.current_time() + seconds)


@dataclass
class FakeNode:
    name: str
    runs: bool = True
    deaths: list[str] = field(default_factory=list)

    def note_death(self) -> None:
        pass


@dataclass
class FakeMesh:
    """A mesh that does what a test says; its client answers every question alike."""

    nodes: list[FakeNode] = field(default_factory=lambda: [FakeNode(name) for name in NAMES])
    shape: Shape = field(default_factory=lambda: Shape(nodes=3, quorum_writes=2))
    places: list[Place] = field(default_factory=lambda: on_loopback(list(NAMES)))
    healed: int = 0
    level: Callable[[], Awaitable[float]] | None = None
    linked: Callable[[], Awaitable[float]] | None = None

    @property
    def client(self) -> "FakeMesh":
        return self

    @property
    def names(self) -> list[str]:
        return list(NAMES)

    async def ask(self, *_: object, **__: object) -> Answer:
        await trio.lowlevel.checkpoint()
        return Answer(200, {"digest": "d", "clock": {}, "members": []}, {}, "ok")

    async def heal(self) -> None:
        self.healed += 1

    async def until_level(self, *_: object, **__: object) -> float:
        return await self.level() if self.level else 0.0

    async def until_linked(self) -> float:
        return await self.linked() if self.linked else 0.0


@dataclass
class Adding:
    """Adds elements one after the other, and shows at the end what it is told to."""

    name: str = "set"
    acknowledges: Callable[[int], bool] = lambda _: True
    shows: Callable[[dict[str, Any]], dict[str, Any]] = lambda held: held
    held: dict[str, Any] = field(default_factory=dict)
    finals: int = 0

    async def run(self, stage: Stage) -> None:
        number = 0
        while True:
            await passing(0.05)
            number += 1
            fields = {"content": f"{stage.cycle}.{number}"}
            op = stage.recorder.invoke("c1", "n1", "add", fields=fields)
            if self.acknowledges(number):
                self.held[f"id{stage.cycle}.{number}"] = fields
                stage.recorder.complete(op, "ok", status=201, id=f"id{stage.cycle}.{number}")
            else:
                stage.recorder.complete(op, "info", status=503)

    async def final(self, stage: Stage) -> None:
        self.finals += 1
        own = {i: v for i, v in self.held.items() if i.startswith(f"id{stage.cycle}.")}
        shown = self.shows(own)
        for node in NAMES:
            stage.recorder.event(
                "final",
                node=node,
                scope="cycle",
                clock={},
                digest="d",
                policies={},
                records={i: {"hash": content_hash(v), "value": v} for i, v in shown.items()},
            )


async def proved(cycle: Cycle) -> None:
    cycle.inject("something")
    cycle.prove("a probe shows it", ok=True)
    await cycle.hold(0.2)


def play(
    tmp_path: Path,
    *,
    injector: Callable[[Cycle], Awaitable[None]] = proved,
    mesh: FakeMesh | None = None,
    workload: Adding | None = None,
    code: str = "F01",
    needs: tuple[str, ...] = (),
    turns: int = 1,
    seconds: float = 1e9,
) -> list[Outcome]:
    """Play turns of one class; the verdicts are checked to be those that the file gives."""
    mesh, workload = mesh or FakeMesh(), workload or Adding()
    seen: list[Outcome] = []
    history = tmp_path / "history.jsonl"

    async def run() -> None:
        with Tally(history) as recorder:
            runner = Runner(
                plan=Plan(),
                mesh=mesh,  # type: ignore[arg-type]
                recorder=recorder,
                means=Means(),
                injectors={code: Injector(code=code, play=injector, needs=needs)},
                workloads={"set": lambda: workload},
                told=lambda _, outcome: seen.append(outcome),
            )
            all_ = [Turn(number=n + 1, code=code, workload="set", seed=n) for n in range(turns)]
            await runner.play(all_, seconds=seconds)

    trio.run(run, clock=MockClock(autojump_threshold=0))
    events = list(read_file(history))
    assert [one.verdict for one in events if isinstance(one, Verdict)] == [o.verdict for o in seen]
    assert [one.verdict for one in check_campaign(events).judged] == [o.verdict for o in seen]
    return seen


def test_a_cycle_with_proof_and_nothing_amiss_passes(tmp_path: Path) -> None:
    mesh = FakeMesh()
    (outcome,) = play(tmp_path, mesh=mesh)
    assert (outcome.verdict, outcome.why, outcome.anomalies) == ("pass", "", [])
    assert outcome.acknowledged == outcome.attempted > 8
    assert outcome.converged_s == pytest.approx(0.2, abs=0.3)
    assert mesh.healed == 2


def test_what_is_lost_or_invented_fails(tmp_path: Path) -> None:
    workload = Adding(shows=lambda held: dict(list(held.items())[1:]))
    (outcome,) = play(tmp_path, workload=workload)
    assert outcome.verdict == "fail"
    assert [one["rule"] for one in outcome.anomalies] == ["lost"]
    assert "was acknowledged" in outcome.why


def test_a_promise_of_the_class_that_does_not_hold_fails(tmp_path: Path) -> None:
    async def broken(cycle: Cycle) -> None:
        await proved(cycle)
        cycle.expect("reads go on", ok=False)

    (outcome,) = play(tmp_path, injector=broken)
    assert outcome.verdict == "fail"
    assert "reads go on" in outcome.why


async def nothing(_: Cycle) -> None:
    await passing(0.1)


async def disproved(cycle: Cycle) -> None:
    cycle.prove("a probe shows it", ok=True)
    cycle.prove("another one, too", ok=False)


@pytest.mark.parametrize("injector", [nothing, disproved])
def test_without_all_proofs_a_cycle_is_void(
    injector: Callable[[Cycle], Awaitable[None]], tmp_path: Path
) -> None:
    (outcome,) = play(tmp_path, injector=injector)
    assert outcome.verdict == "void"


@pytest.mark.parametrize(("code", "verdict"), [("F01", "void"), ("F02", "pass")])
def test_with_few_acknowledgements_a_cycle_is_void_unless_its_class_has_none(
    code: str, verdict: str, tmp_path: Path
) -> None:
    workload = Adding(acknowledges=lambda number: number % 10 == 0)
    (outcome,) = play(tmp_path, workload=workload, code=code)
    assert outcome.verdict == verdict
    assert 0 < outcome.acknowledged < outcome.attempted / 5


def test_trouble_of_the_harness_voids_and_what_was_acknowledged_is_judged_even_so(
    tmp_path: Path,
) -> None:
    async def stumbles(cycle: Cycle) -> None:
        await proved(cycle)
        raise OSError("no such tool")

    mesh, workload = FakeMesh(), Adding()
    (outcome,) = play(tmp_path, injector=stumbles, mesh=mesh, workload=workload)
    assert (outcome.verdict, outcome.why) == ("void", "OSError: no such tool")
    assert workload.finals == 1
    assert any(isinstance(one, FinalRead) for one in read_file(tmp_path / "history.jsonl"))
    loses = Adding(shows=lambda held: dict(list(held.items())[1:]))
    (tmp_path / "history.jsonl").unlink()
    (outcome,) = play(tmp_path, injector=stumbles, workload=loses)
    assert outcome.verdict == "fail"
    assert [one["rule"] for one in outcome.anomalies] == ["lost"]


@pytest.mark.parametrize("error", [NotSteadyError("n2 has no link"), NodeEndedError("n2 ended")])
def test_trouble_of_the_mesh_fails(error: Exception, tmp_path: Path) -> None:
    async def stumbles(cycle: Cycle) -> None:
        await proved(cycle)
        raise error

    (outcome,) = play(tmp_path, injector=stumbles)
    assert outcome.verdict == "fail"
    assert outcome.why == f"{type(error).__name__}: {error}"


def test_a_mesh_that_does_not_come_level_fails(tmp_path: Path) -> None:
    async def never() -> float:
        raise NotSteadyError("clocks of n3 differ")

    (outcome,) = play(tmp_path, mesh=FakeMesh(level=never))
    assert outcome.verdict == "fail"
    assert outcome.converged_s is None
    assert "clocks of n3 differ" in outcome.why


def test_a_node_that_ends_by_itself_fails_its_cycle_and_no_other(tmp_path: Path) -> None:
    mesh = FakeMesh()

    async def dies(cycle: Cycle) -> None:
        await proved(cycle)
        if cycle.number == 1:
            mesh.nodes[1].deaths.append("n2 ended with -11: Segmentation fault")

    first, second = play(tmp_path, injector=dies, mesh=mesh, turns=2)
    assert (first.verdict, second.verdict) == ("fail", "pass")
    assert "no node ends by itself" in first.why


def test_a_class_that_does_not_end_fails(tmp_path: Path) -> None:
    async def forever(cycle: Cycle) -> None:
        await proved(cycle)
        await trio.sleep_forever()

    (outcome,) = play(tmp_path, injector=forever)
    assert outcome.verdict == "fail"
    assert "the class ends in time" in outcome.why


def test_writes_that_do_not_come_back_after_the_heal_fail(tmp_path: Path) -> None:
    workload = Adding(acknowledges=lambda number: number < 8)
    (outcome,) = play(tmp_path, workload=workload, code="F02")
    assert outcome.verdict == "fail"
    assert "writes are acknowledged again" in outcome.why


def test_what_the_machine_lacks_is_not_run(tmp_path: Path) -> None:
    mesh = FakeMesh()
    (outcome,) = play(tmp_path, mesh=mesh, needs=("namespaces", "nft"))
    assert outcome.verdict == "not_run"
    assert outcome.why == "this machine lacks namespaces, nft"
    assert (outcome.attempted, outcome.acknowledged) == (0, 0)


def test_a_mesh_that_does_not_come_back_ends_the_campaign_after_its_verdict(tmp_path: Path) -> None:
    async def never() -> float:
        raise NotSteadyError("n2 has ended")

    with pytest.raises(CampaignAbortedError, match=r"cycle 1 \(F01, seed 0\): the mesh did not"):
        play(tmp_path, mesh=FakeMesh(linked=never), turns=3)
    verdicts = [e for e in read_file(tmp_path / "history.jsonl") if isinstance(e, Verdict)]
    assert [one.cycle for one in verdicts] == [1]


def test_after_its_time_no_other_cycle_is_begun_and_the_running_one_is_finished(
    tmp_path: Path,
) -> None:
    outcomes = play(tmp_path, turns=50, seconds=2.0)
    assert 1 < len(outcomes) < 50
    assert {one.verdict for one in outcomes} == {"pass"}


def test_choices_are_drawn_by_the_seed_of_the_turn(tmp_path: Path) -> None:
    drawn: list[float] = []

    async def draws(cycle: Cycle) -> None:
        drawn.extend((cycle.rng.random(), cycle.stage.rng.random()))
        cycle.prove("x", ok=True)

    for _ in range(2):
        play(tmp_path, injector=draws)
        (tmp_path / "history.jsonl").unlink()
    assert drawn[:2] == drawn[2:]
    assert random.Random(0).random() not in drawn[:1], "the stage has its own"
