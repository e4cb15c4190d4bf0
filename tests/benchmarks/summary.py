"""Lines of one run put together: medians, and the ratios that were aimed at.

Law: pure. A ratio is taken within one repeat, where both sides met the same machine, and the
median is taken of ratios, never a ratio of medians of different moments. What was not measured
is told as not measured.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any, Final

from tests.benchmarks.scale import Line

_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Pick:
    """One figure of the lines that carry these tags.

    Attributes:
        tags: names and values that a line must have.
        figure: its name; parts of nested figures are joined with dots. With a `*` in it, the
            greatest of all whose names fit.
    """

    tags: Mapping[str, Any]
    figure: str

    def found(self, lines: Sequence[Line]) -> dict[int, float]:
        """The figure by repeat."""
        chosen = (line for line in lines if self.tags.items() <= _plain(line).items())
        fitting = (
            (line["repeat"], [v for name, v in flat(line) if fnmatchcase(name, self.figure)])
            for line in chosen
        )
        return {repeat: max(values) for repeat, values in fitting if values}


@dataclass(frozen=True, slots=True)
class Target:
    """What is aimed at: one figure, or the ratio of two, on one side of a number.

    Attributes:
        name: for people.
        sign: one of >=, >, <=, <.
        number: the bound.
        of: the figure.
        over: what it is divided by; None for nothing.
    """

    name: str
    sign: str
    number: float
    of: Pick
    over: Pick | None = None

    def judged(self, lines: Sequence[Line]) -> Line:
        """What became of it: the median over the repeats, and whether that reaches the bound."""
        found = self.of.found(lines)
        if self.over is not None:
            under = self.over.found(lines)
            found = {at: found[at] / under[at] for at in found if under.get(at)}
        told: Line = {"target": self.name, "wanted": f"{self.sign}{self.number:g}"}
        if not found:
            return {**told, "got": None, "reached": None, "why": "not measured in this run"}
        got = median(found.values())
        return {
            **told,
            "got": _short(got),
            "least": _short(min(found.values())),
            "greatest": _short(max(found.values())),
            "repeats": len(found),
            "reached": _SIGNS[self.sign](got, self.number),
        }


def _plain(line: Line) -> Line:
    return {name: value for name, value in line.items() if isinstance(value, str | int)}


def _short(value: float) -> float:
    """Four figures, for more would be noise."""
    return float(f"{value:.4g}")


def flat(line: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a line by its dotted name; places of lists count from one."""
    for name, value in line.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            numbered = {str(place): one for place, one in enumerate(value, 1)}
            yield from flat(numbered, f"{prefix}{name}.")
        elif type(value) in (int, float):
            yield prefix + name, value


def summaries(lines: Sequence[Line], tags: Sequence[str]) -> Iterator[Line]:
    """One line a figure over all its repeats: [median, least, greatest].

    Args:
        lines: of measurements.
        tags: names of the fields that tell one figure from another.
    """
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        if "bench" in line:
            groups.setdefault(tuple(line.get(name) for name in tags), []).append(line)
    for tag, group in groups.items():
        named = {name: value for name, value in zip(tags, tag, strict=True) if value is not None}
        rows = [
            {name: value for name, value in flat(line) if name not in (*tags, "repeat")}
            for line in group
        ]
        names = dict.fromkeys(name for row in rows for name in row)
        spread = {
            name: [round(median(found), 3), min(found), max(found)]
            for name in names
            if (found := [row[name] for row in rows if name in row])
        }
        yield {"summary": True, **named, "repeats": len(group), **spread}
