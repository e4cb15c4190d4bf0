"""A restored store is the one that was backed up, under another id; what does not hold is not."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from node.backup.drilling import behind, drill
from node.backup.folder import found, look
from node.backup.manifest import MANIFEST, Manifest, signed
from node.backup.notes import RECOVERING, forget_restored, recovering
from node.backup.restoring import Outcome, Wish, candidates, restore, restore_earlier
from node.backup.verifying import schema_of
from node.errors import DowngradeRefused, IntegrityError, Refused, UsageError
from node.facts import write_note
from node.store.folder import set_aside_stores, sweep
from node.store.migrations import climb
from node.store.schema import SCHEMA_VERSION
from tests.fixtures.stores import unpack
from tests.unit.backup.rig import NOW_MS, Home, names
from tests.unit.store.rig import MAP_BYTES

WISH = Wish(now_ms=NOW_MS)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "node")
    made.write(8)
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def brought_back(home: Home, kept: Path, wish: Wish = WISH) -> Outcome:
    return restore(home.target(), found(kept), wish)


def resigned(home: Home, path: Path, manifest: Manifest) -> None:
    """What the node itself would have signed."""
    (path / MANIFEST).write_bytes(signed(manifest, home.key.public, home.key.sign))


def test_the_store_is_what_it_was_under_an_id_of_its_own(home: Home, kept: Path) -> None:
    before = home.held()
    home.backup(kept)
    home.write(4)
    later, old = home.held(), home.live()
    outcome = brought_back(home, kept)
    after = home.held()
    assert after[1:] == before[1:]
    assert after[0] not in {before[0], later[0]}
    assert outcome.aside in set_aside_stores(home.data_dir)
    assert not old.exists()
    note = recovering(home.data_dir)
    assert note is not None
    assert (note.backup, note.store, note.verified) == (outcome.backup, home.live().name, True)
    assert (note.begun, note.founder) == (False, False)
    home.maker = type(home.maker)(7)
    home.write(1)  # it takes what comes


def test_the_store_before_it_stays_for_ever(home: Home, kept: Path) -> None:
    home.backup(kept)
    for _ in range(3):
        brought_back(home, kept)
    assert len(set_aside_stores(home.data_dir)) == 3
    sweep(home.data_dir, NOW_MS)
    assert len(set_aside_stores(home.data_dir)) == 3


def test_the_newest_that_holds_is_taken_and_it_is_said_why(home: Home, kept: Path) -> None:
    made = [home.backup(kept, at) for at in range(4)]
    (made[3].path / "data.mdb").write_bytes(b"x")
    (made[2].path / "stray").touch()
    outcome = brought_back(home, kept)
    assert outcome.backup == made[1].path.name
    assert [name for name, _ in outcome.skipped] == [one.path.name for one in (made[3], made[2])]
    assert "another size" in outcome.skipped[0][1]
    assert "stray" in outcome.skipped[1][1]


def test_when_none_holds_nothing_is_changed(home: Home, kept: Path) -> None:
    taken = home.backup(kept)
    (taken.path / "node" / "allowlist").write_text("me\n", encoding="ascii")
    there = names(home.data_dir)
    with pytest.raises(IntegrityError, match="no backup holds"):
        brought_back(home, kept)
    assert names(home.data_dir) == there


def test_a_signed_lie_about_the_contents_is_found(home: Home, kept: Path) -> None:
    taken = home.backup(kept)
    contents = replace(taken.manifest.contents, digest="0" * 32)
    resigned(home, taken.path, replace(taken.manifest, contents=contents))
    with pytest.raises(IntegrityError, match="does not hold what was signed: digest"):
        brought_back(home, kept)


def test_what_is_not_verified_is_noted(home: Home, kept: Path) -> None:
    taken = home.backup(kept)
    (taken.path / "stray").touch()
    brought_back(home, kept, replace(WISH, verify=False))
    note = recovering(home.data_dir)
    assert note is not None
    assert not note.verified


def test_another_nodes_backup_is_refused_unless_it_is_meant(
    home: Home, kept: Path, tmp_path: Path
) -> None:
    other = Home(tmp_path / "other", 2)
    other.write(2)
    other.backup(kept)
    with pytest.raises(Refused, match="another node"):
        brought_back(home, kept)
    mine = home.backup(kept, -1)
    assert brought_back(home, kept).backup == mine.path.name
    outcome = brought_back(home, kept, replace(WISH, of_another=True))
    assert outcome.manifest is not None
    assert outcome.manifest.node_id == other.key.node_id.hex()


def test_a_backup_of_another_mesh_is_refused(home: Home, kept: Path, tmp_path: Path) -> None:
    elsewhere = Home(tmp_path / "elsewhere", 1, cluster="another")
    elsewhere.write(2)
    elsewhere.backup(kept)
    with pytest.raises(Refused, match="another mesh"):
        brought_back(home, kept)
    genesis = {"cluster": "another", "founders": ["node:1"]}
    write_note(home.data_dir / "join.json", {"genesis": genesis, "members": []})
    assert brought_back(home, kept).store is not None


def test_a_newer_schema_is_refused(home: Home, kept: Path) -> None:
    taken = home.backup(kept)
    contents = replace(taken.manifest.contents, schema=SCHEMA_VERSION + 1)
    resigned(home, taken.path, replace(taken.manifest, contents=contents))
    there = names(home.data_dir)
    with pytest.raises(DowngradeRefused):
        brought_back(home, kept)
    assert names(home.data_dir) == there


def test_a_folder_that_lost_everything_gets_what_is_no_secret(home: Home, kept: Path) -> None:
    taken = home.backup(kept)
    bare = Home(home.data_dir.with_name("bare"))
    for name in ("config.toml", "keys/allowlist", "keys/node.key"):
        (bare.data_dir / name).unlink()
    target = replace(bare.target(), node_id="")
    outcome = restore(target, found(kept), WISH)
    assert {Path(path).name for path in outcome.put} == {"config.toml", "allowlist"}
    assert outcome.aside is None
    assert bare.held()[2] == 8
    assert (bare.data_dir / "config.toml").read_bytes() == (
        home.data_dir / "config.toml"
    ).read_bytes()
    assert not (bare.data_dir / "keys" / "node.key").exists()
    assert taken.path.exists()


def test_what_current_says_may_be_broken(home: Home, kept: Path) -> None:
    home.backup(kept)
    (home.data_dir / "CURRENT").write_bytes(b"\xff\xff")
    assert brought_back(home, kept).store == home.live()
    assert home.held()[2] == 8


def test_a_backup_is_named_by_its_id(home: Home, kept: Path) -> None:
    made = [home.backup(kept, at).path.name for at in range(3)]
    assert [one.id for one in candidates(kept, made[0], found(kept))] == [made[0]]
    for wrong in ("20300101T000000Z-00000000", "../kept", f"{made[0]}/node"):
        with pytest.raises(UsageError):
            candidates(kept, wrong, found(kept))
    with pytest.raises(UsageError):
        candidates(kept, None, [])


def test_a_second_restore_that_dies_does_not_end_the_first(home: Home, kept: Path) -> None:
    home.backup(kept)
    brought_back(home, kept)
    brought_back(home, kept)
    note = recovering(home.data_dir)
    assert note is not None
    assert note.begun
    forget_restored(home.data_dir)
    assert recovering(home.data_dir) is None


def test_a_note_that_cannot_be_read_counts(home: Home) -> None:
    (home.data_dir / RECOVERING).write_text(json.dumps({"at_ms": 1}), encoding="ascii")
    note = recovering(home.data_dir)
    assert note is not None
    assert note.begun


# --- what a migration left ---------------------------------------------------------------------


def test_a_copy_from_before_a_migration_is_restored(home: Home, tmp_path: Path) -> None:
    store = home.live()
    copy = tmp_path / f"{store.name}.pre-migration-v{SCHEMA_VERSION}-to-v9-0123abcd.bak"
    copy.write_bytes((store / "data.mdb").read_bytes())
    before = home.held()
    home.write(3)
    outcome = restore_earlier(home.target(), copy, WISH)
    assert (outcome.backup, outcome.manifest) == (copy.name, None)
    assert home.held()[1:] == before[1:]
    assert copy.exists()
    folder = copy.with_name(copy.name.replace("0123", "4567"))
    folder.mkdir()
    (folder / "data.mdb").write_bytes(copy.read_bytes())
    assert restore_earlier(home.target(), folder, WISH).store == home.live()


def test_a_damaged_copy_from_before_a_migration_is_not(home: Home, tmp_path: Path) -> None:
    copy = tmp_path / f"s.pre-migration-v{SCHEMA_VERSION}-to-v9-0123abcd.bak"
    data = (home.live() / "data.mdb").read_bytes()
    at = data.rindex(b"title of r3")
    there = names(home.data_dir)
    for broken in (data[:at] + b"x" + data[at + 1 :], data[: len(data) // 2], os.urandom(9000)):
        copy.write_bytes(broken)
        with pytest.raises(IntegrityError):
            restore_earlier(home.target(), copy, WISH)
        assert names(home.data_dir) == there


def test_a_copy_of_an_older_schema_waits_for_the_start(home: Home, tmp_path: Path) -> None:
    copy = tmp_path / f"store-1.pre-migration-v1-to-v{SCHEMA_VERSION}-0123abcd.bak"
    copy.write_bytes((unpack(1, tmp_path / "old") / "data.mdb").read_bytes())
    outcome = restore_earlier(home.target(), copy, WISH)
    assert outcome.schema == schema_of(home.live()) == 1
    climb(home.data_dir, entropy=os.urandom, map_bytes=MAP_BYTES)
    assert schema_of(home.live()) == SCHEMA_VERSION
    assert home.held()[2]


def test_a_copy_of_a_newer_schema_is_refused(home: Home, tmp_path: Path) -> None:
    copy = tmp_path / f"s.pre-migration-v{SCHEMA_VERSION + 1}-to-v9-0123abcd.bak"
    copy.write_bytes((home.live() / "data.mdb").read_bytes())
    with pytest.raises(DowngradeRefused):
        restore_earlier(home.target(), copy, WISH)


# --- drills ------------------------------------------------------------------------------------


def test_a_drill_touches_nothing_and_counts_what_would_be_lost(
    home: Home, kept: Path, tmp_path: Path
) -> None:
    taken = home.backup(kept)
    there, scratch = names(home.data_dir), tmp_path / "scratch"
    scratch.mkdir()
    done = drill(look(taken.path), scratch, now_ms=NOW_MS)
    assert done.manifest == taken.manifest
    assert not names(scratch)
    assert names(home.data_dir) == there
    clock = dict(taken.manifest.contents.clock)
    assert behind(done.manifest, clock) == 0
    assert behind(done.manifest, {**clock, "another": 5}) == 5
    (taken.path / "data.mdb").write_bytes(b"x")
    with pytest.raises(IntegrityError):
        drill(look(taken.path), scratch, now_ms=NOW_MS)
    assert not names(scratch)
