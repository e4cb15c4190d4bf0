"""Which rows there are, in order of key, and what each adds up to: the same on both sides.

Law: a snapshot is compared with a store by the checksums of rows, never by the rows themselves.
Rows that two honest disks hold at different clocks may differ where a bundle lies between those
clocks and nowhere else; `Horizon` knows which those are, from the log. It knows it only as long
as the log reaches down to the other clock.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, NamedTuple

import msgpack

from crdt.digest import CHECKSUM_BYTES, checksum
from crdt.dot import DATA, PRIVATE, Actor
from crdt.pending import decode_pending
from crdt.state import ActorRow
from node.store.environment import Environment
from node.store.errors import CorruptRecord
from node.store.rows import (
    decode_actor,
    decode_entry,
    decode_place,
    earlier_arrival,
    is_of,
    key_dot,
    record_place,
)
from node.store.schema import Transaction, name_of, number, unseal
from node.store.snapshot import ACTORS, PENDING, RECORDS

KINDS: Final = (ACTORS, PENDING, RECORDS)
"""What two members are asked to agree about, in the order in which it is asked."""

MOVED: Final = 1
SEALED: Final = 2
HASH_BYTES: Final = 32
_STEPS_MAX: Final = 10_000
_TABLES: Final = {ACTORS: "actors", PENDING: "pending", RECORDS: "records"}
_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


class Entry(NamedTuple):
    """One row: its key, 16 bytes for what it holds, and where it was changed last (or 0)."""

    key: bytes
    weight: bytes
    arrival: int = 0


class Said(NamedTuple):
    """What a witness says of a row: its key, its weight (empty for none), and marks."""

    key: bytes
    weight: bytes
    marks: int


def actor_weight(actor: Actor, row: ActorRow) -> bytes:
    """What a snapshot says of an actor, but for the floor, which is everybody's own."""
    heads = [part for dot in row.heads for part in dot]
    return checksum(actor, _pack([row.seq, row.hash, heads]))


def entries(txn: Transaction, env: Environment, kind: bytes, after: bytes) -> Iterator[Entry]:
    """The shared rows of one kind above a key, in order of key.

    Raises:
        CorruptRecord: one of them is damaged.
    """
    cursor = txn.cursor(db=getattr(env.tables, _TABLES[kind]))
    there = cursor.set_range(after) if after else cursor.first()
    if there and after and cursor.key() == after:
        there = cursor.next()
    while there:
        key, value = cursor.item()
        if key[:1] == PRIVATE and kind != ACTORS:
            return  # the lane with the last letter
        if key[:1] != PRIVATE:
            yield _entry(txn, env, kind, key, value)
        there = cursor.next()


def _entry(txn: Transaction, env: Environment, kind: bytes, key: bytes, value: bytes) -> Entry:
    if kind == ACTORS:
        return Entry(key, actor_weight(key, decode_actor(unseal("actors", key, value))))
    if kind == PENDING:
        unseal("pending", key, value)
        return Entry(key, value[:CHECKSUM_BYTES])
    place = record_place(key, value)
    row = txn.get(number(place.position), b"", db=env.tables.feed)
    if not is_of(row, key):
        raise CorruptRecord("records", key, "its place holds no record of that name")
    return Entry(key, row[:CHECKSUM_BYTES], place.arrival)


def page(env: Environment, kind: bytes, after: bytes, limit: int) -> list[Entry]:
    """At most so many rows above a key. For a thread of its own."""
    return env.read_long(lambda txn: list(islice(entries(txn, env, kind, after), limit)))


def sum_of(rows: Iterable[Entry]) -> bytes:
    """32 bytes for rows in order of key; nobody finds other rows with the same."""
    state = hashlib.blake2b(digest_size=HASH_BYTES)
    for key, weight, _ in rows:
        state.update(b"%d:%b%b" % (len(key), key, weight))
    return state.digest()


