"""Plays the cycles of a plan on one mesh that lives on, and judges each.

Law: every cycle goes the same way: steady state, load, fault with its proof, heal, steady state
again, reads from all, verdict; and every cycle ends in the history with one verdict, whatever
happened in it. A mesh that does not come back ends the campaign, for there is nothing left
to measure; its stores stay for whoever looks.
"""

import math
import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from chaos.campaign.cycle import Cycle
from chaos.campaign.plan import Plan, Turn
from chaos.campaign.tally import Tally
from chaos.check.cycle import check_cycle
from chaos.client import Client
from chaos.faults.registry import Injector
from chaos.history import Workload, parse_all
from chaos.mesh import Mesh, NotSteadyError
from chaos.process import NodeEndedError
from chaos.sandbox import Means
from chaos.stage import Stage
from chaos.workloads.whole import write_whole

_SAMPLE_S: Final = 0.25
_BEFORE: Final = 4  # acknowledgements before the fault, and again after the heal
_LEVEL_S: Final = 60.0
_PLAY_S: Final = 150.0


class CampaignAbortedError(RuntimeError):
    """The mesh did not come back; the message says what was waited for."""


@dataclass(kw_only=True)
class Outcome:
    """How one cycle ended.

    Attributes:
        verdict: pass, fail, void or not_run.
        workload: that ran; not the drawn one where the class wants another.
        why: in words.
        anomalies: of the checkers.
        converged_s: from the heal until all nodes were level.
    """

    verdict: str
    workload: str = ""
    why: str = ""
    anomalies: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: int = 0
    attempted: int = 0
    converged_s: float | None = None


