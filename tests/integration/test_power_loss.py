"""A real node loses power at any moment: what it had acknowledged is there (F22)."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.power.cycle import judge, keep_log, replay
from chaos.power.disk import check_complete
from chaos.power.recording import Recorded, record
from chaos.power.syscalls import missing
from chaos.power.writelog import Data, Incomplete, Names, Op, Sync, WriteLog

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.integration,
    pytest.mark.skipif(bool(missing()), reason=missing() or "strace is there"),
]
SEED = 22


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A log of a node under load; read by the tests of this module, never changed."""
    return record(tmp_path_factory.mktemp("power"), requests=160, seed=SEED)


def test_the_log_is_of_what_the_node_really_does(recorded: Recorded) -> None:
    log = recorded.log
    kinds = {type(op.what) for op in log.ops}
    assert {Data, Names, Sync} <= kinds
    assert any(isinstance(op.what, Data) and op.what.own_sync for op in log.ops), "LMDB's meta page"
    assert any(isinstance(op.what, Names) and len(op.what.sets) > 1 for op in log.ops), "renames"
    assert len({op.thread for op in log.ops}) > 2, "several threads write"
    assert recorded.compared_bytes > 100_000
    assert recorded.promises.acknowledged > 200
    assert recorded.promises.entries, "the audit chain was asked about"
    stores = {
        name
        for op in log.ops
        if isinstance(op.what, Names)
        for _, name, inode in op.what.sets
        if name == "data.mdb" and inode is not None and len(op.what.sets) > 1
    }
    assert stores, "the store's file was written anew"


def test_images_open_with_every_acknowledged_write(recorded: Recorded) -> None:
    result = judge(recorded, seed=SEED, count=150)
    print(result.data())
    assert result.ok, result.broken[:5]
    assert (result.images, result.opened, result.whole) == (150, 150, 150)
    assert result.distinct == 150
    assert result.required > 150


def _forgets_data(log: WriteLog) -> Callable[[Op], bool]:
    """As if fdatasync were left out: the meta page is on the disk before the pages it names."""
    return lambda op: not (isinstance(op.what, Sync) and op.what.inode not in log.folders)


def _forgets_names(log: WriteLog) -> Callable[[Op], bool]:
    return lambda op: not (isinstance(op.what, Sync) and op.what.inode in log.folders)


def _forgets_meta(_log: WriteLog) -> Callable[[Op], bool]:
    return lambda op: not isinstance(op.what, Data)


@pytest.mark.parametrize("forgets", [_forgets_data, _forgets_names, _forgets_meta])
def test_a_program_that_forgets_a_sync_is_caught(
    recorded: Recorded, forgets: Callable[[WriteLog], Callable[[Op], bool]]
) -> None:
    result = judge(recorded, seed=SEED, count=120, honours=forgets(recorded.log))
    assert not result.ok
    assert result.whole < 120
    # What of a commit is missed depends on what it was: a record, an edit, or a deletion.
    assert set(result.anomalies) & {"lost", "refused", "reverted", "back"}


def test_a_write_that_the_log_missed_is_noticed(recorded: Recorded) -> None:
    log = recorded.log
    at = next(
        place
        for place in reversed(range(len(log.ops)))
        if isinstance(log.ops[place].what, Data) and log.ops[place].thread != log.ops[0].thread
    )
    short = WriteLog(
        log.root, log.files, log.names, log.folders, log.ops[:at] + log.ops[at + 1 :], log.scratch
    )
    with pytest.raises(Incomplete):
        check_complete(short)


def test_images_that_nobody_can_open_are_named_and_a_kept_log_is_judged_again(
    recorded: Recorded, tmp_path: Path
) -> None:
    refused = judge(recorded, seed=SEED, count=6, python=("false",))
    assert (refused.images, refused.opened, refused.deaths) == (6, 0, 6)
    assert not refused.ok
    file = keep_log(recorded, tmp_path / "power.log")
    assert replay(file, seed=SEED, count=6).ok


@pytest.mark.slow
def test_two_thousand_images(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "chaos", "power", "--images", "2000", "--json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert (told["images"], told["opened"], told["whole"]) == (2000, 2000, 2000)
    assert not told["anomalies"]
