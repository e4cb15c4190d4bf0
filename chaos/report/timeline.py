"""What happened when: acknowledgements, latency, lag and agreement of nodes over time.

Law: all panels of a picture share one time axis; a fault is a band over all of them. Figures are
binned, never smoothed: a bin without an answer shows none. The campaign is drawn over the time in
which cycles ran, end to end, so a pause between two runs takes no room.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from math import ceil
from typing import Final, NamedTuple

from chaos.report.drawing import (
    CHAR_WIDTH,
    WIDTH,
    Point,
    Scale,
    box,
    curve,
    label,
    picture,
    rounded,
    rule,
    runs,
    steps,
    ticked,
    upright,
)
from chaos.report.figures import quantile
from chaos.report.reading import AGREES, DIFFERS, DOWN, Campaign, Cycle
from chaos.report.words import counted, duration, figure, visible

CYCLE_BINS_MAX: Final = 100
CAMPAIGN_BINS_MAX: Final = 240
BINS_MIN: Final = 15
ANSWERS_PER_BIN: Final = 8
_LEFT: Final = 70
_RIGHT: Final = WIDTH - 12
_PANEL: Final = 72
_BETWEEN: Final = 26
_LANE: Final = 19
_ROW: Final = 14
_BAND_CHARS_MAX: Final = 70
_LANES_MAX: Final = 6
_SHARES: Final = 4
_SAMPLE_S: Final = 0.25
_MINUTES_FROM_S: Final = 180
_HOURS_FROM_S: Final = 3 * 3600
_STATES: Final = {
    AGREES: ("agree", "agrees with most"),
    DIFFERS: ("differ", "differs"),
    DOWN: ("down", "does not answer"),
}


class Bin(NamedTuple):
    """What fell into one stretch of time."""

    rate_s: float
    p50_ms: float | None
    p99_ms: float | None
    lag: float | None


class Stretch(NamedTuple):
    """A cycle and when it began in the time that is drawn, seconds."""

    cycle: Cycle
    since_s: float


def binned(stretches: Iterable[Stretch], seconds: float, count: int) -> list[Bin]:
    """Acknowledged writes a second, their latency and the greatest lag, bin by bin."""
    width = seconds / count
    latencies: list[list[float]] = [[] for _ in range(count)]
    lags: list[float | None] = [None] * count
    for cycle, since in stretches:
        for at, took in zip(cycle.answers_s, cycle.latencies_ms, strict=True):
            latencies[_bin(since + at, width, count)].append(took)
        for at, lag in zip(cycle.samples_s, cycle.lags, strict=True):
            place = _bin(since + at, width, count)
            lags[place] = max(lag, lags[place] or 0.0)
    out = []
    for unsorted, most in zip(latencies, lags, strict=True):
        ranked = sorted(unsorted)
        out.append(Bin(len(ranked) / width, quantile(ranked, 0.5), quantile(ranked, 0.99), most))
    return out


def _count(stretches: Iterable[Stretch], most: int) -> int:
    """As many bins as there are answers to fill them."""
    answers = sum(len(one.cycle.answers_s) for one in stretches)
    return min(max(answers // ANSWERS_PER_BIN, BINS_MIN), most)


def _bin(at: float, width: float, count: int) -> int:
    return min(max(int(at / width), 0), count - 1)


class _Time(NamedTuple):
    """The shared axis."""

    seconds: float

    @property
    def scale(self) -> Scale:
        return Scale(0.0, self.seconds, _LEFT, _RIGHT)

    def axis(self, top: float, foot: float) -> list[str]:
        unit, of = "seconds", 1
        if self.seconds >= _MINUTES_FROM_S:
            unit, of = "minutes", 60
        if self.seconds >= _HOURS_FROM_S:
            unit, of = "hours", 3600
        out = []
        for tick in steps(self.seconds / of, 8):
            x = self.scale.place(tick * of)
            out.append(rule(x, top, x, foot, "grid"))
            out.append(label(x, foot + 15, ticked(tick), anchor="middle"))
        return [*out, label(_RIGHT, foot + 30, unit, anchor="end")]


def _panels(bins: Sequence[Bin], time: _Time, top: float) -> tuple[list[str], float]:
    """Three panels from `top` down, and where they end."""
    middle = time.seconds / len(bins) / 2
    places = [time.scale.place(time.seconds * n / len(bins) + middle) for n in range(len(bins))]
    wanted = (
        ("acknowledged writes a second", (("rate", [one.rate_s for one in bins], ""),)),
        (
            "latency of acknowledged writes, ms",
            (
                ("p99", [one.p99_ms for one in bins], "p99 dashed"),
                ("p50", [one.p50_ms for one in bins], "p50 solid"),
            ),
        ),
        ("greatest lag of a node, operations", (("lag", [one.lag for one in bins], ""),)),
    )
    out: list[str] = []
    for title, lines in wanted:
        values = [value for _, line, _ in lines for value in line if value is not None]
        up = Scale(0.0, rounded(max(values, default=1.0)), top + _PANEL, top)
        out += upright(up, (0.0, up.most / 2, up.most), _LEFT, _RIGHT)
        named = ": ".join([title, ", ".join(name for _, _, name in lines if name)]).rstrip(": ")
        out.append(label(_LEFT, top - 6, named if values else f"{title}: no figures", style="head"))
        for style, line, _ in lines:
            points: list[Point | None] = [
                None if value is None else (x, up.place(value))
                for x, value in zip(places, line, strict=True)
            ]
            if style == "lag":  # a state that was looked at now and then, not what fell into a bin
                points = [point for point in points if point is not None]
            out.append(curve(points, f"line {style}"))
        top += _PANEL + _BETWEEN
    return out, top - _BETWEEN


def cycle_picture(name: str, cycle: Cycle) -> str:
    """One cycle: bands of its faults over its panels, and the agreement of its nodes.

    Args:
        name: unique on the page.
        cycle: what was observed.
    """
    time = _Time(max(cycle.seconds, 0.1))
    stretch = [Stretch(cycle, 0.0)]
    bins = binned(stretch, time.seconds, _count(stretch, CYCLE_BINS_MAX))
    lanes = _lanes(cycle, time)
    top = _LANE * max((lane for lane, _ in lanes), default=-1) + _LANE + 24
    panels, foot = _panels(bins, time, top)
    strip, end = _strip(cycle, time, foot + _BETWEEN)
    bands: list[str] = []
    for lane, (x, wide, what) in lanes:
        bands.append(box(x, top, wide, end - top, "band", says=what))
        bands.append(box(x, 4 + lane * _LANE, max(wide, 2), 3, "bandmark"))
        anchor, at = ("start", x) if x + _extent(what) <= _RIGHT else ("end", _RIGHT)
        bands.append(label(at, 17 + lane * _LANE, what, anchor=anchor))
    body = [*bands, *time.axis(top, end), *panels, *strip, *_equal(cycle, time, top, end)]
    title = f"Cycle {cycle.number} of class {cycle.name}"
    return picture(name, end + 36, body, title=title, words=_cycle_words(cycle))


def _level_s(cycle: Cycle) -> float | None:
    """When all nodes were equal again: so long after the last heal."""
    healed = max((band.end_s for band in cycle.bands if band.end_s is not None), default=None)
    if healed is None or cycle.converged_s is None:
        return None
    return healed + cycle.converged_s


def _equal(cycle: Cycle, time: _Time, top: float, foot: float) -> list[str]:
    level = _level_s(cycle)
    if level is None:
        return []
    return [rule(time.scale.place(level), top, time.scale.place(level), foot, "level")]


def _cycle_words(cycle: Cycle) -> str:
    said = [
        f"{duration(cycle.seconds)} with {counted(len(cycle.answers_s), 'acknowledged write')}.",
        *(
            f"Fault {band.what!r} from {band.start_s:.1f} s "
            + ("to the end." if band.end_s is None else f"to {band.end_s:.1f} s.")
            for band in cycle.bands[:_LANES_MAX]
        ),
    ]
    lag = max(cycle.lags, default=None)
    if lag is not None:
        said.append(f"The greatest lag was {figure(lag)} operations.")
        said += [
            f"Node {node} agreed with most in {strip.count(AGREES)} of {len(strip)} samples."
            for node, strip in cycle.strips.items()
        ]
    return " ".join(said)


def _extent(words: str) -> float:
    return len(words) * CHAR_WIDTH + 8


def _lanes(cycle: Cycle, time: _Time) -> list[tuple[int, tuple[float, float, str]]]:
    """Each band with a lane for its name, so that no name lies on another."""
    ends: list[float] = []
    out = []
    for band in sorted(cycle.bands, key=lambda band: band.start_s):
        start = time.scale.place(band.start_s)
        stop = time.scale.place(time.seconds if band.end_s is None else band.end_s)
        what = visible(band.what, _BAND_CHARS_MAX)
        left = min(start, _RIGHT - _extent(what))
        lane = next((n for n, end in enumerate(ends) if end <= left), len(ends))
        if lane == len(ends):
            if lane == _LANES_MAX:  # the rest is drawn as bands, without a name
                lane, what = lane - 1, ""
            else:
                ends.append(0.0)
        ends[lane] = max(ends[lane], stop + 4, left + _extent(what))
        out.append((lane, (start, max(stop - start, 1.0), what)))
    return out


def _strip(cycle: Cycle, time: _Time, top: float) -> tuple[list[str], float]:
    """Node by time: does the node's digest agree with that of most nodes?"""
    if not cycle.strips:
        return [label(_LEFT, top - 6, "agreement of digests: no samples", style="head")], top
    ends = _ends(cycle)
    out = [label(_LEFT, top - 6, "digest of each node", style="head")]
    for node, states in sorted(cycle.strips.items(), key=lambda item: (len(item[0]), item[0])):
        out.append(label(_LEFT - 6, top + 11, visible(node, 9), anchor="end"))
        for state, first, after in _looks(states, cycle.samples_s, ends):
            if state in _STATES:
                style, says = _STATES[state]
                x = time.scale.place(cycle.samples_s[first])
                wide = round(time.scale.place(ends[after - 1]) - x, 1)
                # A node that differs stands low, one that is down is hollow: not by colour alone.
                low = 5 if state == DIFFERS else 0
                said = f"{node} {says}" if state != AGREES else ""
                out.append(box(x, top + 1 + low, max(wide, 0.8), _ROW - 3 - low, style, says=said))
        top += _ROW
    return out, top


