"""The same for people: tables on standard error after the last line.

Law: they hold nothing that is not in the lines, and are not there for programs.
"""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from tests.benchmarks.catalogue import TAGS
from tests.benchmarks.scale import Line

_FIGURES: Final = {
    "ops_per_second": "per second",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "all_cpu_us": "CPU us, all",
    "coordinator_cpu_us.total": "first",
    "replica_cpu_us.1.total": "second",
    "driver_cpu_us": "sender",
}
_VERDICTS: Final = {True: "[green]reached", False: "[red]not reached", None: "[dim]not measured"}


def show(summaries: Sequence[Line], judged: Sequence[Line], skipped: Sequence[Line]) -> None:
    """Print figures, targets and what could not be compared."""
    console = Console(stderr=True)
    console.print(_figures([line for line in summaries if "ops_per_second" in line]))
    for line in skipped:
        console.print(f"left out: {line['skipped']}: {line['why']}", markup=False)
    console.print(_targets(judged))


def _figures(lines: Sequence[Line]) -> Table:
    table = Table(title="medians over the repeats; CPU per operation")
    table.add_column("what")
    for words in _FIGURES.values():
        table.add_column(words, justify="right")
    for line in lines:
        told = " ".join(_tag(name, line[name]) for name in TAGS if name in line)
        table.add_row(told, *(_figure(line.get(name)) for name in _FIGURES))
    return table


def _tag(name: str, value: Any) -> str:
    return f"{value:,} {name}" if isinstance(value, int) else str(value)


def _figure(spread: list[float] | None) -> str:
    if spread is None:
        return ""
    return f"{spread[0]:,.0f}" if spread[0] >= 1000 else f"{spread[0]:,.4g}"


def _targets(judged: Sequence[Line]) -> Table:
    table = Table(title="targets")
    for words in ("target", "wanted", "got", "least to greatest", ""):
        table.add_column(words, justify="left" if words in {"target", ""} else "right")
    for line in judged:
        got = "" if line["got"] is None else f"{line['got']:,.4g}"
        spread = "" if line["got"] is None else f"{line['least']:,.4g} to {line['greatest']:,.4g}"
        table.add_row(line["target"], line["wanted"], got, spread, _VERDICTS[line["reached"]])
    return table
