"""What is wrong with a history: pure functions of operations and the names of the nodes.

Law: judged is what clients were told and what every node said at last, nothing else. An
acknowledged add that any node lacks at the end is lost; what was never asked for, or was
refused for certain, is invented wherever it shows; an `info` add may show or not, but on all
nodes alike. Rules on reads during the test hold per node and only between reads that did not
overlap.

Sources: the set-full, unique-ids and counter checkers of Jepsen and Maelstrom, in own words and
stricter where a node of a grow-only set forgets, or nodes differ at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.maelstrom.history import Op
from chaos.maelstrom.message import canonical

_SUMS_MAX: Final = 100_000
"""More possible sums than this are judged by their bounds."""

_SHOWN_MAX: Final = 5
QUANTILES: Final = (0.0, 0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One broken rule.

    Attributes:
        rule: which one.
        detail: where and what, for people.
        count: how often.
    """

    rule: str
    detail: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a checker says.

    Attributes:
        anomalies: empty when nothing is wrong.
        figures: what there is to report besides.
    """

    anomalies: tuple[Anomaly, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not self.anomalies


Checker = Callable[[Sequence[Op], Sequence[str]], Finding]


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """The values at `QUANTILES`, as the original prints them; empty for none."""
    ranked = sorted(values)
    if not ranked:
        return {}
    last = len(ranked) - 1
    return {f"{q:g}": ranked[min(int(q * len(ranked)), last)] for q in QUANTILES}


def _anomaly(rule: str, found: Sequence[str]) -> list[Anomaly]:
    """One anomaly for all breaks of a rule, with the first few spelled out."""
    if not found:
        return []
    shown = "; ".join(found[:_SHOWN_MAX]) + (" ..." if len(found) > _SHOWN_MAX else "")
    return [Anomaly(rule=rule, detail=shown, count=len(found))]


def _ok(ops: Iterable[Op], *kinds: str) -> list[Op]:
    return [op for op in ops if op.f in kinds and op.outcome == "ok"]


def _finals(ops: Sequence[Op]) -> dict[str, Op]:
    return {op.node: op for op in _ok(ops, "read") if op.final}


def _unread(finals: Mapping[str, Op], nodes: Sequence[str]) -> list[Anomaly]:
    return _anomaly("unread", [f"{n} answered no last read" for n in nodes if n not in finals])


# --- sets ----------------------------------------------------------------------------


def check_set(ops: Sequence[Op], nodes: Sequence[str]) -> Finding:
    """Judge a history of `broadcast` or `add` of elements, and reads of all of them."""
    adds: dict[str, list[Op]] = {}
    for op in ops:
        if op.f in {"broadcast", "add"}:
            adds.setdefault(canonical(op.value), []).append(op)
    reads = {id(op): Counter(map(canonical, op.answer)) for op in _ok(ops, "read")}
    finals = _finals(ops)
    acknowledged = {text for text, of in adds.items() if any(op.outcome == "ok" for op in of)}
    lost = [
        f"{node} lacks {text}"
        for node, op in finals.items()
        for text in sorted(acknowledged - reads[id(op)].keys())
    ]
    doubled = [
        f"{op.node} has {text} {count} times"
        for op in _ok(ops, "read")
        for text, count in reads[id(op)].items()
        if count > 1
    ]
    shown = [frozenset(reads[id(op)]) for op in finals.values()]
    differ = frozenset().union(*shown) - frozenset(shown[0]).intersection(*shown) if shown else ()
    diverged = [f"{text} is on some nodes only" for text in sorted(differ)]
    figures = {
        "attempted": len(adds),
        "acknowledged": len(acknowledged),
        "lost": len(
            {text for node in finals.values() for text in acknowledged - {*reads[id(node)]}}
        ),
        **_stability(ops, adds, acknowledged, reads),
    }
    return Finding(
        anomalies=(
            *_unread(finals, nodes),
            *_anomaly("lost", lost),
            *_anomaly("invented", _invented(ops, adds, reads)),
            *_anomaly("doubled", doubled),
            *_anomaly("diverged", diverged),
            *_anomaly("forgotten", _forgotten(ops, reads)),
        ),
        figures=figures,
    )


def _invented(
    ops: Sequence[Op], adds: Mapping[str, list[Op]], reads: Mapping[int, Counter[str]]
) -> list[str]:
    """Elements that nobody can have added when they were read."""
    since = {
        text: min(op.began_s for op in of if op.outcome != "fail")
        for text, of in adds.items()
        if any(op.outcome != "fail" for op in of)
    }
    return [
        f"{op.node} has {text}, which nobody had added"
        for op in _ok(ops, "read")
        for text in reads[id(op)]
        if since.get(text, float("inf")) > op.ended_s
    ]


def _in_order(ops: Sequence[Op]) -> dict[str, list[tuple[Op, Op]]]:
    """Per node, pairs of reads of which one ended before the next began."""
    out: dict[str, list[tuple[Op, Op]]] = {}
    last: dict[str, Op] = {}
    for op in sorted(_ok(ops, "read"), key=lambda op: op.began_s):
        before = last.get(op.node)
        if before is not None and before.ended_s <= op.began_s:
            out.setdefault(op.node, []).append((before, op))
        if before is None or before.ended_s <= op.began_s:
            last[op.node] = op
    return out


def _forgotten(ops: Sequence[Op], reads: Mapping[int, Counter[str]]) -> list[str]:
    found = []
    for node, pairs in _in_order(ops).items():
        for before, after in pairs:
            gone = reads[id(before)].keys() - reads[id(after)].keys()
            found += [f"{node} had {text} and has it no more" for text in sorted(gone)]
    return found


def _stability(
    ops: Sequence[Op],
    adds: Mapping[str, list[Op]],
    acknowledged: set[str],
    reads: Mapping[int, Counter[str]],
) -> dict[str, Any]:
    """How long after it was known to exist an element was still missing from some read."""
    of = [(op.began_s, op.ended_s, reads[id(op)]) for op in _ok(ops, "read")]
    stale, never, latencies = 0, 0, []
    for text in acknowledged:
        told = [op.ended_s for op in adds[text] if op.outcome == "ok"]
        seen = [ended for _, ended, held in of if text in held]
        if not seen:
            never += 1
            continue
        known = min(*told, *seen)
        absent = max((began for began, _, held in of if text not in held), default=known)
        late_ms = max(absent - known, 0.0) * 1000
        stale += late_ms > 0
        latencies.append(round(late_ms, 1))
    return {
        "stable": len(latencies),
        "stale": stale,
        "never_read": never,
        "stable_latencies_ms": quantiles(latencies),
    }


# --- counters ------------------------------------------------------------------------


def check_counter(ops: Sequence[Op], nodes: Sequence[str]) -> Finding:
    """Judge a history of `add` of numbers, and reads of their sum."""
    adds = [op for op in ops if op.f == "add"]
    definite = sum(op.value for op in adds if op.outcome == "ok")
    maybe = [op.value for op in adds if op.outcome == "info"]
    low, high = definite + sum(d for d in maybe if d < 0), definite + sum(d for d in maybe if d > 0)
    sums = _sums(definite, maybe)
    finals = _finals(ops)
    wrong = [
        f"{node} reads {op.answer}; possible: {low} to {high}"
        for node, op in finals.items()
        if not low <= op.answer <= high or (sums is not None and op.answer not in sums)
    ]
    values = {node: op.answer for node, op in finals.items()}
    differ = [f"{values}"] if len(set(values.values())) > 1 else []
    early = []
    for op in _ok(ops, "read"):
        begun = [a.value for a in adds if a.began_s <= op.ended_s and a.outcome != "fail"]
        least, most = sum(d for d in begun if d < 0), sum(d for d in begun if d > 0)
        if not least <= op.answer <= most:
            early.append(f"{op.node} reads {op.answer}; possible by then: {least} to {most}")
    return Finding(
        anomalies=(
            *_unread(finals, nodes),
            *_anomaly("wrong_sum", wrong),
            *_anomaly("diverged", differ),
            *_anomaly("invented", early),
        ),
        figures={
            "attempted": len(adds),
            "acknowledged": sum(op.outcome == "ok" for op in adds),
            "indefinite": len(maybe),
            "acceptable": [low, high],
            "final_reads": values,
        },
    )


def check_growing(ops: Sequence[Op], nodes: Sequence[str]) -> Finding:
    """As `check_counter`, for a counter that never falls."""
    found = check_counter(ops, nodes)
    fell = [
        f"{node} read {before.answer} and then {after.answer}"
        for node, pairs in _in_order(ops).items()
        for before, after in pairs
        if after.answer < before.answer
    ]
    return Finding(anomalies=(*found.anomalies, *_anomaly("fell", fell)), figures=found.figures)


def _sums(definite: int, maybe: Iterable[int]) -> set[int] | None:
    """Every sum that is possible; None when there are too many to list."""
    out = {definite}
    for delta in maybe:
        out |= {total + delta for total in out}
        if len(out) > _SUMS_MAX:
            return None
    return out


# --- ids and echoes ------------------------------------------------------------------


def check_ids(ops: Sequence[Op], nodes: Sequence[str]) -> Finding:  # noqa: ARG001 - as all are
    """Judge a history of `generate`: no id is given out twice."""
    given = Counter(canonical(op.answer) for op in _ok(ops, "generate"))
    twice = [f"{text} was given out {count} times" for text, count in given.items() if count > 1]
    return Finding(
        anomalies=tuple(_anomaly("duplicate_id", twice)),
        figures={
            "attempted": sum(op.f == "generate" for op in ops),
            "acknowledged": sum(given.values()),
            "duplicated": len(twice),
        },
    )


def check_echo(ops: Sequence[Op], nodes: Sequence[str]) -> Finding:  # noqa: ARG001 - as all are
    """Judge a history of `echo`: what comes back is what was sent."""
    said = _ok(ops, "echo")
    other = [
        f"{op.node} made {op.answer!r} of {op.value!r}"
        for op in said
        if canonical(op.answer) != canonical(op.value)
    ]
    return Finding(
        anomalies=tuple(_anomaly("wrong_echo", other)),
        figures={"attempted": sum(op.f == "echo" for op in ops), "acknowledged": len(said)},
    )
