"""What makes a backup valid: signature, hashes, and a store that adds up.

Law: nothing is believed that was not looked at. Every file has the hash that was signed; the
store opens; every row has its checksum; records and pending rows add up to the digest; clock and
numbers of rows are those that were signed. Nothing of a backup is changed by looking.
"""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import lmdb

from crdt.digest import digest_text
from crdt.dot import PRIVATE, actor_text
from crdt.genesis import decode_standing
from node.backup.copying import Progress, no_progress
from node.backup.folder import check_files, manifest_in
from node.backup.manifest import BadBackup, Contents, FileFact, Manifest
from node.store import whole
from node.store.environment import DATA_FILE, SCHEMA_KEY
from node.store.errors import CorruptRecord, StoreDamaged
from node.store.proving import digest_of
from node.store.rows import Head, decode_actor, decode_head, read_standing
from node.store.schema import (
    SCHEMA_VERSION,
    TABLE_NAMES,
    Tables,
    Transaction,
    open_tables,
    refuse_other_schema,
    unseal,
)
from node.store.scrub import in_pieces
from node.store.writing import GENESIS_KEY, HEAD_KEY, STORE_ID_KEY

_DBS_MAX: Final = len(TABLE_NAMES) + 8
_CHUNK_BYTES: Final = 4 << 20
_ROWS_PER_STEP: Final = 20_000

Take = Callable[[bytes], object]
"""Gets what is read, piece by piece."""


def verify_backup(path: Path, progress: Progress = no_progress) -> Manifest:
    """Verify all of a backup; returns what it says of itself.

    Args:
        path: its folder.
        progress: told (done, total): bytes first, then rows.

    Raises:
        BadBackup: it is not what was made.
        DowngradeRefused: a newer version made it.
        OSError: it cannot be read.
    """
    manifest = manifest_in(path)
    check_files(path, manifest)
    done, total = 0, manifest.size_bytes
    for file in manifest.files:
        done = check_hash(path, file, progress, done, total)
    check_contents(path, manifest, progress)
    return manifest


def check_hash(
    path: Path,
    file: FileFact,
    progress: Progress = no_progress,
    done: int = 0,
    total: int = 0,
    take: Take = len,
) -> int:
    """Read a file of a backup and compare it with what was signed.

    Args:
        path: folder of the backup.
        file: which one.
        progress: told (done, total) in bytes.
        done: bytes of earlier files.
        total: bytes of all files.
        take: gets what is read.

    Returns:
        `done`, with this file.

    Raises:
        BadBackup: it is another one.
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with (path / file.path).open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
            take(chunk)
            size += len(chunk)
            progress(done + size, total)
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise BadBackup("a file of it is not the one that was signed", why=file.path)
    return done + size


def fact_of(folder: Path, path: Path) -> FileFact:
    """What a manifest says of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    name = path.relative_to(folder).as_posix()
    return FileFact(path=name, bytes=size, sha256=digest.hexdigest())


def check_contents(folder: Path, manifest: Manifest, progress: Progress = no_progress) -> None:
    """Make sure that a copied store holds what a manifest says.

    One of an older schema can only be read, not added up: its rows are known to the hash alone.

    Raises:
        BadBackup: it does not.
        DowngradeRefused: a newer version made it.
    """
    wanted = manifest.contents
    if wanted.schema != SCHEMA_VERSION:
        if wanted.schema > SCHEMA_VERSION:
            refuse_other_schema(folder, wanted.schema)
        if readable(folder) != wanted.schema:
            raise BadBackup("its store is of another schema than was signed")
        return
    try:
        found = contents_of(folder, progress)
    except (CorruptRecord, StoreDamaged) as error:
        raise BadBackup("its store is damaged", why=f"{error.what}: {error.why}") from error
    if found != wanted:
        odd = next(
            name
            for name in Contents.__dataclass_fields__
            if getattr(found, name) != getattr(wanted, name)
        )
        raise BadBackup("its store does not hold what was signed", why=odd.replace("_", " "))


