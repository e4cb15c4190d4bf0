"""The figures of a campaign.

Law: pure. The unit of statistics is the cycle. Only judged cycles (passed or failed) count for
what is claimed: writes, convergence, the bound; void, aborted and unplayed ones are listed one by
one. A bound of 3/n is given only where none of n cycles failed and whole stores showed nothing
amiss at the end, for then alone is it one (the rule of three: Hanley and Lippman-Hand 1983, "If
nothing goes wrong, is everything all right?").
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Any, Final

from chaos.check.cycle import COUNTED
from chaos.report.reading import ABORTED, Anomaly, Campaign, Cycle
from chaos.report.shape import (
    ClassRow,
    Failure,
    Found,
    Part,
    Report,
    Spread,
    Totals,
    Untested,
)

BOUND_EVENTS: Final = 3
KINDS: Final = ("lost", "invented", "duplicated", "diverged")
OTHER: Final = "other"
UNMET: Final = "unmet"  # counted as an expectation of the class, not once more as a rule


def report_of(campaign: Campaign, names: Mapping[str, str] | None = None) -> Report:
    """All figures of a campaign.

    Args:
        campaign: what was observed.
        names: of every class there is; those the history does not mention are listed as not
            tested.
    """
    names = names or {}
    classes = sorted({cycle.name for cycle in campaign.cycles}, key=_order)
    rows = [_row(name, names, campaign) for name in classes]
    begin = campaign.begin
    writes = begin.get("quorum_writes")
    return {
        "campaign": str(begin.get("campaign", "")),
        "seed": begin.get("seed"),
        "nodes": campaign.nodes,
        "quorum_writes": writes if isinstance(writes, int) else None,
        "version": str(begin.get("version", "")),
        "plan": begin.get("plan", {}),
        "machine": _machine(campaign),
        "started": str(begin.get("started", "")),
        "seconds": _seconds(campaign),
        "resumes": campaign.resumes,
        "parts": [_part(part) for part in campaign.parts or [campaign]],
        "unreadable_lines": campaign.unreadable,
        "classes": rows,
        "totals": _totals(rows, campaign),
        "anomalies": [
            _found(anomaly, cycle) for cycle in campaign.cycles for anomaly in cycle.anomalies
        ],
        "whole": [_found(anomaly, Cycle(number=None, name="")) for anomaly in campaign.whole],
        "failures": [_failure(cycle, campaign) for cycle in failed(campaign)],
        "not_tested": _not_tested(campaign, names),
    }


def _machine(campaign: Campaign) -> dict[str, Any]:
    said = campaign.begin.get("machine")
    return said if isinstance(said, dict) else {}


def _seconds(campaign: Campaign) -> float:
    return round(sum(cycle.seconds for cycle in campaign.cycles), 6)


def _part(part: Campaign) -> Part:
    return {
        "campaign": str(part.begin.get("campaign", "")),
        "started": str(part.begin.get("started", "")),
        "version": str(part.begin.get("version", "")),
        "machine": _machine(part),
        "cycles": sum(cycle.verdict != "not_run" for cycle in part.cycles),
        "seconds": _seconds(part),
        "resumes": part.resumes,
    }


def failed(campaign: Campaign) -> list[Cycle]:
    """Cycles that failed, in order."""
    return [cycle for cycle in campaign.cycles if cycle.verdict == "fail"]


def kind_of(rule: str) -> str:
    """Which promise of C0 a broken rule belongs to; `other` for rules beside C0."""
    return UNMET if rule == UNMET else COUNTED.get(rule, OTHER)


def bound(judged: int, failures: int) -> float | None:
    """Upper limit (95 %) of the share of cycles that fail, when none of so many did."""
    if judged < 1 or failures:
        return None
    return min(BOUND_EVENTS / judged, 1.0)


def quantile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile of sorted values."""
    if not values:
        return None
    return values[max(ceil(share * len(values)) - 1, 0)]


def spread(values: Iterable[float]) -> Spread:
    """Quantiles of convergence times."""
    ranked = sorted(values)
    return {"p50": quantile(ranked, 0.5), "p90": quantile(ranked, 0.9), "max": quantile(ranked, 1)}


def replay(cycle: Cycle, campaign: Campaign) -> str:
    """The command that plays a cycle again; safe to paste whatever the history holds."""
    nodes, writes = len(campaign.nodes), campaign.begin.get("quorum_writes")
    sized = f" --nodes {nodes}" if nodes else ""
    if isinstance(writes, int):
        sized += f" --quorum-writes {writes}"
    chosen = f"--class {shlex.quote(cycle.name)} --cycles 1 --seed {shlex.quote(str(cycle.seed))}"
    return f"mnemesh chaos run {chosen}{sized}"


def _order(name: str) -> tuple[int, str]:
    digits = name[1:]
    known = name[:1] == "F" and digits.isascii() and digits.isdigit()
    return (int(digits[:6]) if known else 10**6, name)


