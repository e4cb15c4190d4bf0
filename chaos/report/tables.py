"""The tables of the page: classes by invariant, figures of classes, failures, what was not tested.

Law: every number of a picture stands in a table as well, and a sign stands beside every colour.
Rows are never left out; only words are cut.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from chaos.report.figures import KINDS, OTHER
from chaos.report.reading import Campaign
from chaos.report.shape import ClassRow, Failure, Found, Report
from chaos.report.timeline import tenths_of
from chaos.report.words import figure, markup, percent

HELD: Final = "held"
BROKEN: Final = "broken"
NONE: Final = "none"
_SIGNS: Final = {HELD: "✓", BROKEN: "✗", NONE: "·"}
_ANOMALIES_SHOWN_MAX: Final = 12
_DETAIL_CHARS_MAX: Final = 400


class Cell(NamedTuple):
    """One cell: words, how it is drawn, and whether it is a number."""

    words: str
    style: str = ""
    code: bool = False


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], style: str) -> str:
    """A table whose first column names its rows; escapes all words.

    Args:
        caption: what it is, for everyone.
        heads: of the columns.
        rows: cells, as many as heads.
        style: class of the element.
    """
    head = "".join(f'<th scope="col">{markup(one)}</th>' for one in heads)
    body = []
    for first, *rest in rows:
        cells = "".join(_cell(one) for one in rest)
        body.append(f'<tr><th scope="row">{_inside(first)}</th>{cells}</tr>')
    return (
        f'<div class="wide"><table class="{style}"><caption>{markup(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(one: Cell) -> str:
    kind = f' class="{one.style}"' if one.style else ""
    return f"<td{kind}>{_inside(one)}</td>"


def _inside(one: Cell) -> str:
    words = markup(one.words, _DETAIL_CHARS_MAX)
    return f"<code>{words}</code>" if one.code else words


def _title(row: ClassRow) -> Cell:
    return Cell(f"{row['class']} {row['name']}".strip())


def matrix(report: Report) -> str:
    """Class by invariant: of each promise, whether it held in every judged cycle."""
    rows = []
    for row in report["classes"]:
        if not row["cycles"]:
            continue
        counts = dict(
            zip(
                (*KINDS, OTHER),
                (row["lost"], row["invented"], row["duplicated"], row["diverged"], row["other"]),
                strict=True,
            )
        )
        judged = row["pass"] + row["fail"]
        cells = [_held(count, judged) for count in counts.values()]
        kept = sum(pair[0] for pair in row["expectations"].values())
        asked = sum(pair[1] for pair in row["expectations"].values())
        cells += [_share(row["proven"], row["cycles"]), _share(kept, asked)]
        rows.append([_title(row), *cells])
    heads = ("class", *KINDS, "other rules", "fault proven", "expectations")
    caption = (
        "Each promise by class: ✓ held in every judged cycle, ✗ broken so many times, · nothing "
        "was judged. Fault proven: in how many of the cycles played. Expectations: of the class."
    )
    return table(caption, heads, rows, "matrix")


def _held(broken: int, judged: int) -> Cell:
    if broken:
        return Cell(f"{_SIGNS[BROKEN]} {broken:,}", BROKEN)
    return Cell(_SIGNS[HELD], HELD) if judged else Cell(_SIGNS[NONE], NONE)


def _share(good: int, whole: int) -> Cell:
    if not whole:
        return Cell(_SIGNS[NONE], NONE)
    state = HELD if good == whole else BROKEN
    return Cell(f"{_SIGNS[state]} {good:,}/{whole:,}", state)


def classes(report: Report) -> str:
    """All figures of all classes."""
    heads = (
        *("class", "cycles", "passed", "failed", "void", "aborted", "acked", "of"),
        *("share", "bound", "p50 s", "p90 s", "max s"),
    )
    rows = []
    for row in (*report["classes"], None):
        of: Any = row or report["totals"]
        share = of["acknowledged"] / of["attempted"] if of["attempted"] else None
        rows.append(
            [
                Cell("all classes") if row is None else _title(row),
                *(Cell(f"{of[key]:,}", "n") for key in ("cycles", "pass")),
                *(Cell(f"{of[key]:,}", _loud(key, of[key])) for key in ("fail", "void", "aborted")),
                *(Cell(f"{of[key]:,}", "n") for key in ("acknowledged", "attempted")),
                Cell(percent(share), "n"),
                Cell(percent(of["bound95"], 2), "n"),
                *(Cell(figure(of["converged_s"][key]), "n") for key in ("p50", "p90", "max")),
            ]
        )
    caption = (
        "Writes, convergence and bound count judged cycles only (passed and failed); void and "
        "aborted ones are listed below."
    )
    return table(caption, heads, rows, "figures")


def _loud(verdict: str, count: int) -> str:
    return "n loud" if count and verdict == "fail" else "n"


def expectations(report: Report) -> str:
    """What each class was expected to do beside C0, and how often it did."""
    rows = [
        [
            _title(row),
            Cell(what),
            Cell(f"{_SIGNS[HELD if good == whole else BROKEN]} {good:,} of {whole:,}", "n"),
        ]
        for row in report["classes"]
        for what, (good, whole) in row["expectations"].items()
    ]
    return table("Invariants of the classes", ("class", "what", "held"), rows, "words")


def failures(failed: Sequence[Failure]) -> str:
    """Every cycle that failed, and how to see it again."""
    rows = [
        [
            Cell(f"{one['class']}, cycle {one['cycle']}"),
            Cell(str(one["seed"]), "n"),
            Cell(one["why"]),
            Cell(one["replay"], "", code=True),
        ]
        for one in failed
    ]
    return table("Cycles that failed", ("cycle", "seed", "why", "replay"), rows, "words")


def anomalies(found: Sequence[Found]) -> str:
    """What the checkers found in one cycle; the first ones, and how many more there are."""
    rows = [
        [Cell(one["checker"]), Cell(one["rule"]), Cell(str(one["detail"]))]
        for one in found[:_ANOMALIES_SHOWN_MAX]
    ]
    more = len(found) - len(rows)
    said = f"<p>{more:,} more are in report.json.</p>" if more else ""
    return table("What was found", ("checker", "rule", "detail"), rows, "words") + said


def not_tested(report: Report) -> str:
    """Everything that stands behind no claim, with its reason."""
    rows = [
        [
            Cell(one["class"]),
            Cell("-" if one["cycle"] is None else str(one["cycle"]), "n"),
            Cell(one["verdict"].replace("_", " ")),
            Cell(one["why"] or "no reason was written"),
        ]
        for one in report["not_tested"]
    ]
    heads = ("class", "cycle", "verdict", "why")
    return table("Not run, void and aborted", heads, rows, "words")


def tenths(campaign: Campaign) -> str:
    """The campaign over time in ten stretches."""
    rows = [
        [
            Cell(f"{figure(since)} to {figure(until)}"),
            Cell(figure(one.rate_s), "n"),
            *(Cell(figure(value), "n") for value in (one.p50_ms, one.p99_ms, one.lag)),
        ]
        for since, until, one in tenths_of(campaign)
    ]
    heads = ("seconds of running", "acknowledged a second", "p50 ms", "p99 ms", "greatest lag")
    return table("Acknowledgement, latency and lag over time", heads, rows, "figures plain")
