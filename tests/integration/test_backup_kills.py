"""A kill at any change of the file system, while a backup is made, pruned or restored.

The process that dies is a fork of the test's own: it counts what it is about to create, rename,
cut or remove, and is gone before the one that is ordered.
"""

import itertools
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from node.backup.folder import found
from node.backup.notes import recovering
from node.backup.restoring import Wish, restore
from node.backup.verifying import verify_backup
from node.store.folder import sweep
from tests.unit.backup.rig import NOW_MS, Home

pytestmark = pytest.mark.integration

CHANGES = frozenset(
    {"os.rename", "os.mkdir", "os.rmdir", "os.remove", "os.truncate", "os.chmod", "shutil.rmtree"}
)
KEPT = 2
EVERY_DAY = 9


def is_change(event: str, args: tuple[object, ...]) -> bool:
    if event == "open":
        flags = args[2] if len(args) > 2 else 0
        return isinstance(flags, int) and bool(flags & (os.O_CREAT | os.O_TRUNC))
    return event in CHANGES


def die_at(change: int) -> None:
    """From now on count changes, and die before that one; also on another thread."""
    left = itertools.count(1)

    def watch(event: str, args: tuple[object, ...]) -> None:
        if is_change(event, args) and next(left) == change:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def ended_by_kill(work: Callable[[], object], change: int) -> bool:
    """Run something in a fork that dies at a change; False when it came to its end before."""
    pid = os.fork()
    if not pid:
        try:
            die_at(change)
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of a fork may reach the test's own frames
            traceback.print_exc()
            os._exit(9)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in {0, -signal.SIGKILL}, f"it failed at change {change}"
    return code != 0


def changes(step: int) -> Iterator[int]:
    """Which changes to die at: all of them, or some, with another beginning each day."""
    first = random.SystemRandom().randint(1, step)
    print(f"the first change to die at: {first}, then each {step}.")
    return itertools.count(first, step)


STEPS = pytest.mark.parametrize("step", [EVERY_DAY, pytest.param(1, marks=pytest.mark.slow)])


def valid(folder: Path) -> list[str]:
    """Backups that hold, contents and all."""
    return [verify_backup(one.path).id for one in found(folder) if not one.trouble]


@STEPS
def test_a_backup_that_dies_leaves_the_backups_there_were(tmp_path: Path, step: int) -> None:
    home, kept = Home(tmp_path / "node"), tmp_path / "kept"
    home.write(6)
    for at in range(KEPT):
        home.backup(kept, at)
    died = 0
    for at, change in enumerate(changes(step), KEPT):
        if not ended_by_kill(lambda at=at: home.backup(kept, at, keep=KEPT), change):  # type: ignore[misc]  # bound now
            break
        died += 1
        assert len(valid(kept)) >= KEPT
        assert home.held()[2] == 6
    assert died >= 20 // step
    home.backup(kept, at + 1, keep=KEPT)
    names = {path.name for path in kept.iterdir()}
    assert names == set(valid(kept)), "parts of the dead are left"
    assert len(names) == KEPT


@STEPS
def test_a_restore_that_dies_leaves_a_store_that_opens(tmp_path: Path, step: int) -> None:
    home, kept = Home(tmp_path / "node"), tmp_path / "kept"
    home.write(6)
    home.backup(kept)
    home.write(3)
    original = home.live()
    there = valid(kept)
    died = 0
    for change in changes(step):
        work = lambda: restore(home.target(), found(kept), Wish(now_ms=NOW_MS))  # noqa: E731
        before = home.live()
        done = not ended_by_kill(work, change)
        sweep(home.data_dir, NOW_MS + change)  # as the next start does
        note, live = recovering(home.data_dir), home.live()
        assert home.held()[2] == (9 if live == original else 6)
        if live != before:
            assert note is not None, "a restored store would write at once"
            assert note.begun or note.store == live.name
        elif note is not None and live == original:
            assert not note.begun, "an old store would not write for a restore that never was"
            assert note.store != live.name
        assert valid(kept) == there
        if done:
            break
        died += 1
    assert died >= 10 // step
    assert not list(home.data_dir.glob("next-*"))
