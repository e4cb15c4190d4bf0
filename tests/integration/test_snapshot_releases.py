"""Snapshots between a release that compares rows and one that does not, in one mesh.

Law: whoever cannot be asked is believed as it was before, and the node says so; whoever asks
hinders nobody who does not know the question.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.rig import RealNode, check_equal, cleaned_up, until_level, until_linked
from tests.integration.rig_mesh import start_all
from tests.integration.rig_releases import LATEST, founded_of, program_of, run_release
from tests.integration.test_mesh_disk import lose_store, until_truncated, write

pytestmark = [pytest.mark.integration, pytest.mark.slow]
SHORT_LOG = """
[storage]
log_bytes_max = 1048576
log_bytes_min = 0
maintenance_interval_secs = 0.1
"""


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[list[RealNode]]:
    nodes = founded_of(LATEST, program_of(LATEST, tmp_path / "programs"), tmp_path / "mesh")
    for node in nodes:
        config = node.data_dir / "config.toml"
        config.write_text(config.read_text(encoding="utf-8") + SHORT_LOG, encoding="utf-8")
    with cleaned_up(nodes):
        start_all(nodes)
        yield nodes


def lose_disk(node: RealNode, program: Path | None = None) -> None:
    node.kill()
    lose_store(node)
    run_release(node, program)
    node.start()


def test_a_lost_disk_is_filled_from_the_release_before_and_fills_it(
    mesh: list[RealNode], tmp_path: Path
) -> None:
    one, two, three = mesh
    promised = write(one, 600, size=4000)
    until_level(mesh)
    until_truncated(mesh)
    lose_disk(three)  # comes back as this program, between two of the release before
    until_linked(mesh)
    check_equal(mesh, promised)
    told = three.events("snapshot_unconfirmed")
    assert len(told) == len(three.events("store_swapped")) == 1
    assert "compares no rows" in told[0]["detail"]
    # One of the others comes to this program too; the third, without a disk, stays what it was.
    assert two.stop() == 0
    run_release(two, None)
    two.start()
    until_linked(mesh)
    promised |= write(two, 600, size=4000)
    until_level(mesh)
    until_truncated([two, three])
    lose_disk(one, tmp_path / "programs" / LATEST.name)
    until_linked(mesh)
    check_equal(mesh, promised)
    # And now a disk is lost between one that compares and one that does not.
    lose_disk(three)
    until_linked(mesh)
    check_equal(mesh, promised)
    assert not [node.events("snapshot_refused") for node in mesh if node.events("snapshot_refused")]
