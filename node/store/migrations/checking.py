"""A whole store, read back.

Law: what is verified is every row by its own checksum, and that all records together add up to
the digest that the store says it has. A store that was changed is not used before.
"""

from collections.abc import Iterable

import lmdb

from crdt.digest import CHECKSUM_BYTES, move, weight
from crdt.dot import PRIVATE
from crdt.overlay import pending_key
from node.store.errors import CorruptRecord, StoreDamaged
from node.store.migrations.stage import Stage
from node.store.rows import decode_head, key_dot, read_standing, record_place
from node.store.schema import NUMBER_BYTES, number, open_tables, unseal
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


def check_today(env: lmdb.Environment) -> None:
    """Verify a store of today's schema as a whole.

    Raises:
        CorruptRecord, StoreDamaged: it is not sound.
        lmdb.Error: it cannot be read.
    """
    with env.begin() as txn:
        scrub_all(txn, open_tables(env, txn, create=False))
        stage = Stage(env, txn)
        feed = stage.table("feed")

        def weights() -> Iterable[tuple[bytes, bytes]]:
            for key, value in stage.rows("records"):
                at = number(record_place(key, value).position)
                row = txn.get(at, db=feed)
                if row is None or read_standing(at, row).key != key:
                    raise CorruptRecord("records", key, "its place holds no record of that name")
                yield key, row[:CHECKSUM_BYTES]

        check_digest(stage, weights())
        check_index(stage)


def check_index(stage: Stage) -> None:
    """Make sure that what the rows of namespaces lead to is there.

    Raises:
        CorruptRecord: a row leads nowhere.
    """
    times = stage.table("idx_time")
    for key, _ in stage.rows("idx_ns"):
        if stage.txn.get(key[-NUMBER_BYTES - CHECKSUM_BYTES :], db=times) is None:
            raise CorruptRecord("idx_ns", key, "it leads nowhere")
