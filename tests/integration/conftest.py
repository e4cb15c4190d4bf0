"""Real nodes, alone and in meshes, for the tests that want them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode, cleaned_up, running, until_linked
from tests.integration.rig_commands import newcomer
from tests.integration.rig_governance import enrol
from tests.integration.rig_mesh import founded, heal, start_all
from tests.integration.rig_routes import lone

SHARED_TIMEOUT_MS = 500
Found = Callable[..., list[RealNode]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    """A node alone that asks for no key, shared by the tests of a module."""
    with running(lone(tmp_path_factory.mktemp("lone"))) as one:
        yield one


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[RealNode]:
    """A node alone as `init` makes it: it has a key, a certificate and two listeners."""
    with running(newcomer(tmp_path, "a")) as one:
        yield one


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

    with cleaned_up(every):
        yield make


@pytest.fixture(scope="module")
def _module_mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    flags = ("--quorum-timeout-ms", str(SHARED_TIMEOUT_MS))
    nodes = founded(tmp_path_factory.mktemp("shared"), 3, flags=flags)
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


@pytest.fixture
def shared_mesh(_module_mesh: list[RealNode]) -> Iterator[list[RealNode]]:
    """Three nodes that tests of a module share: they may cut them, and must not end them."""
    yield _module_mesh
    for node in _module_mesh:
        heal(node, [other for other in _module_mesh if other is not node])
    until_linked(_module_mesh)


@pytest.fixture(scope="module")
def _four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    flags = ("--quorum-timeout-ms", str(SHARED_TIMEOUT_MS))
    nodes = founded(tmp_path_factory.mktemp("four"), 4, flags=flags)
    with cleaned_up(nodes):
        start_all(nodes)
        enrol(nodes)
        yield nodes


@pytest.fixture
def four(_four: list[RealNode]) -> Iterator[list[RealNode]]:
    """Four nodes with people, shared by the tests of a module: they may cut the last one off."""
    yield _four
    heal(_four[3], _four[:3])
    until_linked(_four)
