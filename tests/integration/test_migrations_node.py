"""A node over a store that an older program wrote: it answers what that program answered."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node import failpoints
from node.store.migrations import snapshots_of
from node.store.schema import SCHEMA_VERSION
from node.store.version import stored_schema
from tests.fixtures.stores import SCHEMAS, answers, unpack
from tests.fixtures.stores.telling import told
from tests.integration.rig import RealNode, until
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.integration, pytest.mark.slow]

OLDEST = SCHEMAS[0]
POINTS = sorted(point for point in failpoints.POINTS if point.startswith("migration."))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RealNode]:
    (made,) = founded(tmp_path, 1, flags=("--quorum-writes", "1"))
    made.environment = {}
    yield made
    made.clean_up()


def served(node: RealNode) -> dict[str, Any]:
    """Start it; what it answers about everything."""
    node.start()
    until(lambda: node.ready(quorum=False), "it reads", seen=node.tail)
    found: dict[str, Any] = json.loads(json.dumps(told(node)))
    return found


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_answers_are_those_of_the_program_that_wrote_it(node: RealNode, schema: int) -> None:
    unpack(schema, node.data_dir)
    found, wanted = served(node), answers(schema)["told"]
    for part, said in wanted.items():
        assert found[part] == said, part
    steps = [(e["source"], e["target"]) for e in node.events("store_migrated")]
    assert steps == [(n, n + 1) for n in range(schema, SCHEMA_VERSION)]
    assert len(node.events("store_saved")) == (schema < SCHEMA_VERSION)
    assert node.stop() == 0
    node.start()
    assert len(node.events("store_migrated")) == len(steps), "a second start migrates nothing"


@pytest.mark.parametrize("point", POINTS)
def test_a_node_that_dies_while_it_migrates_starts_again(
    node: RealNode, tmp_path: Path, point: str
) -> None:
    store = unpack(OLDEST, node.data_dir)
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / point).write_text("crash", encoding="ascii")
    node.environment = {failpoints.VARIABLE: str(faults)}
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == -signal.SIGKILL
    node.process = None
    assert stored_schema(store) in {OLDEST, SCHEMA_VERSION}
    node.environment = {}
    assert served(node)["digest"] == answers(OLDEST)["told"]["digest"]
    assert len(snapshots_of(node.data_dir)) == 1


def test_a_store_that_cannot_be_migrated_ends_the_start_with_4_and_stays(node: RealNode) -> None:
    store = unpack(OLDEST, node.data_dir)
    file = store / "data.mdb"
    data = bytearray(file.read_bytes())
    at = data.index(b"the kettle is red")
    data[at] ^= 1
    file.write_bytes(data)
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == 4
    node.process = None
    assert file.read_bytes() == bytes(data)
    assert "no sound snapshot" in node.log.read_text()
    assert not list(node.data_dir.glob("*.bak*"))
