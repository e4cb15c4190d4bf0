"""What changed about held actions, for those who follow along.

Law: a follower is told states, not steps: each action that changed since its place, as it
stands when it is told, in the order of the last changes. So nobody needs a queue, and a slow
follower costs a number. A place is worth something only to the process that gave it out; with
any other one a follower is told everything again.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from crdt.dot import Dot
from crdt.hlc import millis
from crdt.pending import Pending
from crdt.state import Batch
from node.contracts import Caller
from node.event_stream import Event
from node.governing.pending import PendingActions
from node.governing.waiting import WAITING, actions_of

_BATCH_MAX: Final = 16
_NOTHING: Final[Mapping[Dot, Pending]] = {}


class PendingFeed:
    """Numbers the changes of held actions on this node.

    Attributes:
        number: of the last change.

    Args:
        pendings: every pending operation known now, asked anew each time; the same mapping for
            as long as the store is the same.
        now_ms: wall clock, milliseconds since the epoch.
        life: names this process in the places it gives out.
    """

    def __init__(
        self,
        pendings: Callable[[], Mapping[Dot, Pending]] = lambda: _NOTHING,
        now_ms: Callable[[], int] = lambda: 0,
        life: str = "none",
    ) -> None:
        self.pendings = pendings
        self.now_ms = now_ms
        self.number = 0
        self._life = life
        self._changes: dict[Dot, int] = {}
        self._ends: list[tuple[int, Dot]] = []
        self._watched: set[Dot] = set()
        self._wakers: set[Callable[[], None]] = set()
        # What is known at the start is old, the latest asked last.
        held = self._held = pendings()
        self.note(sorted(held, key=lambda dot: (held[dot].asked, dot)))

    def committed(self, batch: Batch) -> None:
        """Take what one commit changed."""
        if batch.pending:
            self.note(batch.pending)

    def note(self, dots: Iterable[Dot]) -> None:
        """Actions that changed; whoever follows is woken."""
        held = self.pendings()
        for dot in dots:
            one = held.get(dot)
            if one is not None:
                self._change(dot if one.leader is None else one.leader)
                self._watch_end(dot, one)
        for wake in list(self._wakers):
            wake()

    def _change(self, dot: Dot) -> None:
        self.number += 1
        self._changes.pop(dot, None)
        self._changes[dot] = self.number

    def _watch_end(self, dot: Dot, pending: Pending) -> None:
        if pending.expires and dot not in self._watched:
            self._watched.add(dot)
            heapq.heappush(self._ends, (millis(pending.expires) + 1, dot))

    def look(self) -> None:
        """Note what happened without a commit: the end of a time, another store."""
        now_ms, held = self.now_ms(), self.pendings()
        if held is not self._held:  # a joined store took the place of the old one
            self._held = held
            self.note(held)
        while self._ends and self._ends[0][0] <= now_ms:
            _, dot = heapq.heappop(self._ends)
            one = held.get(dot)
            if one is not None and not one.approved() and not one.rejected():
                self._change(dot if one.leader is None else one.leader)

    def seconds_to_end(self) -> float | None:
        """Until the next time is over; None when none is watched."""
        return max(self._ends[0][0] - self.now_ms(), 0) / 1000 if self._ends else None

    def since(self, number: int) -> list[tuple[int, Dot]]:
        """What changed after a place, oldest change first, as (number, action)."""
        out: list[tuple[int, Dot]] = []
        for dot, at in reversed(self._changes.items()):
            if at <= number:
                break
            out.append((at, dot))
        return out[::-1]

    def place(self, number: int) -> str:
        """The text of a place."""
        return f"{self._life}-{number}"

    def read_place(self, text: str) -> int | None:
        """The number of a place; None when it is of another life, or none at all."""
        life, _, number = text.rpartition("-")
        if life != self._life or not number.isascii() or not number.isdigit():
            return None
        return int(number) if len(number) < len(str(2**63)) else None

    def follow(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have something called after each change; returns what ends that."""
        self._wakers.add(wake)
        return lambda: self._wakers.discard(wake)


class PendingSource:
    """The feed as one caller may see it.

    Args:
        feed: of this node.
        actions: shows actions.
        viewer: who follows.
        cursor: the place to go on from; None begins with what waits now.
    """

    def __init__(
        self, feed: PendingFeed, actions: PendingActions, viewer: Caller, cursor: str | None
    ) -> None:
        self._feed = feed
        self._actions = actions
        self._viewer = viewer
        self._cursor = cursor
        self._begun = False
        self._at = 0
        # Told before anything else, and without places: who is cut meanwhile begins again.
        self._first: list[Dot] | None = None
        self.follow = feed.follow

    def _begin(self) -> None:
        """Find out where to begin; with the first look, because it goes over all that is held."""
        feed, cursor = self._feed, self._cursor
        self._begun = True
        feed.look()
        place = None if cursor is None else feed.read_place(cursor)
        self._at = feed.number if place is None else min(place, feed.number)
        if cursor is None:
            self._first = self._waiting()
        elif place is None:
            self._first = [dot for _, dot in feed.since(0)]

    def _waiting(self) -> list[Dot]:
        now_ms = self._feed.now_ms()
        held = actions_of(self._feed.pendings())
        return [action.dot for action in held if action.status(now_ms) == WAITING][::-1]

    def take(self) -> list[Event]:
        """The next events, at most some; empty when there are none now."""
        if not self._begun:
            self._begin()
        while self._first is not None:
            now, self._first = self._first[:_BATCH_MAX], self._first[_BATCH_MAX:] or None
            events = [event for dot in now if (event := self._event(dot, "")) is not None]
            if self._first is None:
                events.append(Event(id=self._feed.place(self._at)))
            if events:
                return events
        self._feed.look()
        out: list[Event] = []
        for number, dot in self._feed.since(self._at):
            self._at = number
            event = self._event(dot, self._feed.place(number))
            if event is not None:
                out.append(event)
            if len(out) >= _BATCH_MAX:
                break
        return out

    def seconds(self) -> float | None:
        """How long nothing can change without a commit; None for ever."""
        return self._feed.seconds_to_end()

    def _event(self, dot: Dot, place: str) -> Event | None:
        action = self._actions.at(dot)
        told: Mapping[str, Any] | None = None
        if action is not None:
            told = self._actions.told(action, self._viewer)
        if told is None:
            return None
        return Event(id=place, name=str(told["status"]), data=orjson.dumps(told, default=repr))
