"""How a flood of like events becomes few entries.

Law: nothing is left out unsaid. Of an event that somebody outside can cause at will, so many
in a second are entries of their own; the rest of that second is one entry with their count.
"""

from dataclasses import dataclass, field
from typing import Final

from node.audit.events import EVENTS, Fact

SINGLES_PER_SECOND_MAX: Final = 50
_MS_PER_SECOND: Final = 1000


@dataclass(slots=True)
class _Second:
    """One event in one second."""

    number: int
    singles: int = 0
    more: int = 0


@dataclass(slots=True)
class Flood:
    """Counts what comes too often.

    Attributes:
        singles_max: entries of one event in one second that stand for themselves.
    """

    singles_max: int = SINGLES_PER_SECOND_MAX
    _seconds: dict[str, _Second] = field(default_factory=dict)
    _over: list[tuple[str, dict[str, Fact]]] = field(default_factory=list)

    def admits(self, event: str, at: int) -> bool:
        """Whether an event at that millisecond is an entry of its own; else it is counted."""
        if not EVENTS[event].floods:
            return True
        number = at // _MS_PER_SECOND
        held = self._seconds.get(event)
        if held is None or held.number != number:
            self._end(event)
            held = self._seconds[event] = _Second(number)
        if held.singles < self.singles_max:
            held.singles += 1
            return True
        held.more += 1
        return False

    def _end(self, event: str) -> None:
        held = self._seconds.pop(event, None)
        if held is not None and held.more:
            facts: dict[str, Fact] = {"count": held.more, "second": held.number * _MS_PER_SECOND}
            self._over.append((event, facts))

    @property
    def waiting(self) -> bool:
        """Whether there is a count that no entry says yet."""
        return bool(self._over) or any(held.more for held in self._seconds.values())

    def take(self, at: int | None) -> list[tuple[str, dict[str, Fact]]]:
        """Counts of seconds that are over at that millisecond; all of them without one."""
        for event, held in list(self._seconds.items()):
            if at is None or held.number != at // _MS_PER_SECOND:
                self._end(event)
        over, self._over = self._over, []
        return over
