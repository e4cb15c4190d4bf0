"""Another process reads a store while its file is replaced: nothing of the new file is lost.

The engine keeps the number of the last transaction in the lock file, and goes by it for as long
as any process has that file open; the new data file counts its transactions anew.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from node.store.environment import DATA_FILE, Environment
from node.store.schema import number, sealed
from tests.unit.store.rig import MAP_BYTES

READER = """
import lmdb, sys
env = lmdb.open(sys.argv[1], readonly=True, create=False, map_size=1 << 24)
with env.begin() as txn:
    print("reading", flush=True)
    sys.stdin.read()
"""
KEY = b"last"


def put(env: Environment, count: int) -> None:
    for value in range(count):
        row = sealed(KEY, number(value))
        env.write(lambda txn, row=row: txn.put(KEY, row, db=env.tables.meta))  # type: ignore[misc]  # bound now


def last(env: Environment) -> bytes | None:
    return env.read(lambda txn: txn.get(KEY, db=env.tables.meta))


@pytest.mark.parametrize("transactions", [4, 5])
def test_a_file_is_replaced_under_a_reader_of_another_process(
    tmp_path: Path, transactions: int
) -> None:
    live = Environment(tmp_path / "live", map_bytes=MAP_BYTES)
    put(live, 9)
    fresh = Environment(tmp_path / "fresh", map_bytes=MAP_BYTES)
    put(fresh, transactions)
    fresh.close()
    command = [sys.executable, "-c", READER, str(tmp_path / "live")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"reading\n"
        live.replace(tmp_path / "fresh" / DATA_FILE, 1.0)
        wanted = sealed(KEY, number(transactions - 1))
        assert last(live) == wanted
        put(live, 12)
        assert last(live) == sealed(KEY, number(11))
        reader.communicate()
    live.close()
    again = Environment(tmp_path / "live", map_bytes=MAP_BYTES)
    assert last(again) == sealed(KEY, number(11))
    again.close()