def _ends(cycle: Cycle) -> list[float]:
    """Until when each sample stands: the next one, but no longer than samples are apart."""
    samples = cycle.samples_s
    gaps = sorted(after - at for at, after in pairwise(samples))
    apart = 2 * (quantile(gaps, 0.5) or _SAMPLE_S / 2)
    level = _level_s(cycle)
    ends = []
    for at, after in zip(samples, [*samples[1:], cycle.seconds], strict=True):
        # What was seen before all were equal says nothing about the time after it.
        stands = min(at + apart, after, level if level is not None and at < level else after)
        ends.append(max(stands, at))
    return ends


def _looks(
    states: Sequence[str], starts: Sequence[float], ends: Sequence[float]
) -> Iterator[tuple[str, int, int]]:
    """Equal neighbours without a time between them at which nobody looked."""
    for state, first, after in runs(states):
        since = first
        for n in range(first, after):
            if n + 1 == after or starts[n + 1] > ends[n]:
                yield state, since, n + 1
                since = n + 1


def end_to_end(campaign: Campaign) -> tuple[list[Stretch], float]:
    """The cycles that were played, without what lay between them, and the seconds they took."""
    played = [cycle for cycle in campaign.cycles if cycle.verdict != "not_run"]
    starts = [0.0, *accumulate(cycle.seconds for cycle in played)]
    return [Stretch(*pair) for pair in zip(played, starts, strict=False)], max(starts[-1], 0.1)


