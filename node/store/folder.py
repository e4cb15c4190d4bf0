"""The folders of a data directory: which store is the live one, and what lies beside it.

    CURRENT              the name of the live store; replaced by one rename
    store-<hex>/         a store
    incoming-<hex>/      a snapshot being received; survives a restart
    next-<hex>/          a join being built; worthless after a restart
    frozen-<hex>/        a snapshot being served; worthless after a restart
    aside-<hex>-<ms>/    a store that was set aside
    store-<hex>.pre-migration-*.bak    what a store was before a migration, as one file

Law: the rename of CURRENT is the moment of a swap; before it the old store is the state,
after it the new one, whatever dies in between. A store is never deleted, with two exceptions:
of those that a verified join replaced the last one is kept, and of what a store was before a
migration the newest, until an erasure takes them too.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from node import failpoints
from node.store.environment import MAP_BYTES_DEFAULT
from node.store.errors import StoreDamaged
from node.store.store import Store
from transport.secret_files import sync_folder

_CURRENT: Final = "CURRENT"
_STORE: Final = "store-"
_ASIDE: Final = "aside-"
_INCOMING: Final = "incoming-"
_WORTHLESS: Final = ("next-", "frozen-")
_REPLACED: Final = "replaced"
BEFORE_MIGRATION: Final = ".pre-migration-v"
_NAME_BYTES: Final = 8

Entropy = Callable[[int], bytes]


def open_current(data_dir: Path, *, entropy: Entropy, map_bytes: int = MAP_BYTES_DEFAULT) -> Store:
    """Open the live store of a data directory; make one when there is none.

    Raises:
        StoreDamaged: CURRENT names what is not there, or the store cannot be opened.
        DowngradeRefused: a newer version wrote it.
    """
    path = current_path(data_dir)
    failpoints.hit("store.open")
    if path is not None:
        if not path.is_dir():
            raise StoreDamaged(
                f"{data_dir / _CURRENT} names {path.name}, which is not there",
                fix="Put the folder back, or remove CURRENT to start from the peers",
            )
        return Store(path, entropy=entropy, map_bytes=map_bytes)
    path = data_dir / f"{_STORE}{entropy(_NAME_BYTES).hex()}"
    store = Store(path, entropy=entropy, map_bytes=map_bytes)
    _point(data_dir, path)
    return store


def settle(folder: Path) -> None:
    """Bring the names on the way to a folder to the disk, as far as this user may read them."""
    whole = folder.resolve()
    for path in (whole, *whole.parents):
        with suppress(PermissionError):
            sync_folder(path)


def current_path(data_dir: Path) -> Path | None:
    """The folder of the live store; None when there is none.

    Raises:
        StoreDamaged: CURRENT holds no name of a store.
    """
    try:
        name = (data_dir / _CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        name = ""
    if not name.startswith(_STORE) or "/" in name:
        raise StoreDamaged(
            f"{data_dir / _CURRENT} does not hold the name of a store",
            fix="Write the name of the store's folder into it",
        )
    return data_dir / name


def new_folder(data_dir: Path, kind: str, entropy: Entropy) -> Path:
    """A free name for a folder of a kind: `next`, `frozen` or `incoming`. Nothing is made."""
    return data_dir / f"{kind}-{entropy(_NAME_BYTES).hex()}"


def incoming_folders(data_dir: Path) -> list[Path]:
    """Snapshots whose reception a restart interrupted."""
    return sorted(path for path in data_dir.glob(f"{_INCOMING}*") if path.is_dir())


def swap(data_dir: Path, built: Path, now_ms: int, *, replaced: bool = True) -> Path:
    """Make a built store the live one. Both must be closed; returns its folder.

    Args:
        data_dir: where both are.
        built: a folder of a kind that a start sweeps away.
        now_ms: local time.
        replaced: whether it has all that the present one has, which may then be removed later.
    """
    old = current_path(data_dir)
    live = data_dir / f"{_STORE}{built.name.rpartition('-')[2]}"
    built.rename(live)
    sync_folder(data_dir)
    _point(data_dir, live)
    if old is not None and old.is_dir() and not replaced:
        _move_aside(data_dir, old, now_ms)
    elif old is not None and old.is_dir():
        earlier = [p for p in data_dir.glob(f"{_ASIDE}*") if (p / _REPLACED).exists()]
        (old / _REPLACED).touch(mode=0o600)
        _move_aside(data_dir, old, now_ms)
        for path in earlier:
            shutil.rmtree(path, ignore_errors=True)
    return live


def install(data_dir: Path, built: Path, now_ms: int) -> tuple[Path, Path | None]:
    """Make a restored store the live one; the one before it is set aside and never removed.

    Both must be closed. Whatever CURRENT says that names no store is written over.

    Returns:
        The folder of the live store, and that of the one before it.
    """
    try:
        old = current_path(data_dir)
    except StoreDamaged:
        old = None
    live = data_dir / f"{_STORE}{built.name.rpartition('-')[2]}"
    built.rename(live)
    sync_folder(data_dir)
    _point(data_dir, live)
    if old is None or not old.is_dir():
        return live, None
    return live, _move_aside(data_dir, old, now_ms)


def set_aside(data_dir: Path, now_ms: int) -> Path | None:
    """Set the live store aside, so that the next start begins with an empty one."""
    path = current_path(data_dir)
    if path is None:
        return None
    (data_dir / _CURRENT).unlink()
    sync_folder(data_dir)
    return _move_aside(data_dir, path, now_ms) if path.is_dir() else None


def sweep(data_dir: Path, now_ms: int) -> list[Path]:
    """Tidy what a death left behind; returns the stores that were set aside.

    To be called with the directory lock held, before the store is opened.
    """
    current = current_path(data_dir)
    for kind in _WORTHLESS:
        for path in data_dir.glob(f"{kind}*"):
            shutil.rmtree(path, ignore_errors=True)
    strays = [p for p in data_dir.glob(f"{_STORE}*") if p != current and p.is_dir()]
    return [_move_aside(data_dir, path, now_ms) for path in strays]


def set_aside_stores(data_dir: Path) -> list[Path]:
    """Stores that were set aside and are still there."""
    return sorted(path for path in data_dir.glob(f"{_ASIDE}*") if path.is_dir())


def drop_replaced(data_dir: Path) -> int:
    """Remove the stores that verified joins replaced, and what they were before migrations.

    Returns:
        How many.
    """
    gone = [path for path in set_aside_stores(data_dir) if (path / _REPLACED).exists()]
    for path in gone:
        shutil.rmtree(path, ignore_errors=True)
    before = [path for path in data_dir.glob(f"{_STORE}*{BEFORE_MIGRATION}*") if path.is_file()]
    for path in before:
        path.unlink(missing_ok=True)
    return len(gone) + len(before)


def _move_aside(data_dir: Path, path: Path, now_ms: int) -> Path:
    target = data_dir / f"{_ASIDE}{path.name.removeprefix(_STORE)}-{now_ms}"
    path.rename(target)
    sync_folder(data_dir)
    return target


def _point(data_dir: Path, path: Path) -> None:
    draft = data_dir / f"{_CURRENT}.new"
    with draft.open("w", encoding="ascii") as file:
        file.write(f"{path.name}\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(data_dir / _CURRENT)
    sync_folder(data_dir)
