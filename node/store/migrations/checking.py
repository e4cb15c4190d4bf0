"""A whole store, read back.

Law: what is verified is every row by its own checksum, and that all records together add up to
the digest that the store says it has. A store that was changed is not used before.
"""

from collections.abc import Iterable

import lmdb

from crdt.digest import CHECKSUM_BYTES, move, weight
from crdt.dot import PRIVATE
from crdt.overlay import pending_key
from node.store.errors import StoreDamaged
from node.store.migrations.stage import Stage
from node.store.rows import decode_head, key_dot, record_place
from node.store.schema import Transaction, number, open_tables, unseal
from node.store.scrub import scrub_all
from node.store.writing import HEAD_KEY


def check_digest(stage: Stage, weights: Iterable[tuple[bytes, bytes]]) -> None:
    """Make sure that records and what waits for approval add up to the digest of the store.

    Args:
        stage: of a store; its counters and pending rows have one form in all schemas so far.
        weights: the key and the checksum of every record.

    Raises:
        StoreDamaged: they do not.
        CorruptRecord: a row is damaged.
    """
    head = stage.txn.get(HEAD_KEY, db=stage.table("meta"))
    if head is None:
        return  # nothing was ever written
    digest = 0
    for key, seal in weights:
        if key[:1] != PRIVATE:
            digest = move(digest, 0, int.from_bytes(seal, "big"))
    for key, value in stage.rows("pending"):
        dot = key_dot(key)
        if dot.actor[:1] != PRIVATE:
            digest = move(digest, 0, weight(pending_key(dot), unseal("pending", key, value)))
    if digest != decode_head(unseal("meta", HEAD_KEY, head)).digest:
        raise StoreDamaged("the records of the store do not add up to its digest")


def check_today(env: lmdb.Environment, txn: Transaction) -> None:
    """Verify a store of today's schema as a whole, in a transaction that may have made it.

    Raises:
        CorruptRecord, StoreDamaged: it is not sound.
        lmdb.Error: it cannot be read.
    """
    scrub_all(txn, open_tables(env, txn, create=False))
    stage = Stage(env, txn)
    feed = stage.table("feed")
    check_digest(
        stage,
        (
            (key, txn.get(number(record_place(key, value).position), b"", db=feed)[:CHECKSUM_BYTES])
            for key, value in stage.rows("records")
        ),
    )
