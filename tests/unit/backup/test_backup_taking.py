"""A backup is a whole folder or none, and holds no secret."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest

from node.backup.folder import PART, found, held, leftovers, look
from node.backup.manifest import MANIFEST, facts_of
from node.backup.notes import last_backup
from node.backup.taking import prune
from node.backup.verifying import verify_backup
from node.errors import IntegrityError, UsageError
from node.store.errors import NoRoom
from tests.unit.backup.rig import NOW_MS, SECRETS, Home, names


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "node")
    made.write(20, private=True)
    return made


def test_a_backup_says_what_is_in_it_and_holds(home: Home, tmp_path: Path) -> None:
    taken = home.backup(tmp_path / "kept")
    manifest = verify_backup(taken.path)
    contents = manifest.contents
    assert names(taken.path) == {"data.mdb", MANIFEST, "node"}
    assert (contents.records, contents.private_operations, contents.operations) == (21, 1, 20)
    assert contents.digest == f"{home.maker.digest:032x}"
    assert (contents.cluster, contents.store_id) == ("mesh", home.held()[0])
    assert manifest.node_id == home.key.node_id.hex()
    assert facts_of(manifest)["bytes"] == sum(
        path.stat().st_size
        for path in taken.path.rglob("*")
        if path.name != MANIFEST and path.is_file()
    )
    last = last_backup(home.data_dir)
    assert last is not None
    assert (last.id, last.path, last.at_ms) == (taken.path.name, str(taken.path), NOW_MS)


def test_a_backup_of_an_empty_store_is_one(tmp_path: Path) -> None:
    home = Home(tmp_path / "node")
    home.open().close()
    assert home.backup(tmp_path / "kept").manifest.contents.records == 0


def test_no_key_leaves_the_node(home: Home, tmp_path: Path) -> None:
    taken = home.backup(tmp_path / "kept")
    inside = b"".join(path.read_bytes() for path in taken.path.rglob("*") if path.is_file())
    pem = (home.data_dir / "keys" / "node.key").read_bytes()
    for secret in (*SECRETS.values(), pem, pem.splitlines()[1], bytes([101]) * 32):
        assert secret not in inside


def test_others_cannot_read_it(home: Home, tmp_path: Path) -> None:
    taken = home.backup(tmp_path / "kept")
    for path in (taken.path, *taken.path.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_a_damaged_store_gives_no_backup_and_leaves_those_there_are(
    home: Home, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    good = home.backup(kept)
    data = home.live() / "data.mdb"
    whole = data.read_bytes()
    at = whole.rindex(b"title of r7")
    data.write_bytes(whole[:at] + b"x" + whole[at + 1 :])
    with pytest.raises(IntegrityError, match="the store is damaged"):
        home.backup(kept, 1, keep=1)
    assert names(kept) == {good.path.name}


def test_there_is_nothing_to_back_up_before_a_node_ran(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store"):
        Home(tmp_path / "node").backup(tmp_path / "kept")
    assert not names(tmp_path / "kept")


def test_no_room_changes_nothing(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    good = home.backup(kept)
    full = os.statvfs_result((4096, 4096, 100, 0, 0, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _path: full)
    with pytest.raises(NoRoom):
        home.backup(kept, 1)
    assert names(kept) == {good.path.name}


# --- pruning -----------------------------------------------------------------------------------


def test_the_oldest_valid_ones_go_and_the_last_never(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    made = [home.backup(kept, at, keep=3).path.name for at in range(5)]
    assert [one.id for one in found(kept)] == made[:1:-1]
    assert home.backup(kept, 5, keep=1).kept == 1
    prune(kept, home.key.node_id.hex(), 0)
    assert len(found(kept)) == 1


def test_what_does_not_hold_neither_counts_nor_goes(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    made = [home.backup(kept, at).path for at in range(3)]
    (made[2] / MANIFEST).write_bytes(b"{}")
    (made[1] / "data.mdb").unlink()
    prune(kept, home.key.node_id.hex(), 1)
    assert names(kept) == {path.name for path in made}
    home.backup(kept, 3, keep=1)
    assert made[0].name not in names(kept)


def test_another_nodes_backups_are_left_alone(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    other = Home(tmp_path / "other", 2)
    other.write(1)
    theirs = other.backup(kept).path.name
    for at in range(3):
        home.backup(kept, at, keep=1)
    assert theirs in names(kept)
    assert len(names(kept)) == 2


def test_parts_of_the_dead_go_and_those_of_the_living_stay(home: Home, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    taken = home.backup(kept)
    dead, living = (kept / f"20260101T00000{n}Z-0000000{n}{PART}" for n in (1, 2))
    shutil.copytree(taken.path, dead)
    living.mkdir()
    (kept / "of-somebody.part").mkdir()
    with held(living):
        assert leftovers(kept) == [dead]
        home.backup(kept, 1)
        assert names(kept) >= {living.name, "of-somebody.part"}
        assert dead.name not in names(kept)
    assert leftovers(kept) == [living]


def test_a_folder_under_another_name_is_no_backup(home: Home, tmp_path: Path) -> None:
    taken = home.backup(tmp_path / "kept")
    renamed = taken.path.with_name("20300101T000000Z-00000000")
    taken.path.rename(renamed)
    assert "another backup" in look(renamed).trouble
    assert json.loads((renamed / MANIFEST).read_bytes())["backup"]["id"] == taken.path.name
