"""One HTML page about a soak, with its plots; it needs nothing but itself.

Law: pure: values in, text out. Every plot begins at zero, has one series a node in the same
colour on every plot, and a line where something was done to a node.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

Points = Sequence[tuple[float, float]]

_WIDTH: Final = 860
_HEIGHT: Final = 200
_LEFT: Final = 56
_RIGHT: Final = 84
_TOP: Final = 10
_BOTTOM: Final = 24
_POINTS_MAX: Final = 600
_TITLES: Final[Mapping[str, str]] = {
    "anonymous_mib": "Anonymous memory, MiB",
    "files": "Open file descriptors",
    "threads": "Threads",
    "store_mib": "Store on the disk, MiB",
    "recall_mib": "Recall index on the disk, MiB",
    "write_p50_ms": "Write latency, p50, ms",
    "write_p99_ms": "Write latency, p99, ms",
}
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #e3e7ee;
  --paper: #fff; --s0: #2563a8; --s1: #c2570c; --s2: #2f855a; --s3: #7a4fb5; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3;
  --line: #313947; --paper: #161b24; --s0: #6aa9ec; --s1: #f0944d; --s2: #63c38f;
  --s3: #b394e6; --bad: #f97066; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 900px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1rem; margin: 1.6rem 0 0.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.25rem 0.6rem; border-bottom: 1px solid var(--line); }
.soft { color: var(--soft); } .bad { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; } text { font-size: 11px; fill: var(--soft); }
.grid { stroke: var(--line); } .mark { stroke: var(--soft); stroke-dasharray: 2 3; opacity: 0.5; }
.s { fill: none; stroke-width: 1.5; } .s0 { stroke: var(--s0); } .s1 { stroke: var(--s1); }
.s2 { stroke: var(--s2); } .s3 { stroke: var(--s3); }
"""


def page(
    facts: Mapping[str, Any],
    found: Mapping[str, Any],
    series: Mapping[str, Mapping[str, Points]],
    events: Sequence[Mapping[str, Any]],
) -> str:
    """The whole page.

    Args:
        facts: what was run, as rows of a table.
        found: the verdict.
        series: points by figure and by node.
        events: what was done to which node, and when.
    """
    parts = [f"<h1>Soak: {escape(found['verdict'])}</h1>", _facts(facts), _figures(found)]
    for name, title in _TITLES.items():
        lines = series.get(name, {})
        if lines:
            parts += [f"<h2>{escape(title)}</h2>", plot(title, lines, events)]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Soak: {escape(found['verdict'])}</title><style>{_STYLE}</style></head>"
        f"<body>\n{body}\n</body></html>\n"
    )


def _facts(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{rows}</table>"


def _figures(found: Mapping[str, Any]) -> str:
    rows = []
    for name, lines in found["figures"].items():
        for who, one in lines.items():
            flat = {True: "flat", False: "rising", None: "not judged"}[one["flat"]]
            style = ' class="bad"' if one["flat"] is False else ""
            grown = f"{one['growth']} of {one['allowed']}" if "growth" in one else one["why"]
            rows.append(
                f"<tr><td>{escape(_TITLES[name])}</td><td>{escape(who)}</td>"
                f"<td>{one.get('median', '')}</td><td>{escape(str(grown))}</td>"
                f"<td{style}>{flat}</td></tr>"
            )
    head = "<tr><th>figure</th><th>of</th><th>median</th><th>growth of allowed</th><th></th></tr>"
    note = (
        '<p class="soft">Growth is the Theil-Sen slope over the last two thirds, times their '
        "length. Dashed lines: something was done to a node.</p>"
    )
    return f"<h2>Verdict</h2><table>{head}{''.join(rows)}</table>{note}"


def plot(title: str, lines: Mapping[str, Points], events: Sequence[Mapping[str, Any]]) -> str:
    """One SVG plot."""
    end = max((x for points in lines.values() for x, _ in points), default=1.0) or 1.0
    top = _rounded(max((y for points in lines.values() for _, y in points), default=1.0))
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return round(_LEFT + wide * x / end, 1), round(_TOP + high * (1 - y / top), 1)

    parts = []
    for share in (0.0, 0.5, 1.0):
        _, y = at(0, top * share)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_LEFT + wide}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{top * share:g}</text>')
        x, _ = at(end * share, 0)
        parts.append(
            f'<text x="{x}" y="{_HEIGHT - 6}" text-anchor="middle">{_clock(end * share)}</text>'
        )
    for event in events:
        x, _ = at(min(event["seconds"], end), 0)
        words = escape(f"{event['event']} {event['node']}")
        parts.append(
            f'<line class="mark" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_TOP + high}">'
            f"<title>{words}</title></line>"
        )
    ends = sorted((at(*points[-1])[1], place) for place, points in enumerate(lines.values()))
    labels = dict(_apart(ends))
    for place, (who, points) in enumerate(lines.items()):
        drawn = " ".join(f"{x},{y}" for x, y in (at(*point) for point in _thinned(points)))
        parts.append(f'<polyline class="s s{place % 4}" points="{drawn}"/>')
        parts.append(
            f'<text x="{_LEFT + wide + 6}" y="{labels[place] + 4:.1f}" '
            f'style="fill: var(--s{place % 4})">{escape(who)}</text>'
        )
    box = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}"'
    return f"<svg {box}>{''.join(parts)}</svg>"


def _apart(ends: Sequence[tuple[float, int]]) -> list[tuple[int, float]]:
    """Heights of the labels, moved so that none lies on another."""
    placed: list[tuple[int, float]] = []
    least = float(_TOP)
    for y, place in ends:
        height = max(y, least)
        placed.append((place, height))
        least = height + 12
    return placed


def _thinned(points: Points) -> Points:
    return points[:: max(len(points) // _POINTS_MAX, 1)]


def _rounded(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    step = 1.0
    while step * 10 <= value:
        step *= 10
    while step > value > 0 and step > 1e-3:
        step /= 10
    return next(step * factor for factor in (1, 2, 5, 10, 20) if step * factor >= value)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
