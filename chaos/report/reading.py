"""Lines of a history, folded into what was observed in each cycle.

Law: one pass, and memory in proportion to acknowledged writes and samples, never to what the nodes
hold. A line that cannot be read is counted, not guessed at: a harness that is killed leaves half a
line. A cycle that began and has no verdict is kept as aborted, also when it was played again later.
"""

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.check.gathering import READS
from chaos.events import WHOLE

Line = Mapping[str, Any]

AGREES: Final = "="
DIFFERS: Final = "!"
DOWN: Final = "x"
UNKNOWN: Final = " "
VERDICTS: Final = ("pass", "fail", "void", "not_run")
ABORTED: Final = "aborted"
NUMBER_MAX: Final = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One broken rule that a checker found."""

    checker: str
    rule: str
    detail: Any


@dataclass(slots=True, kw_only=True)
class Band:
    """A fault from its injection to its heal; seconds since the cycle began."""

    what: str
    start_s: float
    end_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Cycle:
    """One attempt at one cycle.

    Attributes:
        at: when it began, seconds since the campaign began.
        seconds: from there to its verdict, or to the last line that belongs to it.
        answers_s, latencies_ms: of each acknowledged write, when it was answered (since the cycle
            began) and how long that took.
        samples_s, lags: when the nodes were looked at, and the greatest lag (operations) then.
        strips: per node one character a sample: agrees with most, differs, down, unknown.
        proofs, expectations: what was to be shown, and whether it was.
    """

    number: int | None
    name: str
    workload: str = ""
    seed: Any = None
    at: float = 0.0
    seconds: float = 0.0
    attempted: int = 0
    answers_s: "array[float]" = field(default_factory=lambda: array("f"))
    latencies_ms: "array[float]" = field(default_factory=lambda: array("f"))
    samples_s: "array[float]" = field(default_factory=lambda: array("f"))
    lags: "array[float]" = field(default_factory=lambda: array("f"))
    strips: dict[str, list[str]] = field(default_factory=dict)
    bands: list[Band] = field(default_factory=list)
    proofs: list[bool] = field(default_factory=list)
    expectations: list[tuple[str, bool]] = field(default_factory=list)
    verdict: str = ABORTED
    why: str = "ended without a verdict: the run was stopped"
    anomalies: list[Anomaly] = field(default_factory=list)
    acknowledged: int = 0
    converged_s: float | None = None

    @property
    def judged(self) -> bool:
        """Whether it counts for the statistics."""
        return self.verdict in {"pass", "fail"}

    @property
    def proven(self) -> bool:
        """Whether the fault was shown to be there."""
        return bool(self.proofs) and all(self.proofs)


@dataclass(slots=True, kw_only=True)
class Campaign:
    """All that was observed.

    Attributes:
        whole: what was amiss when whole stores were last read; of all cycles until then.
        parts: that it was put together of, if it was.
    """

    begin: dict[str, Any] = field(default_factory=dict)
    cycles: list[Cycle] = field(default_factory=list)
    whole: list[Anomaly] = field(default_factory=list)
    resumes: int = 0
    unreadable: int = 0
    parts: "list[Campaign]" = field(default_factory=list)

    @property
    def nodes(self) -> list[str]:
        """Names of the nodes, as the campaign began."""
        given = self.begin.get("nodes")
        return [str(name) for name in given] if isinstance(given, list) else []


def number(value: object) -> float | None:
    """A number of a size that occurs in a campaign, or nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= NUMBER_MAX else None  # infinite ones and NaN are not


def parse(lines: Iterable[str | bytes]) -> Iterator[Line | None]:
    """Each line as an object; None for what is none."""
    for line in lines:
        if not line.strip():
            continue
        try:
            read = json.loads(line)
        except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
            yield None
            continue
        yield read if isinstance(read, dict) and isinstance(read.get("kind"), str) else None


def read(lines: Iterable[str | bytes]) -> Campaign:
    """The campaign that a history tells of.

    Args:
        lines: JSON lines in the order in which they were written.
    """
    folding = _Folding()
    for line in parse(lines):
        if line is None:
            folding.campaign.unreadable += 1
        else:
            folding.take(line)
    return folding.campaign


