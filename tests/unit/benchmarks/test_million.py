"""What a full data directory is told to weigh, by part and by table."""

from pathlib import Path

import lmdb

from tests.benchmarks.million import disk, mebibytes


def test_bytes_are_told_in_mebibytes() -> None:
    assert mebibytes({"anonymous": 3 * 2**20, "resident": 2**19}) == {
        "anonymous": 3.0,
        "resident": 0.5,
    }


def test_disk_is_told_per_byte_of_text_by_part_and_by_table(tmp_path: Path) -> None:
    store = tmp_path / "store-a"
    store.mkdir()
    with lmdb.open(str(store), max_dbs=2) as env:
        records = env.open_db(b"records")
        with env.begin(write=True) as txn:
            for number in range(100):
                txn.put(b"%08d" % number, b"x" * 1500, db=records)
    (tmp_path / "CURRENT").write_text("store-a", encoding="utf-8")
    (tmp_path / "recall").mkdir()
    (tmp_path / "recall" / "one.idx").write_bytes(b"y" * 50_000)

    told = disk(tmp_path, text_bytes=100_000)

    assert told["per_byte"]["recall"] >= 0.5
    assert told["per_byte"]["total"] >= told["per_byte"]["store"] + told["per_byte"]["recall"]
    assert told["tables"]["records"] >= 1.5
    assert told["bytes_per_row"]["records"] >= 1500
    assert set(told["recall_files"]) == {".idx"}
