"""One table, many uses: nothing is logged, counted or set that no table names."""

import ast
from collections.abc import Iterator

from node.cli.app import COMMANDS, GROUPS, PANELS
from node.failpoints import POINTS
from node.logs import EVENTS
from node.metrics import TABLE as METRICS
from node.settings.sections import TABLE as SETTINGS
from tests.architecture.tree import Module, sources

METRIC_CALLS = {"counter", "gauge", "histogram"}
LEVELS = ("debug", "info", "warning", "error", "critical")
PREFIX = "mnemesh_"


def literals(module: Module, names: set[str]) -> Iterator[tuple[int, str]]:
    """(line, first argument) of the calls with these names whose first argument is a text."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = getattr(node.func, "attr", getattr(node.func, "id", ""))
        first = node.args[0]
        if called in names and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield node.lineno, first.value


def test_every_metric_that_is_counted_stands_in_the_table() -> None:
    known = {metric.name.removeprefix(PREFIX) for metric in METRICS}
    used = [
        (module.where, line, name)
        for module in sources()
        if module.package == "node"
        for line, name in literals(module, METRIC_CALLS)
    ]
    assert len(used) > 20, "the search finds nothing any more"
    wrong = [f"{where}:{line} {name}" for where, line, name in used if name not in known]
    assert not wrong, "\n".join(wrong)


def test_every_event_that_is_named_stands_in_the_table() -> None:
    """Names of events appear only as whole texts; a misspelt one is near none of them."""
    used = {
        node.value
        for module in sources()
        if module.package == "node" and module.name != "node.logs"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    } & set(EVENTS)
    assert len(used) > 20
    wrong = [
        f"{module.where}:{line} {name}"
        for module in sources()
        if module.package == "node"
        for line, name in literals(module, {"_log", "log"})
        if name not in EVENTS
    ]
    assert not wrong, "\n".join(wrong)


def test_every_failpoint_is_hit_somewhere_and_no_other_is() -> None:
    """The steps of a rewrite are told by their own names, and hit under `erase.`."""
    hit = {
        name
        for module in sources()
        if module.package == "node"
        for _, name in literals(module, {"hit", "reached"})
    }
    steps = {
        f"erase.{name}"
        for module in sources()
        if module.name == "node.store.rewriting"
        for _, name in literals(module, {"_step"})
    }
    assert hit | steps == set(POINTS)


def test_names_in_the_tables_are_plain_and_unique() -> None:
    metrics = [metric.name for metric in METRICS]
    settings = [(row.section, row.key) for row in SETTINGS]
    variables = [row.env for row in SETTINGS]
    for names in (metrics, settings, variables):
        assert len(names) == len(set(names))
    for name in (*metrics, *EVENTS):
        assert name == name.lower()
        assert name.replace("_", "").isalnum()
    assert all(name.startswith(PREFIX) for name in metrics)
    assert all(level in LEVELS and meaning for level, meaning in EVENTS.values())


def test_every_row_explains_itself() -> None:
    assert all(row.about.help for row in SETTINGS)
    assert all(metric.help.endswith(".") for metric in METRICS)


def test_every_command_stands_in_one_panel_of_the_help() -> None:
    shown = [name for names in PANELS.values() for name in names]
    assert sorted(shown) == sorted({*COMMANDS, *GROUPS})
