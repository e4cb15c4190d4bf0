"""A copy is of one store, whatever its node does to its files meanwhile."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.backup import copying
from node.backup.copying import hot_copy
from node.backup.verifying import contents_of
from node.store.errors import StoreBusy
from node.store.folder import install
from tests.unit.backup.rig import NOW_MS, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "node")
    made.write(3)
    return made


def meanwhile(monkeypatch: pytest.MonkeyPatch, deed: Callable[[int], None]) -> list[int]:
    """Do something when a copy is made and not yet looked at; returns what was done."""
    copy, done = copying._copy_watched, []

    def watched(*args: Any) -> None:
        copy(*args)
        done.append(len(done))
        deed(done[-1])

    monkeypatch.setattr(copying, "_copy_watched", watched)
    return done


def replace_file(store: Path, records: Path) -> None:
    """What `Environment.replace` does to the names in a folder."""
    (store / "lock.mdb").unlink(missing_ok=True)
    fresh = store / "data.new"
    shutil.copy(records / "data.mdb", fresh)
    fresh.rename(store / "data.mdb")


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """Another store of the same node, with more in it."""
    made = Home(tmp_path / "other")
    made.write(5)
    return made


def copied(home: Home, tmp_path: Path) -> int:
    target = tmp_path / "target"
    target.mkdir()
    hot_copy(home.data_dir, target)
    assert oct((target / "data.mdb").stat().st_mode)[-3:] == "600"
    return contents_of(target).records


def test_a_file_replaced_under_the_copy_is_copied_again(
    home: Home, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = meanwhile(
        monkeypatch, lambda turn: None if turn else replace_file(home.live(), other.live())
    )
    assert copied(home, tmp_path) == 5
    assert len(done) == 2


def test_a_store_swapped_under_the_copy_is_copied_again(
    home: Home, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap(turn: int) -> None:
        if not turn:
            built = home.data_dir / "next-0123456789abcdef"
            shutil.copytree(other.live(), built)
            install(home.data_dir, built, NOW_MS)

    done = meanwhile(monkeypatch, swap)
    assert copied(home, tmp_path) == 5
    assert len(done) == 2


def test_one_that_is_replaced_for_ever_is_told(
    home: Home, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = meanwhile(monkeypatch, lambda _turn: replace_file(home.live(), other.live()))
    with pytest.raises(StoreBusy):
        copied(home, tmp_path)
    assert len(done) == 5
    assert not (tmp_path / "target" / "data.mdb").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what another user owns")
def test_root_leaves_nothing_that_the_node_cannot_open(home: Home, tmp_path: Path) -> None:
    store = home.live()
    (store / "lock.mdb").unlink()
    for path in (home.data_dir, store, store / "data.mdb"):
        os.chown(path, 65534, 65534)
    copied(home, tmp_path)
    assert (store / "lock.mdb").stat().st_uid == 65534
    home.backup(tmp_path / "kept")
    assert (home.data_dir / "last_backup.json").stat().st_uid == 65534
