"""Draws what `tests.simulation.scale` measured: two panels, one file, no scripts.

Law: the picture holds only what the rows say. Both axes are logarithmic; a straight line that
rises is a cost that grows with the mesh, a level one is a cost that does not.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

_WIDTH, _HEIGHT, _LEFT, _TOP = 420, 250, 56, 44
_GAP = 70
_INKS = ("#c2410c", "#1d4ed8", "#0f766e", "#7c3aed")


class Line(NamedTuple):
    """One measured series."""

    name: str
    points: Sequence[tuple[float, float]]


class _Scale(NamedTuple):
    """From a value to a place."""

    least: float
    most: float
    length: float

    def place(self, value: float) -> float:
        span = math.log10(self.most / self.least)
        return math.log10(value / self.least) / span * self.length


def draw(rows: Sequence[dict[str, Any]]) -> str:
    """An SVG document of the rows of a run."""
    calm = [r for r in rows if not r["loss"] and not r["churn_ms"] and r["w"] == rows[0]["w"]]
    cost = [
        Line(f"{where}, {_NAMES[mode]}", _series(calm, mode, field))
        for where, field in (("writer", "writer_messages"), ("mean of all", "mean_messages"))
        for mode in ("full", "relay")
    ]
    idle = [
        Line(_NAMES[mode], _series(calm, mode, "idle_messages_per_s")) for mode in ("full", "relay")
    ]
    size = 2 * (_WIDTH + _LEFT + _GAP) - _GAP // 2, _HEIGHT + _TOP + 60
    body = [
        *_panel(0, "messages sent a write", cost),
        *_panel(
            _WIDTH + _LEFT + _GAP,
            "messages a node sends in a second while nothing is written",
            idle,
        ),
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]} {size[1]}" '
        'font-family="sans-serif" font-size="12">'
    )
    title = "<title>Messages per write and per idle second, by number of nodes</title>"
    paper = f'<rect width="{size[0]}" height="{size[1]}" fill="#ffffff"/>'
    return "\n".join([head, title, paper, *body, "</svg>", ""])


_NAMES = {"full": "push to all", "relay": "relay"}


def _series(rows: Sequence[dict[str, Any]], mode: str, field: str) -> list[tuple[float, float]]:
    return sorted((row["nodes"], row[field]) for row in rows if row["mode"] == mode)


def _panel(shift: float, title: str, lines: Sequence[Line]) -> list[str]:
    values = [y for line in lines for _, y in line.points]
    sizes = [x for line in lines for x, _ in line.points]
    across = _Scale(min(sizes), max(sizes), _WIDTH)
    up = _Scale(10 ** math.floor(math.log10(min(values))), 1.6 * max(values), _HEIGHT)
    left, foot = shift + _LEFT, _TOP + _HEIGHT
    out = [f'<text x="{left}" y="20" font-weight="bold" fill="#111">{title}</text>']
    for size in sorted(set(sizes)):
        x = left + across.place(size)
        out.append(f'<path d="M{x:.1f} {_TOP}V{foot}" stroke="#eee"/>')
        out.append(_text(x, foot + 16, f"{size:g}", "middle"))
    tick = up.least
    while tick <= up.most:
        y = foot - up.place(tick)
        out.append(f'<path d="M{left} {y:.1f}H{left + _WIDTH}" stroke="#ddd"/>')
        out.append(_text(left - 6, y + 4, f"{tick:g}", "end"))
        tick *= 10
    out.append(_text(left + _WIDTH / 2, foot + 34, "nodes", "middle"))
    for place, line in enumerate(lines):
        ink = _INKS[place]
        spots = [(left + across.place(x), foot - up.place(y)) for x, y in line.points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in spots)
        out.append(f'<path d="M{path}" fill="none" stroke="{ink}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{ink}"/>' for x, y in spots]
        x = left + 10 + place % 2 * (_WIDTH / 2)
        y = _TOP - 12 + 14 * (place // 2)
        out.append(_text(x, y + 6, line.name, "start", ink))
    return out


def _text(x: float, y: float, words: str, anchor: str, ink: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{ink}">{words}</text>'
