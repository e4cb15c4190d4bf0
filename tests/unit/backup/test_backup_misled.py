"""A clock that went back, and a folder that others write to while it is read."""

import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.backup.folder import found
from node.backup.manifest import DATA, MANIFEST, signed
from node.backup.notes import last_backup
from node.backup.restoring import Wish, restore
from node.backup.taking import take
from node.errors import IntegrityError
from tests.unit.backup.rig import MINUTE_MS, NOW_MS, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "node")
    made.write(3)
    return made


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def test_a_backup_made_after_the_clock_went_back_is_the_newest_and_stays(
    home: Home, kept: Path
) -> None:
    first = home.backup(kept, 1000, keep=1)
    home.write(2)
    taken = home.backup(kept, 0, keep=1)
    assert taken.path.is_dir()
    assert taken.pruned == (first.path.name,)
    assert [one.id for one in found(kept)] == [taken.path.name]
    assert taken.manifest.created_ms == NOW_MS + 1000 * MINUTE_MS + 1
    last = last_backup(home.data_dir)
    assert last is not None
    assert last.at_ms == NOW_MS  # an alert about its age goes by the clock as it is
    before = home.held()[1:]
    home.write(1)
    restore(home.target(), found(kept), Wish(now_ms=NOW_MS))
    assert home.held()[1:] == before


def test_a_clock_of_another_node_says_nothing_about_this_one(home: Home, kept: Path) -> None:
    other = Home(kept.parent / "other", number=2)
    other.write(1)
    other.backup(kept, 5000)
    assert home.backup(kept, 0).manifest.created_ms == NOW_MS


def test_a_manifest_that_is_no_file_is_not_waited_for(home: Home, kept: Path) -> None:
    path = home.backup(kept).path
    (path / MANIFEST).unlink()
    os.mkfifo(path / MANIFEST)
    # Who reads it as a file waits for this one, and finds an empty manifest, which is another word.
    pipe = threading.Thread(target=lambda: (path / MANIFEST).open("wb").close(), daemon=True)
    pipe.start()
    (one,) = found(kept)
    assert "can be read" in one.trouble
    while pipe.is_alive():  # it may have been opened a moment too late
        os.close(os.open(path / MANIFEST, os.O_RDONLY | os.O_NONBLOCK))
        pipe.join(0.01)


def test_a_manifest_is_no_link_to_another(home: Home, kept: Path) -> None:
    path = home.backup(kept).path
    (path / MANIFEST).rename(kept / "elsewhere")
    (path / MANIFEST).symlink_to(kept / "elsewhere")
    (one,) = found(kept)
    assert "can be read" in one.trouble


@pytest.mark.parametrize(
    "further",
    [
        {"created_ms": "2099"},
        {"created_ms": -1},
        {"created_ms": 2**70},
        {"created_ms": True},
        {"id": 7},
        {"id": ["x"]},
        {"name": {}},
        {"version": None},
    ],
)
def test_who_signs_nonsense_is_passed_over_and_nobody_else(
    home: Home, kept: Path, further: dict[str, Any]
) -> None:
    stranger = Home(kept.parent / "stranger", number=2)
    stranger.write(1)
    path = stranger.backup(kept, 10).path
    good = home.backup(kept).path.name
    manifest = found(kept)[0].manifest
    assert manifest is not None
    told = signed(replace(manifest, **further), stranger.key.public, stranger.key.sign)
    (path / MANIFEST).write_bytes(told)
    there = found(kept)
    assert {one.id for one in there if not one.trouble} == {good}
    assert restore(home.target(), there, Wish(now_ms=NOW_MS)).backup == good


@pytest.mark.parametrize(
    "contents", [{"schema": "3"}, {"records": -1}, {"clock": {"a": "x"}}, {"rows": []}]
)
def test_so_is_nonsense_about_what_is_in_it(
    home: Home, kept: Path, contents: dict[str, Any]
) -> None:
    path = home.backup(kept).path
    (one,) = found(kept)
    assert one.manifest is not None
    told = replace(one.manifest, contents=replace(one.manifest.contents, **contents))
    (path / MANIFEST).write_bytes(signed(told, home.key.public, home.key.sign))
    with pytest.raises(IntegrityError, match="no backup holds"):
        restore(home.target(), found(kept), Wish(now_ms=NOW_MS))


def test_what_is_put_in_place_is_what_was_verified(home: Home, kept: Path) -> None:
    """Who may write to the folder of backups has the whole time of the copy for an exchange."""
    path = home.backup(kept).path
    before = home.held()
    listed = home.data_dir / "keys" / "allowlist"
    listed.unlink()

    def exchange(step: str) -> None:
        if step == "marked":
            (path / "node" / "allowlist").write_text("# who may connect\nevil\n", encoding="ascii")

    with pytest.raises(IntegrityError, match="no backup holds"):
        restore(home.target(), found(kept), Wish(now_ms=NOW_MS, step=exchange))
    assert not listed.exists()
    assert home.held() == before
    assert (path / DATA).is_file()


def test_two_that_prune_at_once_are_in_nobodys_way(home: Home, kept: Path) -> None:
    gone = [home.backup(kept, at).path for at in range(3)]

    def faster(step: str) -> None:
        if step == "prune":
            for path in gone:
                shutil.rmtree(path, ignore_errors=True)

    taken = take(home.source(), kept, keep=1, now_ms=NOW_MS + 10 * MINUTE_MS, step=faster)
    assert [one.path for one in found(kept)] == [taken.path]
