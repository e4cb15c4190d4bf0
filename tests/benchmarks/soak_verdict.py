"""Whether what was measured over time is flat.

Law: pure. The slope is Theil and Sen's (the median of the slopes of all pairs of points; Sen
1968), which a few bad moments do not move, over the last two thirds of the run; the first third
is for warming up. A figure is flat when its slope, over that whole span, adds no more than the
share of its median or the amount that is stated here, whichever is more. What belongs to a
process is judged where one process ran all that time: a new one starts from nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

JUDGED_SECONDS_MIN: Final = 300.0
_POINTS_MIN: Final = 6
_POINTS_MAX: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How much a figure may grow over the judged span.

    Attributes:
        share: of its median.
        amount: in its own unit; the larger of both counts.
        unit: of the figure.
    """

    share: float
    amount: float
    unit: str


TOLERANCES: Final[Mapping[str, Tolerance]] = {
    "anonymous_mib": Tolerance(share=0.10, amount=8.0, unit="MiB"),
    "files": Tolerance(share=0.10, amount=6.0, unit=""),
    "threads": Tolerance(share=0.10, amount=2.0, unit=""),
    "store_mib": Tolerance(share=0.15, amount=16.0, unit="MiB"),
    "recall_mib": Tolerance(share=0.15, amount=16.0, unit="MiB"),
    "write_p50_ms": Tolerance(share=0.25, amount=1.0, unit="ms"),
    "write_p99_ms": Tolerance(share=0.50, amount=10.0, unit="ms"),
}

_OF_PROCESS: Final = ("anonymous_mib", "files", "threads")

Points = Sequence[tuple[float, float]]


def slope(points: Points) -> float:
    """Theil and Sen's slope; 0 for fewer than two points."""
    step = max(len(points) // _POINTS_MAX, 1)
    thinned = points[::step]
    slopes = [
        (y2 - y1) / (x2 - x1)
        for place, (x1, y1) in enumerate(thinned)
        for x2, y2 in thinned[place + 1 :]
        if x2 > x1
    ]
    return median(slopes) if slopes else 0.0


def judge(name: str, points: Points) -> dict[str, Any]:
    """The verdict on one figure; `flat` is None when there are too few points."""
    tolerance = TOLERANCES[name]
    end = max((x for x, _ in points), default=0.0)
    late = [(x, y) for x, y in points if x >= end / 3]
    if len(late) < _POINTS_MIN:
        return {"flat": None, "why": "too few points"}
    middle = median(y for _, y in late)
    growth = slope(late) * (end - late[0][0])
    allowed = max(tolerance.share * middle, tolerance.amount)
    return {
        "flat": growth <= allowed,
        "growth": round(growth, 2),
        "allowed": round(allowed, 2),
        "median": round(middle, 2),
        "unit": tolerance.unit,
    }


def series(samples: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Points by figure and node; those of the clients are under `clients`."""
    found: dict[str, dict[str, list[tuple[float, float]]]] = {name: {} for name in TOLERANCES}
    for sample in samples:
        at = sample["seconds"]
        for node, figures in sample["nodes"].items():
            for name, value in (figures or {}).items():
                if name in found:
                    found[name].setdefault(node, []).append((at, value))
        for quantile in ("p50", "p99"):
            value = sample["ms"]["write"].get(quantile)
            if value is not None:
                found[f"write_{quantile}_ms"].setdefault("clients", []).append((at, value))
    return found


def restarted(samples: Sequence[Mapping[str, Any]]) -> set[str]:
    """Nodes that were more than one process in the judged span."""
    end = max((sample["seconds"] for sample in samples), default=0.0)
    seen: dict[str, set[int]] = {}
    for sample in samples:
        if sample["seconds"] >= end / 3:
            for node, figures in sample["nodes"].items():
                if figures:
                    seen.setdefault(node, set()).add(figures["pid"])
    return {node for node, pids in seen.items() if len(pids) > 1}


def verdict(samples: Sequence[Mapping[str, Any]], *, lost: int, seconds: float) -> dict[str, Any]:
    """All figures, and the one word: `passed`, `failed`, or `too short to judge`."""
    again = restarted(samples)
    figures: dict[str, dict[str, dict[str, Any]]] = {
        name: {
            who: {"flat": None, "why": "restarted"}
            if name in _OF_PROCESS and who in again
            else judge(name, points)
            for who, points in lines.items()
        }
        for name, lines in series(samples).items()
    }
    rising = [
        f"{name} of {who}"
        for name, lines in figures.items()
        for who, one in lines.items()
        if one["flat"] is False
    ]
    long_enough = seconds >= JUDGED_SECONDS_MIN
    failed = lost > 0 or (long_enough and bool(rising))
    word = "failed" if failed else "passed" if long_enough else "too short to judge"
    return {"verdict": word, "lost": lost, "rising": rising, "figures": figures}
