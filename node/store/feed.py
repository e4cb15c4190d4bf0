"""What changed here, in the order in which it changed here.

Law: a record stands in the feed once, at its latest change; a deleted one stays as an entry
until it is pruned. Positions only grow and belong to one store id. The history of a record is
the chain of bundles that changed it, as far back as the log still reaches without a gap.
"""

from typing import NamedTuple

from crdt.dot import Actor
from node.store.environment import Environment
from node.store.errors import CorruptRecord
from node.store.rows import (
    NOWHERE,
    Place,
    decode_entry,
    decode_place,
    earlier_arrival,
    record_place,
)
from node.store.schema import LOG_NAMES, NUMBER_BYTES, Tables, Transaction, name_of, number, unseal


class Entry(NamedTuple):
    """One record in the feed: its position, when it arrived there (ms), and its key."""

    position: int
    ms: int
    key: bytes


class Logged(NamedTuple):
    """One bundle that touched a record."""

    arrival: int
    actor: Actor
    first: int
    last: int
    data: bytes


class Feed:
    """The feed and the histories of one environment."""

    def __init__(self, env: Environment) -> None:
        self._env = env

    def after(self, position: int, limit: int) -> list[Entry]:
        """Records changed after a position, oldest change first, at most `limit`.

        Raises:
            CorruptRecord: an entry is damaged.
        """

        def look(txn: Transaction) -> list[Entry]:
            cursor = txn.cursor(db=self._env.tables.feed)
            there = cursor.set_range(number(position + 1))
            out: list[Entry] = []
            while there and len(out) < limit:
                out.append(_entry(*cursor.item()))
                there = cursor.next()
            return out

        return self._env.read(look)

    def position_at(self, ms: int) -> int:
        """The position after which everything arrived at or after a millisecond.

        `after(position_at(ms), ...)` begins with the first entry of that time.
        """
        return self._env.read(lambda txn: self._search(txn, ms))

    def _search(self, txn: Transaction, ms: int) -> int:
        cursor = txn.cursor(db=self._env.tables.feed)
        if not cursor.last():
            return 0
        newest = _entry(*cursor.item())
        if newest.ms < ms:
            return newest.position
        low, high = 0, newest.position
        # The first entry at or above `high` is new enough; those up to `low` are too old.
        while high - low > 1:
            middle = (low + high) // 2
            cursor.set_range(number(middle))
            found = _entry(*cursor.item())
            if found.ms < ms:
                low = found.position
            else:
                high = middle
        return high - 1

    def history(self, key: bytes, limit: int) -> list[Logged]:
        """Bundles in the log that touched a record, newest first, at most `limit`.

        Raises:
            CorruptRecord: the log is damaged.
        """
        return self._env.read(lambda txn: self._chain(txn, key, limit))

    def _chain(self, txn: Transaction, key: bytes, limit: int) -> list[Logged]:
        name, lane = name_of(key), key[:1]
        arrival = self._place(txn, key, name).arrival
        out: list[Logged] = []
        while arrival and len(out) < limit:
            at = number(arrival)
            value = txn.get(at, db=self._env.tables.log_of(lane))
            if value is None:
                break  # the log begins above this step
            entry = decode_entry(LOG_NAMES[lane], at, value)
            before = earlier_arrival(entry, name)
            if before is None or before >= arrival:
                raise CorruptRecord(LOG_NAMES[lane], at, "it breaks the history of a record")
            out.append(Logged(arrival, entry.actor, entry.first, entry.last, entry.data))
            arrival = before
        return out

    def _place(self, txn: Transaction, key: bytes, name: bytes) -> Place:
        value = txn.get(key, db=self._env.tables.records)
        if value is not None:
            return record_place(key, value)
        value = txn.get(name, db=self._env.tables.gone_at)
        return NOWHERE if value is None else decode_place("gone_at", name, value)


def read_entry_key(txn: Transaction, tables: Tables, at: bytes) -> bytes | None:
    """The record key at a position of the feed, verified; None when nothing stands there."""
    value = txn.get(at, db=tables.feed)
    return None if value is None else _entry(at, value).key


def _entry(at: bytes, value: bytes) -> Entry:
    body = unseal("feed", at, value)
    ms = int.from_bytes(body[:NUMBER_BYTES], "big")
    return Entry(int.from_bytes(at, "big"), ms, body[NUMBER_BYTES:])
