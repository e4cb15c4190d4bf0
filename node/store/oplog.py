"""The log of a store, read in order of arrival, all lanes together.

Law: every bundle that ever arrived has a number, and the numbers have no holes; so a number
that stands in no log was truncated, and whoever reads from before it is told. Reads are short
and go over keys; a bundle is decoded once however many follow it.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from crdt.bundle import Bundle
from crdt.dot import ACTOR_BYTES, DATA, GOVERNANCE, PRIVATE, Dot
from node.store.environment import Environment
from node.store.rows import LogEntry, decode_entry
from node.store.schema import LOG_NAMES, NUMBER_BYTES, Transaction, number

_LANES: Final = (GOVERNANCE, DATA, PRIVATE)
_DECODED_BYTES_MAX: Final = 8 * 1024 * 1024
_READ_BYTES_MAX: Final = 64 * 1024
_NEVER: Final = 2**63


class Arrived(NamedTuple):
    """One bundle in the log: its number, and its stored form."""

    arrival: int
    entry: LogEntry


class OpLog:
    """The log of one environment.

    Args:
        env: the environment.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._tables = env.tables

    def after(self, arrival: int, limit: int, limit_bytes: int = _READ_BYTES_MAX) -> list[Arrived]:
        """Bundles that arrived after a number, in order, at most `limit`, at least one if any.

        Args:
            arrival: the number.
            limit: at most so many.
            limit_bytes: of each lane no more is read once this size is reached.

        Raises:
            node.store.errors.CorruptRecord: one of them is damaged.
        """

        def look(txn: Transaction) -> list[Arrived]:
            found: list[Arrived] = []
            end = _NEVER  # behind it, a lane that was read in part may have more
            for lane in _LANES:
                part, more = self._part(txn, lane, arrival, limit, limit_bytes)
                found += part
                if more:
                    end = min(end, part[-1].arrival)
            return sorted(one for one in found if one.arrival <= end)[:limit]

        return self._env.read(look)

    def _part(
        self, txn: Transaction, lane: bytes, after: int, limit: int, limit_bytes: int
    ) -> tuple[list[Arrived], bool]:
        """Bundles of one lane, and whether there are more."""
        cursor = txn.cursor(db=self._tables.log_of(lane))
        there, size = cursor.set_range(number(after + 1)), 0
        found: list[Arrived] = []
        while there and len(found) < limit and size < limit_bytes:
            key, value = cursor.item()
            entry = decode_entry(LOG_NAMES[lane], key, value)
            found.append(Arrived(int.from_bytes(key, "big"), entry))
            size += len(value)
            there = cursor.next()
        return found, there

    def at(self, arrival: int) -> LogEntry | None:
        """The bundle with a number; None when it is no longer, or not yet, in the log."""

        def look(txn: Transaction) -> LogEntry | None:
            key = number(arrival)
            for lane in _LANES:
                value = txn.get(key, db=self._tables.log_of(lane))
                if value is not None:
                    return decode_entry(LOG_NAMES[lane], key, value)
            return None

        return self._env.read(look)

    def arrival_of(self, dot: Dot) -> int | None:
        """The number under which the bundle of an operation arrived, if it is in the log."""

        def look(txn: Transaction) -> int | None:
            cursor = txn.cursor(db=self._tables.log_index)
            if not cursor.set_range(dot.actor + number(dot.seq)):
                return None
            key, at = cursor.item()
            return int.from_bytes(at[:NUMBER_BYTES], "big") if _names(key, dot) else None

        found = self._env.read(look)
        entry = None if found is None else self.at(found)
        return found if entry is not None and entry.first <= dot.seq <= entry.last else None

    def arrival_since(self, ms: int) -> int:
        """A number after which everything that arrived at or after a millisecond is found."""

        def look(txn: Transaction) -> list[int]:
            found = [self._first_since(txn, lane, ms) for lane in _LANES]
            return [one for one in found if one is not None]

        earliest = self._env.read(look)
        return min(earliest) - 1 if earliest else self._last()

    def _first_since(self, txn: Transaction, lane: bytes, ms: int) -> int | None:
        cursor = txn.cursor(db=self._tables.log_of(lane))
        if not cursor.first():
            return None
        low = int.from_bytes(cursor.key(), "big")
        cursor.last()
        high, last = int.from_bytes(cursor.key(), "big"), cursor.item()
        if decode_entry(LOG_NAMES[lane], *last).ms < ms:
            return None
        while low < high:  # times never go back, so the numbers are in their order
            middle = (low + high) // 2
            cursor.set_range(number(middle))
            key, value = cursor.item()
            if decode_entry(LOG_NAMES[lane], key, value).ms < ms:
                low = int.from_bytes(key, "big") + 1
            else:
                high = middle
        cursor.set_range(number(low))
        return int.from_bytes(cursor.key(), "big")

    def _last(self) -> int:
        def look(txn: Transaction) -> int:
            ends = [0]
            for lane in _LANES:
                cursor = txn.cursor(db=self._tables.log_of(lane))
                if cursor.last():
                    ends.append(int.from_bytes(cursor.key(), "big"))
            return max(ends)

        return self._env.read(look)


def _names(key: bytes, dot: Dot) -> bool:
    return key[:ACTOR_BYTES] == dot.actor


class Decoded:
    """Bundles that were decoded lately, bounded by the bytes they came from."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[str, int], tuple[int, Bundle]] = OrderedDict()
        self._bytes = 0

    def held(self, store_id: str, arrival: int) -> Bundle | None:
        """The bundle with a number in a store, when it was decoded lately."""
        found = self._held.get((store_id, arrival))
        return None if found is None else found[1]

    def bundle(
        self, store_id: str, arrival: int, data: bytes, read: Callable[[bytes], Bundle]
    ) -> Bundle:
        """The bundle with a number in a store.

        Raises:
            crdt.bundle.BundleError: its bytes are none.
        """
        key = (store_id, arrival)
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
            return held[1]
        bundle = read(data)
        self._held[key] = (len(data), bundle)
        self._bytes += len(data)
        while self._bytes > _DECODED_BYTES_MAX and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1][0]
        return bundle
