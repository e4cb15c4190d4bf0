"""What must not stand in a tracked file, and how tests may wait."""

import ast
import re

import pytest

from tests.architecture.tree import ROOT, Module, code_of_tests, tracked

# Built from parts, so that this file does not hold what it looks for.
MACHINE = re.compile(
    "|".join(
        [
            "/" + r"work/(?:main|shared|\.)",
            "/" + r"root/",
            "/" + r"opt/pypi",
            "file" + r":///(?:opt|srv|mnt|work)",
            "--" + r"(?:extra-)?index-url",
            "PIP_" + r"INDEX_URL",
            r"(?:artifactory|devpi|nexus)\." + r"[a-z]",
        ]
    ),
    re.IGNORECASE,
)
SECRET = re.compile("-----BEGIN " + r"(?:[A-Z]+ )?PRIVATE KEY-----\n[A-Za-z0-9+/]{20}")
# Files whose work it is to look for such paths themselves.
SEEKERS = {"tests/architecture/test_docs_links.py"}
# Functions that look at a state again and again until a deadline; nobody else sleeps.
CLOCKS = {"monotonic", "perf_counter", "time", "timeout"}
POLLING = {"until", "_until", "eventually", "counted", "settle", "wait_for", "waited"}


def texts() -> list[tuple[str, str]]:
    out = []
    for path in tracked():
        where = str(path.relative_to(ROOT))
        if where in SEEKERS:
            continue
        try:
            out.append((where, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return out


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    wrong = [
        f"{where}:{number} {found.group()}"
        for where, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := MACHINE.search(line))
    ]
    assert not wrong, "\n".join(wrong)


def test_no_tracked_file_holds_a_private_key() -> None:
    assert [where for where, text in texts() if SECRET.search(text)] == []


@pytest.mark.parametrize(
    "line", ["--" + "index-url x", "file" + ":///srv/x", "/" + "root/x", "see /" + "work/main/x"]
)
def test_the_search_is_awake(line: str) -> None:
    assert MACHINE.search(line)


class Sleeps(ast.NodeVisitor):
    """Calls of sleep with the function around them; `sleep(0)` only yields."""

    def __init__(self) -> None:
        self.around = ["the module"]
        self.polls: list[bool] = [False]
        self.found: list[tuple[int, str, bool]] = []

    def _inside(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self.around.append(node.name)
        self.polls.append(_loops_to_a_deadline(node))
        self.generic_visit(node)
        self.around.pop()
        self.polls.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._inside(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._inside(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        yields = bool(node.args) and getattr(node.args[0], "value", None) == 0
        if name == "sleep" and not yields:
            self.found.append((node.lineno, self.around[-1], self.polls[-1]))
        self.generic_visit(node)


def _loops_to_a_deadline(node: ast.AST) -> bool:
    """A `while` beside a clock or a deadline, or a `for` over a number of tries."""
    within = list(ast.walk(node))
    names = {getattr(c, "id", getattr(c, "attr", "")) for c in within}
    timed = any("deadline" in name or name in CLOCKS for name in names)
    tries = any(
        isinstance(c, ast.For) and getattr(getattr(c.iter, "func", None), "id", "") == "range"
        for c in within
    )
    return tries or (timed and any(isinstance(c, ast.While) for c in within))


def sleepers(module: Module) -> list[tuple[int, str, bool]]:
    if "sleep" not in module.text:
        return []
    visitor = Sleeps()
    visitor.visit(module.tree)
    return visitor.found


def test_tests_wait_for_states_never_for_a_time() -> None:
    wrong = [
        f"{module.where}:{line} {around} sleeps"
        for module in code_of_tests()
        for line, around, polls in sleepers(module)
        if around not in POLLING or not polls
    ]
    assert not wrong, "\n".join(wrong)
