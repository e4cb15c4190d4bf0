"""Stores of older schemas for tests: the fixtures, and today's store turned back.

Law: turning back is written here from the description of schema 1, and shares no code with the
step that goes forward.
"""

import struct
from pathlib import Path
from zlib import crc32

import lmdb

from node.store.schema import TABLE_NAMES, sealed

Dump = dict[str, dict[bytes, bytes]]
_DBS = 64
_MAP_BYTES = 1 << 30


def opened(store: Path, *, readonly: bool = False) -> lmdb.Environment:
    return lmdb.open(
        str(store),
        map_size=_MAP_BYTES,
        max_dbs=_DBS,
        create=False,
        readonly=readonly,
        lock=not readonly,
    )


def dump(store: Path, *, subdir: bool = True) -> Dump:
    """Every row of every table."""
    with (
        lmdb.open(
            str(store), max_dbs=_DBS, create=False, readonly=True, lock=False, subdir=subdir
        ) as env,
        env.begin() as txn,
    ):
        names = [bytes(key).decode() for key, _ in txn.cursor()]
        return {
            name: dict(txn.cursor(db=env.open_db(name.encode(), txn=txn, create=False)))
            for name in names
        }


def turn_back(store: Path) -> None:
    """Make a closed store of schema 2 one of schema 1."""
    with opened(store) as env, env.begin(write=True) as txn:
        handles = {name: env.open_db(name.encode(), txn=txn) for name in TABLE_NAMES}
        feed, records = handles["feed"], handles["records"]
        for at, value in list(txn.cursor(db=feed)):
            seal, _, ms, length = struct.unpack_from(">16sIQH", value)
            key, data = value[30 : 30 + length], value[30 + length :]
            if seal != bytes(16):
                place = txn.get(key, db=records)
                assert crc32(key, crc32(place[:16])) == int.from_bytes(place[16:20], "big")
                txn.put(key, seal + place[:20] + data, db=records)
            txn.put(at, sealed(at, struct.pack(">Q", ms) + key), db=feed)
        for row, _ in list(txn.cursor(db=handles["idx_ns"])):
            txn.put(row, txn.get(row[16:], db=handles["idx_time"]), db=handles["idx_ns"])
        txn.put(b"schema", sealed(b"schema", b"1"), db=handles["meta"])


def change(store: Path, table: str, key: bytes, value: bytes | None) -> None:
    """Put or delete one row behind everybody's back."""
    with opened(store) as env, env.begin(write=True) as txn:
        handle = env.open_db(table.encode(), txn=txn)
        if value is None:
            txn.delete(key, db=handle)
        else:
            txn.put(key, value, db=handle)
