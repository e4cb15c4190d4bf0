"""Partitions: who does not hear whom, and for how long.

Law: a partition is drawn from the seed and said in the report with how many messages it took;
one that took none proves nothing. Clients reach every node all the time.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from chaos.maelstrom.network import Network

Pairs = set[tuple[str, str]]


@dataclass(slots=True, kw_only=True)  # the end and the count are known later
class Window:
    """One partition.

    Attributes:
        kind: which of `TARGETS`.
        what: who was cut from whom, for people.
        began_s: when, in seconds since the test began.
        ended_s: until when.
        cut: how many messages it took.
    """

    kind: str
    what: str
    began_s: float
    ended_s: float = 0.0
    cut: int = 0


def between(left: Sequence[str], right: Sequence[str]) -> Pairs:
    """All pairs over a border, both ways."""
    return {pair for a in left for b in right for pair in ((a, b), (b, a))}


def _split(names: Sequence[str], size: int) -> tuple[Pairs, str]:
    left, right = names[:size], names[size:]
    return between(left, right), f"{' '.join(sorted(left))} | {' '.join(sorted(right))}"


def one(names: Sequence[str]) -> tuple[Pairs, str]:
    """One node is alone."""
    return _split(names, 1)


def majority(names: Sequence[str]) -> tuple[Pairs, str]:
    """The smallest majority and the rest."""
    return _split(names, len(names) // 2 + 1)


def ring(names: Sequence[str]) -> tuple[Pairs, str]:
    """Every node hears a majority, its neighbours in a ring, and no two the same one."""
    count = len(names)
    reach = (count // 2 + 1) // 2  # that many on either side and itself are a majority
    pairs = {
        (a, b)
        for place, a in enumerate(names)
        for other, b in enumerate(names)
        if a != b and min((place - other) % count, (other - place) % count) > reach
    }
    return pairs, "ring " + " ".join(names)


TARGETS: Final[Mapping[str, Callable[[Sequence[str]], tuple[Pairs, str]]]] = {
    "one": one,
    "majority": majority,
    "majorities-ring": ring,
}


class Partitions:
    """Begins and ends partitions.

    Args:
        network: that is cut.
        nodes: all of them.
        targets: kinds to draw from.
        interval_s: mean time between two acts.
        dice: draws kinds, sides and times.
        now: seconds since the test began.
    """

    def __init__(
        self,
        network: Network,
        nodes: Sequence[str],
        *,
        targets: Sequence[str],
        interval_s: float,
        dice: random.Random,
        now: Callable[[], float],
    ) -> None:
        self.windows: list[Window] = []
        self._network, self._nodes, self._targets = network, list(nodes), list(targets)
        self._interval_s, self._dice, self._now = interval_s, dice, now

    async def run(self) -> None:
        """A pause, a partition, a pause ... until cancelled; then all is whole again."""
        try:
            while True:
                await self._pause()
                self._begin()
                await self._pause()
                self._end()
        finally:
            self._end()

    async def _pause(self) -> None:
        await trio.sleep(self._interval_s * self._dice.uniform(0.5, 1.5))

    def _begin(self) -> None:
        # A ring of fewer than four hears everybody.
        kinds = [k for k in self._targets if k != "majorities-ring" or len(self._nodes) > 3]
        kind = self._dice.choice(kinds or ["one"])
        names = self._dice.sample(self._nodes, len(self._nodes))
        pairs, what = TARGETS[kind](names)
        self.windows.append(
            Window(kind=kind, what=what, began_s=self._now(), cut=self._network.counts["cut"])
        )
        self._network.cut(pairs)

    def _end(self) -> None:
        self._network.cut(())
        if self.windows and not self.windows[-1].ended_s:
            window = self.windows[-1]
            window.ended_s = self._now()
            window.cut = self._network.counts["cut"] - window.cut
