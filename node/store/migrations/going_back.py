"""From a migrated store back to what it was, for the older program.

Law: the snapshot is read as a whole before it is put in place, and stays where it is; the store
that was in place is set aside, never removed. What was written since the migration is in that
one and at the peers, which bring it back; a node that starts counts under a new actor, so no
number is used twice.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb

from node.errors import NodeError
from node.store.environment import DATA_FILE
from node.store.folder import new_folder, swap
from node.store.migrations.before import DBS_MAX, MigrationRefused, check_snapshot, schema_of
from node.store.migrations.checking import check_today
from node.store.migrations.ladder import steps_from
from node.store.pages import BadPage, check_file
from node.store.schema import SCHEMA_VERSION, TABLE_NAMES, open_tables, refuse_other_schema
from transport.secret_files import sync_folder


def prove_snapshot(file: Path) -> tuple[int, int]:
    """Read a snapshot of a migration as a whole; returns its schema and how many rows it has.

    Raises:
        MigrationRefused: it is none, or not sound.
        StoreTooOld, DowngradeRefused: this program reads no store of that schema.
    """
    schema = schema_of(file)
    if schema is None or not file.is_file():
        raise MigrationRefused(
            f"{file} is no snapshot of a migration",
            fix="See mnemesh upgrade plan for those that there are",
        )
    if schema > SCHEMA_VERSION:
        refuse_other_schema(file, schema)
    steps = steps_from(schema)
    try:
        # The program that is gone back to may be the one that is asked: then it has no step there.
        return schema, check_snapshot(file, steps[0]) if steps else _check_today(file)
    except (NodeError, lmdb.Error, BadPage) as error:
        raise MigrationRefused(
            f"{file} is not sound; nothing was changed",
            why=str(error),
            fix="Take another snapshot, or let the node rebuild from its peers",
        ) from error


def _check_today(file: Path) -> int:
    """Read a file of today's schema as a whole; returns how many rows it has."""
    check_file(file)
    with (
        lmdb.open(
            str(file), subdir=False, readonly=True, lock=False, max_dbs=DBS_MAX, create=False
        ) as env,
        env.begin() as txn,
    ):
        check_today(env, txn)
        tables = open_tables(env, txn, create=False)
        return sum(int(txn.stat(getattr(tables, name))["entries"]) for name in TABLE_NAMES)


def go_back(data_dir: Path, file: Path, *, now_ms: int, entropy: Callable[[int], bytes]) -> Path:
    """Put a snapshot in the place of the live store; returns the folder of the store.

    Args:
        data_dir: whose lock the caller holds.
        file: the snapshot; see `snapshots_of`.
        now_ms: local time, for the name of what is set aside.
        entropy: gives that many random bytes.

    Raises:
        MigrationRefused, StoreTooOld, DowngradeRefused: the snapshot cannot be used; nothing was
            changed.
        OSError: the disk; nothing was changed.
    """
    prove_snapshot(file)
    folder = new_folder(data_dir, "next", entropy)
    folder.mkdir(mode=0o700)
    try:
        shutil.copyfile(file, folder / DATA_FILE)
        (folder / DATA_FILE).chmod(0o600)
        with (folder / DATA_FILE).open("rb") as copied:
            os.fsync(copied.fileno())
        sync_folder(folder)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return swap(data_dir, folder, now_ms, replaced=False)
