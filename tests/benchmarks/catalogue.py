"""Every bench: its name, what runs it, which runs it belongs to, and how long it takes.

Law: the command line, the Makefile and the docs learn of a bench here. A bench is a function of
an empty folder and a `Scale` that gives lines; it ends what it started, whatever happens.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks import difference, documents, ladder, lag, measure, million, overload, versus
from tests.benchmarks.scale import Line, Scale, Size

Run = Callable[[Path, Scale], Iterator[Line]]

TAGS: Final = (
    "bench",
    "side",
    "security",
    "load",
    "driver",
    "clients",
    "items",
    "nodes",
    "records",
)
"""Fields that say which figure a line is of; all others are figures of it."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One entry.

    Attributes:
        run: measures once; each line has "bench" and whichever of TAGS tell it from others.
        sets: the runs it is part of when nobody asks for it by name.
        seconds: what one repeat takes at the "bench" scale, roughly.
        repeats: most repeats, however many are asked for; None for no limit.
    """

    run: Run
    sets: frozenset[Size]
    seconds: float
    repeats: int | None = None


ALWAYS: Final[frozenset[Size]] = frozenset({"tiny", "quick", "bench", "full"})
LONG: Final[frozenset[Size]] = frozenset({"full"})
MEDIUM: Final[frozenset[Size]] = frozenset({"bench", "full"})

BENCHES: Final[dict[str, Bench]] = {
    "writes": Bench(measure.writes, ALWAYS, 35),
    "bulk": Bench(measure.bulk, ALWAYS, 25),
    "reads": Bench(measure.reads, ALWAYS, 25),
    "catchup": Bench(measure.catchup, ALWAYS, 40),
    "bootstrap": Bench(measure.bootstrap, ALWAYS, 40),
    "etcd": Bench(versus.against_etcd, MEDIUM | {"tiny"}, 90),
    "redis": Bench(versus.against_redis, MEDIUM | {"tiny"}, 70),
    "million": Bench(million.million, MEDIUM, 90, repeats=1),
    "ladder": Bench(ladder.ladder, MEDIUM, 60, repeats=1),
    "lag": Bench(lag.lag, MEDIUM, 60, repeats=1),
    "overload": Bench(overload.overload, MEDIUM, 60, repeats=1),
    "difference": Bench(difference.difference, MEDIUM, 120, repeats=1),
    "documents": Bench(documents.documents, MEDIUM, 90, repeats=1),
    # Further benches: one line each, here.
}
