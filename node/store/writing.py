"""One transaction's worth of batches, put into the tables.

Law: this runs on the writer's thread between begin and commit, so it is kept short: batches
that queued together are folded first (a record written five times is put once), what can be
prepared is prepared in one walk over the records, every table is fed through one sorted
`putmulti`, ordered tables are appended to.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from crdt.digest import CHECKSUM_BYTES
from crdt.dot import DATA, PRIVATE, Actor, Dot
from crdt.state import ActorRow, Batch, Change, IdempotencyRow
from node import failpoints
from node.store.errors import CorruptRecord
from node.store.projection import Facts, facts, index_rows
from node.store.rows import (
    NO_WEIGHT,
    NOWHERE,
    Head,
    Place,
    count_name,
    decode_count,
    decode_place,
    dot_key,
    encode_actor,
    encode_count,
    encode_entry,
    encode_idempotency,
    encode_place,
    encode_standing,
    is_of,
    link,
    record_place,
)
from node.store.schema import Handle, Tables, Transaction, name_of, number, sealed, unseal

HEAD_KEY: Final = b"head"
GENESIS_KEY: Final = b"genesis"
STORE_ID_KEY: Final = b"store_id"
Pairs = list[tuple[bytes, bytes]]


Counts = Mapping[tuple[str, str], int]
"""{(namespace, tier): memories}"""

_COUNTS_MAX: Final = 4_096


class Known(NamedTuple):
    """What the writer's thread need not look up: true of the last transaction that succeeded.

    Attributes:
        head: the counters.
        any_gone: whether a deleted record may still have a row.
        counts: some of the counts, those that changed lately.
    """

    head: Head
    any_gone: bool
    counts: Counts


class _Folded(NamedTuple):
    """The last word of every row that some of the batches write."""

    actors: dict[Actor, ActorRow]
    records: dict[bytes, Change]
    pending: dict[Dot, bytes | None]
    idempotency: dict[bytes, IdempotencyRow]


def write_batches(
    txn: Transaction,
    tables: Tables,
    batches: Sequence[Batch],
    known: Known,
    floors: Mapping[Actor, int],
) -> Known:
    """Put batches, in their order, into the tables.

    Args:
        txn: an open write transaction.
        tables: handles.
        batches: at least one; each starts where the one before ended.
        known: what was there before.
        floors: where the log of an actor begins, as this store last truncated it. The core
            may not have heard of it yet, so the larger floor is kept.

    Returns:
        What is there after; the counters are stored.
    """
    head = known.head
    folded = batches[0] if len(batches) == 1 else _fold(batches)
    ms = max(head.ms, batches[-1].now_ms)
    records = folded.records
    names = {key: name_of(key) for key in records}
    places = _places(txn, tables, records, names, any_gone=known.any_gone)
    arrivals = {key: place.arrival for key, place in places.items()}
    logged = _put_log(txn, tables, batches, head, ms, names, arrivals)
    failpoints.hit("feed.append")
    if places:
        _leave_feed(txn, tables, places)
    gone = _put_records(txn, tables, records, names, arrivals, logged._replace(ms=ms))
    counts = _put_indexes(txn, tables, records, names, known.counts)
    _put_small_rows(txn, tables, folded, floors, ms)
    after = logged._replace(
        number=batches[-1].number,
        feed=head.feed + len(records),
        ms=ms,
        digest=batches[-1].digest,
    )
    put_head(txn, tables, after)
    for batch in batches:
        if batch.genesis is not None:
            put_genesis(txn, tables, batch.genesis)
    return Known(after, known.any_gone or gone, counts)


def put_head(txn: Transaction, tables: Tables, head: Head) -> None:
    """Store the counters."""
    txn.put(HEAD_KEY, sealed(HEAD_KEY, head.encode()), db=tables.meta)


def put_genesis(txn: Transaction, tables: Tables, genesis: bytes) -> None:
    """Store what the core remembers of the mesh it belongs to."""
    txn.put(GENESIS_KEY, sealed(GENESIS_KEY, genesis), db=tables.meta)


def _fold(batches: Sequence[Batch]) -> _Folded:
    out = _Folded({}, {}, {}, {})
    records = out.records
    for batch in batches:
        out.actors.update(batch.actors)
        out.pending.update(batch.pending)
        out.idempotency.update(batch.idempotency)
        for key, change in batch.records.items():
            first = records.get(key)
            records[key] = (
                change
                if first is None
                else Change(
                    first.before,
                    change.after,
                    change.data,
                    change.weight,
                    first.approved_before,
                    change.approved_after,
                )
            )
    return out


def _places(
    txn: Transaction,
    tables: Tables,
    records: Mapping[bytes, Change],
    names: Mapping[bytes, bytes],
    *,
    any_gone: bool,
) -> dict[bytes, Place]:
    """Where the changed records stood before, those that ever stood somewhere."""
    out: dict[bytes, Place] = {}
    for key, change in records.items():
        if change.before is None and not any_gone:
            continue
        if change.before is not None:
            value = txn.get(key, db=tables.records)
            if value is not None:
                out[key] = _found(txn, tables, key, value)
            continue
        # A damaged place of what is gone costs a row without content; it stops no writer.
        with suppress(CorruptRecord):
            value = txn.pop(names[key], db=tables.gone_at)
            if value is not None:
                out[key] = decode_place("gone_at", names[key], value)
    return out


def _found(txn: Transaction, tables: Tables, key: bytes, value: bytes) -> Place:
    """Where a record stands; when that row is damaged the feed is searched for it.

    Its content must not stay behind when it changes, least of all when it is erased.
    """
    with suppress(CorruptRecord):
        return record_place(key, value)
    with txn.cursor(db=tables.feed) as cursor:
        for at, row in cursor:
            if is_of(row, key):
                return Place(int.from_bytes(at, "big"), 0)
    return NOWHERE


def _put_log(
    txn: Transaction,
    tables: Tables,
    batches: Sequence[Batch],
    head: Head,
    ms: int,
    names: Mapping[bytes, bytes],
    latest: dict[bytes, int],
) -> Head:
    """Put the bundles; moves `latest`, the last arrival per record; returns the new counts."""
    arrivals, log_bytes, private_bytes = head.arrivals, head.log_bytes, head.private_bytes
    for batch in batches:
        for bundle in batch.bundles:
            arrivals += 1
            links = []
            for key in dict.fromkeys(bundle.keys):
                name = names.get(key)
                if name is not None:  # else the operation changed nothing: refused, or hidden
                    links.append(link(name, latest.get(key, 0)))
                    latest[key] = arrivals
            at = number(arrivals)
            value = sealed(at, encode_entry(bundle, ms, b"".join(links)))
            lane = bundle.actor[:1]
            txn.put(at, value, db=tables.log_of(lane), append=True)
            txn.put(bundle.actor + number(bundle.last), at, db=tables.log_index)
            log_bytes += len(value) if lane == DATA else 0
            private_bytes += len(value) if lane == PRIVATE else 0
    return head._replace(arrivals=arrivals, log_bytes=log_bytes, private_bytes=private_bytes)


def put_many(txn: Transaction, table: Handle, pairs: Pairs, *, append: bool = False) -> None:
    """Put rows, which cost least in order of key."""
    if len(pairs) == 1:
        txn.put(*pairs[0], db=table, append=append)
    elif pairs:
        with txn.cursor(db=table) as cursor:
            cursor.putmulti(pairs, append=append)


def _put_records(
    txn: Transaction,
    tables: Tables,
    records: Mapping[bytes, Change],
    names: Mapping[bytes, bytes],
    arrivals: Mapping[bytes, int],
    head: Head,
) -> bool:
    """Put every changed record at the end of the feed, and where it stands; whether any is gone."""
    ms, puts, entries = head.ms, [], []
    for position, (key, change) in enumerate(records.items(), head.feed + 1):
        at, data = number(position), change.data
        if data is None:
            txn.delete(key, db=tables.records)
            last = encode_place(names[key], position, arrivals.get(key, 0))
            txn.put(names[key], last, db=tables.gone_at)
            txn.put(at, names[key], db=tables.gone, append=True)
            entries.append((at, encode_standing(at, ms, key, NO_WEIGHT, b"")))
        else:
            weight = change.weight.to_bytes(CHECKSUM_BYTES, "big")
            entries.append((at, encode_standing(at, ms, key, weight, data)))
            puts.append((key, encode_place(key, position, arrivals.get(key, 0))))
    puts.sort()
    put_many(txn, tables.records, puts)
    put_many(txn, tables.feed, entries, append=True)
    return len(puts) < len(entries)


def _put_indexes(
    txn: Transaction,
    tables: Tables,
    records: Mapping[bytes, Change],
    names: Mapping[bytes, bytes],
    counts: Counts,
) -> Counts:
    deltas: dict[tuple[str, str], int] = {}
    puts: dict[str, Pairs] = {}
    for key, change in records.items():
        after = facts(key, change.after, change.approved_after)
        if change.before is not None:
            before = facts(key, change.before, change.approved_before)
            if before == after:
                continue
            if before is not None:
                for table, row, _ in index_rows(key, names[key], before):
                    txn.delete(row, db=getattr(tables, table))
                _count(deltas, before, -1)
        if after is None:
            continue
        for table, row, value in index_rows(key, names[key], after):
            puts.setdefault(table, []).append((row, value))
        _count(deltas, after, 1)
    for table, pairs in puts.items():
        pairs.sort()
        put_many(txn, getattr(tables, table), pairs)
    return add_counts(txn, tables, deltas, counts)


def _count(deltas: dict[tuple[str, str], int], memory: Facts, step: int) -> None:
    place = memory.namespace, memory.tier
    deltas[place] = deltas.get(place, 0) + step


def add_counts(
    txn: Transaction, tables: Tables, deltas: Mapping[tuple[str, str], int], known: Counts
) -> Counts:
    """Move the counts of visible memories; returns those that are known after."""
    after = dict(known) if len(known) < _COUNTS_MAX else {}
    for place, delta in deltas.items():
        if not delta:
            continue
        key = name_of(count_name(*place))
        before = after.get(place)
        if before is None:
            stored = txn.get(key, db=tables.counts)
            try:
                before = decode_count(unseal("counts", key, stored))[2] if stored else 0
            except CorruptRecord:
                continue  # it stops no writer: the scrub finds it, and counts anew
        after[place] = before + delta
        if before + delta:
            body = encode_count(*place, before + delta)
            txn.put(key, sealed(key, body), db=tables.counts)
        else:
            txn.delete(key, db=tables.counts)
    return after


def _leave_feed(txn: Transaction, tables: Tables, places: Mapping[bytes, Place]) -> None:
    """Take records from where they stood in the feed."""
    with txn.cursor(db=tables.feed) as cursor:
        for key, place in sorted(places.items(), key=_position):
            at = number(place.position)
            # A damaged pointer must not delete another record's row; a stray one does no harm.
            if cursor.set_key(at) and is_of(cursor.value(), key):
                cursor.delete()
                txn.delete(at, db=tables.gone)


def _position(item: tuple[bytes, Place]) -> int:
    return item[1].position


def _put_small_rows(
    txn: Transaction,
    tables: Tables,
    batch: Batch | _Folded,
    floors: Mapping[Actor, int],
    ms: int,
) -> None:
    for actor, row in batch.actors.items():
        body = encode_actor(row, max(row.floor, floors.get(actor, 0)))
        txn.put(actor, sealed(actor, body), db=tables.actors)
    for dot, held in batch.pending.items():
        key = dot_key(dot)
        if held is None:
            txn.delete(key, db=tables.pending)
        else:
            txn.put(key, sealed(key, held), db=tables.pending)
    for scope, request in batch.idempotency.items():
        txn.put(scope, sealed(scope, encode_idempotency(request, ms)), db=tables.idempotency)
        txn.put(number(ms) + scope, b"", db=tables.idempotency_at)
