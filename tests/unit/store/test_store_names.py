"""A file is on the disk when its folder is, and the folder when the one above it is."""

import os
from pathlib import Path

import pytest

from node.audit.chain import Owner
from node.audit.files import GrowingChain
from node.store.folder import open_current, settle
from node.store.small import SmallTable

Synced = set[str]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """Paths of what fsync was asked for."""
    seen: Synced = set()
    real = os.fsync

    def fsync(handle: int) -> None:
        seen.add(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return seen


def test_a_new_store_has_its_names_on_the_disk_before_it_is_written(
    tmp_path: Path, synced: Synced
) -> None:
    store = open_current(tmp_path, entropy=os.urandom)
    store.close()
    assert {str(tmp_path), str(store.path)} <= synced


def test_a_store_whose_making_was_cut_short_gets_them_when_it_is_opened_again(
    tmp_path: Path, synced: Synced
) -> None:
    open_current(tmp_path, entropy=os.urandom).close()
    synced.clear()
    store = open_current(tmp_path, entropy=os.urandom)
    store.close()
    assert {str(tmp_path), str(store.path)} <= synced


def test_small_tables_and_the_audit_chain_have_theirs(tmp_path: Path, synced: Synced) -> None:
    SmallTable(tmp_path / "small", map_bytes=1 << 20).close()
    assert {str(tmp_path), str(tmp_path / "small")} <= synced
    synced.clear()
    owner = Owner(node_id=bytes(32), key=bytes(32), verify=lambda *_: True)
    GrowingChain(tmp_path / "audit", owner).close()
    assert {str(tmp_path), str(tmp_path / "audit")} <= synced


def test_a_small_table_whose_making_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    SmallTable(folder, map_bytes=1 << 20).close()
    whole = (folder / "data.mdb").read_bytes()
    (folder / "data.mdb").unlink()
    (folder / "data.mdb.new").write_bytes(whole[:5120])  # no other name until it is on the disk
    table = SmallTable(folder, map_bytes=1 << 20)
    table.write({b"k": b"v"})
    assert list(table.rows()) == [(b"k", b"v")]
    table.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small"]


def test_a_data_directory_is_settled_up_to_the_root(tmp_path: Path, synced: Synced) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    settle(deep)
    assert {str(tmp_path), str(tmp_path / "a"), str(deep), "/"} <= synced
