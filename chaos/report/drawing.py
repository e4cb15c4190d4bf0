"""Marks and axes as inline SVG.

Law: pure text out of numbers. A picture has a name and words for who cannot see it, takes its
colours from the classes of the page, and fetches nothing. Text that came from a history passes
`markup` before it gets here or in `label`. One user unit is one CSS pixel at full width.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from chaos.report.words import markup

WIDTH: Final = 960
CHAR_WIDTH: Final = 6.4  # of the 11 px text of pictures; wide enough that nothing overlaps
_NICE: Final = (1.0, 2.0, 5.0, 10.0)

Point = tuple[float, float]


class Scale(NamedTuple):
    """From a value to a place on the page; logarithmic where `log` says so."""

    least: float
    most: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value stands; values outside stand at the edge."""
        inside = min(max(value, self.least), self.most)
        if self.log:
            share = math.log(inside / self.least) / math.log(self.most / self.least)
        else:
            share = (inside - self.least) / (self.most - self.least)
        return round(self.start + share * (self.end - self.start), 1)


def rounded(value: float) -> float:
    """The next of 1, 2, 5 times a power of ten; 1 for what is not positive."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((n * power for n in _NICE if n * power >= value * (1 - 1e-9)), 10 * power)


def steps(most: float, count: int) -> list[float]:
    """Round values from zero, not above `most`, about so many."""
    step = rounded(most / count)
    return [step * n for n in range(int(most / step + 1e-9) + 1)]


def decades(least: float, most: float) -> list[float]:
    """Powers of ten, and where these are few also 2 and 5 times them."""
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    factors = (1,) if high - low > 4 else (1, 2, 5)
    values = [n * 10.0**power for power in range(low, high + 1) for n in factors]
    return [value for value in values if least <= value <= most]


def picture(name: str, height: float, body: Iterable[str], *, title: str, words: str) -> str:
    """An SVG element of full width.

    Args:
        name: unique on the page; letters, digits and dashes.
        height: pixels.
        body: marks.
        title: what it shows, in a few words.
        words: what is to be seen in it, for who listens to the page.
    """
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-labelledby="{name}-t {name}-d"><title id="{name}-t">{markup(title)}</title>'
        f'<desc id="{name}-d">{markup(words, 2000)}</desc>{"".join(body)}</svg>'
    )


def label(x: float, y: float, words: str, *, anchor: str = "start", style: str = "") -> str:
    """A line of text; escapes it."""
    kind = f' class="{style}"' if style else ""
    turn = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}"{turn}{kind}>{markup(words)}</text>'


def box(x: float, y: float, wide: float, high: float, style: str, *, says: str = "") -> str:
    """A filled rectangle; `says` is shown by a pointer that rests on it."""
    start = f'<rect x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" class="{style}"'
    return f"{start}><title>{markup(says)}</title></rect>" if says else f"{start}/>"


def rule(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    """A straight line."""
    return f'<path d="M{x1:g} {y1:g}L{x2:g} {y2:g}" class="{style}"/>'


def curve(points: Sequence[Point | None], style: str) -> str:
    """A line through points, broken where there is none; a lone point is a dot."""
    lines: list[str] = []
    lone: list[Point] = []
    for there, run in groupby(points, key=lambda point: point is not None):
        if there:
            spots = [point for point in run if point is not None]
            if len(spots) == 1:
                lone += spots
            else:
                lines.append("M" + "L".join(f"{x:g} {y:g}" for x, y in spots))
    line = f'<path d="{"".join(lines)}" class="{style}"/>' if lines else ""
    return line + dots(lone, f"{style} lone")


def dots(points: Iterable[Point], style: str) -> str:
    """Many round marks as one element: lines of no length with round ends."""
    path = "".join(f"M{x:g} {y:g}h0" for x, y in points)
    return f'<path d="{path}" class="{style}"/>' if path else ""


def runs(states: Iterable[str]) -> list[tuple[str, int, int]]:
    """Equal neighbours as (state, first, after the last)."""
    out, first = [], 0
    for state, group in groupby(states):
        length = sum(1 for _ in group)
        out.append((state, first, first + length))
        first += length
    return out


def ticked(value: float) -> str:
    """A round figure beside an axis, without digits that say nothing."""
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def across(scale: Scale, ticks: Iterable[float], top: float, foot: float, unit: str) -> list[str]:
    """A horizontal axis: lines from top to foot, figures below."""
    out = []
    for tick in ticks:
        x = scale.place(tick)
        out.append(rule(x, top, x, foot, "grid"))
        out.append(label(x, foot + 15, ticked(tick), anchor="middle"))
    out.append(label(scale.end, foot + 30, unit, anchor="end"))
    return out


def upright(scale: Scale, ticks: Iterable[float], left: float, right: float) -> list[str]:
    """A vertical axis: lines from left to right, figures beside."""
    out = []
    for tick in ticks:
        y = scale.place(tick)
        out.append(rule(left, y, right, y, "grid"))
        out.append(label(left - 6, y + 4, ticked(tick), anchor="end"))
    return out
