"""The snapshot before a migration: taken, read back, and on the disk before anything changes.

Law: a snapshot has its name only when every row of it was read under the schema it was taken
of, and when it is on the disk by name; what a death leaves of one has another name and is
thrown away. Of one store and one pair of schemas the newest is kept.

    <store>.pre-migration-v<from>-to-v<to>-<token>.bak    one LMDB data file
"""

import errno
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import lmdb

from node import failpoints
from node.errors import DiskError, NodeError, Refused
from node.store.environment import DATA_FILE
from node.store.folder import BEFORE_MIGRATION
from node.store.migrations.checking import check_digest
from node.store.migrations.ladder import Step
from node.store.migrations.stage import Stage
from node.store.pages import BadPage, check_file
from transport.secret_files import sync_folder

DBS_MAX: Final = 64
_NAME: Final = re.compile(r"(store-[0-9a-f]+)\.pre-migration-v(\d+)-to-v(\d+)-([0-9a-f]+)\.bak")
_PART: Final = ".part"
_SLACK_BYTES: Final = 8 << 20
_TOKEN_BYTES: Final = 4


class MigrationRefused(Refused):
    """The store was not changed: what has to be there before was not."""

    code = "migration_refused"


def room_needed(used: int, steps: tuple[Step, ...]) -> int:
    """Bytes that a snapshot and the new tables of a store of that size take."""
    return used + sum(int(step.growth * used) for step in steps) + _SLACK_BYTES


def check_room(env: lmdb.Environment, store: Path, steps: tuple[Step, ...]) -> int:
    """Make sure that the disk takes a snapshot and the new tables; returns the bytes needed.

    Raises:
        MigrationRefused: it does not.
    """
    needed = room_needed((env.info()["last_pgno"] + 1) * env.stat()["psize"], steps)
    free = shutil.disk_usage(store).free
    if free < needed:
        raise MigrationRefused(
            f"there is no room to migrate the store in {store}",
            why=f"the snapshot and the new tables need {needed} bytes, {free} are free",
            fix="Free some space and start again; the store was left untouched",
        )
    return needed


def take(
    env: lmdb.Environment,
    store: Path,
    steps: tuple[Step, ...],
    entropy: Callable[[int], bytes],
) -> Path:
    """Take the snapshot of an open store that will be migrated; returns its file.

    Raises:
        MigrationRefused: it cannot be written, or what was written is not a sound store.
        DiskError: the disk said EIO; the store was left untouched.
    """
    token = entropy(_TOKEN_BYTES).hex()
    schemas = f"{steps[0].source}-to-v{steps[-1].target}"
    file = store.with_name(f"{store.name}{BEFORE_MIGRATION}{schemas}-{token}.bak")
    part = file.with_name(file.name + _PART)
    for left in store.parent.glob(f"{store.name}{BEFORE_MIGRATION}*{_PART}"):
        left.unlink()
    failpoints.hit("migration.snapshot")
    try:
        check_file(store / DATA_FILE)
        _copy(env, part)
        failpoints.hit("migration.copied")
        check_snapshot(part, steps[0])
        part.rename(file)
        sync_folder(file.parent)
    except (lmdb.Error, OSError, NodeError, BadPage) as error:
        with suppress(OSError):
            part.unlink()
        if errno.EIO in {getattr(error, "errno", 0), getattr(error, "code", 0)}:
            raise DiskError(
                f"the disk failed while a snapshot of the store in {store} was taken",
                why=str(error),
                fix="Check the disk before the next start; the store was left untouched",
            ) from error
        raise MigrationRefused(
            f"no sound snapshot of the store in {store} could be taken before its migration",
            why=str(error),
            fix="Free or mend the disk and start again; the store was left untouched. A damaged "
            "store is rebuilt from peers: remove the file CURRENT beside it",
        ) from error
    for older in store.parent.glob(f"{store.name}{BEFORE_MIGRATION}{schemas}-*.bak"):
        if older != file:
            older.unlink()
    failpoints.hit("migration.saved")
    return file


def _copy(env: lmdb.Environment, part: Path) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        env.copyfd(handle, compact=True)
        os.fsync(handle)
    finally:
        os.close(handle)


def check_snapshot(file: Path, step: Step) -> int:
    """Open a snapshot and read every row under its own schema; returns how many there are.

    Raises:
        BadPage, CorruptRecord, StoreDamaged: it is not sound.
        lmdb.Error: it is no store.
    """
    check_file(file)  # first: a page that is not one may end the process that follows it
    with lmdb.open(
        str(file), subdir=False, readonly=True, lock=False, max_dbs=DBS_MAX, create=False
    ) as env:
        return check_before(env, step)


def check_before(env: lmdb.Environment, step: Step) -> int:
    """Verify an open store of the schema that a step reads; returns how many rows it has.

    Raises:
        CorruptRecord, StoreDamaged, lmdb.Error: it is not sound.
    """
    with env.begin() as txn:
        stage = Stage(env, txn)
        rows = step.check(stage)
        check_digest(stage, step.weights(stage))
    return rows


def snapshots_of(data_dir: Path) -> list[Path]:
    """The snapshots of migrations in a data directory, the oldest first."""
    found = [path for path in data_dir.glob(f"store-*{BEFORE_MIGRATION}*.bak") if is_snapshot(path)]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def is_snapshot(path: Path) -> bool:
    """Whether a file has the name of a snapshot of a migration."""
    return _NAME.fullmatch(path.name) is not None and path.is_file()


def schema_of(file: Path) -> int | None:
    """The schema of the store in a snapshot, by its name; None when it is none."""
    found = _NAME.fullmatch(file.name)
    return None if found is None else int(found[2])
