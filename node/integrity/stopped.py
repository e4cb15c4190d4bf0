"""A scrub of the folder of a stopped node.

Law: nothing is written, not even a lock: the store is opened to be read, after its pages were held
to be sound.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import lmdb

from node.errors import UsageError
from node.store.environment import DATA_FILE, SCHEMA_KEY
from node.store.errors import CorruptRecord
from node.store.folder import current_path, set_aside_stores
from node.store.pages import BadPage, check_file
from node.store.proving import digest_of
from node.store.rows import decode_head
from node.store.schema import (
    TABLE_NAMES,
    Tables,
    Transaction,
    open_tables,
    refuse_other_schema,
    unseal,
)
from node.store.scrub import in_pieces
from node.store.writing import HEAD_KEY

_SLICE_ROWS: Final = 2_000
_DBS_MAX: Final = 64


def scrub_stopped(data_dir: Path, told: Callable[[float], None]) -> dict[str, Any]:
    """Read the live store of a stopped node; what GET /integrity would tell, as far as it is known.

    Args:
        data_dir: whose store.
        told: how far it is, 0 to 1.

    Raises:
        UsageError: there is no store.
        DowngradeRefused, StoreTooOld: another version wrote it.
        StoreDamaged: CURRENT leads nowhere.
    """
    path = current_path(data_dir)
    if path is None or not (path / DATA_FILE).is_file():
        raise UsageError(f"there is no store in {data_dir}", fix="Name the folder of a node")
    trouble, rows, bad = "", 0, list[CorruptRecord]()
    try:
        check_file(path / DATA_FILE)
        rows, bad = _rows(path, told)
    except (BadPage, CorruptRecord, ValueError) as error:
        trouble = str(error)
    left: dict[str, int] = {"pages": 1} if trouble else {}
    for one in bad:
        left[one.table] = left.get(one.table, 0) + 1
    return {
        "whole": not left,
        "last_pass_rows": rows,
        "corrupt": sum(left.values()),
        "repaired": 0,
        "left": left,
        "quarantined": len({one.key for one in bad if one.table == "records"}),
        "aside": [folder.name for folder in set_aside_stores(data_dir)],
        "trouble": trouble,
    }


def _rows(path: Path, told: Callable[[float], None]) -> tuple[int, list[CorruptRecord]]:
    bad: list[CorruptRecord] = []
    with lmdb.open(str(path), readonly=True, lock=False, create=False, max_dbs=_DBS_MAX) as env:
        tables = open_tables(env, None, create=False)
        with env.begin() as txn:
            version = unseal("meta", SCHEMA_KEY, txn.get(SCHEMA_KEY, b"", db=tables.meta))
            refuse_other_schema(path, int(version))
            total = sum(txn.stat(getattr(tables, name))["entries"] for name in TABLE_NAMES)
            bad += in_pieces(txn, tables, _SLICE_ROWS, told)
            if not bad and not _adds_up(txn, tables):
                bad.append(CorruptRecord("meta", b"digest", "what is stored is not its digest"))
    return total, bad


def _adds_up(txn: Transaction, tables: Tables) -> bool:
    value = txn.get(HEAD_KEY, db=tables.meta)
    digest = 0 if value is None else decode_head(unseal("meta", HEAD_KEY, value)).digest
    return digest_of(txn, tables) == digest
