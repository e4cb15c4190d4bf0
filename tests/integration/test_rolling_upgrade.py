"""From the release before to this one, one member after the other, while agents write."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node import __version__
from node.store.folder import current_path
from node.store.migrations import snapshots_of
from node.store.schema import SCHEMA_VERSION
from node.store.version import stored_schema
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_kills import check_kept
from tests.integration.rig_load import Load
from tests.integration.rig_mesh import start_all
from tests.integration.rig_releases import (
    LATEST,
    RELEASES,
    Release,
    founded_of,
    program_of,
    run_release,
    version_of,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def mesh() -> Iterator[list[RealNode]]:
    nodes: list[RealNode] = []
    yield nodes
    for node in nodes:
        node.clean_up()


def upgrade(node: RealNode) -> None:
    """Stop the old program, start this one on the same folder; a start that migrates takes time."""
    assert node.stop() == 0
    run_release(node, None)
    node.start()


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
def test_a_rolling_upgrade_under_load_loses_nothing(
    tmp_path: Path, programs: Path, mesh: list[RealNode], release: Release
) -> None:
    mesh += founded_of(release, program_of(release, programs), tmp_path)
    start_all(mesh)
    assert {version_of(node) for node in mesh} == {release.version}
    load = Load(mesh, seed=7)
    with load.running():
        load.until_written(150)
        for node in mesh:
            upgrade(node)
            load.until_written(60)
            until_linked(mesh)
            load.until_written(60)
    assert {version_of(node) for node in mesh} == {__version__}
    check_kept(mesh, load)
    for node in mesh:
        store = current_path(node.data_dir)
        assert store is not None
        assert stored_schema(store) == SCHEMA_VERSION
        migrated = release.store_schema < SCHEMA_VERSION
        assert len(snapshots_of(node.data_dir)) == migrated
        assert len(node.events("store_migrated")) == SCHEMA_VERSION - release.store_schema
        assert "config migrate" in str(node.events("setting_warning"))
    wrote = sum(load.wrote.values())
    print(f"{release.name}: {wrote} writes acknowledged, {load.broken} broken off, none lost")


def test_a_mixed_mesh_works_both_ways(tmp_path: Path, programs: Path, mesh: list[RealNode]) -> None:
    program = program_of(LATEST, programs)
    mesh += founded_of(LATEST, program, tmp_path)
    old, new, other = mesh
    run_release(new, None)
    start_all(mesh)
    assert (version_of(old), version_of(new)) == (LATEST.version, __version__)
    made = {
        node.name: node.store(f"by {node.name}", content=f"text of {node.name}")["id"]
        for node in mesh
    }
    until_level(mesh)
    for reader in mesh:
        for writer, ident in made.items():
            assert reader.get(ident)["content"] == f"text of {writer}"
    for writer, target in ((old, new), (new, old)):
        ident = made[target.name]
        writer.tell("PUT", f"/memories/{ident}", {"content": f"changed by {writer.name}"})
        until_level(mesh)
        assert target.get(ident)["content"] == f"changed by {writer.name}"
        gone = writer.store("gone", content="soon")["id"]
        until_level(mesh)
        target.tell("DELETE", f"/memories/{gone}")
        until_level(mesh)
        assert writer.ask("GET", f"/memories/{gone}").status == 404
    # Who was away catches up from the other program, whichever that is.
    for away, there in ((old, new), (new, old)):
        away.stop()
        missed = [there.store(f"missed {n}")["id"] for n in range(20)]
        away.start()
        until_linked(mesh)
        until(lambda away=away, missed=missed: away.held().keys() >= set(missed), "caught up")
    check_equal(mesh)
    assert other.held()


def test_an_upgraded_member_can_go_back(
    tmp_path: Path, programs: Path, mesh: list[RealNode]
) -> None:
    """The store and the configuration as they were, the old program: the mesh brings the rest."""
    release = RELEASES[0]
    assert release.store_schema < SCHEMA_VERSION
    program = program_of(release, programs)
    mesh += founded_of(release, program, tmp_path)
    start_all(mesh)
    before = [mesh[0].store(f"before {n}")["id"] for n in range(10)]
    until_level(mesh)
    upgrade(mesh[0])
    until_linked(mesh)
    after = [mesh[0].store(f"after {n}")["id"] for n in range(10)]
    assert mesh[0].stop() == 0
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-m",
            "node",
            "upgrade",
            "back",
            "--yes",
            "--data-dir",
            str(mesh[0].data_dir),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_release(mesh[0], program)
    mesh[0].start()
    until_linked(mesh)
    assert version_of(mesh[0]) == release.version
    mesh[0].store("and on")
    check_equal(mesh)
    assert mesh[0].held().keys() >= {*before, *after}


def test_the_old_program_refuses_what_the_new_one_wrote_and_touches_nothing(
    tmp_path: Path, programs: Path, mesh: list[RealNode]
) -> None:
    release = RELEASES[0]
    program = program_of(release, programs)
    mesh += founded_of(release, program, tmp_path, 1)
    (node,) = mesh
    node.start()
    upgrade(node)
    node.stop()
    store = current_path(node.data_dir)
    assert store is not None
    before = (store / "data.mdb").read_bytes()
    run_release(node, program)
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == 7
    node.process = None
    assert (store / "data.mdb").read_bytes() == before
