"""When a cycle says nothing, it is void; what it cannot judge is an error."""

import pytest

from chaos.check.cycle import check_cycle
from chaos.history import parse
from tests.unit.chaos.check.rig_model import Row, clean


def verdict(rows: list[Row]) -> tuple[str, str]:
    judged = check_cycle([parse(row) for row in rows])
    return judged.verdict, judged.why


def test_without_a_proof_it_is_void() -> None:
    rows = [row for row in clean("set", 1) if row["kind"] != "fault"]
    assert verdict(rows) == ("void", "no proof of the fault")
    rows[0]["class"] = "none"
    assert verdict(rows) == ("pass", "")


def test_with_a_proof_that_failed_it_is_void() -> None:
    rows = clean("set", 1)
    rows[1]["ok"] = False
    assert verdict(rows) == ("void", "the fault was not proven: cut")


def unacknowledged(kept: int) -> list[Row]:
    """A history in which all writes but so many have no answer."""
    rows = clean("set", 1)
    writes = {row["op"] for row in rows if row["kind"] == "invoke" and row["f"] == "add"}
    for row in [row for row in rows if row["kind"] == "ok" and row["op"] in writes][kept:]:
        row.update(kind="info", status=503)
    return rows


def test_with_few_acknowledgements_it_is_void_unless_the_class_has_few() -> None:
    rows = unacknowledged(1)
    kind, why = verdict(rows)
    assert kind == "void"
    assert why.startswith("1 of ")
    rows[0]["class"] = "F02"
    assert verdict(rows)[0] == "pass"


def test_with_no_acknowledgement_it_is_void_whatever_the_class() -> None:
    rows = unacknowledged(0)
    rows[0]["class"] = "F02"
    assert verdict(rows)[0] == "void"
    nothing = [row for row in rows if row["kind"] in ("cycle", "fault")]
    assert verdict(nothing) == ("void", "0 of 0 writes were acknowledged")


@pytest.mark.parametrize("status", [400, 404, 409])
def test_when_all_writes_of_a_kind_were_refused_it_is_void(status: int) -> None:
    """The others may have been acknowledged; what this one does was not tried."""
    rows = clean("set", 1)
    about = {"cycle": 1, "at": 0.0, "process": "c", "node": "n1", "f": "edit"}
    for op in range(1000, 1005):
        rows.append({"kind": "invoke", "op": op, **about})
        rows.append({"kind": "fail", "op": op, "at": 0.0, "status": status})
    assert verdict(rows) == ("void", "all 5 writes `edit` were refused")
    assert verdict(rows[:-2])[0] == "pass", "so few may be chance"
    rows[-1].update(kind="info", status=503)
    assert verdict(rows)[0] == "pass"


def test_refusals_do_not_count_as_attempts() -> None:
    rows = clean("set", 1)
    before = check_cycle([parse(row) for row in rows])
    writes = {row["op"] for row in rows if row["kind"] == "invoke" and row["f"] == "add"}
    refused = sum(row["kind"] == "fail" and row["op"] in writes for row in rows)
    assert refused
    assert before.attempted == len(writes) - refused


def test_what_was_not_run_stays_so() -> None:
    rows = clean("set", 1)[:1]
    rows.append(
        {"kind": "verdict", "cycle": 1, "class": "F01", "at": 0, "verdict": "not_run", "why": "x"}
    )
    assert verdict(rows) == ("not_run", "x")


def test_writes_without_a_final_read_are_an_anomaly() -> None:
    rows = [row for row in clean("set", 1) if row["kind"] != "final"]
    judged = check_cycle([parse(row) for row in rows])
    assert [one.rule for one in judged.anomalies] == ["unread"]
    assert judged.diverged == 1


def test_a_workload_without_a_checker_is_an_error() -> None:
    rows = clean("set", 1)
    rows[0]["workload"] = "sale"
    with pytest.raises(ValueError, match="sale"):
        verdict(rows)