def _row(name: str, names: Mapping[str, str], campaign: Campaign) -> ClassRow:
    cycles = [cycle for cycle in campaign.cycles if cycle.name == name]
    verdicts = Counter(cycle.verdict for cycle in cycles)
    judged = [cycle for cycle in cycles if cycle.judged]
    kinds = Counter(kind_of(one.rule) for cycle in cycles for one in cycle.anomalies)
    kept: dict[str, list[int]] = {}
    for cycle in judged:
        for what, held in cycle.expectations:
            pair = kept.setdefault(what, [0, 0])
            pair[0] += held
            pair[1] += 1
    reasons = dict.fromkeys(cycle.why for cycle in cycles if cycle.verdict == "not_run")
    return {
        "class": name,
        "name": names.get(name, ""),
        "cycles": len(cycles) - verdicts["not_run"],
        "pass": verdicts["pass"],
        "fail": verdicts["fail"],
        "void": verdicts["void"],
        "aborted": verdicts[ABORTED],
        "not_run": verdicts["not_run"],
        "why_not_run": "; ".join(reasons),
        "acknowledged": sum(cycle.acknowledged for cycle in judged),
        "attempted": sum(cycle.attempted for cycle in judged),
        "lost": kinds["lost"],
        "invented": kinds["invented"],
        "duplicated": kinds["duplicated"],
        "diverged": kinds["diverged"],
        "other": kinds[OTHER],
        "proven": sum(cycle.proven for cycle in cycles),
        "bound95": bound(len(judged), verdicts["fail"] + len(campaign.whole)),
        "converged_s": spread(times(judged)),
        "expectations": kept,
    }


def times(cycles: Iterable[Cycle]) -> list[float]:
    """How long judged cycles took to become equal after the heal, seconds."""
    return [cycle.converged_s for cycle in cycles if cycle.judged and cycle.converged_s is not None]


def _totals(rows: Sequence[ClassRow], campaign: Campaign) -> Totals:
    failures = sum(row["fail"] for row in rows)
    passed = sum(row["pass"] for row in rows)
    pairs = [pair for row in rows for pair in row["expectations"].values()]
    whole = Counter(kind_of(one.rule) for one in campaign.whole)
    return {
        "classes_judged": sum(row["pass"] + row["fail"] > 0 for row in rows),
        "cycles": sum(row["cycles"] for row in rows),
        "pass": passed,
        "fail": failures,
        "void": sum(row["void"] for row in rows),
        "aborted": sum(row["aborted"] for row in rows),
        "not_run": sum(row["not_run"] for row in rows),
        "acknowledged": sum(row["acknowledged"] for row in rows),
        "attempted": sum(row["attempted"] for row in rows),
        "lost": sum(row["lost"] for row in rows) + whole["lost"],
        "invented": sum(row["invented"] for row in rows) + whole["invented"],
        "duplicated": sum(row["duplicated"] for row in rows) + whole["duplicated"],
        "diverged": sum(row["diverged"] for row in rows) + whole["diverged"],
        "other": sum(row["other"] for row in rows) + whole[OTHER],
        "proven": sum(row["proven"] for row in rows),
        "bound95": bound(passed + failures, failures + len(campaign.whole)),
        "converged_s": spread(times(campaign.cycles)),
        "expectations": [sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)],
    }


def _found(anomaly: Anomaly, cycle: Cycle) -> Found:
    return {
        "class": cycle.name,
        "cycle": cycle.number,
        "seed": cycle.seed,
        "checker": anomaly.checker,
        "rule": anomaly.rule,
        "kind": kind_of(anomaly.rule),
        "detail": anomaly.detail,
    }


def _failure(cycle: Cycle, campaign: Campaign) -> Failure:
    return {
        "class": cycle.name,
        "cycle": cycle.number,
        "seed": cycle.seed,
        "why": cycle.why,
        "anomalies": len(cycle.anomalies),
        "replay": replay(cycle, campaign),
    }


def _unplayed(name: str, campaign: Campaign) -> str:
    """Why a class has no cycle; the first line of a history may hold anything."""
    plan = campaign.begin.get("plan")
    classes = plan.get("classes") if isinstance(plan, dict) else None
    planned = isinstance(classes, dict) and name in classes
    return "in the plan, and not played yet" if planned else "not part of this campaign"


def _not_tested(campaign: Campaign, names: Mapping[str, str]) -> list[Untested]:
    said: list[Untested] = [
        {"class": cycle.name, "cycle": cycle.number, "verdict": cycle.verdict, "why": cycle.why}
        for cycle in campaign.cycles
        if not cycle.judged
    ]
    played = {cycle.name for cycle in campaign.cycles}
    said += [
        {"class": name, "cycle": None, "verdict": "not_run", "why": _unplayed(name, campaign)}
        for name in names
        if name not in played
    ]
    return sorted(said, key=lambda one: (_order(one["class"]), one["cycle"] or 0))
