"""What changed here, in the order in which it changed here.

Law: a record stands in the feed once, at its latest change, with its canonical bytes; a deleted
one stays as an entry until it is pruned. Positions only grow and belong to one store id. The
history of a record is the chain of bundles that changed it, as far back as the log still
reaches without a gap.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from crdt.digest import CHECKSUM_BYTES, checksum
from crdt.dot import Actor
from node.store.environment import Environment
from node.store.errors import CorruptRecord
from node.store.rows import (
    NOWHERE,
    Place,
    decode_entry,
    decode_place,
    earlier_arrival,
    is_of,
    proven,
    read_standing,
    record_place,
    standing_data,
)
from node.store.schema import (
    KEY_BYTES_MAX,
    LOG_NAMES,
    NUMBER_BYTES,
    Tables,
    Transaction,
    name_of,
    number,
)


class Entry(NamedTuple):
    """One record in the feed: its position, when it arrived there (ms), and its key."""

    position: int
    ms: int
    key: bytes


class Changed(NamedTuple):
    """The same with the record's canonical bytes, verified; None when it is gone."""

    position: int
    key: bytes
    data: bytes | None


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
            return [_entry(at, value) for at, value in self._rows(txn, position, limit)]

        return self._env.read(look)

    def changed(self, position: int, limit: int) -> list[Changed]:
        """The same with what the records are now; in bulk, from any thread.

        Nobody who reads a moment waits for it.

        What is damaged is left out and told: made whole, it stands at the end of the feed. A page
        of nothing but damage is read on.
        """
        out: list[Changed] = []
        while not out:
            start = position
            rows = self._env.read_long(lambda txn, start=start: list(self._rows(txn, start, limit)))  # type: ignore[misc]  # bound now
            if not rows:
                break
            for at, value in rows:
                position = int.from_bytes(at, "big")
                try:
                    standing = read_standing(at, value)
                    out.append(Changed(position, standing.key, proven(standing)))
                except CorruptRecord as error:
                    self._env.on_damage(error)
        return out

    def _rows(self, txn: Transaction, position: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
        cursor = txn.cursor(db=self._env.tables.feed)
        if cursor.set_range(number(position + 1)):
            yield from islice(cursor.iternext(), limit)

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

    def knows(self, key: bytes) -> bool:
        """Whether a record stands in the feed, alive or gone; two looks, whatever its size."""
        if len(key) > KEY_BYTES_MAX:
            return False
        tables = self._env.tables
        return self._env.read(
            lambda txn: (
                txn.get(key, db=tables.records) is not None
                or txn.get(name_of(key), db=tables.gone_at) is not None
            )
        )

    def _place(self, txn: Transaction, key: bytes, name: bytes) -> Place:
        value = txn.get(key, db=self._env.tables.records)
        if value is not None:
            return record_place(key, value)
        value = txn.get(name, db=self._env.tables.gone_at)
        return NOWHERE if value is None else decode_place("gone_at", name, value)


def read_entry_key(txn: Transaction, tables: Tables, at: bytes) -> bytes | None:
    """The record key at a position of the feed, verified; None when nothing stands there."""
    value = txn.get(at, db=tables.feed)
    return None if value is None else read_standing(at, value).key


def read_record(txn: Transaction, tables: Tables, key: bytes) -> tuple[bytes, bytes] | None:
    """Where a record stands and the row there; None when there is no such record.

    The row is not verified: see `record_in`.
    """
    place = txn.get(key, db=tables.records)
    if place is None:
        return None
    at = place[:NUMBER_BYTES]
    return at, txn.get(at, b"", db=tables.feed)


def record_in(key: bytes, value: bytes) -> bytes:
    """The canonical bytes of a record in the row where it stands.

    Raises:
        CorruptRecord: they are not what was written, or the row is about another record.
    """
    if not is_of(value, key):
        raise CorruptRecord("records", key, "its place holds no record of that name")
    data = standing_data(key, value)
    if checksum(key, data) != value[:CHECKSUM_BYTES]:
        raise CorruptRecord("records", key)
    return data


def walk_records(env: Environment) -> Iterator[tuple[bytes, int, bytes]]:
    """Every record of one consistent state, in order of key; see `Environment.walk`.

    Yields:
        The record key, the arrival of the last bundle that changed it, its canonical bytes.

    Raises:
        CorruptRecord: one of them is damaged.
    """
    with env.reading() as txn:
        feed = env.tables.feed
        for key, value in txn.cursor(db=env.tables.records):
            place = record_place(key, value)
            row = txn.get(number(place.position), b"", db=feed)
            yield key, place.arrival, record_in(key, row)


def _entry(at: bytes, value: bytes) -> Entry:
    standing = read_standing(at, value)
    return Entry(int.from_bytes(at, "big"), standing.ms, standing.key)
