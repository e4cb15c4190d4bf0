"""A look at the store that is over holds no place among its readers.

Law: LMDB has places for a bounded number of readers, and a transaction keeps its own until the last
reference to it goes. A node looks for garbage seldom, so nothing that looks may refer to itself.
"""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.store import Store
from node.store.scrub import START
from tests.unit.store.rig import memory, open_store

# Twice as many as there are places.
LOOKS: dict[str, Callable[[Store], object]] = {
    "piece of a scrub": lambda store: store.scrub(START, 50),
    "sum": lambda store: store.adds_up(),
    "record": lambda store: store.record(memory("a")),
    "load": lambda store: store.load(),
}
TIMES = 252


@pytest.fixture
def _no_garbage_is_looked_for() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("_no_garbage_is_looked_for")
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_leaves_its_place_when_it_ends(
    look: Callable[[Store], object], tmp_path: Path
) -> None:
    store = open_store(tmp_path / "s")
    try:
        for _ in range(TIMES):
            look(store)  # else: Environment maxreaders limit reached
    finally:
        store.close()
