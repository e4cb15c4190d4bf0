"""What a process and a data directory weigh."""

import os
from pathlib import Path

import lmdb

from tests.benchmarks import sizes


def test_a_rollup_is_read_in_bytes() -> None:
    text = "55d0-7fff ---p 00000000 00:00 0 [rollup]\nRss:  120 kB\nAnonymous:      40 kB\n"

    assert sizes.rollup(text) == {"Rss": 120 * 1024, "Anonymous": 40 * 1024}


def test_this_process_has_memory_handles_and_threads() -> None:
    mine = sizes.memory_bytes(os.getpid())

    assert mine["resident"] > mine["anonymous"] > 2**20
    kinds = sizes.heap_bytes(os.getpid())
    assert abs(sum(kinds.values()) - mine["anonymous"]) < mine["anonymous"] / 4
    assert sizes.handles(os.getpid()) >= 3
    assert sizes.threads(os.getpid()) >= 1


def test_a_data_directory_is_split_into_store_recall_and_rest(tmp_path: Path) -> None:
    for name, size in (("store-a/data.mdb", 9000), ("recall/g1/x.idx", 5000), ("node.log", 10)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)

    found = sizes.disk_bytes(tmp_path)

    assert found["store"] >= 9000
    assert found["recall"] >= 5000
    assert found["total"] == found["store"] + found["recall"] + found["rest"]
    assert next(iter(sizes.file_bytes(tmp_path))) == ".mdb"


def test_tables_of_a_store_are_told_apart(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), max_dbs=4) as env:
        big, small = env.open_db(b"big"), env.open_db(b"small")
        with env.begin(write=True) as txn:
            for number in range(200):
                txn.put(b"%d" % number, b"x" * 1000, db=big)
            txn.put(b"one", b"y" * 9000, db=small)

    found = sizes.table_bytes(tmp_path)

    assert found["big"]["rows"] == 200
    assert found["big"]["bytes"] >= 200_000
    assert found["small"]["overflow"] >= 9000
    assert "free" in found
