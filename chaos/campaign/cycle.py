"""One cycle, as an injector sees it.

Law: what an injector claims goes into the history: that it broke something, that a probe shows it
broken, that it healed. A cycle whose proofs do not all hold is void. An expectation is a promise
of the class itself; one that does not hold fails the cycle.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import trio

from chaos.campaign.tally import Tally
from chaos.client import Answer
from chaos.mesh import Mesh
from chaos.sandbox import Means
from chaos.stage import Stage

_ANSWERS_LATE_S = 0.25


@dataclass(kw_only=True)
class Cycle:
    """What an injector plays on.

    Attributes:
        number: of the cycle in its campaign.
        code: of the class.
        mesh: its nodes and wires.
        stage: of the workload that runs beside; its `live` says whom clients ask.
        recorder: of the history.
        seed: of the cycle; its lowest byte counts the turns of the class.
        rng: draws every choice.
        hold_s: shortest and longest time a fault lasts.
        means: of the machine.
        proofs: whether each proof held.
        broken: what was expected and did not hold.
        healed_at: when something was last healed, on trio's clock.
    """

    number: int
    code: str
    mesh: Mesh
    stage: Stage
    recorder: Tally
    seed: int
    rng: random.Random
    hold_s: tuple[float, float]
    means: Means
    proofs: list[bool] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    healed_at: float = 0.0

    @property
    def everyone(self) -> list[int]:
        """Numbers of all nodes."""
        return list(range(len(self.mesh.nodes)))

    @property
    def timeout_s(self) -> float:
        """How long a write waits for its quorum."""
        return self.mesh.shape.quorum_timeout_ms / 1000

    def row(self, rows: Sequence[str]) -> str:
        """The next row of a table, turn by turn, so that all of them come."""
        return rows[(self.seed & 0xFF) % len(rows)]

    def pick(self) -> int:
        """A node, drawn."""
        return self.rng.choice(self.everyone)

    def others(self, *nodes: int) -> list[int]:
        """All nodes but these."""
        return [node for node in self.everyone if node not in nodes]

    def minority(self) -> list[int]:
        """So many nodes, drawn, that a quorum is left among the others."""
        most = len(self.mesh.nodes) - self.mesh.shape.quorum_writes
        return self.rng.sample(self.everyone, self.rng.randint(1, max(1, most)))

    # --- the history --------------------------------------------------------------------

    def inject(self, what: str, **detail: object) -> None:
        """Say what is broken now."""
        self._fault("inject", what, ok=True, detail=detail)

    def prove(self, what: str, ok: object, **detail: object) -> None:
        """Say whether a probe shows it."""
        self.proofs.append(bool(ok))
        self._fault("proof", what, ok=bool(ok), detail=detail)

    def healed(self, what: str, **detail: object) -> None:
        """Say that it is whole again."""
        self.healed_at = trio.current_time()
        self._fault("heal", what, ok=True, detail=detail)

    def expect(self, what: str, ok: object, **detail: object) -> None:
        """Judge a promise of the class."""
        if not ok:
            self.broken.append(what)
        self.recorder.event("expect", what=what, ok=bool(ok), detail=detail)

    def _fault(self, phase: str, what: str, *, ok: bool, detail: Mapping[str, object]) -> None:
        self.recorder.event("fault", phase=phase, what=what, ok=ok, detail=dict(detail))

    # --- waiting ------------------------------------------------------------------------

    async def hold(self, seconds: float | None = None) -> None:
        """Let the fault last, with the load going on."""
        await trio.sleep(self.rng.uniform(*self.hold_s) if seconds is None else seconds)

    async def writes(self, count: int, *, seconds: float = 10.0) -> bool:
        """Wait until so many more operations are acknowledged; whether they were in time."""
        wanted = self.recorder.acknowledged + count
        with trio.move_on_after(seconds):
            while self.recorder.acknowledged < wanted:
                await self.recorder.more()
        return self.recorder.acknowledged >= wanted

    async def until(self, holds: Any, *, seconds: float = 10.0) -> bool:
        """Wait until a plain function says yes; whether it did in time."""
        with trio.move_on_after(seconds):
            while not holds():
                await trio.sleep(0.01)
        return bool(holds())

    # --- questions that several classes ask -----------------------------------------------

    async def probe_write(self, node: int) -> tuple[Answer, float]:
        """Try one write on a node, as a part of the history; returns answer and seconds."""
        value = {"title": f"probe {self.number} {node} {self.rng.random()}", "content": "probe"}
        body = {**value, "namespace": f"{self.stage.namespace}/probe"}
        began = trio.current_time()
        answer = await self.mesh.client.ask(node, "POST", "/memories", body, timeout_s=15)
        return answer, trio.current_time() - began

    async def expect_refusal(self, node: int) -> None:
        """A write on a node without its quorum is a 503, in time."""
        answer, seconds = await self.probe_write(node)
        late = self.timeout_s + _ANSWERS_LATE_S
        self.expect("without a quorum the answer is 503", answer.status == 503, got=answer.status)
        # Whoever stands between two cores and five nodes is late now and then; the figure is kept.
        self.recorder.event("note", what="refusal", seconds=round(seconds, 3), bound=late)

    async def expect_reads(self, node: int) -> None:
        """A node that is cut off goes on answering reads."""
        path = f"/memories?namespace={self.stage.namespace}&limit=5"
        answer = await self.mesh.client.ask(node, "GET", path, timeout_s=5)
        self.expect("reads go on", answer.status == 200, got=answer.status, why=answer.why)
