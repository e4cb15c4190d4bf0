"""How often memories are read on this node.

Law: reading never writes a memory. Counts live here, are flushed aside by whoever owns the
store, and are neither replicated nor part of a version. At most `entries_max` are held; a
count that was flushed may be forgotten and is loaded again when it is needed.
"""

from collections.abc import Callable
from typing import Final

from node.memory.record import UNREAD, Access

ENTRIES_MAX: Final = 100_000


def _nothing_stored(_record_id: str) -> Access:
    return UNREAD


class AccessLedger:
    """Counts of reads, by memory id.

    Args:
        stored: the count that was flushed earlier, (0, 0) when there is none.
        entries_max: how many counts are held in memory.
    """

    def __init__(
        self, stored: Callable[[str], Access] = _nothing_stored, entries_max: int = ENTRIES_MAX
    ) -> None:
        self._stored = stored
        self._entries_max = entries_max
        self._clean: dict[str, Access] = {}
        self._dirty: dict[str, Access] = {}

    def of(self, record_id: str) -> Access:
        """(how often, when last in milliseconds) a memory was read here."""
        found = self._dirty.get(record_id) or self._clean.get(record_id)
        return found if found is not None else self._stored(record_id)

    def touch(self, record_id: str, now_ms: int) -> Access:
        """Count one read; the count with it."""
        found = count, last = self.of(record_id)
        if record_id not in self._dirty and len(self._dirty) >= self._entries_max:
            return found  # nobody flushes: losing counts is better than losing memory
        self._dirty[record_id] = found = (count + 1, max(last, now_ms))
        return found

    def take(self) -> dict[str, Access]:
        """What changed since the last call, to be stored; totals, not increments."""
        taken, self._dirty = self._dirty, {}
        self._clean = {**self._clean, **taken} if self._room_for(taken) else dict(taken)
        return taken

    def _room_for(self, taken: dict[str, Access]) -> bool:
        return len(self._clean) + len(taken) <= self._entries_max
