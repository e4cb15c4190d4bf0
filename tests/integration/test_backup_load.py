"""Backups of a node that is written to: each opens, is whole, and has what was promised before."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.backup.drilling import drill
from node.backup.folder import look
from node.backup.taking import Source, take
from node.backup.verifying import verify_backup
from node.settings.toml_file import write_config
from tests.integration.rig import RealNode, running, until
from tests.integration.rig_commands import told
from tests.integration.rig_routes import lone
from tests.unit.backup.rig import MINUTE_MS, NOW_MS
from transport.identity import NodeKey

pytestmark = pytest.mark.integration


_ROWS_MAX = 2_000
_SETTINGS = {
    "storage": {"log_bytes_max": 1 << 20, "log_bytes_min": 0, "maintenance_interval_secs": 0.1}
}


class Load:
    """Writers that never pause; `promised` counts what was acknowledged.

    What is stored does not grow beyond a bound, for a backup takes as long as its store is large:
    beyond it memories are written anew, and the log is cut meanwhile.
    """

    def __init__(self, node: RealNode) -> None:
        self._node = node
        self._stop = threading.Event()
        self.promised = 0
        self.failures: list[str] = []

    def write(self, writer: int) -> None:
        number = 0
        ids: list[str] = []
        while not self._stop.is_set():
            number += 1
            if self.promised < _ROWS_MAX:
                items = [
                    {"title": f"{writer} {number} {n}", "content": "x" * 300} for n in range(10)
                ]
                reply = self._node.ask("POST", "/memories/bulk", items, timeout=60)
                ids += reply.body.get("ids", [])
            else:
                path = f"/memories/{ids[number % len(ids)]}"
                reply = self._node.ask("PUT", path, {"content": f"{number} " * 60}, timeout=60)
                items = []
            if reply.status >= 300:
                self.failures.append(json.dumps(reply.body)[:200])
                return
            self.promised += len(items)

    @contextmanager
    def running(self, writers: int) -> Iterator["Load"]:
        threads = [threading.Thread(target=self.write, args=(n,)) for n in range(writers)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: self.promised or self.failures, "writes are acknowledged")
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)
        assert not self.failures


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    one = lone(tmp_path_factory.mktemp("lone"))
    one.data_dir.mkdir(mode=0o700)
    write_config(one.data_dir / "config.toml", _SETTINGS)
    with running(one):
        yield one


def source_of(node: RealNode) -> Source:
    return Source(
        data_dir=node.data_dir,
        key=NodeKey.load(node.data_dir / "keys" / "node.key"),
        name=node.name,
        runs=True,
        files={},
    )


def back_up(node: RealNode, folder: Path, count: int, *, rewrite_each: int) -> int:
    """Back up again and again, and have the node write its file anew in between."""
    source, size = source_of(node), 0
    with Load(node).running(2) as load:
        for at in range(count):
            if at % rewrite_each == rewrite_each // 2:
                node.ask("POST", "/compact", {}, timeout=60)
            promised = load.promised
            taken = take(source, folder, keep=count, now_ms=NOW_MS + at * MINUTE_MS)
            assert taken.manifest.contents.records >= promised
            verify_backup(taken.path)
            size = max(size, taken.manifest.size_bytes)
            if at % 20 == 19:  # the disk of a test is not for all of them
                drill(look(taken.path), folder.parent, now_ms=NOW_MS)
                for old in list(folder.iterdir())[:-1]:
                    shutil.rmtree(old)
    return size


def test_a_node_is_backed_up_while_it_is_written_to(node: RealNode, tmp_path: Path) -> None:
    back_up(node, tmp_path / "kept", 3, rewrite_each=3)
    assert node.metric("mnemesh_store_fsync_errors_total") == 0


@pytest.mark.slow
def test_two_hundred_backups_under_load(node: RealNode, tmp_path: Path) -> None:
    size = back_up(node, tmp_path / "kept", 200, rewrite_each=25)
    taken = told("backup", "--to", tmp_path / "kept", node=node)
    drilled = told(
        "backup", "drill", "--from", tmp_path / "kept", "--backup", taken["id"], node=node
    )
    assert drilled["operations_behind"] == 0
    print(f"200 backups, the largest of {size} bytes")
    until(node.ready, "the node serves as before")