@dataclass(kw_only=True)
class Runner:
    """What all cycles share.

    Attributes:
        plan: is played.
        mesh: on which.
        recorder: of the history.
        means: of the machine.
        injectors: by class.
        workloads: makers, by name.
        told: is called with each turn and its outcome.
    """

    plan: Plan
    mesh: Mesh
    recorder: Tally
    means: Means
    injectors: dict[str, Injector]
    workloads: dict[str, Callable[[], Workload]]
    told: Callable[[Turn, Outcome], None]

    async def play(self, turns: list[Turn], *, seconds: float = math.inf) -> None:
        """Play turns in order.

        Args:
            turns: to be played.
            seconds: after which no other one is begun.

        Raises:
            CampaignAbortedError: the mesh did not come back after one.
        """
        began = trio.current_time()
        for turn in turns:
            if trio.current_time() - began > seconds:
                return
            outcome = self._not_run(turn) or await self._one(turn)
            self.recorder.event(
                "verdict",
                **{"class": turn.code},
                verdict=outcome.verdict,
                why=outcome.why,
                anomalies=outcome.anomalies,
                acknowledged=outcome.acknowledged,
                attempted=outcome.attempted,
                converged_s=outcome.converged_s,
            )
            self.told(turn, outcome)
            await self._back(turn)

    async def read_all(self) -> None:
        """Read the whole store of every node into the history, as the end of a run.

        Raises:
            NotSteadyError: the nodes do not come level.
        """
        everyone = set(range(len(self.mesh.nodes)))
        await self.mesh.until_level(everyone, seconds=_LEVEL_S)
        await write_whole(
            Stage(
                client=self.mesh.client,
                recorder=self.recorder,
                nodes=self.mesh.names,
                live=everyone,
                rng=random.Random(0),
                cycle=0,
                namespace="",
            )
        )

    def _not_run(self, turn: Turn) -> Outcome | None:
        injector = self.injectors.get(turn.code)
        why = "this version has no injector for it"
        if injector is not None:
            missing = self.means.missing(injector.needs)
            if not missing:
                return None
            why = f"this machine lacks {', '.join(missing)}"
        self._begin(turn, turn.workload)
        return Outcome(verdict="not_run", why=why)

    def _begin(self, turn: Turn, workload: str) -> None:
        self.recorder.event(
            "cycle",
            cycle=turn.number,
            **{"class": turn.code},
            workload=workload,
            seed=turn.seed,
        )

    async def _back(self, turn: Turn) -> None:
        try:
            with trio.fail_after(2 * _LEVEL_S):
                await self.mesh.heal()
                await self.mesh.until_linked()
        except (NotSteadyError, NodeEndedError, trio.TooSlowError) as error:
            raise CampaignAbortedError(
                f"cycle {turn.number} ({turn.code}, seed {turn.seed}): the mesh did not come back: "
                f"{error}"
            ) from error

    # --- one cycle -----------------------------------------------------------------------

    async def _one(self, turn: Turn) -> Outcome:
        injector = self.injectors[turn.code]
        name = turn.workload
        if injector.workloads and name not in injector.workloads:
            name = injector.workloads[turn.seed % len(injector.workloads)]
        self._begin(turn, name)
        cycle = self._cycle(turn)
        workload = self.workloads[name]()
        trouble = ""
        converged: float | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._sample, cycle)
                await self._under_load(cycle, workload, injector)
                await self.mesh.until_level(cycle.everyone, seconds=_LEVEL_S)
                converged = trio.current_time() - cycle.healed_at
                nursery.cancel_scope.cancel()
            await self._look(cycle, self.mesh.client)  # so that the strip ends where it stands
            await workload.final(cycle.stage)
        except Exception as error:  # noqa: BLE001 - a harness that stumbles voids its cycle
            first = innermost(error)
            trouble = f"{type(first).__name__}: {first}"[:500]
            self.recorder.event("note", what="trouble", trace=_trace(error))
            if isinstance(first, NotSteadyError | NodeEndedError):
                # The mesh's fault, not the harness's.
                cycle.expect("the mesh is steady", ok=False, said=trouble)
            else:
                # What was acknowledged is judged even so; the fault itself counts for nothing.
                cycle.prove("the harness did its part", ok=False, said=trouble)
                await self._read_after_trouble(cycle, workload)
        for node in self.mesh.nodes:
            node.note_death()
            for death in node.deaths:
                cycle.expect("no node ends by itself", ok=False, said=death)
            node.deaths.clear()
        return self._judged(trouble, converged)

    async def _read_after_trouble(self, cycle: Cycle, workload: Workload) -> None:
        cycle.stage.live |= set(cycle.everyone)
        try:
            await self.mesh.heal()
            await self.mesh.until_level(cycle.everyone, seconds=_LEVEL_S)
            await workload.final(cycle.stage)
        except Exception as error:  # noqa: BLE001 - the first trouble is the one to tell
            self.recorder.event("note", what="trouble", trace=_trace(error))

    def _cycle(self, turn: Turn) -> Cycle:
        rng = random.Random(turn.seed)
        stage = Stage(
            client=self.mesh.client,
            recorder=self.recorder,
            nodes=self.mesh.names,
            live=set(range(len(self.mesh.nodes))),
            rng=random.Random(rng.random()),
            cycle=turn.number,
            namespace=f"chaos/c{turn.number:06d}",
            acknowledged=self.recorder.dots(),
        )
        return Cycle(
            number=turn.number,
            code=turn.code,
            mesh=self.mesh,
            stage=stage,
            recorder=self.recorder,
            seed=turn.seed,
            rng=rng,
            hold_s=self.plan.hold_s,
            means=self.means,
        )

    async def _under_load(self, cycle: Cycle, workload: Workload, injector: Injector) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(workload.run, cycle.stage)
            await cycle.writes(_BEFORE)
            with trio.move_on_after(_PLAY_S) as played:
                await injector.play(cycle)
            if played.cancelled_caught:
                cycle.expect("the class ends in time", ok=False)
            await self.mesh.heal()
            cycle.stage.live |= set(cycle.everyone)
            cycle.healed("everything")
            served = await cycle.writes(_BEFORE, seconds=_LEVEL_S)
            cycle.expect("writes are acknowledged again after the heal", served)
            nursery.cancel_scope.cancel()

    async def _sample(self, cycle: Cycle) -> None:
        """Look at all nodes now and then, for the strip of digests."""
        client = Client(self.mesh.places)  # its own connections: a stalled one stalls no client
        try:
            while True:
                await self._look(cycle, client)
                await trio.sleep(_SAMPLE_S)
        finally:
            client.close()

    async def _look(self, cycle: Cycle, client: Client) -> None:
        seen: dict[str, dict[str, object]] = {}
        for at, node in enumerate(self.mesh.nodes):
            if not node.runs:
                seen[node.name] = {"up": False, "digest": "", "lag": 0}
                continue
            answer = await client.ask(at, "GET", "/mesh?clocks=none", timeout_s=0.5)
            body = answer.body if isinstance(answer.body, dict) else {}
            lags = [m.get("lag_ops") or 0 for m in body.get("members", [])]
            seen[node.name] = {
                "up": bool(body),
                "digest": body.get("digest", ""),
                "lag": max(lags, default=0),
            }
        self.recorder.event("sample", cycle=cycle.number, nodes=seen)

    # --- the verdict ---------------------------------------------------------------------

    def _judged(self, trouble: str, converged: float | None) -> Outcome:
        judged = check_cycle(parse_all(self.recorder.rows))
        first = judged.anomalies[0].detail if judged.anomalies else judged.why
        return Outcome(
            verdict=judged.verdict,
            workload=judged.workload,
            why=trouble or first,
            anomalies=[one._asdict() for one in judged.anomalies],
            acknowledged=judged.acknowledged,
            attempted=judged.attempted,
            converged_s=None if converged is None else round(converged, 3),
        )


def innermost(error: BaseException) -> BaseException:
    """The first error in a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))[-4000:]
