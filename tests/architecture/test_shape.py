"""Sizes, names and first lines of every source file."""

import ast
import re
from statistics import median

from tests.architecture.tree import ROOT, Module, code_of_tests, sources

FILE_LINES_MAX = 400
TEST_FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FORBIDDEN = {"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"}
DOCSTRING_CHARS_MIN = 40
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(module: Module) -> list[Function]:
    return [node for node in ast.walk(module.tree) if isinstance(node, Function)]


def length(node: Function) -> int:
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return (node.end_lineno or first) - first + 1


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    wrong = [
        f"{module.where} has {lines} lines"
        for modules, most in ((sources(), FILE_LINES_MAX), (code_of_tests(), TEST_FILE_LINES_MAX))
        for module in modules
        if (lines := len(module.text.splitlines())) > most
    ]
    assert not wrong, "\n".join(wrong)


def test_no_function_is_longer_than_seventy_lines() -> None:
    wrong = [
        f"{module.where}:{node.lineno} {node.name} has {length(node)} lines"
        for module in (*sources(), *code_of_tests())
        for node in functions(module)
        if length(node) > FUNCTION_LINES_MAX
    ]
    assert not wrong, "\n".join(wrong)


def test_most_files_and_functions_are_small() -> None:
    assert median(len(module.text.splitlines()) for module in sources()) <= 200
    assert median(length(node) for module in sources() for node in functions(module)) <= 12


def test_every_module_opens_with_what_it_promises() -> None:
    wrong = []
    for module in sources():
        said = ast.get_docstring(module.tree) or ""
        promises = "Law:" in said or len(said) >= DOCSTRING_CHARS_MIN
        if not promises and module.text.strip():
            wrong.append(f"{module.where}: {said[:50]!r}")
    assert not wrong, "\n".join(wrong)


def test_every_module_of_the_core_states_its_law() -> None:
    wrong = [
        module.where
        for module in sources()
        if module.package in {"crdt", "transport"}
        and "Law:" not in (ast.get_docstring(module.tree) or "")
        and module.name not in {"crdt", "transport"}
    ]
    assert not wrong, "\n".join(wrong)


def test_no_name_that_says_nothing() -> None:
    wrong = []
    for module in (*sources(), *code_of_tests()):
        words = {*module.name.replace("_", ".").lower().split(".")}
        wrong += [f"{module.where}" for _ in words & FORBIDDEN]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                parts = {p.lower() for p in re.findall(r"[A-Z][a-z0-9]*", node.name)}
                wrong += [f"{module.where}:{node.lineno} {node.name}" for _ in parts & FORBIDDEN]
    assert not wrong, "\n".join(wrong)


def test_every_module_of_the_core_has_its_unit_tests() -> None:
    there = {path.name for path in (ROOT / "tests" / "unit" / "crdt").rglob("test_*.py")}
    wanted = {
        f"test_{module.path.name}"
        for module in sources()
        if module.name.startswith("crdt.") and module.path.name != "__init__.py"
    }
    assert not wanted - there, f"missing: {sorted(wanted - there)}"


def test_dataclasses_of_the_core_are_frozen_or_say_why() -> None:
    """Values never change; what does change is a machine and has slots."""
    wrong = []
    for module in sources():
        if module.package != "crdt":
            continue
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "dataclass":
                    given = {k.arg for k in mark.keywords}
                    if "slots" not in given:
                        wrong.append(f"{module.where}:{node.lineno} {node.name}")
    assert not wrong, "\n".join(wrong)
