"""What the faults of links hold against the nodes, and what they do not."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from chaos.campaign.cycle import Cycle
from chaos.faults import links
from tests.unit.chaos.faults.rig_cycle import played_on

_PAIRS = [(one, other) for one in range(3) for other in range(3) if one != other]


class Flow:
    """A flow that repeats at once; what is repeated ends a link from the `ends_at`th chunk on."""

    def __init__(
        self, pair: tuple[int, int], accepted: Counter[tuple[int, int]], ends_at: int
    ) -> None:
        self.pair, self.accepted, self.ends_at, self.chunks = pair, accepted, ends_at, 0

    @property
    def repeat_next(self) -> bool:
        return False

    @repeat_next.setter
    def repeat_next(self, _: bool) -> None:
        self.chunks += 1
        if self.chunks >= self.ends_at:
            self.accepted[self.pair] += 1


def repeated(tmp_path: Path, ends_at: int, monkeypatch: pytest.MonkeyPatch) -> Cycle:
    monkeypatch.setattr(links, "_ABOVE_TLS", 0.0)
    accepted: Counter[tuple[int, int]] = Counter()
    flows = {pair: Flow(pair, accepted, ends_at) for pair in _PAIRS}
    mesh = SimpleNamespace(
        nodes=range(3), client=None, wires=SimpleNamespace(flows=flows, accepted=accepted)
    )
    return played_on(mesh, links.repeated, code="F11", seed=ends_at, history=tmp_path / "history")


@pytest.mark.parametrize("ends_at", [1, 2, 4])
def test_late_bytes_of_a_dead_connection_are_not_held_against_the_link_that_lives(
    ends_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle = repeated(tmp_path, ends_at, monkeypatch)
    assert cycle.proofs == [True]
    assert cycle.broken == []


def test_a_link_that_reads_what_is_repeated_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycle = repeated(tmp_path, 99, monkeypatch)
    assert cycle.broken == ["the link is made anew"]
