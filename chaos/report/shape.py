"""The names in report.json.

Law: a field is here or it is in no report. Numbers are exact counts of cycles, writes or findings,
seconds, or shares of one; nothing is rounded here.
"""

from typing import Any, TypedDict

# `class` is a word of the language, so these are written as calls.
ClassRow = TypedDict(
    "ClassRow",
    {
        "class": str,
        "name": str,
        "cycles": int,
        "pass": int,
        "fail": int,
        "void": int,
        "aborted": int,
        "not_run": int,
        "why_not_run": str,
        "acknowledged": int,
        "attempted": int,
        "lost": int,
        "invented": int,
        "duplicated": int,
        "diverged": int,
        "other": int,
        "proven": int,
        "bound95": float | None,
        "converged_s": "Spread",
        "expectations": dict[str, list[int]],
    },
)


class Spread(TypedDict):
    """Quantiles by nearest rank, in seconds; None where nothing was measured."""

    p50: float | None
    p90: float | None
    max: float | None


Found = TypedDict(
    "Found",
    {
        "class": str,
        "cycle": int | None,
        "seed": Any,
        "checker": str,
        "rule": str,
        "kind": str,
        "detail": Any,
    },
)

Failure = TypedDict(
    "Failure",
    {
        "class": str,
        "cycle": int | None,
        "seed": Any,
        "why": str,
        "anomalies": int,
        "replay": str,
    },
)

Untested = TypedDict("Untested", {"class": str, "cycle": int | None, "verdict": str, "why": str})

# The totals have the fields of a class, without its name, and how many classes stand behind them.
Totals = TypedDict(
    "Totals",
    {
        "classes_judged": int,
        "cycles": int,
        "pass": int,
        "fail": int,
        "void": int,
        "aborted": int,
        "not_run": int,
        "acknowledged": int,
        "attempted": int,
        "lost": int,
        "invented": int,
        "duplicated": int,
        "diverged": int,
        "other": int,
        "proven": int,
        "bound95": float | None,
        "converged_s": Spread,
        "expectations": list[int],
    },
)


class Part(TypedDict):
    """What was played on one mesh: the whole campaign, or a part of it."""

    campaign: str
    started: str
    version: str
    machine: dict[str, Any]
    cycles: int
    seconds: float
    resumes: int


class Report(TypedDict):
    """The whole of report.json."""

    campaign: str
    seed: Any
    nodes: list[str]
    quorum_writes: int | None
    version: str
    plan: Any
    machine: dict[str, Any]
    started: str
    seconds: float
    resumes: int
    parts: list[Part]
    unreadable_lines: int
    classes: list[ClassRow]
    totals: Totals
    anomalies: list[Found]
    whole: list[Found]
    failures: list[Failure]
    not_tested: list[Untested]
