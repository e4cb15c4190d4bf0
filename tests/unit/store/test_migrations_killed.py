"""A migration that dies at any of its moments: the store opens as it was, or goes on."""

import os
import random
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from node import failpoints
from node.store.migrations import climb, snapshots_of
from node.store.schema import SCHEMA_VERSION
from node.store.version import stored_schema
from tests.fixtures.stores import SCHEMAS, unpack
from tests.unit.store.rig import MAP_BYTES
from tests.unit.store.rig_migrations import dump

POINTS = sorted(point for point in failpoints.POINTS if point.startswith("migration."))
UNCHANGED = ("migration.snapshot", "migration.copied", "migration.saved", "migration.step")
OLD = [schema for schema in SCHEMAS if schema < SCHEMA_VERSION]


def up(data_dir: Path) -> None:
    climb(data_dir, entropy=os.urandom, map_bytes=MAP_BYTES)


def child(work: Callable[[], None]) -> int:
    """Run something in a process of its own; returns its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def check_goes_on(data_dir: Path, path: Path, schema: int, before: object) -> None:
    """It is the old store or the new one, and the next start ends the work."""
    found = stored_schema(path)
    assert found is not None
    assert schema <= found <= SCHEMA_VERSION
    if found == schema:
        assert dump(path) == before
    up(data_dir)
    assert stored_schema(path) == SCHEMA_VERSION
    assert len(snapshots_of(data_dir)) == 1
    assert not list(data_dir.glob("*.part"))


@pytest.mark.parametrize("schema", OLD)
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_each_moment(tmp_path: Path, point: str, schema: int) -> None:
    faults, data_dir = tmp_path / "faults", tmp_path / "node"
    faults.mkdir()
    path = unpack(schema, data_dir)
    before = dump(path)
    (faults / point).write_text("crash", encoding="ascii")

    def work() -> None:
        failpoints.arm({failpoints.VARIABLE: str(faults)})
        up(data_dir)

    _, status = os.waitpid(child(work), 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
    assert (faults / f"{point}.fired").exists()
    if point in UNCHANGED:
        assert stored_schema(path) == schema
    check_goes_on(data_dir, path, schema, before)


def test_every_moment_is_killed() -> None:
    assert len(POINTS) == 6
    assert set(UNCHANGED) < set(POINTS)


@pytest.mark.slow
@pytest.mark.parametrize("schema", OLD)
def test_a_kill_at_any_time(tmp_path: Path, schema: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng, killed = random.Random(seed), 0
    for turn in range(60):
        data_dir = tmp_path / str(turn)
        path = unpack(schema, data_dir)
        before = dump(path)
        pid = child(lambda data_dir=data_dir: up(data_dir))  # type: ignore[misc]  # bound now
        threading.Event().wait(rng.uniform(0.0, 0.05))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        killed += os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        check_goes_on(data_dir, path, schema, before)
    assert killed > 10, "the kills came too late to mean anything"
    sys.stdout.write(f"{killed} of 60 died on the way\n")
