"""The page of a campaign: one file that needs nothing but itself.

Law: pure, static, without a script. The policy in its head forbids every fetch, so that what it
promises is also enforced. Every class is drawn in sum; every failing cycle is listed and drawn (the
first ones) and of each class one cycle that passed, so that its size does not grow with the cycles.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from chaos.report import tables
from chaos.report.distributions import (
    acknowledged_picture,
    convergence_picture,
    verdict_picture,
)
from chaos.report.figures import KINDS, failed
from chaos.report.reading import Campaign, Cycle
from chaos.report.shape import Found, Report
from chaos.report.style import STYLE
from chaos.report.timeline import campaign_picture, cycle_picture
from chaos.report.words import counted, duration, facts_of, figure, markup, percent

FAILING_DRAWN_MAX: Final = 60
_PLAN_CHARS_MAX: Final = 6000
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"
_SECTIONS: Final = (
    ("time", "The campaign over time"),
    ("matrix", "Classes and invariants"),
    ("classes", "Figures of the classes"),
    ("convergence", "Convergence"),
    ("acknowledged", "Acknowledged"),
    ("failures", "Failures"),
    ("cycles", "Cycles"),
    ("untested", "What was not tested"),
    ("setting", "Machine, versions, plan"),
)
CLAIM: Final = (
    "No acknowledged write was lost, none invented, none duplicated, and after each heal all "
    "reachable nodes were equal in ids, content, clocks, policies and digests."
)
BOUND_MEANS: Final = (
    "When none of n cycles failed, fewer than 3/n of all cycles that are drawn the same way would "
    "fail, with 95 % confidence."
)
BOUND_NOT: Final = (
    "It says nothing of faults that were not injected, of other meshes, loads and machines, nor of "
    "harm that the checkers cannot see; and cycles that follow one another on the same stores are "
    "not wholly independent."
)
_KEYS_OF_A_CYCLE: Final = (
    '<p class="soft"><span class="key fault"></span>fault, from injection to heal'
    '<span class="key agrees"></span>digest agrees with most nodes'
    '<span class="key differs"></span>differs<span class="key isdown"></span>down'
    '<span class="key equal"></span>all equal again</p>'
)
_VOID_MEANS: Final = (
    "<p>These stand behind no claim. A class that the machine could not inject is not run, and "
    "never passed; a cycle whose fault was not proven, in which fewer than 20 % of writes were "
    "acknowledged, or all of a kind refused, is void.</p>"
)


def page(campaign: Campaign, report: Report) -> str:
    """The whole page.

    Args:
        campaign: what was observed; for the plots.
        report: the figures of the same campaign.
    """
    name = markup(report["campaign"] or "campaign", 80)
    parts = [_top(report), _over_time(campaign), _sums(campaign, report)]
    parts += [_failures(report), _cycles(campaign, report), _untested(report), _setting(report)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{markup(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Chaos campaign {name}</title><style>{STYLE}</style></head>\n"
        f"<body>\n{''.join(parts)}</main>\n</body></html>\n"
    )


def _section(name: str, *parts: str) -> str:
    return f'<section><h2 id="{name}">{dict(_SECTIONS)[name]}</h2>{"".join(parts)}</section>\n'


def _drawn(picture: str, says: str) -> str:
    if not picture:
        return '<p class="soft">No figures.</p>'
    return f'<figure><div class="drawn">{picture}</div><figcaption>{says}</figcaption></figure>'


def verdict_of(report: Report) -> tuple[bool, str]:
    """Whether the claim stands, and the sentence that says so."""
    totals = report["totals"]
    judged = totals["pass"] + totals["fail"]
    if totals["fail"]:
        return False, f"{counted(totals['fail'], 'cycle')} of {judged:,} failed"
    if report["whole"]:
        return False, "no judged cycle failed, but whole stores showed anomalies at the end"
    if any(_found(report, kind) for kind in (*KINDS, "other")):
        return False, "no judged cycle failed, but anomalies were found in others"
    if not judged:
        return False, "nothing was judged"
    return True, f"none of {counted(judged, 'judged cycle')} failed"


def _found(report: Report, kind: str) -> int:
    totals: Any = report["totals"]
    return int(totals[kind])


def _top(report: Report) -> str:
    totals = report["totals"]
    good, said = verdict_of(report)
    state = "holds" if good else "does not hold"
    tiles = [
        ("cycles played", f"{totals['cycles']:,}", False),
        ("passed", f"{totals['pass']:,}", False),
        ("failed", f"{totals['fail']:,}", totals["fail"] > 0),
        ("void", f"{totals['void']:,}", False),
        ("aborted", f"{totals['aborted']:,}", False),
        ("classes judged", f"{totals['classes_judged']:,}", False),
        ("writes acknowledged", f"{totals['acknowledged']:,}", False),
        *((kind, f"{_found(report, kind):,}", _found(report, kind) > 0) for kind in KINDS),
        ("bound, all classes", percent(totals["bound95"], 2), False),
    ]
    listed = "".join(
        f'<li class="{"loud" if loud else "calm"}"><b>{markup(value)}</b>{markup(name)}</li>'
        for name, value, loud in tiles
    )
    links = " ".join(f'<a href="#{name}">{title}</a>' for name, title in _SECTIONS)
    mesh = f"{counted(len(report['nodes']), 'node')}, W = {report['quorum_writes']}"
    return (
        f'<header><p class="soft">Chaos campaign {markup(report["campaign"], 80)}, {mesh}, '
        f"{duration(report['seconds'])} of running, seed {markup(report['seed'], 40)}</p>"
        f"<h1>The claim {state}: {markup(said)}</h1></header>\n<main>"
        f'<p><span class="state {"good" if good else "poor"}">{state}</span> {CLAIM}</p>'
        f'<ul class="tiles">{listed}</ul>'
        f"<p><strong>What the bound means.</strong> {BOUND_MEANS} <strong>What it does not "
        f"mean.</strong> {BOUND_NOT} It is given per class below, and only where none failed.</p>"
        f'<nav aria-label="Sections">{links}</nav>\n'
    )


def _over_time(campaign: Campaign) -> str:
    says = (
        'Cycles end to end.<span class="key fault"></span>under a fault (the stronger, the more of '
        "that stretch). Last rows: where cycles passed, failed, were void or aborted."
    )
    return _section(
        "time",
        _drawn(campaign_picture("campaign", campaign), says),
        f"<details><summary>The same as a table</summary>{tables.tenths(campaign)}</details>",
    )


def _sums(campaign: Campaign, report: Report) -> str:
    ended = (
        '<span class="key pass"></span>passed<span class="key fail"></span>failed (tall)'
        '<span class="key void"></span>void<span class="key aborted"></span>aborted'
    )
    converged = (
        "From the heal until all reachable nodes were equal, per class. Dots: cycles (a sample "
        "where there are many). Dark tick: p50; box from there to p90; line: least to greatest; "
        "right: the greatest."
    )
    share = "Of the writes attempted in judged cycles, how many were acknowledged."
    expected = tables.expectations(report)
    return (
        _section("matrix", tables.matrix(report), _drawn(verdict_picture("ended", report), ended))
        + _section(
            "classes",
            tables.classes(report),
            f"<details><summary>What each class expects, one by one</summary>{expected}</details>",
        )
        + _section(
            "convergence", _drawn(convergence_picture("converged", campaign, report), converged)
        )
        + _section("acknowledged", _drawn(acknowledged_picture("share", report), share))
    )


def _failures(report: Report) -> str:
    parts = ["<p>No judged cycle failed.</p>"]
    if report["failures"]:
        parts = [tables.failures(report["failures"])]
    if report["whole"]:
        parts += ["<p>Whole stores, read at the end of a run:</p>"]
        parts += [tables.anomalies(report["whole"])]
    return _section("failures", *parts)


def _cycles(campaign: Campaign, report: Report) -> str:
    bad = failed(campaign)
    parts = [_KEYS_OF_A_CYCLE]
    if len(bad) > FAILING_DRAWN_MAX:
        parts.append(
            f"<p>The first {FAILING_DRAWN_MAX} of {len(bad):,} failing cycles are drawn; all of "
            "them are in the table above.</p>"
        )
    by_cycle: dict[tuple[str, int | None], list[Found]] = {}
    for one in report["anomalies"]:
        by_cycle.setdefault((one["class"], one["cycle"]), []).append(one)
    for n, cycle in enumerate(bad[:FAILING_DRAWN_MAX]):
        found = by_cycle.get((cycle.name, cycle.number), [])
        parts.append(_one_cycle(f"bad{n}", cycle, found, opened=True))
    first: dict[str, Cycle] = {}
    for cycle in campaign.cycles:
        if cycle.verdict == "pass":
            first.setdefault(cycle.name, cycle)
    if first:
        parts.append("<h3>A sample: the first cycle of each class that passed</h3>")
    for n, row in enumerate(report["classes"]):
        if row["class"] in first:
            parts.append(_one_cycle(f"good{n}", first[row["class"]], [], opened=False))
    return _section("cycles", *parts)


def _one_cycle(name: str, cycle: Cycle, found: Sequence[Found], *, opened: bool) -> str:
    took = "" if cycle.converged_s is None else f", equal after {figure(cycle.converged_s, 's')}"
    missed = [what for what, held in cycle.expectations if not held]
    said = (
        f"{markup(cycle.name, 40)}, cycle {cycle.number}: {cycle.verdict}, "
        f"{cycle.acknowledged:,} of {counted(cycle.attempted, 'write')} acknowledged{took}"
    )
    why = f"<p>{markup(cycle.why)}</p>" if cycle.why else ""
    not_met = "".join(f"<li>{markup(what)}</li>" for what in missed)
    return (
        f"<details{' open' if opened else ''}><summary>{said}</summary>{why}"
        + (f"<p>Expected and not so:</p><ul>{not_met}</ul>" if missed else "")
        + (tables.anomalies(found) if found else "")
        + f'<figure><div class="drawn">{cycle_picture(name, cycle)}</div></figure></details>\n'
    )


def _untested(report: Report) -> str:
    parts = [_VOID_MEANS]
    if report["unreadable_lines"]:
        said = counted(report["unreadable_lines"], "line")
        parts.append(f"<p>{said} of the history could not be read.</p>")
    listed = report["not_tested"]
    parts.append(
        tables.not_tested(report) if listed else "<p>Nothing that was planned was left out.</p>"
    )
    return _section("untested", *parts)


def _setting(report: Report) -> str:
    shared: dict[str, Any] = {
        "nodes": ", ".join(report["nodes"]),
        "quorum of writes": report["quorum_writes"],
        "seed": report["seed"],
    }
    columns = [{**shared, **facts_of(part)} for part in report["parts"]]
    names = dict.fromkeys(name for facts in columns for name in facts)
    rows = [
        [tables.Cell(name), *(tables.Cell(str(facts.get(name, "-"))) for facts in columns)]
        for name in names
    ]
    heads = ("what", *(part["campaign"] or "campaign" for part in report["parts"]))
    plan = json.dumps(report["plan"], indent=2)
    return _section(
        "setting",
        tables.table("What was run, and on what", heads, rows, "facts"),
        "<h3>Plan</h3>",
        *(f"<code>{markup(line)}</code><br>" for line in plan[:_PLAN_CHARS_MAX].splitlines()),
    )
