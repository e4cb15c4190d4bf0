"""A damaged store among real nodes: made whole, or joined again; alone, left as it is."""

import random
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb
import pytest

from chaos.faults.copies import store_of
from chaos.faults.pages import zero
from node.store.pages import BadPage, check_file
from node.store.schema import TABLE_NAMES
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, running, until, until_level, until_linked
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_routes import lone
from tests.integration.test_mesh_disk import write

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
INTEGRITY = 5


def file_of(node: RealNode) -> Path:
    return node.data_dir / store_of(node.data_dir) / "data.mdb"


def row_of(file: Path, table: str, place: int) -> tuple[bytes, bytes]:
    with lmdb.open(str(file.parent), readonly=True, lock=False, max_dbs=len(TABLE_NAMES)) as env:
        handle = env.open_db(table.encode(), create=False)
        with env.begin() as txn:
            return list(txn.cursor(db=handle))[place]


def flip_value(file: Path, table: str, place: int, bits: int = 3) -> None:
    """Flip bits near the end of the value of one row, in the file's bytes."""
    key, value = row_of(file, table, place)
    data, at = file.read_bytes(), -1
    while row_of(file, table, place) == (key, value):  # pages that are free now hold it too
        at = data.index(key + value, at + 1)
        end = at + len(key) + len(value) - 5
        with file.open("r+b") as held:
            held.seek(end)
            held.write(bytes(byte ^ 0x10 for byte in data[end : end + bits]))


def spoil(node: RealNode) -> None:
    """Zero pages until the file is no whole tree any more."""
    rng = random.Random(1)
    while True:
        zero(file_of(node), rng)
        try:
            check_file(file_of(node))
        except BadPage:
            return


def integrity(node: RealNode) -> dict[str, Any]:
    found: dict[str, Any] = node.tell("GET", "/integrity")
    return found


@pytest.fixture
def node_alone(tmp_path: Path) -> Iterator[RealNode]:
    with running(lone(tmp_path)) as node:
        yield node


def test_damaged_rows_of_a_running_node_are_made_whole_by_its_peers(found: Found) -> None:
    nodes = found(3)
    promised = write(nodes[0], 60)
    for number in range(5):
        nodes[0].store(f"one more {number}")
    until_level(nodes)
    for table, place in (("feed", -7), ("feed", -20), ("log_data", -3), ("idx_time", 5)):
        flip_value(file_of(nodes[1]), table, place)
    done = mnemesh("scrub", "--repair", "--json", node=nodes[1])
    assert done.code == 0, done
    assert done.json["whole"], done.json
    assert done.json["corrupt"] >= 4, done.json
    assert nodes[1].metric("mnemesh_scrub_corrupt_total") >= 4
    check_equal(nodes, promised)


def test_a_damaged_record_is_not_served_and_comes_back_by_itself(found: Found) -> None:
    nodes = found(3)
    promised = write(nodes[0], 40)
    until_level(nodes)
    nodes[2].kill()
    flip_value(file_of(nodes[2]), "feed", -9)
    nodes[2].start()
    until_linked(nodes)
    shown = nodes[2].tell("GET", "/memories?limit=1000")["memories"]
    assert len(shown) in {len(promised) - 1, len(promised)}
    until(lambda: integrity(nodes[2])["repaired"] >= 1, "the row is made whole")
    check_equal(nodes, promised)


@pytest.mark.parametrize("kind", ["torn", "head"])
def test_a_member_whose_store_cannot_open_joins_again_and_stays_up(found: Found, kind: str) -> None:
    nodes = found(3)
    promised = write(nodes[0], 60)
    until_level(nodes)
    nodes[1].kill()
    if kind == "torn":
        spoil(nodes[1])
    else:
        flip_value(file_of(nodes[1]), "actors", 0)
    nodes[1].start()
    until_linked(nodes)
    check_equal(nodes, promised)
    assert [path.name for path in nodes[1].data_dir.glob("aside-*")]
    assert integrity(nodes[1])["aside"]
    assert nodes[1].store("after the loss")["quorum_acks"] >= 2


def test_a_page_damaged_under_a_running_node_costs_at_most_a_restart(found: Found) -> None:
    nodes = found(3)
    promised = write(nodes[0], 200)
    until_level(nodes)
    spoil(nodes[1])
    mnemesh("scrub", "--json", node=nodes[1])
    process = nodes[1].process
    assert process is not None
    with suppress(subprocess.TimeoutExpired):
        # LMDB itself may end a process that comes upon such a page: a supervisor starts it again.
        assert process.wait(2.0) < 0
        nodes[1].process = None
        nodes[1].start()
    until_linked(nodes)
    check_equal(nodes, promised)
    assert list(nodes[1].data_dir.glob("aside-*"))


def test_alone_a_damaged_store_is_left_as_it_is(node_alone: RealNode) -> None:
    node = node_alone
    node.store("one")
    node.stop()
    spoil(node)
    before = {p: p.read_bytes() for p in node.data_dir.rglob("*.mdb")}
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == INTEGRITY, node.tail()
    node.process = None
    assert {p: p.read_bytes() for p in node.data_dir.rglob("*.mdb")} == before
    done = mnemesh("scrub", "--json", node=node)
    assert done.code == INTEGRITY
    assert done.json["left"] == {"pages": 1}
