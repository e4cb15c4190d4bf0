"""One pass over a store, on a thread of its own: pages first, then rows, then the sum.

Law: the pages are held to be sound before a row is read through them. It reads so many rows a
second and no more, in transactions of a few rows, and nobody who reads or writes waits for it; it
goes on where it was after a restart, and ends at once when the store is closed.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node.store import CorruptRecord, Store, StoreDamaged
from node.store.environment import DATA_FILE
from node.store.pages import BadPage, steps
from node.store.scrub import START, Position

SLICE_ROWS: Final = 50
_PAGES_PER_ROW: Final = 8
_STATE_TRIES: Final = 20
_TOLD_SECONDS: Final = 2.0
SUM: Final = "the weights of what is stored are not the digest"


class Stopped(Exception):  # noqa: N818 - it says what happened
    """The node is closing, or goes on over another store."""


@dataclass(slots=True, kw_only=True)
class Walk:
    """How far a pass is; written by its thread, read by anybody.

    Attributes:
        position: where the next piece begins.
        rows: read so far.
        rows_all: about how many there are.
        pages: sound pages in use; 0 when a pass went on behind them.
        bad: what was found.
    """

    position: Position = START
    rows: int = 0
    rows_all: int = 0
    pages: int = 0
    bad: list[CorruptRecord] = field(default_factory=list)

    @property
    def done_ratio(self) -> float:
        """How far it is, 0 to 1."""
        return min(self.rows / self.rows_all, 1.0) if self.rows_all else 0.0


class Walker:
    """Carries out passes.

    Args:
        stop: set when the node closes.
        told: called now and then with the pass under way, on its thread.
    """

    def __init__(self, stop: threading.Event, told: Callable[[Walk], None]) -> None:
        self._stop = stop
        self._told = told

    def walk(self, store: Store, walk: Walk, rate: Callable[[], float]) -> Walk:
        """Read the whole store, or what is left of it.

        Args:
            store: which one.
            walk: where to begin.
            rate: rows per second, asked anew for every piece.

        Raises:
            StoreDamaged: a page is not what it must be.
            Stopped: the store is closed.
        """
        walk.rows_all = store.rows_total()
        if walk.position == START:
            walk.pages = self._pages(store, rate)
        told = time.monotonic()
        while True:
            began = time.monotonic()
            found = store.scrub(walk.position, SLICE_ROWS)
            walk.bad += found.bad
            if found.following is None:
                break
            walk.position = found.following
            walk.rows += SLICE_ROWS
            if began - told >= _TOLD_SECONDS:
                told = began
                self._told(walk)
            self._pause(store, SLICE_ROWS / rate() - (time.monotonic() - began))
        if not walk.bad and not store.adds_up():
            walk.bad.append(CorruptRecord("meta", b"digest", SUM))
        return walk

    def _pages(self, store: Store, rate: Callable[[], float]) -> int:
        for _ in range(_STATE_TRIES):
            try:
                return self._pages_of(store, rate)
            except LookupError:
                continue  # two commits passed between the look and the file: again
            except BadPage as error:
                raise StoreDamaged(
                    f"the store in {store.path} has a damaged page",
                    why=str(error),
                    fix="Set the folder aside and let the node rebuild from its peers",
                ) from error
        return 0  # a very busy node: the next pass looks again

    def _pages_of(self, store: Store, rate: Callable[[], float]) -> int:
        pages = 0
        with store.environment.reading() as txn:
            began = time.monotonic()
            for pages in steps(store.path / DATA_FILE, txn.id()):
                due = began + pages / (rate() * _PAGES_PER_ROW)
                self._pause(store, due - time.monotonic())
        return pages

    def _pause(self, store: Store, seconds: float) -> None:
        if self._stop.wait(max(seconds, 0.0)) or store.environment.closing:
            raise Stopped
