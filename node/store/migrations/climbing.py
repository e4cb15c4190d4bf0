"""The ladder, climbed: from the schema that a store has to today's.

Law: before the first step there is a snapshot. Each step and its new version are one
transaction; what the last one made is read as a whole before it is committed, and once more
from the disk: a mark in the store says that this is owed, so that a death in between lets
nobody use what was not read. For the holder of the directory lock, with the store closed.
"""

import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import lmdb
import msgpack

from node import failpoints
from node.errors import DiskError, Exit, NodeError
from node.store.environment import (
    DATA_FILE,
    MAP_BYTES_DEFAULT,
    SCHEMA_KEY,
    open_file,
)
from node.store.errors import CorruptRecord, StoreDamaged
from node.store.folder import current_path, incoming_folders
from node.store.migrations.before import DBS_MAX, MigrationRefused, check_room, take
from node.store.migrations.checking import check_today
from node.store.migrations.ladder import LADDER, Step, steps_from
from node.store.migrations.stage import Stage
from node.store.pages import BadPage, check_file
from node.store.schema import SCHEMA_VERSION, refuse_other_schema, sealed, unseal
from node.store.version import stored_schema
from node.store.whole import lengthened

OWED_KEY: Final = b"migration"
"""In the table `meta`: the schema a store had and the name of its snapshot, until it was read."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
Tell = Callable[..., None]
"""Takes the name of an event and its facts."""


class MigrationUnsound(NodeError):  # noqa: N818 - it says what is, like its siblings
    """What a migration wrote reads back otherwise.

    No `IntegrityError`: nobody shall set the store aside and go on without a person, who has a
    sound snapshot to go back to.
    """

    exit_code = Exit.INTEGRITY
    code = "migration_unsound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Climbed:
    """What a migration did.

    Attributes:
        source: the schema that the store had.
        target: the schema that it has.
        snapshot: where it was left as it was.
        rows: how many rows were written.
        seconds: how long it took in all.
    """

    source: int
    target: int
    snapshot: Path
    rows: int
    seconds: float


def climb(
    data_dir: Path,
    *,
    entropy: Callable[[int], bytes],
    map_bytes: int = MAP_BYTES_DEFAULT,
    tell: Tell = lambda _event, **_facts: None,
    ladder: Sequence[Step] = LADDER,
) -> Climbed | None:
    """Bring the live store of a data directory up to today's schema; None when it is.

    Args:
        data_dir: whose lock the caller holds.
        entropy: gives that many random bytes; names the snapshot.
        map_bytes: size of the memory map, at least.
        tell: takes `store_saved`, `store_migrated` and `store_proven`.
        ladder: the steps there are.

    Raises:
        DowngradeRefused, StoreTooOld, MigrationRefused: the store was left untouched.
        StoreDamaged: it cannot be read.
        MigrationUnsound: what the steps made of it is not what is on the disk.
        DiskError: the disk failed; the store is as before or as after a step.
    """
    store = current_path(data_dir)
    if store is None or not (store / DATA_FILE).exists():
        return None
    found = stored_schema(store)
    if found is None or (found == SCHEMA_VERSION and not _owes(store)):
        return None
    if found > SCHEMA_VERSION:
        refuse_other_schema(store, found)
    steps = steps_from(found, ladder)
    began = time.monotonic()
    with _opened(store, map_bytes) as env:
        rows = 0
        if steps:
            check_room(env, store, steps)
            snapshot = take(env, store, steps, entropy)
            tell("store_saved", path=str(snapshot), schema=found)
        for step in steps:
            since = time.monotonic()
            done = _step(env, store, step, found, snapshot)
            rows += done
            ms = round((time.monotonic() - since) * 1000)
            tell("store_migrated", source=step.source, target=step.target, rows=done, ms=ms)
            failpoints.hit("migration.stepped")
        source, snapshot = _prove(env, store)
    seconds = time.monotonic() - began
    tell("store_proven", schema=SCHEMA_VERSION, snapshot=str(snapshot))
    return Climbed(
        source=source, target=SCHEMA_VERSION, snapshot=snapshot, rows=rows, seconds=seconds
    )


def drop_old_incoming(data_dir: Path) -> list[Path]:
    """Throw away snapshots of peers that an older program had half received.

    Returns:
        What is gone.
    """
    gone = []
    for folder in incoming_folders(data_dir):
        found = stored_schema(folder)
        if found is not None and found < SCHEMA_VERSION:
            shutil.rmtree(folder)
            gone.append(folder)
    return gone


@contextmanager
def _opened(store: Path, map_bytes: int) -> Iterator[lmdb.Environment]:
    """The data file, whole; its length is given back when nothing was written."""
    file = store / DATA_FILE
    size = file.stat().st_size
    env = open_file(store, max(map_bytes, 8 * size), durable=True)
    short, before = False, env.info()["last_txnid"]
    try:
        short = lengthened(env, file)
        yield env
    except lmdb.Error as error:
        raise StoreDamaged(f"the store in {store} cannot be read", why=str(error)) from error
    finally:
        changed = env.info()["last_txnid"] != before
        env.close()
        if short and not changed:
            os.truncate(file, size)


def _owes(store: Path) -> bool:
    """Whether a store of today's schema was never read since it was migrated."""
    with (
        lmdb.open(str(store), readonly=True, lock=False, max_dbs=DBS_MAX, create=False) as env,
        env.begin() as txn,
    ):
        meta = env.open_db(b"meta", txn=txn, create=False)
        return txn.get(OWED_KEY, db=meta) is not None


