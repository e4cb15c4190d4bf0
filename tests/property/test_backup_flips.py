"""No backup is restored of which anything is another than it was.

A thousand flips of one bit, anywhere in it, and whatever else befalls files: cut, longer, gone,
swapped, one too many.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.backup.folder import found, look
from node.backup.restoring import Wish, restore
from node.errors import IntegrityError
from tests.unit.backup.rig import NOW_MS, Home, names

FLIPS = 1_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Path]:
    """A node and the folder of its one backup."""
    folder = tmp_path_factory.mktemp("flips")
    home = Home(folder / "node")
    home.write(12, private=True)
    return home, home.backup(folder / "kept").path


@pytest.fixture(autouse=True)
def _no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here loses power, so nothing waits for a disk."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


def check_is_not_restored(home: Home, backup: Path) -> None:
    there, live = names(home.data_dir), home.live()
    with pytest.raises(IntegrityError):
        restore(home.target(), [look(backup)], Wish(now_ms=NOW_MS))
    assert names(home.data_dir) == there
    assert home.live() == live


def files_of(backup: Path) -> list[Path]:
    return sorted(path for path in backup.rglob("*") if path.is_file())


@pytest.mark.parametrize("flips", [80, pytest.param(FLIPS, marks=pytest.mark.slow)])
def test_flips_and_none_is_restored(made: tuple[Home, Path], flips: int) -> None:
    home, backup = made
    seed = random.SystemRandom().getrandbits(64)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for number in range(flips):
        # Manifest and settings are small: as many flips as the store has would never meet them.
        path = rng.choice(files_of(backup))
        whole = path.read_bytes()
        at = rng.randrange(len(whole) * 8)
        flipped = bytearray(whole)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(flipped)
        print(f"flip {number}: bit {at} of {path.relative_to(backup)}")
        check_is_not_restored(home, backup)
        path.write_bytes(whole)
    assert found(backup.parent)[0].trouble == ""


def cut(path: Path, share: float) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(int(size * share))


def grow(path: Path, share: float) -> None:
    with path.open("ab") as file:
        file.write(b"\0" * (1 + int(64 * share)))


def lose(path: Path, share: float) -> None:
    del share
    path.unlink()


def gain(path: Path, share: float) -> None:
    path.with_name(f"{path.name}.{int(share * 9)}").write_bytes(b"")


def point_elsewhere(path: Path, share: float) -> None:
    """The same bytes, but somebody else may change them at any time."""
    target = path.parents[3] / f"elsewhere-{int(share * 10**9)}"
    shutil.move(path, target)
    path.symlink_to(target)


def empty(path: Path, share: float) -> None:
    del share
    path.write_bytes(bytes(path.stat().st_size))


MISHAPS: list[Callable[[Path, float], None]] = [cut, grow, lose, gain, point_elsewhere, empty]


@given(
    mishap=st.sampled_from(MISHAPS),
    which=st.integers(0, 3),
    share=st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=15, deadline=None)
def test_whatever_else_befalls_it(
    made: tuple[Home, Path], mishap: Callable[[Path, float], None], which: int, share: float
) -> None:
    home, backup = made
    saved = backup.parents[1] / "saved"
    shutil.copytree(backup, saved)
    try:
        listed = files_of(backup)
        mishap(listed[which % len(listed)], share)
        check_is_not_restored(home, backup)
    finally:
        shutil.rmtree(backup)
        saved.rename(backup)