def readable(folder: Path) -> int:
    """Read every row of a store of any schema, in a process of its own; returns its schema.

    A damaged page may end whoever reads it.

    Raises:
        BadBackup: it cannot be read.
    """
    command = [sys.executable, "-P", whole.__file__, str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - the node's own
    if done.returncode:
        raise BadBackup("its store cannot be read", why=f"{folder / DATA_FILE} is damaged")
    try:
        return schema_of(folder)
    except StoreDamaged as error:
        raise BadBackup("its store cannot be read", why=error.why) from error


def schema_of(folder: Path) -> int:
    """The version of the tables in a folder.

    Raises:
        StoreDamaged: it is no store, or does not say.
    """
    try:
        with _opened(folder) as env, env.begin() as txn:
            value = txn.get(SCHEMA_KEY, db=env.open_db(b"meta", txn=txn, create=False))
        return int(unseal("meta", SCHEMA_KEY, value or b""))
    except (lmdb.Error, CorruptRecord, ValueError) as error:
        raise _damaged(folder, error) from error


def contents_of(folder: Path, progress: Progress = no_progress) -> Contents:
    """Read all of a copied store, of the schema of this program, and say what it holds.

    Args:
        folder: holds `data.mdb`, which nobody writes.
        progress: told (rows done, rows).

    Raises:
        CorruptRecord, StoreDamaged: a row or a page is damaged, or the sum is another one.
    """
    try:
        with _opened(folder) as env, env.begin() as txn:
            tables = open_tables(env, txn, create=False)
            return _contents(txn, tables, progress)
    except CorruptRecord:
        raise
    except (lmdb.Error, ValueError) as error:
        raise _damaged(folder, error) from error


def _contents(txn: Transaction, tables: Tables, progress: Progress) -> Contents:
    rows = {name: int(txn.stat(getattr(tables, name))["entries"]) for name in TABLE_NAMES}
    total = sum(rows.values())
    for error in in_pieces(
        txn, tables, _ROWS_PER_STEP, lambda part: progress(int(part * total), total)
    ):
        raise error

    def meta(key: bytes) -> bytes | None:
        value = txn.get(key, db=tables.meta)
        return None if value is None else unseal("meta", key, value)

    stored = meta(HEAD_KEY)
    head = Head() if stored is None else decode_head(stored)
    digest = digest_of(txn, tables)
    if digest != head.digest:
        raise CorruptRecord("meta", HEAD_KEY, "the records do not add up to its digest")
    clock, private = _clock(txn, tables)
    standing = decode_standing(meta(GENESIS_KEY) or b"")
    return Contents(
        schema=int(meta(SCHEMA_KEY) or b"0"),
        store_id=(meta(STORE_ID_KEY) or b"").hex(),
        cluster="" if standing is None else standing.genesis.cluster,
        genesis="" if standing is None else standing.genesis.id.hex(),
        clock=clock,
        private_operations=private,
        digest=digest_text(digest),
        records=sum(bool(read_standing(at, row).data) for at, row in txn.cursor(db=tables.feed)),
        rows=rows,
    )


def _clock(txn: Transaction, tables: Tables) -> tuple[dict[str, int], int]:
    clock, private = {}, 0
    for actor, value in txn.cursor(db=tables.actors):
        seq = decode_actor(unseal("actors", actor, value)).seq
        if actor[:1] == PRIVATE:
            private += seq
        else:
            clock[actor_text(actor)] = seq
    return clock, private


@contextmanager
def _opened(folder: Path) -> Iterator[lmdb.Environment]:
    """A store that nobody writes, whole as far as its head says."""
    env = lmdb.open(str(folder), readonly=True, lock=False, create=False, max_dbs=_DBS_MAX)
    with env:
        wanted = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
        if (folder / DATA_FILE).stat().st_size < wanted:
            raise lmdb.CorruptedError(f"the file ends before byte {wanted}")
        yield env


def _damaged(folder: Path, error: Exception) -> StoreDamaged:
    return StoreDamaged(f"the store in {folder} cannot be read", why=str(error))