class Horizon:
    """What of a store changed beyond a clock. For one thread; the store may go on meanwhile.

    Args:
        env: the store's.
        clock: the other side's.

    Attributes:
        fits: whether the store can tell: it covers that clock, and its log reaches down to it.
    """

    def __init__(self, env: Environment, clock: Mapping[Actor, int]) -> None:
        self._env = env
        self._clock = clock
        self.fits, self._begin = env.read_long(self._look)

    def _look(self, txn: Transaction) -> tuple[bool, int]:
        tables = self._env.tables
        rows: dict[Actor, ActorRow] = {
            actor: decode_actor(unseal("actors", actor, value))
            for actor, value in txn.cursor(db=tables.actors)
            if actor[:1] != PRIVATE
        }
        get = self._clock.get
        covers = all(a in rows and rows[a].seq >= seq for a, seq in self._clock.items())
        reaches = all(row.floor <= get(a, 0) for a, row in rows.items() if a[:1] == DATA)
        if not (covers and reaches):
            return False, 0
        cursor = txn.cursor(db=tables.log_data)
        begin = int.from_bytes(cursor.key(), "big") + 1 if cursor.last() else 1
        index = txn.cursor(db=tables.log_index)
        for actor, row in rows.items():
            seq = get(actor, 0)
            if actor[:1] == DATA and row.seq > seq and index.set_range(actor + number(seq + 1)):
                key, at = index.item()
                if key.startswith(actor):
                    begin = min(begin, int.from_bytes(at, "big"))
        return True, begin

    def said(self, kind: bytes, rows: Iterable[Entry]) -> list[Said]:
        """These rows with their marks."""
        env = self._env
        return env.read_long(
            lambda txn: [Said(row.key, row.weight, self._marks(txn, kind, row)) for row in rows]
        )

    def asked(self, keys: Iterable[bytes]) -> list[Said]:
        """What there is of these records now, and whether what there was went beyond the clock.

        Nothing is said of records of the private lane: not even that they are there.
        """

        def look(txn: Transaction) -> list[Said]:
            return [self._asked(txn, key) for key in keys if key[:1] != PRIVATE]

        return self._env.read_long(look)

    def _asked(self, txn: Transaction, key: bytes) -> Said:
        tables = self._env.tables
        value = txn.get(key, db=tables.records)
        if value is not None:
            row = _entry(txn, self._env, RECORDS, key, value)
            return Said(key, row.weight, self._marks(txn, RECORDS, row))
        name = name_of(key)
        gone = txn.get(name, db=tables.gone_at)
        arrival = decode_place("gone_at", name, gone).arrival if gone is not None else 0
        return Said(key, b"", MOVED if self._moved(txn, name, arrival) else 0)

    def _marks(self, txn: Transaction, kind: bytes, row: Entry) -> int:
        if kind == RECORDS:
            return MOVED if self._moved(txn, name_of(row.key), row.arrival) else 0
        if kind == ACTORS:
            held = txn.get(row.key, b"", db=self._env.tables.actors)
            seq = decode_actor(held[CHECKSUM_BYTES:]).seq if held else 0
            return MOVED if seq > self._clock.get(row.key, 0) else 0
        value = txn.get(row.key, db=self._env.tables.pending)
        if value is None:
            return MOVED
        pending = decode_pending(value[CHECKSUM_BYTES:])
        dots = (key_dot(row.key), *pending.votes)
        late = any(self._clock.get(actor, 0) < seq for actor, seq in dots)
        return (MOVED if late else 0) | (SEALED if pending.sealed else 0)

    def _moved(self, txn: Transaction, name: bytes, arrival: int) -> bool:
        """Whether a bundle beyond the clock changed a record, one of those in the log."""
        for _ in range(_STEPS_MAX):
            if arrival < self._begin:
                return False
            at = number(arrival)
            value = txn.get(at, db=self._env.tables.log_data)
            if value is None:
                return True  # cut since it was looked at: nobody can tell any more
            entry = decode_entry("log_data", at, value)
            if entry.last > self._clock.get(entry.actor, 0):
                return True
            arrival = earlier_arrival(entry, name) or 0
        return True
