"""Meshes of real processes for the tests that want one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode
from tests.integration.rig_mesh import founded, start_all

Found = Callable[..., list[RealNode]]


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Found]:
    """Found a mesh by flags and start it; whatever runs is ended after the test."""
    every: list[RealNode] = []

    def make(count: int = 3, *, start: bool = True, **options: Any) -> list[RealNode]:
        nodes = founded(tmp_path / f"mesh-{len(every)}", count, **options)
        every.extend(nodes)
        if start:
            start_all(nodes)
        return nodes

    try:
        yield make
    finally:
        for node in every:
            node.clean_up()


@pytest.fixture(scope="module")
def shared_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Three nodes for all tests of a module that break nothing."""
    nodes = founded(tmp_path_factory.mktemp("shared"), 3)
    try:
        start_all(nodes)
        yield nodes
    finally:
        for node in nodes:
            node.clean_up()
