"""A backup, made.

Law: it is built in a part that nobody takes for a backup, verified, and on the disk before it
gets its manifest; the manifest is on the disk before the part gets its name. Whatever dies on
the way leaves every backup that there was. No private key and no API key is in it.
"""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node import __version__
from node.backup.copying import Progress, cannot_write, hot_copy, no_progress, sync_file
from node.backup.folder import (
    PART,
    Found,
    created_ms,
    found,
    held,
    leftovers,
    name_of,
    remove,
    surplus,
    walk,
)
from node.backup.manifest import MANIFEST, RUNNING, STOPPED, Contents, Manifest, signed
from node.backup.notes import LastBackup, note_backup
from node.backup.verifying import contents_of, fact_of, readable, schema_of
from node.errors import IntegrityError, NodeError
from node.store.errors import CorruptRecord, StoreDamaged
from node.store.schema import SCHEMA_VERSION, refuse_other_schema
from transport.identity import NodeKey
from transport.secret_files import sync_folder

SETTINGS: Final = "node"
"""Folder of a backup for what belongs to the node and is no secret."""
_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600
_ENTROPY_BYTES: Final = 4

Step = Callable[[str], object]
"""Told before every step that a death could hit; tests die there."""


def no_step(_name: str) -> None:
    """Nobody dies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is backed up.

    Attributes:
        data_dir: of the node.
        key: signs the manifest.
        name: what people call the node; empty when that is not known.
        runs: whether a node runs on it.
        files: {path below `node/`: file}, of those that are there.
    """

    data_dir: Path
    key: NodeKey
    name: str
    runs: bool
    files: dict[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A backup that was made, what was pruned for it, and how long it took."""

    path: Path
    manifest: Manifest
    pruned: tuple[str, ...]
    kept: int
    seconds: float
    untold: str = ""
    """Why the success could not be noted beside the store; empty when it was."""


def take(
    source: Source,
    folder: Path,
    *,
    keep: int,
    now_ms: int,
    progress: Progress = no_progress,
    step: Step = no_step,
) -> Taken:
    """Make a backup and prune what is too old.

    Args:
        source: of which node.
        folder: where backups are kept; made (0700) when absent.
        keep: how many backups of this node are kept, at least 1.
        now_ms: wall clock, milliseconds since the epoch.
        progress: told (done, total): bytes while it copies, then rows.
        step: see `Step`.

    Raises:
        UsageError: there is nothing to back up.
        IntegrityError: the store is damaged; nothing was made.
        NodeError: the folder cannot be written to, or has no room.
    """
    began = time.monotonic()
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        created = created_ms(found(folder), source.key.node_id.hex(), now_ms)
        part = folder / (name_of(created, os.urandom(_ENTROPY_BYTES)) + PART)
        part.mkdir(mode=_FOLDER_MODE)
        with held(part):
            path, manifest = _make(source, part, created, progress, step)
    except OSError as error:
        raise cannot_write(folder, error) from error
    untold = _note(source.data_dir, path, now_ms)
    step("noted")
    pruned = prune(folder, source.key.node_id.hex(), keep, step)
    return Taken(
        path=path,
        manifest=manifest,
        pruned=tuple(one.id for one in pruned),
        kept=sum(not one.trouble for one in found(folder)),
        seconds=time.monotonic() - began,
        untold=untold,
    )


def _make(
    source: Source, part: Path, created: int, progress: Progress, step: Step
) -> tuple[Path, Manifest]:
    try:
        step("begun")
        hot_copy(source.data_dir, part, progress)
        step("copied")
        contents = _whole(part, progress)
        _copy_files(source, part)
        step("collected")
        manifest = _describe(source, part, contents, created)
        for folder in sorted({path.parent for path in walk(part)}):
            sync_folder(folder)
        _write(part / MANIFEST, signed(manifest, source.key.public, source.key.sign))
        sync_folder(part)
        step("signed")
    except (NodeError, OSError):
        shutil.rmtree(part, ignore_errors=True)
        raise
    path = part.with_name(manifest.id)
    part.rename(path)
    step("named")
    sync_folder(path.parent)
    return path, manifest


def _whole(part: Path, progress: Progress) -> Contents:
    """Verify the copy, and with it the store: a damaged one gives no backup.

    Raises:
        IntegrityError: the store is damaged.
        DowngradeRefused: a newer version wrote it.
    """
    try:
        schema = _schema(part)
        if schema > SCHEMA_VERSION:
            refuse_other_schema(part, schema)
        if schema < SCHEMA_VERSION:  # this program is newer than the node: its rows are not known
            return _only_readable(schema)
        return contents_of(part, progress)
    except (CorruptRecord, StoreDamaged) as error:
        raise IntegrityError(
            "the store is damaged, so no backup was made",
            why=f"{error.what}: {error.why}",
            fix="Mend it: mnemesh scrub --repair; the backups that there are stay as they are",
        ) from error


def _schema(folder: Path) -> int:
    schema = schema_of(folder)
    return schema if schema >= SCHEMA_VERSION else readable(folder)


def _only_readable(schema: int) -> Contents:
    return Contents(
        schema=schema,
        store_id="",
        cluster="",
        genesis="",
        clock={},
        private_operations=0,
        digest="",
        records=0,
        rows={},
    )


def _copy_files(source: Source, part: Path) -> None:
    for name, file in sorted(source.files.items()):
        target = part / SETTINGS / name
        target.parent.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        _write(target, file.read_bytes())


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    sync_file(path)


def _describe(source: Source, part: Path, contents: Contents, created: int) -> Manifest:
    files = sorted((fact_of(part, path) for path in walk(part)), key=lambda file: file.path)
    return Manifest(
        id=part.name.removesuffix(PART),
        created_ms=created,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created / 1000)),
        version=__version__,
        node_id=source.key.node_id.hex(),
        name=source.name,
        source=RUNNING if source.runs else STOPPED,
        data_dir=str(source.data_dir),
        contents=contents,
        files=tuple(files),
    )


def _note(data_dir: Path, path: Path, now_ms: int) -> str:
    """Note the success for the node; a backup that cannot be noted is a backup all the same."""
    try:
        note_backup(data_dir, LastBackup(at_ms=now_ms, path=str(path), id=path.name))
    except OSError as error:
        return f"{data_dir} cannot be written to: {error.strerror or error}"
    return ""


def prune(folder: Path, node_id: str, keep: int, step: Step = no_step) -> list[Found]:
    """Remove what is too old, and what died half made; returns the backups that went.

    Raises:
        NodeError: the folder does not allow it.
    """
    gone = surplus(found(folder), node_id, keep)
    for one in gone:
        step("prune")
        remove(one.path)
    for part in leftovers(folder):
        step("leftover")
        remove(part)
    sync_folder(folder)
    return gone
