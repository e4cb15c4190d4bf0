"""The file of a stopped node's store written anew, smaller: copied, verified, swapped.

Law: the same steps as in a running node, under its lock; before the last of them the old file is
what it was, and after it the new one holds every row that the old one held, each verified.
"""

import os
import time
from pathlib import Path

from node.errors import UsageError
from node.integrity.opening import check_pages
from node.lock import DirectoryLock
from node.paths import Paths
from node.store.environment import DATA_FILE
from node.store.folder import current_path, new_folder, open_current
from node.store.rewriting import Rewrite, Rewritten


def compact_stopped(paths: Paths) -> Rewritten:
    """Rewrite the live store of a node that does not run.

    Raises:
        UsageError: there is no store.
        LockHeld: the node runs after all.
        StoreDamaged, CorruptRecord: the store is damaged: a scrub comes first; it was left alone.
        NoRoom: the disk has no room for a second file; nothing was changed.
    """
    data_dir: Path = paths.data_dir
    with DirectoryLock(paths.lock):
        path = current_path(data_dir)
        if path is None or not (path / DATA_FILE).is_file():
            raise UsageError(f"there is no store in {data_dir}", fix="Name the folder of a node")
        check_pages(path, always=True)
        store = open_current(data_dir, entropy=os.urandom)
        folder = new_folder(data_dir, "next", os.urandom)
        rewrite = Rewrite(store, folder, now_ms=time.time_ns() // 1_000_000)
        try:
            rewrite.begin()
            try:
                rewrite.copy()
                rewrite.ready()
                done = rewrite.finish()
            except BaseException:
                rewrite.abandon()
                raise
            rewrite.release()
        finally:
            store.close()
    return done
