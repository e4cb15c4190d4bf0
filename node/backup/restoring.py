"""A store brought back from a backup.

Law: verified is what was copied, beside the live store, before the live store is touched; the
rename of CURRENT is the moment of the swap, and the store before it stays, aside, for ever. What
comes back has a new store id, so that no index and no cursor of the lost time fits it. From
before the swap until the node has pulled, a note says that it was restored.

To be done with the directory lock held. What dies on the way leaves a node that starts: on the
old store before the swap, on the restored one after it.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lmdb

from node.backup.belonging import Target, check_is_ours
from node.backup.copying import Progress, no_progress, sync_file
from node.backup.earlier import earlier_at, is_earlier
from node.backup.folder import Found, check_files, look, manifest_in
from node.backup.manifest import DATA, BadBackup, Manifest
from node.backup.notes import Restored, give_to_owner, note_restored, recovering
from node.backup.taking import SETTINGS, Step, no_step
from node.backup.verifying import check_contents, check_hash, contents_of, readable, schema_of
from node.errors import IntegrityError, Refused, UsageError
from node.store.environment import DATA_FILE
from node.store.errors import CorruptRecord, StoreDamaged
from node.store.folder import current_path, install, new_folder
from node.store.room import check_room
from node.store.schema import SCHEMA_VERSION, TABLE_NAMES, refuse_other_schema, sealed
from node.store.writing import STORE_ID_KEY
from transport.secret_files import sync_folder

_DBS_MAX: Final = len(TABLE_NAMES) + 8
_STORE_ID_BYTES: Final = 8
_CHUNK_BYTES: Final = 4 << 20
_FILE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How it is done.

    Attributes:
        verify: whether to verify first.
        founder: whether there is nobody to pull from.
        of_another: whether a backup of another node or mesh is meant.
        now_ms: wall clock, milliseconds since the epoch.
        progress: told (done, total).
        step: tests die there.
    """

    now_ms: int
    verify: bool = True
    founder: bool = False
    of_another: bool = False
    progress: Progress = no_progress
    step: Step = no_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was restored.

    Attributes:
        backup: id of the backup, or name of the file.
        path: where it lies.
        manifest: of it; None for a copy that a migration made.
        skipped: (id, why) of newer ones that were not taken.
        store: folder of the restored store; None when nothing was changed.
        aside: where the store before it is; None when there was none.
        put: files of the node that were put where none was.
        schema: of the restored store.
    """

    backup: str
    path: Path
    manifest: Manifest | None
    skipped: tuple[tuple[str, str], ...]
    store: Path | None
    aside: Path | None
    put: tuple[str, ...]
    schema: int


def candidates(source: Path, wanted: str | None, there: list[Found]) -> list[Found]:
    """Which backups may be restored, best first.

    Raises:
        UsageError: there is none, or none of that id.
    """
    if wanted is not None:
        if not (source / wanted).is_dir() or "/" in wanted:
            raise UsageError(f"there is no backup {wanted} in {source}", fix=_LIST)
        return [look(source / wanted)]
    if not there:
        raise UsageError(f"there is no backup in {source}", fix=_LIST)
    return there


_LIST: Final = "See mnemesh backup list --from DIR"


def restore(target: Target, listed: list[Found], wish: Wish) -> Outcome:
    """Restore the first of some backups that holds.

    Args:
        target: where to.
        listed: backups, best first.
        wish: how.

    Raises:
        IntegrityError: none of them holds; nothing was changed.
        Refused: the best that holds is of another node or mesh.
        DowngradeRefused: a newer version made it.
        NodeError: there is no room, or the folder cannot be written to.
    """
    skipped: list[tuple[str, str]] = []
    refused: Refused | None = None
    for one in listed:
        try:
            manifest = _manifest(one, verify=wish.verify)
            check_is_ours(target, manifest, of_another=wish.of_another)
            with _scratch(target.data_dir) as built:
                _copy_checked(one.path, manifest, built, wish)
                return _put_in_place(target, one, manifest, built, wish, tuple(skipped))
        except Refused as error:
            refused = refused or error
            skipped.append((one.id, error.what))
        except BadBackup as error:
            skipped.append((one.id, f"{error.what}: {error.why}" if error.why else error.what))
    if refused is not None:
        raise refused
    raise IntegrityError(
        "no backup holds, so nothing was restored",
        why="; ".join(f"{name}: {why}" for name, why in skipped),
        fix="Name another folder; a member with peers needs none: it fills an empty store",
    )


def built_from(one: Found, built: Path, wish: Wish) -> Manifest:
    """Build the store of a backup, as a restore would, in an existing empty folder.

    Raises:
        BadBackup: the backup does not hold.
        DowngradeRefused: a newer version made it.
        NoRoom: there is no room for it.
    """
    manifest = _manifest(one, verify=wish.verify)
    _copy_checked(one.path, manifest, built, wish)
    renamed_store(built, os.urandom)
    return manifest


def _manifest(one: Found, *, verify: bool) -> Manifest:
    manifest = manifest_in(one.path)
    if verify:
        check_files(one.path, manifest)
    if manifest.contents.schema > SCHEMA_VERSION:
        refuse_other_schema(one.path, manifest.contents.schema)
    return manifest


# --- beside the live store -----------------------------------------------------------------


class _scratch:  # noqa: N801 - a context manager, called like a function
    """A folder in which a store is built; gone again unless it became the live one."""

    def __init__(self, data_dir: Path) -> None:
        self.path = new_folder(data_dir, "next", os.urandom)

    def __enter__(self) -> Path:
        self.path.mkdir(mode=0o700, parents=True)
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


def _copy_checked(path: Path, manifest: Manifest, built: Path, wish: Wish) -> None:
    """Copy the store of a backup; what is verified is the copy that was read."""
    check_room(built, manifest.data.bytes)
    if not wish.verify:
        _copy(path / DATA, built, wish)
        if schema_of(built) > SCHEMA_VERSION:
            refuse_other_schema(path, schema_of(built))
        return
    done, total = 0, manifest.size_bytes
    for file in manifest.files:
        if file.path != DATA:
            done = check_hash(path, file, wish.progress, done, total)
    with _new_file(built / DATA_FILE) as out:
        check_hash(path, manifest.data, wish.progress, done, total, out.write)
    sync_file(built / DATA_FILE)
    wish.step("copied")
    check_contents(built, manifest, wish.progress)
    wish.step("verified")


def _new_file(path: Path) -> Any:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    return os.fdopen(handle, "wb")


def _copy(data: Path, built: Path, wish: Wish) -> None:
    done, total = 0, data.stat().st_size
    with data.open("rb") as source, _new_file(built / DATA_FILE) as out:
        while chunk := source.read(_CHUNK_BYTES):
            out.write(chunk)
            done += len(chunk)
            wish.progress(done, total)
    sync_file(built / DATA_FILE)
    wish.step("copied")


def renamed_store(folder: Path, entropy: Callable[[int], bytes]) -> None:
    """Give a store that nobody has open a new id; its tables may be of an older schema."""
    room = (folder / DATA_FILE).stat().st_size + (16 << 20)
    with lmdb.open(str(folder), map_size=room, max_dbs=_DBS_MAX, mode=_FILE_MODE) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin(write=True, db=meta) as txn:
            txn.put(STORE_ID_KEY, sealed(STORE_ID_KEY, entropy(_STORE_ID_BYTES)))
    (folder / "lock.mdb").unlink(missing_ok=True)
    sync_folder(folder)


def _put_in_place(
    target: Target,
    one: Found,
    manifest: Manifest | None,
    built: Path,
    wish: Wish,
    skipped: tuple[tuple[str, str], ...],
) -> Outcome:
    data_dir = target.data_dir
    schema = schema_of(built)
    renamed_store(built, os.urandom)
    wish.step("marked")
    put = tuple(_put_files(target, one.path, manifest, verify=wish.verify))
    note = Restored(
        at_ms=wish.now_ms,
        backup=one.id,
        of_node="" if manifest is None else manifest.node_id,
        store=live_name(built),
        verified=wish.verify,
        founder=wish.founder,
        # An earlier restore that has not pulled yet holds on, should this one die here.
        begun=_is_recovering(data_dir),
    )
    note_restored(data_dir, note)
    wish.step("noted")
    for path in (built, *built.iterdir()):
        give_to_owner(path, data_dir)
    live, aside = install(data_dir, built, wish.now_ms)
    wish.step("installed")
    return Outcome(
        backup=one.id,
        path=one.path,
        manifest=manifest,
        skipped=skipped,
        store=live,
        aside=aside,
        put=put,
        schema=schema,
    )


def _is_recovering(data_dir: Path) -> bool:
    """Whether the store that is live was restored and has not pulled."""
    note = recovering(data_dir)
    if note is None or note.begun:
        return note is not None
    try:
        live = current_path(data_dir)
    except StoreDamaged:
        return False
    return live is not None and live.name == note.store


def live_name(built: Path) -> str:
    """What a folder that was built will be called when it is the live store."""
    return f"store-{built.name.rpartition('-')[2]}"


def _put_files(
    target: Target, path: Path, manifest: Manifest | None, *, verify: bool
) -> Iterator[str]:
    """Files of the node, where there is none; nothing is replaced.

    Raises:
        BadBackup: one was exchanged since it was verified.
    """
    for file in () if manifest is None else manifest.files:
        name = file.path
        below = name.removeprefix(f"{SETTINGS}/")
        place = target.places.get(below) or _peer_place(target, below)
        if below == name or place is None or place.exists():
            continue
        data = (path / name).read_bytes()
        if verify and hashlib.sha256(data).hexdigest() != file.sha256:
            raise BadBackup("a file of it was exchanged while it was read", why=name)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _new_file(place) as out:
            out.write(data)
        sync_file(place)
        sync_folder(place.parent)
        give_to_owner(place, target.data_dir)
        yield str(place)


def _peer_place(target: Target, below: str) -> Path | None:
    folder, _, name = below.partition("/")
    return target.places[folder] / name if name and folder in target.places else None


# --- what a migration left -------------------------------------------------------------------


def restore_earlier(target: Target, path: Path, wish: Wish) -> Outcome:
    """Restore the copy that a migration made of the store before it.

    Raises:
        BadBackup: it cannot be read as what its name says; nothing was changed.
        DowngradeRefused: a newer version wrote it.
    """
    assert is_earlier(path), path  # noqa: S101 - the caller has looked
    earlier = earlier_at(path)
    if earlier.schema > SCHEMA_VERSION:
        refuse_other_schema(path, earlier.schema)
    with _scratch(target.data_dir) as built:
        check_room(built, earlier.data.stat().st_size)
        _copy(earlier.data, built, wish)
        if wish.verify:
            _check_earlier(built, earlier.schema, wish)
        one = Found(path=path, manifest=None)
        return _put_in_place(target, one, None, built, wish, ())


def _check_earlier(built: Path, schema: int, wish: Wish) -> None:
    if readable(built) != schema:
        raise BadBackup("its store is of another schema than its name says")
    if schema == SCHEMA_VERSION:
        try:
            contents_of(built, wish.progress)
        except (CorruptRecord, StoreDamaged) as error:
            raise BadBackup("its store is damaged", why=f"{error.what}: {error.why}") from error
    wish.step("verified")
