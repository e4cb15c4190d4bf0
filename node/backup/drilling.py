"""A restore played through, in a folder that is thrown away.

Law: everything that a restore does is done, but for the swap: the backup is copied, verified,
given an id and opened as a node would open it, unless it has to be migrated first. Nothing of
the node is touched.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from node.backup.copying import Progress, no_progress
from node.backup.folder import Found
from node.backup.manifest import Manifest
from node.backup.restoring import Wish, built_from
from node.store.environment import MAP_BYTES_DEFAULT
from node.store.schema import SCHEMA_VERSION
from node.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """What a drill showed.

    Attributes:
        manifest: of the backup.
        seconds: how long copying, verifying and opening took.
        store_bytes: of the opened store.
    """

    manifest: Manifest
    seconds: float
    store_bytes: int


def drill(
    one: Found, scratch: Path | None = None, *, now_ms: int, progress: Progress = no_progress
) -> Drilled:
    """Restore a backup into a folder of its own and throw it away.

    Args:
        one: the backup.
        scratch: where that folder is made; the system's place for such when None.
        now_ms: wall clock, milliseconds since the epoch.
        progress: told (done, total).

    Raises:
        BadBackup: it would not be restored.
        DowngradeRefused: a newer version made it.
        NoRoom: the disk has no room for it.
    """
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="mnemesh-drill-", dir=scratch))
    try:
        wish = Wish(now_ms=now_ms, progress=progress)
        manifest = built_from(one, folder, wish)
        size = manifest.data.bytes
        if manifest.contents.schema == SCHEMA_VERSION:
            size = _opened_bytes(folder)
    finally:
        with suppress(OSError):
            shutil.rmtree(folder)
    return Drilled(manifest=manifest, seconds=time.monotonic() - began, store_bytes=size)


def _opened_bytes(folder: Path) -> int:
    """Open a store as a node does; returns its size."""
    store = Store(folder, entropy=os.urandom, map_bytes=MAP_BYTES_DEFAULT)
    try:
        store.load()
        return store.size_bytes()
    finally:
        store.close()


def behind(manifest: Manifest, clock: Mapping[str, int]) -> int:
    """How many operations of a clock a backup lacks; what its private lane lacks is not known."""
    held = manifest.contents.clock
    return sum(max(0, seq - held.get(actor, 0)) for actor, seq in clock.items())
