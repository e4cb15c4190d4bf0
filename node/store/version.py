"""Which version of the tables a store has, looked at before anything is opened to be written.

Law: looking changes no byte. A store of today's tables whose file lacks its last pages is given
its length only when everything in it was read; any other is left as it was found.
"""

import os
from pathlib import Path
from typing import Final

import lmdb

from node.store.errors import CorruptRecord, StoreDamaged
from node.store.schema import (
    SCHEMA_VERSION,
    TABLE_NAMES,
    open_tables,
    refuse_other_schema,
    unseal,
)
from node.store.scrub import scrub_all
from node.store.whole import lengthened

SCHEMA_KEY: Final = b"schema"
"""Where in the table `meta` the version stands."""

DATA_FILE: Final = "data.mdb"
DBS_MAX: Final = len(TABLE_NAMES) + 8


def check_schema(path: Path) -> None:
    """Look at the version of a store without touching a byte of it.

    Raises:
        DowngradeRefused, StoreTooOld: another version wrote it.
        StoreDamaged: it is no store, it was cut off, or the version cannot be read.
    """
    found = stored_schema(path)
    if found is not None:
        refuse_other_schema(path, found)


def stored_schema(path: Path) -> int | None:
    """The version of a store, without touching a byte of it; None when it has no tables yet.

    Only a store of today's schema is given the length that its file may lack.

    Raises:
        StoreDamaged: it is no store, it was cut off, or the version cannot be read.
    """
    file = path / DATA_FILE
    if not file.exists():
        return None
    size, ours = file.stat().st_size, False
    try:
        with lmdb.open(str(path), readonly=True, lock=False, max_dbs=DBS_MAX, create=False) as env:
            short = lengthened(env, file)
            try:
                with env.begin() as txn:
                    meta = env.open_db(b"meta", txn=txn, create=False)
                    value = txn.get(SCHEMA_KEY, db=meta)
                    found = None if value is None else int(unseal("meta", SCHEMA_KEY, value))
                    if short and found in {None, SCHEMA_VERSION}:
                        scrub_all(txn, open_tables(env, txn, create=False))
                        ours = True
            finally:
                if short and not ours:
                    os.truncate(file, size)
    except lmdb.NotFoundError:
        return None  # the process died before it had made the tables: nothing is lost
    except (lmdb.Error, CorruptRecord, ValueError) as error:
        raise damaged(path, error) from error
    return found


def damaged(path: Path, error: Exception, done: str = "opened") -> StoreDamaged:
    """What is said of a store that cannot be used."""
    return StoreDamaged(
        f"the store in {path} cannot be {done}",
        why=str(error),
        fix="Set the folder aside and let the node rebuild from its peers",
    )
