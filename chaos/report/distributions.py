"""One row a class: how long until all nodes were equal, how much was acknowledged, how it ended.

Law: every value that was measured lies inside what is drawn. Few values are drawn one by one; many
are drawn as a box of p50, p90 and greatest over a sample that is spread evenly over their ranks.
"""

from collections.abc import Sequence
from typing import Final

from chaos.report.drawing import (
    WIDTH,
    Scale,
    across,
    box,
    decades,
    dots,
    label,
    picture,
    rounded,
    rule,
    steps,
)
from chaos.report.figures import BOUND_EVENTS, times
from chaos.report.reading import Campaign
from chaos.report.shape import ClassRow, Report
from chaos.report.words import counted, duration, figure, percent, visible

ACKNOWLEDGED_SHARE_MIN: Final = 0.2
_POINTS_MAX: Final = 40
_LEFT: Final = 340
_RIGHT: Final = WIDTH - 90
_TOP: Final = 22
_ROW: Final = 17
_NAME_CHARS_MAX: Final = 52
_LEAST_S: Final = 0.001
_VERDICTS: Final = ("pass", "fail", "void", "aborted")
_BAR_MIN_PX: Final = 1.5
_ROOM_FOR_WORDS: Final = 110


def called(row: ClassRow) -> str:
    """A class as rows of pictures call it."""
    return visible(f"{row['class']} {row['name']}".strip(), _NAME_CHARS_MAX)


def _named(rows: Sequence[ClassRow]) -> list[str]:
    return [
        label(_LEFT - 8, _TOP + n * _ROW + 12, called(row), anchor="end")
        for n, row in enumerate(rows)
    ]


def convergence_picture(name: str, campaign: Campaign, report: Report) -> str:
    """Seconds from the heal until all nodes were equal, per class.

    Args:
        name: unique on the page.
        campaign: for every single value.
        report: for the quantiles.
    """
    rows = [row for row in report["classes"] if row["converged_s"]["max"] is not None]
    if not rows:
        return ""
    values = {
        row["class"]: sorted(times(c for c in campaign.cycles if c.name == row["class"]))
        for row in rows
    }
    least = max(min(line[0] for line in values.values()), _LEAST_S)
    most = max(*(line[-1] for line in values.values()), least * 2)
    low = next(v for v in reversed([_LEAST_S, *decades(_LEAST_S, most * 10)]) if v <= least)
    scale = Scale(low, rounded(most), _LEFT, _RIGHT, log=True)
    foot = _TOP + len(rows) * _ROW
    body = across(scale, decades(low, scale.most), _TOP - 4, foot, "seconds, logarithmic")
    body += _named(rows)
    for n, row in enumerate(rows):
        y = _TOP + n * _ROW + 8
        line, of = values[row["class"]], row["converged_s"]
        shown = line
        if len(line) > _POINTS_MAX:
            shown = [line[k * (len(line) - 1) // (_POINTS_MAX - 1)] for k in range(_POINTS_MAX)]
        p50, p90 = scale.place(of["p50"] or 0), scale.place(of["p90"] or 0)
        end = scale.place(of["max"] or 0)
        body.append(rule(scale.place(line[0]), y, end, y, "whisker"))
        body.append(box(p50, y - 5, max(p90 - p50, 1), 10, "box"))
        body.append(dots(((scale.place(value), y) for value in shown), "dots"))
        body.append(rule(p50, y - 7, p50, y + 7, "middle"))
        body.append(rule(p90, y - 5, p90, y + 5, "ninety"))
        body.append(rule(end, y - 4, end, y + 4, "whisker"))
        body.append(label(_RIGHT + 8, y + 4, figure(of["max"], "s")))
    total = report["totals"]["converged_s"]
    said = (
        f"Of all judged cycles half were equal within {duration(total['p50'] or 0)}, nine tenths "
        f"within {duration(total['p90'] or 0)}, all within {duration(total['max'] or 0)}. The "
        "table of classes has the figures of each."
    )
    return picture(name, foot + 36, body, title="Time until all nodes were equal", words=said)


def acknowledged_picture(name: str, report: Report) -> str:
    """The share of attempted writes that was acknowledged, per class.

    Args:
        name: unique on the page.
        report: the figures.
    """
    rows = [row for row in report["classes"] if row["attempted"]]
    if not rows:
        return ""
    scale = Scale(0, 100, _LEFT, _RIGHT)
    foot = _TOP + len(rows) * _ROW
    body = [*across(scale, range(0, 101, 20), _TOP - 4, foot, "per cent"), *_named(rows)]
    for n, row in enumerate(rows):
        y = _TOP + n * _ROW
        share = row["acknowledged"] / row["attempted"]
        body.append(box(_LEFT, y + 3, max(scale.place(share * 100) - _LEFT, 0.5), 10, "bar"))
        body.append(label(_RIGHT + 8, y + 12, percent(share)))
    limit = scale.place(ACKNOWLEDGED_SHARE_MIN * 100)
    body.append(rule(limit, _TOP - 4, limit, foot, "limit"))
    body.append(label(limit, _TOP - 9, "a cycle below is void", anchor="middle"))
    low = min(rows, key=lambda row: row["acknowledged"] / row["attempted"])
    said = (
        f"The smallest share is that of {called(low)}: "
        f"{percent(low['acknowledged'] / low['attempted'])}."
    )
    return picture(name, foot + 36, body, title="Share of writes acknowledged", words=said)


def verdict_picture(name: str, report: Report) -> str:
    """How the cycles of each class ended.

    Args:
        name: unique on the page.
        report: the figures.
    """
    rows = [row for row in report["classes"] if row["cycles"]]
    if not rows:
        return ""
    most = max(row["cycles"] for row in rows)
    scale = Scale(0, rounded(most), _LEFT, _RIGHT - _ROOM_FOR_WORDS)
    foot = _TOP + len(rows) * _ROW
    ticks = [tick for tick in steps(scale.most, 8) if tick == int(tick)]
    body = [*across(scale, ticks, _TOP - 4, foot, "cycles"), *_named(rows)]
    for n, row in enumerate(rows):
        y, x = _TOP + n * _ROW, float(_LEFT)
        for verdict, count in zip(
            _VERDICTS, (row["pass"], row["fail"], row["void"], row["aborted"]), strict=True
        ):
            if count:
                wide = max(scale.place(count) - _LEFT, _BAR_MIN_PX)
                high, low = (14, 1) if verdict == "fail" else (10, 3)
                says = counted(count, f"cycle {verdict}", f"cycles {verdict}")
                body.append(box(x, y + low, round(wide, 1), high, f"v-{verdict}", says=says))
                x += wide
        beside = [
            f"{count} {verdict}"
            for verdict, count in (
                ("failed", row["fail"]),
                ("void", row["void"]),
                ("aborted", row["aborted"]),
            )
            if count
        ]
        body.append(label(round(x + 6, 1), y + 12, ", ".join(beside) or str(row["pass"])))
    totals = report["totals"]
    said = (
        f"{totals['pass']} cycles passed, {totals['fail']} failed, {totals['void']} were void and "
        f"{totals['aborted']} aborted. With no failure in n cycles the bound is {BOUND_EVENTS}/n."
    )
    return picture(name, foot + 36, body, title="Cycles by verdict", words=said)
