"""What a small mesh did right is not flagged, whatever surfaced late or never."""

import time

import pytest

from chaos.check.cycle import check_cycle
from chaos.history import parse
from tests.unit.chaos.check.rig_model import WORKLOADS, clean


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("seed", range(12))
def test_a_clean_history_is_not_flagged(workload: str, seed: int) -> None:
    judged = check_cycle([parse(row) for row in clean(workload, seed)])
    assert judged.anomalies == ()
    assert judged.verdict == "pass"
    assert judged.acknowledged >= 10


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.thorough
def test_ten_thousand_events_take_no_minute(workload: str) -> None:
    rows = clean(workload, 1, 700)
    body, finals = [], [row for row in rows if row["kind"] == "final"]
    copies = 10_000 // len(rows) + 1
    asked = max(row["op"] for row in rows if "op" in row)
    for copy in range(copies):  # the same requests again, under other numbers
        body.extend({**row, "op": row["op"] + copy * asked} for row in rows if "op" in row)
    events = [parse(row) for row in [rows[0], *body, *finals]]
    assert len(events) >= 9_000
    began = time.process_time()
    check_cycle(events)
    # A second where nothing else runs; each against each would take hours.
    assert time.process_time() - began < 20
