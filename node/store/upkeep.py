"""What a store does about its own growth, each in short transactions of its own.

Law: governance is never truncated. Bundles leave the log oldest arrival first, and the floor
of their actor rises in the same transaction; which may go, `crdt.log_rule` says. Every job is
bounded and says whether there is more to do, so that writes never wait long behind one.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from crdt.dot import Actor
from crdt.log_rule import LogRule
from node.store.errors import CorruptRecord
from node.store.lists import decode_access, encode_access
from node.store.rows import (
    Head,
    LogEntry,
    decode_actor,
    decode_entry,
    decode_idempotency,
    decode_place,
    encode_actor,
    read_standing,
)
from node.store.schema import NUMBER_BYTES, Tables, Transaction, number, sealed, unseal
from node.store.writing import put_head

_MS_PER_DAY: Final = 86_400_000
BUNDLES_PER_JOB: Final = 500
ROWS_PER_JOB: Final = 2_000
_NO_MARKS: Final[Mapping[bytes, int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Truncated:
    """What one round of truncation did.

    Attributes:
        bundles: how many left the log.
        log_bytes: how much they took.
        floors: where the log of an actor now begins: up to here its bundles are gone.
        more: whether another round has something to do.
    """

    bundles: int
    log_bytes: int
    floors: Mapping[Actor, int]
    more: bool


def days(count: float) -> int:
    """Days in milliseconds, for `LogRule.log_ms_max`."""
    return int(count * _MS_PER_DAY)


def truncate(
    txn: Transaction,
    tables: Tables,
    head: Head,
    rule: LogRule,
    now_ms: int,
    marks: Mapping[bytes, int] = _NO_MARKS,
) -> tuple[Truncated, Head]:
    """One round of truncation; returns what was done and the counters after, stored.

    Args:
        txn: an open write transaction.
        tables: handles.
        head: the counters before.
        rule: who needs what.
        now_ms: local time.
        marks: {lane: arrival through which erasures want its log gone}; `log_bytes_min`
            keeps nothing up to there.
    """
    floors: dict[Actor, int] = {}
    removed = total = 0

    def may_go(at: bytes, entry: LogEntry, held: int) -> bool:
        marked = int.from_bytes(at, "big") <= marks.get(entry.actor[:1], 0)
        age_ms = now_ms - entry.ms
        return rule.lets_go(entry.actor, entry.last, held=held, age_ms=age_ms, marked=marked)

    for field in ("log_bytes", "private_bytes"):
        name = "log_data" if field == "log_bytes" else "log_private"
        with txn.cursor(db=getattr(tables, name)) as cursor:
            held: int = getattr(head, field)
            while removed < BUNDLES_PER_JOB and cursor.first():
                at, value = cursor.item()
                entry = decode_entry(name, at, value)
                if not may_go(at, entry, held):
                    break
                cursor.delete()
                txn.delete(entry.actor + number(entry.last), db=tables.log_index)
                floors[entry.actor] = entry.last
                held -= len(value)
                total += len(value)
                removed += 1
        head = head._replace(**{field: held})
    _raise_floors(txn, tables, floors)
    if removed:
        put_head(txn, tables, head)
    done = Truncated(
        bundles=removed, log_bytes=total, floors=floors, more=removed >= BUNDLES_PER_JOB
    )
    return done, head


def _raise_floors(txn: Transaction, tables: Tables, floors: Mapping[Actor, int]) -> None:
    for actor, floor in floors.items():
        value = txn.get(actor, db=tables.actors)
        if value is not None:
            row = decode_actor(unseal("actors", actor, value))
            body = encode_actor(row, max(floor, row.floor))
            txn.put(actor, sealed(actor, body), db=tables.actors)


def expire_idempotency(txn: Transaction, tables: Tables, before_ms: int) -> bool:
    """Forget requests that arrived before a millisecond; whether there are more."""
    end = number(before_ms)
    with txn.cursor(db=tables.idempotency_at) as cursor:
        for _ in range(ROWS_PER_JOB):
            if not cursor.first() or cursor.key() >= end:
                return False
            key = cursor.key()
            scope = key[NUMBER_BYTES:]
            value = txn.get(scope, db=tables.idempotency)
            if value is not None:
                _, ms = decode_idempotency(unseal("idempotency", scope, value))
                if number(ms) == key[:NUMBER_BYTES]:
                    txn.delete(scope, db=tables.idempotency)
            cursor.delete()
    return True


def prune_feed(txn: Transaction, tables: Tables, before_ms: int) -> bool:
    """Drop the entries of records that were gone before a millisecond; whether there are more."""
    with txn.cursor(db=tables.gone) as cursor:
        for _ in range(ROWS_PER_JOB):
            if not cursor.first():
                return False
            at, name = cursor.item()
            position = int.from_bytes(at, "big")
            value = txn.get(at, db=tables.feed)
            if value is not None:
                if read_standing(at, value).ms >= before_ms:
                    return False
                place = txn.get(name, db=tables.gone_at)
                if place is not None and decode_place("gone_at", name, place).position == position:
                    txn.delete(name, db=tables.gone_at)
                txn.delete(at, db=tables.feed)
            cursor.delete()
    return True


def flush_access(
    txn: Transaction, tables: Tables, touched: Mapping[bytes, tuple[int, int]]
) -> None:
    """Add local read counters: {record key: (times more, last read in ms)}.

    A record that is gone loses its counter instead.
    """
    for key, (more, last_ms) in touched.items():
        if txn.get(key, db=tables.records) is None:
            txn.delete(key, db=tables.access)
            continue
        value = txn.get(key, db=tables.access)
        count = last = 0
        if value is not None:
            with suppress(CorruptRecord):
                count, last = decode_access(unseal("access", key, value))
        body = encode_access(count + more, max(last, last_ms))
        txn.put(key, sealed(key, body), db=tables.access)
