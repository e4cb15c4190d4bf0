"""The tables at the end of `docs/monitoring.md`, written from the rules and the table of faults.

Law: everything below the mark is generated; what stands above it is written by hand.
`python -m tests.architecture.monitoring_page` writes it, and a test fails when the page no longer
says what the files in `deploy/prometheus/` say.
"""

import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from chaos.catalogue import CATALOGUE

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = "docs/monitoring.md"
SHIPPED: Final = ROOT / "deploy" / "prometheus"
MARK: Final = (
    "<!-- Below: python -m tests.architecture.monitoring_page. Edit deploy/prometheus/ instead. -->"
)

_FAULTS_INTRO: Final = (
    "What must be lit while a fault lasts, provided that agents write everywhere and that it "
    "lasts longer than the alert waits for; what may be; what is lit when the node is back. "
    "Everything else must stay dark. Faults with a dot are played on a real mesh under a real "
    "Prometheus by the slow tests. Under any fault may light, for want of a machine:"
)


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule."""

    name: str
    expression: str
    hold: str
    severity: str
    annotations: dict[str, str]


@cache
def alerts() -> tuple[Alert, ...]:
    """Every rule, in the order of the file."""
    told = yaml.safe_load((SHIPPED / "mnemesh.rules.yml").read_text())
    return tuple(
        Alert(
            rule["alert"],
            rule["expr"],
            rule.get("for", "at once"),
            rule["labels"]["severity"],
            rule["annotations"],
        )
        for group in told["groups"]
        for rule in group["rules"]
    )


@cache
def faults() -> dict[str, Any]:
    """The table of faults, and `always_may`."""
    return tomllib.loads((SHIPPED / "faults.toml").read_text())


def _lit(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}](#{name.lower()})" for name in names) or "-"


def _fault(code: str) -> str:
    known = CATALOGUE.get(code)
    return f"{code} {known.name}" if known is not None else code


def tables() -> str:
    """Both tables, as Markdown."""
    lines = [
        "## Table of alerts",
        "",
        "| alert | severity | holds for | asks |",
        "|---|---|---|---|",
    ]
    for alert in alerts():
        ask = " ".join(alert.expression.split()).replace("|", "\\|")
        lines.append(f"| {_lit([alert.name])} | {alert.severity} | {alert.hold} | `{ask}` |")
    always = _lit(faults()["always_may"])
    lines += [
        "",
        "## Table of faults",
        "",
        f"{_FAULTS_INTRO} {always}.",
        "",
        "| fault | must | may | afterwards | played |",
        "|---|---|---|---|---|",
    ]
    for code, row in faults().items():
        if isinstance(row, dict):
            cells = [_lit(row.get(kind, ())) for kind in ("must", "may", "after")]
            dot = "•" if row.get("played") else ""
            lines.append(f"| {' | '.join([_fault(code), *cells, dot])} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """The whole page, with its tables made anew."""
    written = (ROOT / PAGE).read_text(encoding="utf-8").partition(MARK)[0].rstrip()
    return f"{written}\n\n{MARK}\n\n{tables()}"


def main() -> int:
    """Write the page, where it changed."""
    text = page()
    if (ROOT / PAGE).read_text(encoding="utf-8") != text:
        (ROOT / PAGE).write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {PAGE}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
