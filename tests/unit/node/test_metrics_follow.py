"""Counters that are moved from figures which others keep."""

from types import SimpleNamespace
from typing import Any, cast

from node.audit.side import AuditSide
from node.metrics import KNOWN_VALUES, TABLE, Metrics


def test_what_the_chain_counts_is_counted_once() -> None:
    metrics = Metrics()
    keeper = SimpleNamespace(counts={"policy_set": 3}, dropped=2)
    side = cast(
        "Any",
        SimpleNamespace(
            keeper=keeper,
            metrics=metrics,
            countersigning=SimpleNamespace(countersigned=lambda: 1),
            _counted={},
        ),
    )

    def shown(line: str) -> bool:
        return f"\nmnemesh_{line}\n" in metrics.render(process=False).decode()

    assert shown("audit_dropped_total 0.0")
    AuditSide.measure(side)
    AuditSide.measure(side)
    assert shown("audit_dropped_total 2.0")
    keeper.dropped = 5
    AuditSide.measure(side)
    assert shown("audit_dropped_total 5.0")
    assert shown('audit_entries_total{event="policy_set"} 3.0')


def test_known_values_are_on_the_page_before_their_first_event() -> None:
    page = Metrics().render(process=False).decode()
    labels = {row.name.removeprefix("mnemesh_"): row.labels for row in TABLE}
    for name, values in KNOWN_VALUES.items():
        (label,) = labels[name]
        for value in values:
            assert f'mnemesh_{name}{{{label}="{value}"}} 0.0' in page
