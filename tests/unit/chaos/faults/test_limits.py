"""A node that ran out of memory goes on, or ends, if a moment later, and is started again."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from chaos.campaign.cycle import Cycle
from chaos.client import Answer
from chaos.faults import limits
from tests.unit.chaos.faults.rig_cycle import played_on


@dataclass
class Short:
    """A node that ends some time after memory ran out; never, when no time is given."""

    ends_at: float | None
    started: bool = False

    @property
    def runs(self) -> bool:
        return self.started or self.ends_at is None or trio.current_time() < self.ends_at

    async def ended(self) -> int:
        await trio.lowlevel.checkpoint()
        return 1


@dataclass
class FakeMesh:
    """One node that answers with 503 while it drains, and keeps what it is given."""

    node: Short
    titles: list[str] = field(default_factory=list)

    @property
    def nodes(self) -> list[Short]:
        return [self.node]

    @property
    def client(self) -> "FakeMesh":
        return self

    def forget(self, node: int) -> None:
        """Nothing is kept of connections here."""

    async def start(self, *_: int) -> None:
        await trio.lowlevel.checkpoint()
        assert not self.node.runs, "a node is started that runs"
        self.node.started = True

    async def ask(
        self, _node: int, method: str, _path: str, body: dict[str, str] | None = None, **_: object
    ) -> Answer:
        await trio.lowlevel.checkpoint()
        if not self.node.runs:
            return Answer(0, {}, {}, "info")
        if self.node.ends_at is not None and not self.node.started:
            return Answer(503, {"error": "draining"}, {}, "fail")
        if method == "POST":
            assert body is not None
            self.titles.append(body["title"])
            return Answer(201, {"id": "x"}, {}, "ok")
        held = [{"title": title} for title in self.titles]
        return Answer(200, {"memories": held, "count": len(held)}, {}, "ok")


@pytest.mark.parametrize("ends_after", [None, 0.0, 0.3, 4.0])
def test_a_node_that_ends_as_memory_returns_is_started_again(
    ends_after: float | None, tmp_path: Path
) -> None:
    """Seen: it was looked at in the moment in which it drained, and was waited for in vain."""

    async def play(cycle: Cycle) -> None:
        if ends_after is not None:
            node.ends_at = trio.current_time() + ends_after
        begun = trio.current_time()
        await limits._expect_recovery(cycle, 0, [])
        assert trio.current_time() - begun < 10

    node = Short(None)
    cycle = played_on(FakeMesh(node), play, code="F29", seed=1, history=tmp_path / "history")
    assert cycle.broken == []
    assert node.started == (ends_after is not None)