def _step(env: lmdb.Environment, store: Path, step: Step, source: int, snapshot: Path) -> int:
    """One step and its version, in one transaction; returns how many rows it wrote."""
    txn = env.begin(write=True)
    try:
        stage = Stage(env, txn)
        rows = step.work(stage)
        meta = stage.table("meta")
        txn.put(SCHEMA_KEY, sealed(SCHEMA_KEY, b"%d" % step.target), db=meta)
        owed = msgpack.packb([source, snapshot.name])
        txn.put(OWED_KEY, sealed(OWED_KEY, owed), db=meta)
        if step.target == SCHEMA_VERSION:
            check_today(env, txn)
        failpoints.hit("migration.step")
        txn.commit()
    except (NodeError, lmdb.Error, OSError) as error:
        txn.abort()
        raise _fault(store, step, error) from error
    except BaseException:
        txn.abort()
        raise
    return rows


def _fault(store: Path, step: Step, error: Exception) -> NodeError:
    """Why a step was undone, by what has to happen next."""
    code = getattr(error, "errno", None) or getattr(error, "code", 0)
    if isinstance(error, (CorruptRecord, StoreDamaged, lmdb.MapFullError)) or code in _FULL:
        return MigrationRefused(
            f"the store in {store} could not be brought from schema {step.source} to {step.target}",
            why=str(error),
            fix=f"It still has schema {step.source}: mend what is said and start again, or install "
            "the older version",
        )
    return DiskError(
        f"writing to {store} failed",
        why=str(error),
        fix="Check the disk before the next start; each step is done as a whole or not at all",
    )


def _prove(env: lmdb.Environment, store: Path) -> tuple[int, Path]:
    """Read the whole store, then take the mark away; returns the schema before and the snapshot.

    Raises:
        MigrationUnsound: it is not sound.
    """
    with env.begin() as txn:
        meta = env.open_db(b"meta", txn=txn, create=False)
        owed = txn.get(OWED_KEY, db=meta, default=b"")
        source, name = msgpack.unpackb(unseal("meta", OWED_KEY, owed))
    snapshot = store.with_name(name)
    try:
        check_file(store / DATA_FILE)
        with env.begin() as txn:
            check_today(env, txn)
    except (NodeError, lmdb.Error, BadPage) as error:
        raise MigrationUnsound(
            f"the store in {store} is not sound after its migration, and is not used",
            why=str(error),
            fix=f"Put the snapshot in its place: mnemesh upgrade back --from {snapshot}, then "
            "install the older version",
        ) from error
    failpoints.hit("migration.proven")
    try:
        with env.begin(write=True) as txn:
            txn.delete(OWED_KEY, db=env.open_db(b"meta", txn=txn, create=False))
    except (lmdb.Error, OSError) as error:
        raise DiskError(
            f"writing to {store} failed", why=str(error), fix="Check the disk and start again"
        ) from error
    return source, snapshot
