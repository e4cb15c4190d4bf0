"""The store of a node that does not run, opened to be read.

Law: not a byte of it is changed, whatever state it is in. The directory lock is held
meanwhile, so no node starts on it.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import lmdb

from crdt.genesis import decode_standing
from node.store import CorruptRecord, StoreDamaged
from node.store.environment import DATA_FILE, SCHEMA_KEY
from node.store.folder import current_path
from node.store.schema import (
    TABLE_NAMES,
    Tables,
    Transaction,
    open_tables,
    refuse_other_schema,
    unseal,
)
from node.store.writing import GENESIS_KEY

T = TypeVar("T")
_DBS_MAX: Final = len(TABLE_NAMES) + 8


@dataclass(frozen=True, slots=True)
class StoppedStore:
    """A store that nobody writes; a `node.audit.ops_walk.Reading`."""

    env: lmdb.Environment
    tables: Tables

    def read(self, look: Callable[[Transaction], T]) -> T:
        """Run a look at its one state."""
        with self.env.begin() as txn:
            return look(txn)

    def cluster(self) -> str | None:
        """The name of the mesh that it belongs to; None while it belongs to none.

        Raises:
            CorruptRecord: what it says is damaged.
        """
        table = self.tables.meta
        value = self.read(lambda txn: txn.get(GENESIS_KEY, db=table))
        standing = None if value is None else decode_standing(unseal("meta", GENESIS_KEY, value))
        return None if standing is None else standing.genesis.cluster

    def bundles(self) -> int:
        """How many bundles its log names."""
        table = self.tables.log_index
        return self.read(lambda txn: int(txn.stat(table)["entries"]))


@contextmanager
def open_stopped(data_dir: Path) -> Iterator[StoppedStore | None]:
    """Open the live store of a data directory for reading; None when there is none.

    Raises:
        StoreDamaged: it is no store.
        DowngradeRefused, StoreTooOld: another version wrote it.
    """
    path = current_path(data_dir)
    if path is None or not (path / DATA_FILE).exists():
        yield None
        return
    with _whole(path) as whole:
        try:
            env = lmdb.open(str(whole), readonly=True, lock=False, max_dbs=_DBS_MAX, create=False)
        except lmdb.Error as error:
            raise _damaged(path, error) from error
        with env:
            yield _store(path, env)


def _store(path: Path, env: lmdb.Environment) -> StoppedStore | None:
    try:
        tables = open_tables(env, None, create=False)
        with env.begin() as txn:
            value = txn.get(SCHEMA_KEY, db=tables.meta)
            version = None if value is None else int(unseal("meta", SCHEMA_KEY, value))
    except lmdb.NotFoundError:
        return None  # the process died before it had made the tables
    except (lmdb.Error, CorruptRecord, ValueError) as error:
        raise _damaged(path, error) from error
    if version is not None:
        refuse_other_schema(path, version)
    return StoppedStore(env, tables)


def _damaged(path: Path, error: Exception) -> StoreDamaged:
    return StoreDamaged(
        f"the store in {path} cannot be opened",
        why=str(error),
        fix="Set the folder aside and let the node rebuild from its peers",
    )


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """The folder itself, or a copy with its full length.

    LMDB does not write pages that a transaction took and gave back, so a sound file may end
    early; to touch a page beyond the end would be a SIGBUS, and the file itself is not ours to
    lengthen. In the copy a missing page reads as damage.
    """
    file = path / DATA_FILE
    try:
        with lmdb.open(str(path), readonly=True, lock=False, max_dbs=_DBS_MAX, create=False) as env:
            wanted = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    except lmdb.Error as error:
        raise _damaged(path, error) from error
    if file.stat().st_size >= wanted:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="mnemesh-verify-") as folder:
        copy = Path(folder) / DATA_FILE
        shutil.copyfile(file, copy)
        with copy.open("r+b") as whole:
            whole.truncate(wanted)
        yield Path(folder)
