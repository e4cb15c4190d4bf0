"""The report of a test for people.

Law: words and numbers of the report, nothing that is not in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.table import Table

_COLOURS: Final = {"pass": "green", "fail": "red", "void": "yellow"}


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print a report."""
    stats = Table(title=f"{report['workload']['name']}, {report['node_count']} nodes")
    for name in ("asked", "count", "ok", "fail", "info", "p50 ms", "p95 ms", "p99 ms", "max ms"):
        stats.add_column(name, justify="left" if name == "asked" else "right")
    for f, of in report["stats"].items():
        spent = of["latency_ms"]
        said = [str(of[name]) for name in ("count", "ok", "fail", "info")]
        stats.add_row(f, *said, *(f"{spent[q]:.1f}" if spent else "" for q in _SHOWN))
    console.print(stats)
    net = report["net"]
    console.print(
        f"messages per operation: {net['servers'].get('msgs_per_op', 0)} between nodes, "
        f"{net['all'].get('msgs_per_op', 0)} in all"
    )
    console.print(
        f"lost {net['lost']}, doubled {net['doubled']}, cut {net['cut']}, "
        f"undeliverable {net['undeliverable']}"
    )
    for window in report["partitions"]:
        console.print(
            f"partition {window['began_s']:.1f} to {window['ended_s']:.1f} s: {window['what']}, "
            f"{window['cut']} messages",
            markup=False,
        )
    for name, value in report["workload"].items():
        if name != "name":
            console.print(f"{name.replace('_', ' ')}: {value}", markup=False)
    if report["converged_s"] is not None:
        console.print(f"right on all nodes {report['converged_s']} s after the last fault")
    for anomaly in report["anomalies"]:
        console.print(
            f"{anomaly['rule']} ({anomaly['count']}): {anomaly['detail']}",
            markup=False,
            style="red",
        )
    for why in report["why_void"]:
        console.print(f"no evidence: {why}", markup=False, style="yellow")
    verdict = report["outcome"]
    console.print(f"{verdict}, seed {report['seed']}", style=_COLOURS[verdict])


_SHOWN: Final = ("0.5", "0.95", "0.99", "1")
