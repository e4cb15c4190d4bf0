"""Going back with the very program that is gone back to: to it, the snapshot is of today."""

import os
import shutil
from pathlib import Path

import pytest

from node.errors import DowngradeRefused
from node.store.folder import current_path
from node.store.migrations import go_back
from node.store.migrations.before import MigrationRefused
from node.store.schema import SCHEMA_VERSION
from tests.unit.store.rig import Maker, entropy, open_store


def left_by_a_newer_one(data_dir: Path, source: int) -> tuple[Path, Path]:
    """A store of today, and its snapshot as a program of some release to come would name it."""
    path = data_dir / "store-0011223344556677"
    store, maker = open_store(path), Maker(1)
    maker.create("r", title="t")
    store.commit(maker.take(genesis=b"mesh"))
    store.close()
    (data_dir / "CURRENT").write_text(f"{path.name}\n")
    snapshot = data_dir / f"{path.name}.pre-migration-v{source}-to-v{source + 1}-00ff00ff.bak"
    shutil.copyfile(path / "data.mdb", snapshot)
    return path, snapshot


def test_the_older_program_puts_back_what_is_of_its_own_schema(tmp_path: Path) -> None:
    path, snapshot = left_by_a_newer_one(tmp_path, SCHEMA_VERSION)
    back = go_back(tmp_path, snapshot, now_ms=5, entropy=entropy)
    assert current_path(tmp_path) == back != path
    store = open_store(back)
    assert len(store.feed.after(0, 10)) == 1
    store.close()


def test_one_that_is_not_sound_is_refused_there_too(tmp_path: Path) -> None:
    path, snapshot = left_by_a_newer_one(tmp_path, SCHEMA_VERSION)
    with snapshot.open("r+b") as file:
        file.seek(file.seek(0, os.SEEK_END) // 2)
        file.write(os.urandom(4096))
    with pytest.raises(MigrationRefused, match="not sound"):
        go_back(tmp_path, snapshot, now_ms=5, entropy=entropy)
    assert current_path(tmp_path) == path


def test_a_snapshot_of_a_schema_to_come_is_a_downgrade(tmp_path: Path) -> None:
    path, snapshot = left_by_a_newer_one(tmp_path, SCHEMA_VERSION + 1)
    with pytest.raises(DowngradeRefused):
        go_back(tmp_path, snapshot, now_ms=5, entropy=entropy)
    assert current_path(tmp_path) == path
