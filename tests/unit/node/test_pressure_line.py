"""The law of the first line, over a server in virtual time: what it promises, and that laws with
a bug planted in them are caught."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from node.replication.pressure import Line, Pressure

BOUND_S = 0.5
TURN_S = 0.004
SERVED_S = 0.000_200
REFUSED_S = 0.000_020
OTHERS_S = 0.000_500
"""Commits, acknowledgements and peers, in every turn."""
SUSTAINABLE = TURN_S / (TURN_S + OTHERS_S) / SERVED_S

Law = Callable[[Line], bool]


def the_law(line: Line) -> bool:
    return Pressure(BOUND_S, 1 << 20).keeps_waiting(line) is not None


def takes_everybody(line: Line) -> bool:
    del line
    return False


def forgets_that_a_line_must_stand(line: Line) -> bool:
    return line.waited_seconds > BOUND_S / 2


def waits_for_the_whole_bound_twice(line: Line) -> bool:
    return line.waited_seconds > 4 * BOUND_S


@dataclass(slots=True)
class Told:
    """What became of the arrivals: seconds from arrival to answer."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @property
    def goodput(self) -> float:
        return len(self.accepted)


@dataclass(slots=True)
class Server:
    """One loop: a line, a bounded time of clients a turn, and something else in every turn."""

    law: Law
    refused_seconds: float = REFUSED_S
    now: float = 0.0
    standing: float = 0.0
    line: deque[float] = field(default_factory=deque)
    told: Told = field(default_factory=Told)

    def run(self, per_second: float, seconds: float, *, stalls_at: float = -1.0) -> Told:
        """Arrivals at a steady pace for so long, then until nobody waits."""
        due, count = 0, int(per_second * seconds)
        began = self.now
        while due < count or self.line:
            if not self.line:
                self.standing = self.now
            while due < count and began + due / per_second <= self.now:
                self.line.append(began + due / per_second)
                due += 1
            self._turn()
            self.now += OTHERS_S
            if stalls_at >= 0 and self.now - began > stalls_at:
                self.now += 0.3
                stalls_at = -1.0
        return self.told

    def _turn(self) -> None:
        left = TURN_S
        while self.line and left > 0:
            since = self.line[0]
            refused = self.law(Line(self.now - since, self.now - self.standing))
            took = self.refused_seconds if refused else SERVED_S
            left -= took
            self.now += took
            (self.told.refused if refused else self.told.accepted).append(self.now - since)
            self.line.popleft()


def keeps(law: Law, *, refused_seconds: float = REFUSED_S) -> list[str]:
    """The promises that a law does not keep."""
    seconds = 10.0
    twice = Server(law, refused_seconds).run(2 * SUSTAINABLE, seconds)
    half = Server(law).run(SUSTAINABLE / 2, seconds)
    stalled = Server(law).run(SUSTAINABLE / 2, seconds, stalls_at=5.0)
    broken = {
        "goodput": twice.goodput < 0.8 * SUSTAINABLE * seconds,
        "bounded": max(twice.accepted) > 1.5 * BOUND_S,
        "told in time": max(twice.refused, default=0.0) > 2 * BOUND_S,
        "takes what it can": bool(half.refused),
        "forgives a stall": bool(stalled.refused),
    }
    return [name for name, so in broken.items() if so]


def test_the_law_keeps_what_it_promises() -> None:
    assert keeps(the_law) == []


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (takes_everybody, "bounded"),
        (forgets_that_a_line_must_stand, "forgives a stall"),
        (waits_for_the_whole_bound_twice, "bounded"),
    ],
)
def test_a_law_with_a_bug_is_caught(law: Law, broken: str) -> None:
    assert broken in keeps(law)


def test_a_refusal_that_costs_as_much_as_serving_is_caught() -> None:
    assert "goodput" in keeps(the_law, refused_seconds=SERVED_S)


def test_when_the_load_is_gone_everybody_is_taken_at_once() -> None:
    server = Server(the_law)
    refused = len(server.run(2 * SUSTAINABLE, 3.0).refused)
    assert refused
    told = server.run(SUSTAINABLE / 2, 3.0)
    assert len(told.refused) == refused
    assert max(told.accepted[-1000:]) < 3 * TURN_S
