"""What came of a run: a table for people, an object for programs.

Law: a patch counts as caught by the first layer that caught it; the others are shown as they
answered. Nothing is left out: what no layer caught stands in the table like the rest.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.planted.layers import Answer, Layer, Verdict
from tests.planted.table import Planted

Found = tuple[Planted, Sequence[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A whole run.

    Attributes:
        seconds: from the first command to the last, the clean tree's included.
        seed: of hypothesis and of campaigns.
        tree: what was measured: a commit, with a plus when the disk differs from it.
        found: per patch, what the layers answered that were asked.
    """

    seconds: int
    seed: int
    tree: str
    found: Sequence[Found]

    @property
    def escaped(self) -> list[Planted]:
        """Those that no layer caught."""
        return [planted for planted, answers in self.found if caught(answers) is None]


def caught(answers: Sequence[Answer]) -> Answer | None:
    """The first answer that is a catch."""
    return next((answer for answer in answers if answer.verdict is Verdict.CAUGHT), None)


def as_table(figures: Figures) -> str:
    """Markdown, one row a patch."""
    out = ["| patch | what it breaks | caught by | s | the test or seed |", "|---|---|---|---|---|"]
    for planted, answers in figures.found:
        hits = [answer for answer in answers if answer.verdict is Verdict.CAUGHT]
        by = ", ".join(answer.layer for answer in hits) or "**nothing**"
        spent = sum(answer.seconds for answer in answers)
        where = "; ".join(f"`{_short(answer.by)}`" for answer in hits) or _silence(answers)
        out.append(f"| {planted.name} | {planted.meaning} | {by} | {spent:.1f} | {where} |")
    total = len(figures.found)
    counts = [f"{layer} {_first(figures, layer)}" for layer in Layer if _first(figures, layer)]
    score = f"{total - len(figures.escaped)} of {total} caught in {figures.seconds} s"
    first = f", first by: {', '.join(counts)}" if counts else ""
    out += ["", f"{score} at {figures.tree}{first}."]
    return "\n".join(out)


def _first(figures: Figures, layer: Layer) -> int:
    firsts = [caught(answers) for _, answers in figures.found]
    return sum(first is not None and first.layer is layer for first in firsts)


def _short(by: str) -> str:
    return by.replace("|", "/")


def _silence(answers: Sequence[Answer]) -> str:
    return "; ".join(f"{a.layer}: {a.verdict} {a.by}".rstrip() for a in answers)


def as_json(figures: Figures) -> str:
    """The same for programs."""
    rows: list[dict[str, Any]] = []
    for planted, answers in figures.found:
        first = caught(answers)
        rows.append(
            {
                "patch": planted.name,
                "meaning": planted.meaning,
                "caught_by": first.layer if first else None,
                "by": first.by if first else None,
                "seconds": round(sum(answer.seconds for answer in answers), 1),
                "layers": [
                    {"layer": a.layer, "verdict": a.verdict, "seconds": a.seconds, "by": a.by}
                    for a in answers
                ],
            }
        )
    whole = {
        "patches": len(rows),
        "caught": len(rows) - len(figures.escaped),
        "seconds": figures.seconds,
        "seed": figures.seed,
        "tree": figures.tree,
        "rows": rows,
    }
    return json.dumps(whole, indent=1)
