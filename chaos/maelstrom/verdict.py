"""From operations and counts to a verdict and a report.

Law: `pass` needs evidence. A test that was to cut the network and whose partitions took no
message, one of which under a fifth was acknowledged, or one without any operation of a kind
that succeeded, is `void`; whatever broke a rule is `fail`, also in a test that is void.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from chaos.maelstrom.check import Anomaly, Finding, quantiles
from chaos.maelstrom.history import Op
from chaos.maelstrom.nemesis import Window
from chaos.maelstrom.options import Options

Outcome = Literal["pass", "fail", "void"]

_ACKNOWLEDGED_MIN: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What a test left.

    Attributes:
        ops: what clients asked; the last reads among them.
        finding: what the checker said.
        faults: what nodes did against the protocol, and how they ended.
        windows: partitions.
        net: figures of the network.
        converged_s: how long after the last fault the last reads were right; None for never.
        seconds: how long it took in all.
    """

    ops: Sequence[Op]
    finding: Finding
    faults: Sequence[str]
    windows: Sequence[Window]
    net: Mapping[str, Any]
    converged_s: float | None
    seconds: float


def outcome(options: Options, played: Played) -> tuple[Outcome, list[Anomaly], list[str]]:
    """Judge a test.

    Returns:
        The outcome, what broke a rule, and why it is void if it is.
    """
    anomalies = list(played.finding.anomalies)
    anomalies += [Anomaly(rule="protocol", detail=fault) for fault in played.faults]
    asked = [op for op in played.ops if not op.final]
    failed = [op for op in asked if op.outcome != "ok"]
    if options.total and failed:
        first = failed[0]
        detail = f"{len(failed)} of {len(asked)}, first {first.f} at {first.node}: {first.error}"
        anomalies.append(Anomaly(rule="unavailable", detail=detail, count=len(failed)))
    why = []
    if len(asked) - len(failed) < _ACKNOWLEDGED_MIN * len(asked) or not asked:
        why.append(f"{len(asked) - len(failed)} of {len(asked)} operations were acknowledged")
    why += [
        f"no {f} succeeded"
        for f in sorted({op.f for op in asked})
        if all(op.outcome != "ok" for op in asked if op.f == f)
    ]
    if options.partition and not any(window.cut for window in played.windows):
        why.append("no partition took a message")
    return ("fail" if anomalies else "void" if why else "pass"), anomalies, why


def report(options: Options, played: Played) -> dict[str, Any]:
    """The whole report as plain data."""
    verdict, anomalies, why = outcome(options, played)
    stats = {}
    asked = [op for op in played.ops if not op.final]
    for f in sorted({op.f for op in asked}):
        of = [op for op in asked if op.f == f]
        spent = [1000 * (op.ended_s - op.began_s) for op in of if op.outcome == "ok"]
        stats[f] = {
            "count": len(of),
            **{said: sum(op.outcome == said for op in of) for said in ("ok", "fail", "info")},
            "latency_ms": {q: round(ms, 1) for q, ms in quantiles(spent).items()},
        }
    ok = sum(op.outcome == "ok" for op in asked)
    return {
        "outcome": verdict,
        "valid": verdict == "pass",
        "why_void": why,
        "anomalies": [asdict(anomaly) for anomaly in anomalies],
        "workload": {"name": options.workload, **played.finding.figures},
        "stats": stats,
        "availability": {"ok_fraction": round(ok / len(asked), 4) if asked else 0.0},
        "net": dict(played.net),
        "partitions": [asdict(window) for window in played.windows],
        "converged_s": played.converged_s,
        "seconds": round(played.seconds, 2),
        "seed": options.seed,
        "node_count": options.node_count,
        "rate": options.rate,
        "time_limit_s": options.time_limit_s,
        "latency_ms": options.latency_ms,
        "command": list(options.argv),
    }
