"""The stream of events: applied operations, as one caller may know of them.

Law: a follower has a place in the log and nothing else; who comes back with a place of another
store, or of what is no longer in the log, is told so by a `reset` and goes on from what there
is. Never is anything left out without a word.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import orjson

from crdt.op import Op
from crdt.state import Batch
from node.contracts import Applied, Caller, Operations, Place, Reader
from node.event_stream import Event
from node.events.filters import Filter
from node.events.names import RESET
from node.events.telling import Teller, Told

BATCH_MAX: Final = 32
_BEGIN: Final = "0"
_START: Final = Place(0, -1)
_PARTS: Final = 3
_DIGITS_MAX: Final = 18

STORE_REPLACED: Final = "store_replaced"
LOG_TRUNCATED: Final = "log_truncated"
UNREADABLE: Final = "unreadable_place"


class Bell:
    """Wakes whoever follows the log."""

    def __init__(self) -> None:
        self._wakers: set[Callable[[], None]] = set()

    def saw(self, batch: Batch) -> None:
        """A commit is over."""
        if batch.bundles:
            self.ring()

    def ring(self) -> None:
        """Wake everybody."""
        for wake in list(self._wakers):
            wake()

    def follow(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have something called after each commit; returns what ends that."""
        self._wakers.add(wake)
        return lambda: self._wakers.discard(wake)


def place_text(store: str, place: Place) -> str:
    """A place as clients keep it."""
    return f"{store}-{place.arrival}-{place.step}"


def read_place(text: str) -> tuple[str, Place] | None:
    """The store and the place in a text; None when it is none."""
    parts = text.rsplit("-", _PARTS - 1)
    if len(parts) != _PARTS or not parts[0]:
        return None
    numbers = parts[1:]
    if any(not n.isascii() or not n.isdigit() or len(n) > _DIGITS_MAX for n in numbers):
        return None
    return parts[0], Place(int(numbers[0]), int(numbers[1]))


def neighbours(found: Operations) -> Iterator[tuple[Applied, Op | None, Op | None]]:
    """Each row, with the operations in front of it and behind it in its bundle."""
    rows = found.rows
    for at, row in enumerate(rows):
        before, behind = found.before if at == 0 else None, None
        if at and rows[at - 1].place.arrival == row.place.arrival:
            before = rows[at - 1].op
        if at + 1 == len(rows):
            behind = found.behind
        elif rows[at + 1].place.arrival == row.place.arrival:
            behind = rows[at + 1].op
        yield row, before, behind


class EventSource:
    """The log as one caller may follow it.

    Args:
        reader: reads the log.
        teller: says what the operations in it mean.
        viewer: who follows.
        wanted: what it wants to hear of.
        cursor: the place to go on from; None begins now, `0` with the oldest that is kept.
        follow: has the stream woken.
    """

    def __init__(
        self,
        *,
        reader: Callable[[], Reader],
        teller: Teller,
        viewer: Caller,
        wanted: Filter,
        cursor: str | None,
        follow: Callable[[Callable[[], None]], Callable[[], None]],
    ) -> None:
        self._reader = reader
        self._teller = teller
        self._viewer = viewer
        self._wanted = wanted
        self._cursor = cursor
        self._begun = False
        self._store = ""
        self._at = _START
        self._more = False
        self.follow = follow

    def _begin(self) -> list[Event]:
        """Find out where to begin."""
        reader, cursor = self._reader(), self._cursor
        self._begun, self._store, self._at = True, reader.store_id, reader.latest_place()
        if cursor is None:
            return [Event(id=place_text(self._store, self._at))]
        if cursor == _BEGIN:
            self._at = _START
            return []
        read = read_place(cursor)
        if read is None:
            return [self._reset(UNREADABLE)]
        store, place = read
        if store != self._store or place.arrival > self._at.arrival:
            return [self._reset(STORE_REPLACED)]
        self._at = place
        return []

    def _reset(self, reason: str) -> Event:
        place = place_text(self._store, self._at)
        said = {"event": RESET, "reason": reason, "cursor": place}
        return Event(id=place, name=RESET, data=orjson.dumps(said))

    def take(self) -> list[Event]:
        """The next events, at most some; empty when there are none now."""
        out = [] if self._begun else self._begin()
        if out:
            return out
        reader = self._reader()
        if reader.store_id != self._store:
            self._store, self._at = reader.store_id, reader.latest_place()
            return [self._reset(STORE_REPLACED)]
        found = reader.operations(self._at, BATCH_MAX)
        if found.missing:
            out.append(self._skip(found.rows))
        out += self._events(found)
        # A page without a word for this caller: whoever asks gives way, and asks again at once.
        self._more = bool(found.rows) and not out
        return out

    def _skip(self, rows: Sequence[Applied]) -> Event:
        """Tell that the log begins later, and go on from there."""
        latest = self._reader().latest_place()
        self._at = Place(rows[0].place.arrival - 1, latest.step) if rows else latest
        return self._reset(LOG_TRUNCATED)

    def _events(self, found: Operations) -> list[Event]:
        out: list[Event] = []
        for row, before, after in neighbours(found):
            self._at = row.place
            told = [
                one
                for one in self._teller.told(row, before, after, self._viewer)
                if self._wanted.wants(one)
            ]
            for number, one in enumerate(told, start=1):
                last = number == len(told)  # else a place in the middle of an operation
                out.append(self._event(one, place_text(self._store, one.place) if last else ""))
        return out

    def _event(self, one: Told, place: str) -> Event:
        return Event(
            id=place,
            name=one.name,
            data=orjson.dumps({"event": one.name, **one.about}, default=repr),
        )

    def seconds(self) -> float | None:
        """At once while there is more to look at; else nothing happens without a commit."""
        return 0.0 if self._more else None
