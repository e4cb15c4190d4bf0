"""The verdict about one cycle.

Law: C0: no acknowledged write is lost, none invented, none duplicated, and all nodes that were
meant to answer are equal. Any anomaly fails the cycle, and so does an expectation of its class
that was not met. A cycle without proof of its fault, or with less than a fifth of its writes
acknowledged, is void: it says nothing, and is listed. Writes that a right node refuses (404, 409,
412, a 403 of governance) were never meant to be acknowledged and do not count as attempted; where
all writes of a kind were refused, the cycle is void too.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chaos.catalogue import CATALOGUE
from chaos.check import (
    causal,
    convergence,
    counter,
    delete,
    document,
    governance,
    idempotence,
    register,
    session,
)
from chaos.check import set as set_
from chaos.check.gathering import ANSWERED, Cycle, Operation, gather
from chaos.history import Anomaly, Event, Judgement

Check = Callable[[Iterable[Event]], list[Anomaly]]

CHECKS: Final[Mapping[str, Check]] = {
    "set": set_.check,
    "register": register.check,
    "counter": counter.check,
    "delete": delete.check,
    "governance": governance.check,
    "causal": causal.check,
    "session": session.check,
    "idempotence": idempotence.check,
    "document": document.check,
}
"""What judges a workload, beside convergence, which judges all."""

ACKNOWLEDGED_MIN: Final = 0.2
"""Of the writes of a cycle whose class the catalogue does not know."""
_REFUSED_MIN: Final = 5
"""Writes of one kind; all of fewer may be refused by chance."""
NO_FAULT: Final = frozenset({"", "none", "steady"})
"""Classes that break nothing, so there is nothing to prove."""

COUNTED: Final[Mapping[str, str]] = {
    "lost": "lost",
    "dot_missing": "lost",
    "invented": "invented",
    "resurrected": "invented",
    "bypassed": "invented",
    "duplicated": "duplicated",
    "ids_differ": "duplicated",
    "dot_reused": "duplicated",
    "key_reused": "duplicated",
    "unread": "diverged",
    "ids": "diverged",
    "hashes": "diverged",
    "clocks": "diverged",
    "policies": "diverged",
    "digests": "diverged",
    "hash_of_value": "diverged",
    "order": "diverged",
    "same_heads": "diverged",
}
"""Which promise of the law of all classes a rule belongs to; rules that are not here to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One cycle, judged.

    Attributes:
        attempted: writes that a node could have acknowledged.
        lost, invented, duplicated, diverged: anomalies of that sort.
        unsettled: whether some write may still have its effect.
    """

    cycle: int
    fault_class: str
    workload: str
    verdict: Judgement
    why: str
    anomalies: tuple[Anomaly, ...]
    acknowledged: int
    attempted: int
    lost: int
    invented: int
    duplicated: int
    diverged: int
    unsettled: bool


def check_cycle(events: Iterable[Event]) -> Judged:
    """Judge the events of one cycle, from its `cycle` line to its last `final`.

    Args:
        events: of one cycle only; a `verdict` that is among them counts for nothing, but for
            `not_run`, which no other line says.

    Raises:
        ValueError: the workload has no checker.
    """
    listed = list(events)
    cycle = gather(listed)
    workload = cycle.start.workload if cycle.start else ""
    if workload not in CHECKS:
        raise ValueError(f"no checker for the workload {workload!r}")
    if cycle.verdict is not None and cycle.verdict.verdict == "not_run":
        return _judged(cycle, "not_run", cycle.verdict.why, [])
    anomalies = [*CHECKS[workload](listed), *convergence.check(listed)]
    anomalies.extend(Anomaly("expect", "unmet", each.what) for each in cycle.expects if not each.ok)
    if anomalies:
        return _judged(cycle, "fail", f"{len(anomalies)} anomalies", anomalies)
    why = _void(cycle)
    return _judged(cycle, "void" if why else "pass", why, [])


def _void(cycle: Cycle) -> str:
    """Why the cycle says nothing; empty when it says something."""
    start = cycle.start
    proofs = [each for each in cycle.faults if each.phase == "proof"]
    if start is None or start.fault_class not in NO_FAULT:
        if not proofs:
            return "no proof of the fault"
        for each in proofs:
            if not each.ok:
                return f"the fault was not proven: {each.what}"
    acknowledged, attempted = count(cycle)
    known = CATALOGUE.get(start.fault_class) if start is not None else None
    least = ACKNOWLEDGED_MIN if known is None else known.acknowledged_least
    if not acknowledged or acknowledged / attempted < least:
        return f"{acknowledged} of {attempted} writes were acknowledged"
    return _refused(cycle)


def _refused(cycle: Cycle) -> str:
    """Which kind of write was only ever refused, so that what it does was not tried."""
    taken: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for each in cycle.writes():
        (refused if _is_refused(each) else taken)[each.f] += 1
    for f, times in refused.items():
        if times >= _REFUSED_MIN and not taken[f]:
            return f"all {times} writes `{f}` were refused"
    return ""


def _is_refused(each: Operation) -> bool:
    return each.outcome == "fail" and each.status in ANSWERED


def count(cycle: Cycle) -> tuple[int, int]:
    """Writes that were acknowledged, and those that could have been."""
    writes = list(cycle.writes())
    acknowledged = sum(each.ok for each in writes)
    return acknowledged, len(writes) - sum(map(_is_refused, writes))


def _judged(cycle: Cycle, verdict: Judgement, why: str, anomalies: list[Anomaly]) -> Judged:
    sorts = Counter(COUNTED.get(each.rule) for each in anomalies)
    acknowledged, attempted = count(cycle)
    return Judged(
        cycle=cycle.start.cycle if cycle.start else 0,
        fault_class=cycle.start.fault_class if cycle.start else "",
        workload=cycle.start.workload if cycle.start else "",
        verdict=verdict,
        why=why,
        anomalies=tuple(anomalies),
        acknowledged=acknowledged,
        attempted=attempted,
        lost=sorts["lost"],
        invented=sorts["invented"],
        duplicated=sorts["duplicated"],
        diverged=sorts["diverged"],
        unsettled=any(each.writes and each.outcome == "info" for each in cycle.operations),
    )
