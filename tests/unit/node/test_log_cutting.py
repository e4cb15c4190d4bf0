"""How many members must hold what a limit takes out of the log."""

from types import SimpleNamespace
from typing import Any

import pytest

from node.replication.cutting import LogCutter
from tests.unit.crdt.rig import Node, spread


def cutter(names: tuple[str, ...], wanted: int | None) -> LogCutter:
    nodes = [Node(name, names) for name in names]
    spread(nodes)
    engine: Any = SimpleNamespace(
        replica=nodes[0].replica, exchange=SimpleNamespace(wanted_w=wanted)
    )
    settings: Any = None
    return LogCutter(engine=engine, settings=settings, log=lambda *_a, **_k: None, now_ms=lambda: 0)


@pytest.mark.parametrize(
    ("members", "wanted", "copies"),
    [
        (1, None, 1),
        (2, 2, 1),  # whoever is alone with the source believes its snapshot
        (3, None, 2),
        (3, 1, 2),  # what one member claims alone is what an invention looks like
        (5, None, 3),
        (5, 4, 4),
    ],
)
def test_what_was_not_acknowledged_is_in_a_log(
    members: int, wanted: int | None, copies: int
) -> None:
    assert cutter(tuple("abcde"[:members]), wanted).copies() == copies