class _Folding:
    """What is open while the lines go by."""

    def __init__(self) -> None:
        self.campaign = Campaign()
        self._open: dict[int | None, Cycle] = {}
        self._latest: Cycle | None = None
        self._asked: dict[Any, tuple[float, Cycle, bool]] = {}
        self._takers = {
            "begin": self._begin,
            "resume": self._resume,
            "cycle": self._cycle,
            "invoke": self._invoke,
            "ok": self._answer,
            "fail": self._answer,
            "info": self._answer,
            "fault": self._fault,
            "expect": self._expect,
            "sample": self._sample,
            "verdict": self._verdict,
            "note": self._note,
        }

    def take(self, line: Line) -> None:
        at = number(line.get("at"))
        if at is not None and "cycle" in line and line["kind"] != "cycle":
            cycle = self._of(line)
            # What is read of it after its verdict is read at the end of a run, hours later.
            if cycle is not None and cycle.verdict == ABORTED:
                cycle.seconds = max(cycle.seconds, at - cycle.at)
        taker = self._takers.get(line["kind"])
        if taker is not None:
            taker(line, at)

    def _of(self, line: Line) -> Cycle | None:
        try:
            return self._open.get(line.get("cycle"))
        except TypeError:  # a list has no hash, and no cycle has such a number
            return None

    def _begin(self, line: Line, _: float | None) -> None:
        if self.campaign.begin:
            self.campaign.resumes += 1
        else:
            self.campaign.begin = dict(line)

    def _resume(self, _: Line, __: float | None) -> None:
        self.campaign.resumes += 1
        self._open.clear()
        self._asked.clear()

    def _cycle(self, line: Line, at: float | None) -> None:
        whole = number(line.get("cycle"))
        cycle = Cycle(
            number=None if whole is None else int(whole),
            name=str(line.get("class", "?")),
            workload=str(line.get("workload", "")),
            seed=line.get("seed"),
            at=at or 0.0,
        )
        self.campaign.cycles.append(cycle)
        # Cycles follow one another: answers to an earlier one are late and belong to nobody.
        self._asked.clear()
        self._open[cycle.number] = self._latest = cycle

    def _invoke(self, line: Line, at: float | None) -> None:
        cycle = self._of(line)
        if cycle is None or at is None:
            return
        writes = str(line.get("f")) not in READS
        cycle.attempted += writes
        self._asked[str(line.get("op"))] = (at, cycle, writes)

    def _answer(self, line: Line, at: float | None) -> None:
        asked = self._asked.pop(str(line.get("op")), None)
        if asked is None or at is None:
            return
        since, cycle, writes = asked
        cycle.seconds = max(cycle.seconds, at - cycle.at)
        if writes and line["kind"] == "ok":
            cycle.acknowledged += 1
            cycle.answers_s.append(at - cycle.at)
            cycle.latencies_ms.append((at - since) * 1000)

    def _fault(self, line: Line, at: float | None) -> None:
        cycle = self._of(line)
        if cycle is None:
            return
        phase, what = line.get("phase"), str(line.get("what", ""))
        if phase == "proof":
            cycle.proofs.append(line.get("ok") is True)
        elif at is not None and phase == "inject":
            cycle.bands.append(Band(what=what, start_s=at - cycle.at))
        elif at is not None and phase == "heal":
            opened = [band for band in cycle.bands if band.end_s is None]
            # A heal that names no injection of its own is the end of all of them.
            for band in [band for band in opened if band.what == what] or opened:
                band.end_s = at - cycle.at

    def _expect(self, line: Line, _: float | None) -> None:
        cycle = self._of(line)
        if cycle is not None:
            cycle.expectations.append((str(line.get("what", "")), line.get("ok") is True))

    def _sample(self, line: Line, at: float | None) -> None:
        cycle, nodes = self._of(line), line.get("nodes")
        if cycle is None or at is None or not isinstance(nodes, dict):
            return
        seen = {str(name): said for name, said in nodes.items() if isinstance(said, dict)}
        up = {name: said for name, said in seen.items() if said.get("up") is True}
        most = _most(up, cycle.strips)
        lags = [lag for said in up.values() if (lag := number(said.get("lag"))) is not None]
        for name in {**cycle.strips, **seen}:
            strip = cycle.strips.setdefault(name, [UNKNOWN] * len(cycle.samples_s))
            strip.append(_state(seen.get(name), most))
        cycle.samples_s.append(at - cycle.at)
        cycle.lags.append(max(lags, default=0.0))

    def _verdict(self, line: Line, _: float | None) -> None:
        cycle = self._of(line)
        if cycle is None:
            # A class that cannot be injected here has a verdict and no cycle.
            whole = number(line.get("cycle"))
            cycle = Cycle(number=None if whole is None else int(whole), name="?")
            self.campaign.cycles.append(cycle)
        verdict = line.get("verdict")
        if cycle.verdict == "fail":
            return  # nothing that is written later makes a failure unseen
        cycle.name = str(line.get("class", cycle.name))
        cycle.verdict = verdict if verdict in VERDICTS else "void"
        cycle.why = str(line.get("why") or "")
        if verdict not in VERDICTS:
            cycle.why = f"unknown verdict {verdict!r}: {cycle.why}"
        cycle.anomalies = _anomalies(line)
        cycle.converged_s = number(line.get("converged_s"))
        for name in ("acknowledged", "attempted"):
            said = number(line.get(name))
            if said is not None:
                setattr(cycle, name, int(said))

    def _note(self, line: Line, _: float | None) -> None:
        if line.get("what") == WHOLE:
            self.campaign.whole = _anomalies(line)


def _most(up: Mapping[str, Line], strips: Mapping[str, list[str]]) -> str | None:
    """The digest that most nodes have; of equals, that of those who agreed a moment ago."""
    votes: Counter[str] = Counter()
    agreed: Counter[str] = Counter()
    for name, said in up.items():
        if said.get("digest"):
            votes[str(said["digest"])] += 1
            agreed[str(said["digest"])] += strips.get(name, [UNKNOWN])[-1:] == [AGREES]
    return max(votes, key=lambda digest: (votes[digest], agreed[digest]), default=None)


def _state(said: Mapping[str, Any] | None, most: str | None) -> str:
    if said is None:
        return UNKNOWN
    if said.get("up") is not True:
        return DOWN
    digest = said.get("digest")
    if not digest or most is None:
        return UNKNOWN
    return AGREES if str(digest) == most else DIFFERS


def _anomalies(line: Line) -> list[Anomaly]:
    found = line.get("anomalies")
    return [_anomaly(one) for one in found] if isinstance(found, list) else []


def _anomaly(one: object) -> Anomaly:
    if not isinstance(one, dict):
        return Anomaly(checker="?", rule="?", detail=one)
    return Anomaly(
        checker=str(one.get("checker", "?")),
        rule=str(one.get("rule", "?")),
        detail=one.get("detail"),
    )