def tenths_of(campaign: Campaign) -> list[tuple[float, float, Bin]]:
    """Ten stretches of the campaign: from, to (seconds of running), and what fell into each."""
    stretches, seconds = end_to_end(campaign)
    bins = binned(stretches, seconds, 10)
    return [(n * seconds / 10, (n + 1) * seconds / 10, one) for n, one in enumerate(bins)]


def campaign_picture(name: str, campaign: Campaign) -> str:
    """The whole campaign: the same panels, and what became of its cycles.

    Args:
        name: unique on the page.
        campaign: what was observed.
    """
    stretches, seconds = end_to_end(campaign)
    time = _Time(seconds)
    bins = binned(stretches, time.seconds, _count(stretches, CAMPAIGN_BINS_MAX))
    top = 24.0
    panels, foot = _panels(bins, time, top)
    bands = []
    for share, first, after in runs(str(n) for n in _faulted(stretches, time.seconds)):
        if share != "0":
            x = time.scale.place(time.seconds * first / CAMPAIGN_BINS_MAX)
            wide = time.scale.place(time.seconds * after / CAMPAIGN_BINS_MAX) - x
            bands.append(box(x, top, round(wide, 1), foot - top, f"band share{share}"))
    rows, end = _verdict_rows(stretches, time, foot + _BETWEEN)
    rates = [one.rate_s for one in bins]
    said = (
        f"{counted(len(stretches), 'cycle')} in {duration(seconds)} of running; between "
        f"{figure(min(rates))} and {figure(max(rates))} acknowledged writes a second."
    )
    body = [*bands, *time.axis(top, end), *panels, *rows]
    return picture(name, end + 36, body, title="The campaign over time", words=said)


