"""Counters that are moved from figures which others keep."""

from types import SimpleNamespace
from typing import Any, cast

from node.audit.side import AuditSide
from node.integrity.keeping import Keeping
from node.metrics import KNOWN_VALUES, TABLE, Metrics
from node.process.side import ProcessSide


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


def test_lines_that_the_log_lost_are_counted_once() -> None:
    metrics, log = Metrics(), SimpleNamespace(lost_lines=4, tend=lambda: None)
    side = ProcessSide(
        cast("Any", None), cast("Any", SimpleNamespace(metrics=metrics)), cast("Any", log)
    )
    for lost, shown in ((4, 4), (4, 4), (7, 7)):
        log.lost_lines = lost
        side._tend_log()
        page = metrics.render(process=False).decode()
        assert f"\nmnemesh_log_lines_lost_total {shown:.1f}\n" in page


def test_records_that_are_set_apart_show_until_they_are_whole() -> None:
    metrics = Metrics()
    some = SimpleNamespace(records={b"one": 1, b"two": 2}, private=True)
    none = SimpleNamespace(records={}, private=False)
    keeping = cast(
        "Any",
        SimpleNamespace(
            _engine=SimpleNamespace(metrics=metrics),
            _needs=none,
            _tries=0,
            _loop=SimpleNamespace(time=lambda: 0.0),
            _log=lambda *_, **__: None,
            _why=lambda _needs: "",
        ),
    )
    for left, needs, shown in ((["damage"], some, 2), ([], none, 0)):
        Keeping._settle(keeping, cast("Any", left), cast("Any", needs))
        page = metrics.render(process=False).decode()
        assert f"\nmnemesh_records_quarantined {shown:.1f}\n" in page


def test_known_values_are_on_the_page_before_their_first_event() -> None:
    page = Metrics().render(process=False).decode()
    labels = {row.name.removeprefix("mnemesh_"): row.labels for row in TABLE}
    for name, values in KNOWN_VALUES.items():
        (label,) = labels[name]
        for value in values:
            assert f'mnemesh_{name}{{{label}="{value}"}} 0.0' in page
