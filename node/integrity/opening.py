"""Opening a store that may be damaged, and its keeper over an engine.

Law: a file whose pages are not sound is never handed to LMDB: it would believe them, and the
process might end by it. A file too long to be read through at every start is read through when the
process before died by a signal of the memory (SIGBUS, SIGSEGV), as a bad page makes it die.
"""

import faulthandler
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

from node.ground import Ground
from node.integrity.keeping import Keeping
from node.live import Live, Tasks
from node.replication.engine import Engine
from node.store import CorruptRecord, Store, StoreDamaged
from node.store.environment import DATA_FILE
from node.store.folder import current_path, open_current
from node.store.pages import BadPage, check_file

_EVERY_TIME_BYTES_MAX: Final = 128 * 1024 * 1024
FAULT_FILE: Final = "fault.txt"


def open_sound(data_dir: Path, *, entropy: Callable[[int], bytes], map_bytes: int) -> Store:
    """As `node.store.folder.open_current`; every row that a start needs is read once.

    Raises:
        StoreDamaged: one of them is not what it was.
    """
    try:
        store = open_current(data_dir, entropy=entropy, map_bytes=map_bytes)
    except CorruptRecord as error:
        raise _damaged(current_path(data_dir) or data_dir, error) from error
    try:
        store.load()
    except CorruptRecord as error:
        store.close()
        raise _damaged(store.path, error) from error
    except BaseException:
        store.close()
        raise
    return store


def hold_pages(data_dir: Path) -> None:
    """Check the pages of the live store, before anybody opens it.

    Raises:
        StoreDamaged: one is not what it must be; nothing was touched.
    """
    path = current_path(data_dir)
    if path is not None and (path / DATA_FILE).is_file():
        check_pages(path, always=_died_reading(data_dir))
        forget_faults(data_dir)


def check_pages(folder: Path, *, always: bool) -> None:
    """Check the pages of a store that nobody has open.

    Raises:
        StoreDamaged: one is not what it must be.
    """
    file = folder / DATA_FILE
    size = file.stat().st_size
    if not size or (size > _EVERY_TIME_BYTES_MAX and not always):
        return
    try:
        check_file(file)
    except BadPage as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> StoreDamaged:
    return StoreDamaged(
        f"the store in {folder} cannot be opened",
        why=str(error),
        fix="Set the folder aside and let the node rebuild from its peers",
    )


def _died_reading(data_dir: Path) -> bool:
    file = data_dir / FAULT_FILE
    return file.is_file() and file.stat().st_size > 0


def note_faults(data_dir: Path) -> IO[Any]:
    """From now on a signal of the memory leaves its trace beside the store; close it at the end.

    What an earlier process left there is emptied by `forget_faults`.
    """
    handle = os.open(
        data_dir / FAULT_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    file = os.fdopen(handle, "w")
    faulthandler.enable(file=file, all_threads=False)
    return file


def forget_faults(data_dir: Path) -> None:
    """The store was read through, or another one takes its place."""
    file = data_dir / FAULT_FILE
    if file.is_file():
        os.truncate(file, 0)


def open_keeping(
    ground: Ground,
    live: Live,
    tasks: Tasks,
    engine: Engine,
    failed: Callable[[BaseException], None],
) -> Keeping:
    """The keeper of one engine's store."""
    return Keeping(
        engine=engine,
        live=live,
        data_dir=ground.settings.paths.data_dir,
        log=ground.log,
        spawn=tasks.spawn,
        failed=failed,
    )
