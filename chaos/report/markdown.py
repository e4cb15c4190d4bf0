"""The tables of `docs/CHAOS-REPORT.md`.

Law: figures as in report.json and no others; the headline classes first, then all in their order.
"""

from collections.abc import Sequence
from typing import Final

from chaos.catalogue import HEADLINE
from chaos.report.shape import ClassRow, Report, Totals
from chaos.report.words import cell, counted, duration, facts_of, figure, percent

_HEADS: Final = (
    *("class", "cycles", "passed", "failed", "void", "acknowledged", "of", "lost", "invented"),
    *("duplicated", "diverged", "bound", "p50 s", "p90 s", "max s"),
)


BEGIN: Final = "<!-- campaign: from here on written by `chaos report --into` -->"
END: Final = "<!-- campaign: to here -->"


def into(document: str, report: Report) -> str:
    """A document with the tables of a campaign between its two marks.

    Raises:
        ValueError: the marks are not there, once each and in order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in after:
        raise ValueError(f"no place for the tables: it is between {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{markdown(report)}\n{END}{after}"


def markdown(report: Report) -> str:
    """Tables of a campaign: totals, headline classes, all others, and what was not tested."""
    totals = report["totals"]
    rows = {row["class"]: row for row in report["classes"]}
    first = [rows[name] for name in HEADLINE if name in rows]
    rest = [row for name, row in rows.items() if name not in HEADLINE]
    summary = (
        f"{counted(totals['cycles'], 'cycle')} of {counted(len(rows), 'class', 'classes')} in "
        f"{duration(report['seconds'])} of running: {totals['pass']:,} passed, "
        f"{totals['fail']:,} failed, {totals['void']:,} void, {totals['aborted']:,} aborted. "
        f"{totals['acknowledged']:,} of {totals['attempted']:,} writes acknowledged; "
        f"{totals['lost']:,} lost, {totals['invented']:,} invented, "
        f"{totals['duplicated']:,} duplicated, {totals['diverged']:,} diverged."
    )
    lines = [
        *_setting(report),
        summary,
        "",
        *_table(_HEADS, [_row(_title(row), row) for row in (*first, *rest) if row["cycles"]]),
        _line(_row("**all**", totals)),
    ]
    if report["failures"]:
        lines += ["", *_table(("failed", "seed", "why", "again"), _failures(report))]
    if report["whole"]:
        found = [[cell(one["rule"]), cell(one["detail"])] for one in report["whole"]]
        lines += ["", *_table(("whole stores at the end", "what"), found)]
    unplayed = _not_tested(report)
    if unplayed:
        lines += ["", *_table(("class", "verdict", "cycles", "why"), unplayed)]
    return "\n".join([*lines, ""])


def _setting(report: Report) -> list[str]:
    """What was run, and on what; a column for each part."""
    mesh = f"{counted(len(report['nodes']), 'node')}, W = {report['quorum_writes']}"
    shared = {"mesh": mesh, "seed": report["seed"]}
    parts = report["parts"]
    columns = [{**shared, **facts_of(part)} for part in parts]
    names = list(dict.fromkeys(name for facts in columns for name in facts))
    rows = [[cell(name), *(cell(facts.get(name, "-")) for facts in columns)] for name in names]
    return [*_table(("campaign", *(cell(part["campaign"]) for part in parts)), rows), ""]


def _title(row: ClassRow) -> str:
    return cell(f"{row['class']} {row['name']}".strip())


def _row(title: str, of: ClassRow | Totals) -> list[str]:
    took = of["converged_s"]
    counts = (
        *(of["cycles"], of["pass"], of["fail"], of["void"], of["acknowledged"], of["attempted"]),
        *(of["lost"], of["invented"], of["duplicated"], of["diverged"]),
    )
    return [
        title,
        *(f"{count:,}" for count in counts),
        percent(of["bound95"], 2),
        *(figure(value) for value in (took["p50"], took["p90"], took["max"])),
    ]


def _failures(report: Report) -> list[list[str]]:
    return [
        [
            cell(f"{one['class']}, cycle {one['cycle']}"),
            cell(one["seed"]),
            cell(one["why"]),
            f"`{one['replay'].replace('`', '')}`" if one["replay"].isprintable() else "-",
        ]
        for one in report["failures"]
    ]


def _not_tested(report: Report) -> list[list[str]]:
    """Per class, verdict and reason, and how many cycles there are of each."""
    counts: dict[tuple[str, str, str], int] = {}
    for one in report["not_tested"]:
        key = (one["class"], one["verdict"].replace("_", " "), one["why"])
        counts[key] = counts.get(key, 0) + (one["cycle"] is not None)
    return [
        [cell(name), verdict, f"{count:,}" if count else "-", cell(why or "no reason written")]
        for (name, verdict, why), count in counts.items()
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(heads), "|" + "---|" * len(heads), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
