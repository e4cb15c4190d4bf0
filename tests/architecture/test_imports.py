"""Arrows run one way: crdt <- node -> transport; chaos stands outside."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.architecture.tree import PACKAGES, Module, imports, sources

MAY_IMPORT = {
    "crdt": {"crdt"},
    "transport": {"transport"},
    "node": {"node", "crdt", "transport"},
    "chaos": {"chaos"},
}
# What each package may take from outside; the core is pure, so it gets an encoder and no more.
CORE_LIBRARIES = {"msgpack"}
# What one module alone may load, and when it is asked: not every platform has it.
GUARDED = {"automerge": "crdt.document.second_opinion"}
IMPURE = {"asyncio", "os", "random", "secrets", "socket", "ssl", "threading", "time", "uuid"}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_they_may(package: str) -> None:
    wrong = [
        f"{module.where} imports {name}"
        for module in sources()
        if module.package == package
        for name in sorted(imports(module, typing_too=True))
        if (top := name.partition(".")[0]) in {*PACKAGES, "tests"} - MAY_IMPORT[package]
        or top == "tests"
    ]
    assert not wrong, "\n".join(wrong)


def test_the_node_uses_both_sides() -> None:
    used = {
        name.partition(".")[0]
        for module in sources()
        if module.package == "node"
        for name in imports(module)
    }
    assert {"crdt", "transport"} <= used


def test_the_core_has_no_clock_no_socket_no_disk_and_no_dice() -> None:
    wrong = []
    for module in sources():
        if module.package != "crdt":
            continue
        tops = {name.partition(".")[0] for name in imports(module)}
        foreign = tops - set(sys.stdlib_module_names) - CORE_LIBRARIES - {"crdt"}
        foreign -= {name for name, only in GUARDED.items() if module.name == only}
        wrong += [f"{module.where} imports {name}" for name in sorted(foreign | tops & IMPURE)]
        calls = [n for n in ast.walk(module.tree) if isinstance(n, ast.Call)]
        wrong += [
            f"{module.where}:{call.lineno} opens a file"
            for call in calls
            if isinstance(call.func, ast.Name) and call.func.id in {"open", "input", "print"}
        ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("library", "only"), GUARDED.items())
def test_a_guarded_library_is_loaded_in_one_place_and_late(library: str, only: str) -> None:
    everywhere = {m.name for m in sources() if library in imports(m)}
    assert everywhere <= {only}
    at_once = {
        module.name
        for module in sources()
        for node in module.tree.body
        if isinstance(node, ast.Import) and library in {alias.name for alias in node.names}
    }
    assert not at_once


def graph(modules: tuple[Module, ...]) -> dict[str, set[str]]:
    names = {module.name for module in modules}
    edges = {}
    for module in modules:
        wanted = imports(module) & names - {module.name}
        # `from package import module` needs the module; the package itself only when it is empty.
        edges[module.name] = {
            name for name in wanted if not any(w.startswith(f"{name}.") for w in wanted)
        }
    return edges


def test_no_circle_between_modules() -> None:
    try:
        order = tuple(TopologicalSorter(graph(sources())).static_order())
    except CycleError as error:
        pytest.fail("modules import each other in a circle: " + " -> ".join(error.args[1]))
    assert set(order) >= {module.name for module in sources()}


def test_a_circle_would_be_seen() -> None:
    with pytest.raises(CycleError):
        tuple(TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}}).static_order())
