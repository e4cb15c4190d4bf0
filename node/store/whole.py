"""A file of LMDB that ends before its last page: told apart from one that was cut off.

Law: LMDB does not write pages that a transaction took and gave back, so a sound file may end
early, and only reading everything tells it from one that lost its end. Whoever reads a missing
page may be ended by it (SIGBUS, a failed assertion of LMDB), so a process of its own reads
first. A file that misses something is left as it was found.

This file is also the program of that process; it imports nothing of the node.
"""

import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import lmdb

_DBS_MAX: Final = 64
_ROOM_BYTES: Final = 1 << 20


def lengthened(env: lmdb.Environment, file: Path) -> bool:
    """Give a short file its length, when nothing that is stored stands beyond its end.

    Args:
        env: the environment, of which nothing but its head was read yet.
        file: its data file.

    Returns:
        Whether the file was short; long values may then be damaged still.

    Raises:
        lmdb.CorruptedError: something is missing; the file is unchanged.
    """
    size = file.stat().st_size
    whole = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    if size >= whole:
        return False
    half = size % env.stat()["psize"]
    with file.open("r+b") as handle:
        handle.seek(size - half)
        rest = handle.read(half)
        handle.truncate(size - half)  # half a page reads as anything, none at all as damage
        handle.truncate(whole)
    command = [sys.executable, "-P", __file__, str(file.parent)]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - this file
    if done.returncode:
        with file.open("r+b") as handle:
            handle.truncate(size - half)
            handle.seek(size - half)
            handle.write(rest)
        raise lmdb.CorruptedError(f"{file} was cut off at byte {size} of {whole}")
    return True


def _read_all(folder: str) -> None:
    """Read every row of every table, and what is free; nothing is written.

    Raises:
        lmdb.Error: that cannot be done; the process may also be ended by a signal.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with lmdb.open(folder, lock=False, max_dbs=_DBS_MAX, create=False) as env:
        with suppress(lmdb.MapFullError), env.begin(write=True) as txn:
            txn.put(b"room", bytes(_ROOM_BYTES))  # asks the list of free pages, which has no name
            txn.abort()
        with env.begin() as txn:
            names = [bytes(key) for key, _ in txn.cursor()]
        for name in names:
            try:
                table = env.open_db(name, create=False)
            except (lmdb.IncompatibleError, lmdb.BadValsizeError):
                continue  # a row of the table without a name
            with env.begin() as txn:
                for _ in txn.cursor(db=table):
                    pass


if __name__ == "__main__":
    _read_all(sys.argv[1])
