"""How far something that is derived from a store has read its feed, and what it found.

Law: a record that changes goes to the end of the feed, so what was found up to a position stands,
but for what comes after it. A bookmark that is of another store, beyond the end of this one,
damaged or missing is none: everything is read again. It may be removed at any time, and one that is
behind costs reading, never truth.
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from transport.secret_files import replace_file

FOLDER: Final = "derived"
_DIGEST_BYTES: Final = 16


class Place(NamedTuple):
    """Where reading goes on.

    Attributes:
        position: of the feed up to which everything was read; 0 before the first.
        found: as it was given to `Bookmark.put`; None when nothing was read.
    """

    position: int = 0
    found: Any = None


class Bookmark:
    """One of them, in a file beside one store as it was opened.

    Args:
        data_dir: of the node; the folder in it is made when it is needed.
        name: of what is derived.
        store_id: of the store.
        newest: the position of its last change at that time.
    """

    def __init__(self, data_dir: Path, name: str, *, store_id: str, newest: int) -> None:
        self._path = data_dir / FOLDER / f"{name}.json"
        self._held: tuple[str, Place] | None = None
        read = _read(self._path)
        # Beyond the end: the store is older than its bookmark, and will use those positions again.
        if read is not None and read[0] == store_id and read[1].position <= newest:
            self._held = read

    def of(self, store_id: str) -> Place:
        """Where to go on reading a store."""
        held = self._held
        return held[1] if held is not None and held[0] == store_id else Place()

    def put(self, store_id: str, place: Place) -> None:
        """Remember it, on the disk too.

        Raises:
            OSError: the disk; the bookmark before it stands.
        """
        self._held = (store_id, place)
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        body = json.dumps([store_id, *place], separators=(",", ":")).encode()
        replace_file(self._path, _digest(body) + b"\n" + body)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_BYTES).hexdigest().encode()


def _read(path: Path) -> tuple[str, Place] | None:
    try:
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if digest != _digest(body):
        return None
    store_id, position, found = json.loads(body)
    return store_id, Place(position, found)
