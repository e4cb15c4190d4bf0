"""Opening with care: versions, damage, growth beside readers, room on the disk."""

import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import lmdb
import pytest

from node.errors import DiskError, DowngradeRefused
from node.store import NoRoom, StoreDamaged
from node.store.environment import SCHEMA_KEY, Environment
from node.store.errors import StoreTooOld
from node.store.schema import SCHEMA_VERSION, TABLE_NAMES, sealed
from tests.unit.store.rig import DEADLINE_S, MAP_BYTES, Maker, disk_error, open_store


def fingerprints(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_a_newer_store_is_refused_and_left_untouched(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    newer = sealed(SCHEMA_KEY, b"%d" % (SCHEMA_VERSION + 1))
    store.environment.write(lambda txn: txn.put(SCHEMA_KEY, newer, db=store.tables.meta))
    store.close()
    before = fingerprints(store.path)
    with pytest.raises(DowngradeRefused, match=r"schema \d+, this program knows \d+"):
        open_store(store.path)
    assert fingerprints(store.path) == before


def test_an_older_store_is_refused_and_left_untouched(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    older = sealed(SCHEMA_KEY, b"%d" % (SCHEMA_VERSION - 1))
    store.environment.write(lambda txn: txn.put(SCHEMA_KEY, older, db=store.tables.meta))
    store.close()
    before = fingerprints(store.path)
    with pytest.raises(StoreTooOld, match="left untouched"):
        open_store(store.path)
    assert fingerprints(store.path) == before


@pytest.mark.parametrize("content", [b"", b"x" * 10, b"garbage" * 4000], ids=len)
def test_a_file_that_is_no_store_is_damage_not_a_fresh_start(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(StoreDamaged):
        open_store(tmp_path)
    assert (tmp_path / "data.mdb").read_bytes() == content


@pytest.mark.parametrize("length", [6000, 0.3, 0.6, 0.9])
def test_a_truncated_store_is_damage(tmp_path: Path, length: float) -> None:
    store, maker = open_store(tmp_path / "s"), Maker()
    for n in range(50):
        maker.create(f"{n}", content="x" * (3000 if length > 1 else 300))
    store.commit(maker.take())
    store.close()
    file = store.path / "data.mdb"
    # Some cuts end the process that reads the file, were it this one.
    os.truncate(file, int(length if length > 1 else file.stat().st_size * length))
    before = fingerprints(store.path)["data.mdb"]
    with pytest.raises(StoreDamaged):
        open_store(store.path)
    assert fingerprints(store.path)["data.mdb"] == before


def test_a_store_made_halfway_is_finished(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path), max_dbs=4).close()
    store = open_store(tmp_path)
    assert store.load().actors == {}
    store.close()


def test_growth_waits_for_long_readers(tmp_path: Path) -> None:
    env = Environment(tmp_path / "s", map_bytes=MAP_BYTES)
    reading, may_end, grown = threading.Event(), threading.Event(), threading.Event()

    def reader() -> None:
        with env.long_read():
            reading.set()
            assert may_end.wait(DEADLINE_S)

    def grow() -> None:
        env._grow()
        grown.set()

    threads = [threading.Thread(target=reader), threading.Thread(target=grow)]
    threads[0].start()
    assert reading.wait(DEADLINE_S)
    threads[1].start()
    assert not grown.wait(0.05)
    assert env.read(lambda txn: txn.id()) >= 0  # short reads go on meanwhile
    may_end.set()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert grown.is_set()
    assert env.map_bytes() == 2 * MAP_BYTES
    env.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_is_told_apart(tmp_path: Path, code: int) -> None:
    def failing(_: object) -> None:
        raise disk_error(code)

    env = Environment(tmp_path / "s", map_bytes=MAP_BYTES)
    env._commit = failing
    with pytest.raises(NoRoom):
        env.write(lambda _: None)
    env.close()


def test_eio_with_room_left_is_a_broken_disk(tmp_path: Path) -> None:
    def failing(_: object) -> None:
        raise disk_error(errno.EIO)

    env = Environment(tmp_path / "s", map_bytes=MAP_BYTES)
    env._commit = failing
    with pytest.raises(DiskError, match="Input/output error"):
        env.write(lambda _: None)
    assert [p.name for p in (tmp_path / "s").iterdir() if "probe" in p.name] == []
    env.close()


def test_eio_without_room_is_a_full_disk(tmp_path: Path) -> None:
    def failing(_: object) -> None:
        raise disk_error(errno.EIO)

    env = Environment(tmp_path / "s", map_bytes=MAP_BYTES)
    env._commit = failing
    env.has_room = lambda _: False  # type: ignore[method-assign]  # the disk's answer
    with pytest.raises(NoRoom):
        env.write(lambda _: None)
    env.close()


def test_an_exception_undoes_the_transaction(tmp_path: Path) -> None:
    env = Environment(tmp_path / "s", map_bytes=MAP_BYTES)

    def work(txn: Any) -> None:
        txn.put(b"k", b"v", db=env.tables.meta)
        raise KeyError("mistake")

    with pytest.raises(KeyError):
        env.write(work)
    assert env.read(lambda txn: txn.get(b"k", db=env.tables.meta)) is None
    env.write(lambda txn: txn.put(b"k", b"v", db=env.tables.meta))
    env.close()


def test_every_table_is_made(tmp_path: Path) -> None:
    env = Environment(tmp_path / "s", map_bytes=MAP_BYTES)
    names = env.read(lambda txn: {key.decode() for key, _ in txn.cursor()})
    assert names == set(TABLE_NAMES)
    env.close()
