"""The keeper of a store, asked for more than it can do at once."""

from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from node.integrity.keeping import Keeping
from node.live import Live
from node.logs import EventLog
from node.metrics import Metrics
from node.replication.engine import Engine
from node.settings import Settings
from node.settings.operations_sections import Integrity
from tests.unit.crdt.rig import Node
from tests.unit.integrity.rig import kept, stop


def keeping(node: Node, folder: Path, begun: list[Coroutine[Any, Any, None]]) -> Keeping:
    engine = SimpleNamespace(
        store=node.disk,
        replica=node.replica,
        asides={},
        metrics=Metrics(),
        now_ms=lambda: 1_770_000_000_000,
        exchange=SimpleNamespace(peers={}, catchup=SimpleNamespace(joining=False)),
    )
    return Keeping(
        engine=cast("Engine", engine),
        live=Live(settings=cast("Settings", SimpleNamespace(integrity=Integrity()))),
        data_dir=folder,
        log=cast("EventLog", lambda *_words, **_facts: None),
        spawn=begun.append,
        failed=lambda _error: None,
    )


async def test_a_thousand_passes_that_are_asked_for_at_once_are_two(tmp_path: Path) -> None:
    node, begun = kept("a", tmp_path, ("a",)), list[Coroutine[Any, Any, None]]()
    keeper = keeping(node, tmp_path, begun)
    for number in range(1000):
        keeper.begin(repair=bool(number % 2))
    assert len(begun) == 2
    assert keeper.facts().running
    while begun:
        await begun.pop()
    assert not keeper.facts().running
    assert keeper.facts().passes == 2
    keeper.begin(repair=True)  # and the next one begins anew
    await begun.pop()
    assert keeper.facts().passes == 3
    keeper.close()
    stop(node)
