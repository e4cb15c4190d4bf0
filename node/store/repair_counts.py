"""The counts of visible memories, made anew.

Law: a function of the records alone; rows that cannot be read are not counted until they can be.
"""

from contextlib import suppress

from node.store.errors import CorruptRecord
from node.store.relations import Relations
from node.store.rows import count_name, encode_count, proven, read_standing
from node.store.schema import Tables, Transaction, name_of, sealed

Counts = dict[tuple[str, str], int]


def counted(txn: Transaction, tables: Tables) -> Counts:
    """{(namespace, tier): memories}, as the records say."""
    relations, found = Relations(txn, tables), Counts()
    for at, value in txn.cursor(db=tables.feed):
        with suppress(CorruptRecord):
            standing = read_standing(at, value)
            data = proven(standing)
            memory = None if data is None else relations.facts(standing.key, data)
            if memory is not None:
                group = memory.namespace, memory.tier
                found[group] = found.get(group, 0) + 1
    return found


def recount(txn: Transaction, tables: Tables) -> None:
    """Replace the table by what the records say."""
    fresh = {}
    for group, count in counted(txn, tables).items():
        key = name_of(count_name(*group))
        fresh[key] = sealed(key, encode_count(*group, count))
    for key in [key for key, _ in txn.cursor(db=tables.counts)]:
        if key not in fresh:
            txn.delete(key, db=tables.counts)
    for key, value in fresh.items():
        txn.put(key, value, db=tables.counts)
