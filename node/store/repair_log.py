"""Bundles put back into the log, and where records stand in it.

Law: a bundle is taken when its hash is what this node knows it to be: the one that the next bundle
of its actor names, or the end of the actor's line. Its author signed it and everybody relays it
unchanged, so its bytes are what they were, whoever kept them. What this node itself knew of it
(when it arrived, which record changed when before) is told from the bundles around it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from crdt.applying import key_of
from crdt.bundle import Bundle, BundleError, read_bundle
from crdt.dot import ACTOR_BYTES
from crdt.op import RECORD_KINDS
from crdt.state import ActorRow, LoggedBundle
from node.store.errors import CorruptRecord
from node.store.proving import Lost
from node.store.rows import LogEntry, decode_entry, earlier_arrival, encode_entry, link
from node.store.schema import LOG_NAMES, Tables, Transaction, name_of, number, sealed

Hashes = Mapping[bytes, ActorRow]


def arrival_of(txn: Transaction, tables: Tables, key: bytes, below: int = 2**63) -> int:
    """The arrival of the last bundle below a number that changed a record; 0 for none."""
    name, lane = name_of(key), key[:1]
    with txn.cursor(db=tables.log_of(lane)) as cursor:
        there = cursor.prev() if cursor.set_range(number(below)) else cursor.last()
        while there:
            at, value = cursor.item()
            if name in value:
                with suppress(CorruptRecord):
                    if earlier_arrival(decode_entry(LOG_NAMES[lane], at, value), name) is not None:
                        return int.from_bytes(at, "big")
            there = cursor.prev()
    return 0


def put_bundles(
    txn: Transaction,
    tables: Tables,
    lost: Sequence[Lost],
    given: Mapping[tuple[bytes, int], bytes],
    *,
    actors: Hashes,
    cluster: bytes,
    ops_max: int,
) -> int:
    """Put what was given where it was lost; returns how many.

    Args:
        txn: an open write transaction.
        tables: handles.
        lost: what the log lacks.
        given: bytes by actor and last operation; none of them is believed.
        actors: the ends of lines, as they surely are on the disk.
        cluster: as bundles of this mesh name it.
        ops_max: most operations in one.
    """
    put = 0
    # The last of a line is proven by its end, and then proves the one before.
    for one in sorted(lost, key=lambda lost: (lost.actor, -lost.last)):
        data = given.get((one.actor, one.last))
        if data is None:
            continue
        try:
            bundle = read_bundle(data, cluster=cluster, ops_max=ops_max)
        except BundleError:
            continue
        if (bundle.actor, bundle.last) != (one.actor, one.last):
            continue
        if bundle.hash == _hash_of(txn, tables, one, actors, cluster=cluster, ops_max=ops_max):
            _put(txn, tables, one, bundle)
            put += 1
    return put


def lines_hold(txn: Transaction, tables: Tables, actors: Hashes) -> bool:
    """Whether the log has every bundle of every line, from where the line begins to its end."""
    reached: dict[bytes, int] = {}
    for key, at in txn.cursor(db=tables.log_index):
        actor, last = key[:ACTOR_BYTES], int.from_bytes(key[ACTOR_BYTES:], "big")
        entry = _entry(txn, tables, actor[:1], at)
        before = reached.get(actor)
        if entry is None or (entry.actor, entry.last) != (actor, last):
            return False
        if before is not None and entry.first != before + 1:
            return False
        reached[actor] = last
    return all(actor in actors and actors[actor].seq == last for actor, last in reached.items())


def _hash_of(
    txn: Transaction, tables: Tables, lost: Lost, actors: Hashes, *, cluster: bytes, ops_max: int
) -> bytes | None:
    """What the hash of a lost bundle is; None when its neighbour is lost too."""
    row = actors.get(lost.actor)
    if row is not None and row.seq == lost.last:
        return row.hash
    with txn.cursor(db=tables.log_index) as cursor:
        if not cursor.set_range(lost.actor + number(lost.last + 1)):
            return None
        key, at = cursor.item()
    if key[:ACTOR_BYTES] != lost.actor:
        return None
    entry = _entry(txn, tables, lost.actor[:1], at)
    if entry is None or entry.actor != lost.actor or entry.first != lost.last + 1:
        return None
    with suppress(BundleError):
        return read_bundle(entry.data, cluster=cluster, ops_max=ops_max).prev
    return None


def _entry(txn: Transaction, tables: Tables, lane: bytes, at: bytes) -> LogEntry | None:
    value = txn.get(at, db=tables.log_of(lane))
    with suppress(CorruptRecord):
        return None if value is None else decode_entry(LOG_NAMES[lane], at, value)
    return None


def _put(txn: Transaction, tables: Tables, lost: Lost, bundle: Bundle) -> None:
    lane, arrival = lost.actor[:1], int.from_bytes(lost.at, "big")
    keys = tuple(dict.fromkeys(key_of(op) for op in bundle.ops if op.kind in RECORD_KINDS))
    links = b"".join(link(name_of(key), arrival_of(txn, tables, key, arrival)) for key in keys)
    logged = LoggedBundle(bundle.actor, bundle.first, bundle.last, bundle.data, keys)
    value = sealed(lost.at, encode_entry(logged, _ms_near(txn, tables, lane, lost.at), links))
    txn.put(lost.at, value, db=tables.log_of(lane))
    txn.put(lost.actor + number(lost.last), lost.at, db=tables.log_index)


def _ms_near(txn: Transaction, tables: Tables, lane: bytes, at: bytes) -> int:
    """When it arrived: as the one before in its lane, else the one after; times never go back."""
    with txn.cursor(db=tables.log_of(lane)) as cursor:
        for step in (cursor.prev, cursor.next):
            there = cursor.set_range(at)
            if step == cursor.prev:
                there = cursor.prev() if there else cursor.last()
            elif there and cursor.key() == at:
                there = cursor.next()
            while there:
                with suppress(CorruptRecord):
                    return decode_entry(LOG_NAMES[lane], *cursor.item()).ms
                there = step()
    return 0