def _faulted(stretches: Sequence[Stretch], seconds: float) -> list[int]:
    """Per bin, which part of it was under a fault, in quarters, rounded up."""
    width = seconds / CAMPAIGN_BINS_MAX
    under = [0.0] * CAMPAIGN_BINS_MAX
    for cycle, since in stretches:
        done = 0.0
        for band in sorted(cycle.bands, key=lambda band: band.start_s):
            start = max(band.start_s, done)
            done = max(cycle.seconds if band.end_s is None else band.end_s, start)
            for place in range(
                _bin(since + start, width, CAMPAIGN_BINS_MAX),
                _bin(since + done, width, CAMPAIGN_BINS_MAX) + 1,
            ):
                within = min(since + done, (place + 1) * width) - max(since + start, place * width)
                under[place] += max(within, 0.0)
    return [min(ceil(time / width * _SHARES - 1e-6), _SHARES) for time in under]


def _verdict_rows(stretches: Sequence[Stretch], time: _Time, top: float) -> tuple[list[str], float]:
    """One row a verdict, marked where a cycle ended so."""
    wanted = (("pass", "passed"), ("fail", "failed"), ("void", "void"), ("aborted", "aborted"))
    out = [label(_LEFT, top - 6, "cycles by verdict", style="head")]
    starts = [since for _, since in stretches]
    for verdict, name in wanted:
        cells = [False] * CAMPAIGN_BINS_MAX
        width = time.seconds / CAMPAIGN_BINS_MAX
        for place in range(CAMPAIGN_BINS_MAX):
            first = max(bisect_right(starts, place * width) - 1, 0)
            last = bisect_right(starts, (place + 1) * width - 1e-9)
            cells[place] = any(one.cycle.verdict == verdict for one in stretches[first:last])
        out.append(label(_LEFT - 6, top + 11, name, anchor="end"))
        out.append(rule(_LEFT, top + _ROW, _RIGHT, top + _ROW, "grid"))
        for there, start, after in runs("1" if cell else "0" for cell in cells):
            if there == "1":
                x = time.scale.place(time.seconds * start / CAMPAIGN_BINS_MAX)
                wide = time.scale.place(time.seconds * after / CAMPAIGN_BINS_MAX) - x
                out.append(box(x, top + 2, round(wide, 1), _ROW - 4, f"v-{verdict}"))
        top += _ROW
    return out, top
