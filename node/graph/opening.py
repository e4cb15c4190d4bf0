"""The index of entities over the store of a node.

Law: it reads the keys that entities have, and no other record.
"""

import sys
from collections.abc import Iterator

from crdt.record import Record
from node.graph.names import STARTS, EntityIndex
from node.replication.engine import Engine


def open_entities(engine: Engine) -> EntityIndex:
    """Which entities answer to a name; follows the commits of the engine."""

    def scan() -> Iterator[bytes]:
        for start in STARTS:
            yield from engine.store.lists.with_prefix(start, sys.maxsize)

    def read(key: bytes) -> Record | None:
        return engine.replica.read(key)  # asked anew: a swap of stores brings another replica

    index = EntityIndex(scan, read, lambda: engine.store.store_id)
    engine.on_commit.append(index.saw)
    return index
