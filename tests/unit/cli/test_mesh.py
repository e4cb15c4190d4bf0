"""`mesh up` does what an operator would do, and does it again when asked again."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.cli import mesh as mesh_module
from node.cli.mesh_plan import read_plan
from node.cli.process import wait_for
from node.lock import find_holder
from node.paths import resolve_paths
from node.settings import load_settings
from tests.unit.cli.standin import Mnemesh, Ran
from transport import allowlist

STUB = Path(__file__).with_name("stub_node.py")
ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path, mnemesh: Mnemesh, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(
        mesh_module, "serve_command", lambda arguments: [sys.executable, str(STUB), *arguments]
    )
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    yield tmp_path / "mesh"
    if (tmp_path / "mesh" / "mesh.json").exists():
        mnemesh("mesh", "down", "--dir", tmp_path / "mesh", "--force")


@pytest.fixture
def base_port() -> int:
    # Nine ports in a row that are free now; another process may still win one, rarely.
    for start in range(21_000 + os.getpid() % 500 * 20, 60_000, 10):
        try:
            for port in range(start, start + 9):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return start
    pytest.fail("no free ports")


def up(mnemesh: Mnemesh, folder: Path, *more: object) -> Ran:
    return mnemesh("mesh", "up", "--dir", folder, "--timeout", 30, "--json", *more)


def test_a_mesh_is_made_joined_and_described(
    mnemesh: Mnemesh, folder: Path, base_port: int
) -> None:
    ran = up(mnemesh, folder, "--nodes", 3, "--base-port", base_port)
    assert ran.code == 0, ran.err
    nodes = ran.json["nodes"]
    assert [node["name"] for node in nodes] == ["node-1", "node-2", "node-3"]
    assert set(nodes[0]) == {
        "name", "node_id", "fingerprint", "url", "peer_url", "api_key_file", "data_dir", "pid",
    }  # fmt: skip
    for index, node in enumerate(nodes):
        paths = resolve_paths({}, folder, data_dir=Path(node["data_dir"]))
        holder = find_holder(paths.lock)
        assert holder is not None
        assert holder.pid == node["pid"]
        assert node["url"] == f"http://127.0.0.1:{base_port + index}"
        assert node["peer_url"] == f"https://127.0.0.1:{base_port + 3 + index}"
        listed = allowlist.load(paths.allowlist)
        others = {other["fingerprint"] for other in nodes if other is not node}
        assert listed.fingerprints == others
        assert {pem.stem for pem in paths.peers.iterdir()} == others
        peers = load_settings(paths, environ={}).quorum.peers
        assert peers == tuple(other["peer_url"] for other in nodes if other is not node)
        # The first founds the mesh, the others join it.
        assert paths.join.exists() == (index > 0)
    assert mnemesh("mesh", "status", "--dir", folder).code == 0


def test_again_starts_what_is_down_and_leaves_the_rest(
    mnemesh: Mnemesh, folder: Path, base_port: int
) -> None:
    before = up(mnemesh, folder, "--base-port", base_port).json["nodes"]
    os.kill(before[1]["pid"], signal.SIGKILL)
    lock = Path(before[1]["data_dir"]) / "lock"
    assert wait_for(lambda: find_holder(lock) is None or None, 10)
    assert mnemesh("mesh", "status", "--dir", folder).code == 6
    after = up(mnemesh, folder).json["nodes"]
    assert [n["fingerprint"] for n in after] == [n["fingerprint"] for n in before]
    assert [one["pid"] == two["pid"] for one, two in zip(before, after, strict=True)] == [
        True, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("reloads", [True, False])
def test_a_wanted_quorum_is_set_once_all_are_there(
    mnemesh: Mnemesh,
    folder: Path,
    base_port: int,
    monkeypatch: pytest.MonkeyPatch,
    *,
    reloads: bool,
) -> None:
    if not reloads:
        monkeypatch.setenv("STUB_NO_RELOAD", "1")
        monkeypatch.setattr(mesh_module, "_RELOAD_SECONDS", 0.05)
    ran = up(mnemesh, folder, "--nodes", 2, "--base-port", base_port, "--quorum-writes", 1)
    assert ran.code == 0, ran.err
    for node in ran.json["nodes"]:
        paths = resolve_paths({}, folder, data_dir=Path(node["data_dir"]))
        assert load_settings(paths, environ={}).quorum.writes == 1
    again = up(mnemesh, folder)
    assert [n["pid"] for n in again.json["nodes"]] == [n["pid"] for n in ran.json["nodes"]]


def test_a_port_in_use_is_refused_before_anything_is_made(
    mnemesh: Mnemesh, folder: Path, base_port: int
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base_port + 4))
        taken.listen()
        ran = up(mnemesh, folder, "--base-port", base_port)
    assert ran.code == 1
    assert f"port {base_port + 4}" in ran.err
    assert not folder.exists()


def test_a_node_that_cannot_start_is_named(
    mnemesh: Mnemesh, folder: Path, base_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mesh_module,
        "serve_command",
        lambda _arguments: [sys.executable, "-c", "print('broken'); raise SystemExit(5)"],
    )
    ran = up(mnemesh, folder, "--base-port", base_port)
    assert ran.code == 5
    assert "broken" in ran.err
    assert "node-1" in ran.err


def test_down_ends_all_of_them(mnemesh: Mnemesh, folder: Path, base_port: int) -> None:
    nodes = up(mnemesh, folder, "--nodes", 2, "--base-port", base_port).json["nodes"]
    ran = mnemesh("mesh", "down", "--dir", folder, "--json")
    assert ran.code == 0
    assert {node["pid"] for node in nodes} >= {n["pid"] for n in ran.json["nodes"] if n["pid"]}
    assert all(find_holder(Path(node["data_dir"]) / "lock") is None for node in nodes)
    assert read_plan(folder) is not None


def test_a_folder_without_a_mesh_says_how_to_make_one(mnemesh: Mnemesh, tmp_path: Path) -> None:
    for command in ("status", "down"):
        ran = mnemesh("mesh", command, "--dir", tmp_path)
        assert ran.code == 2
        assert "mnemesh mesh up" in ran.err


def test_an_impossible_quorum_is_refused(mnemesh: Mnemesh, folder: Path) -> None:
    ran = up(mnemesh, folder, "--nodes", 3, "--quorum-writes", 4)
    assert ran.code == 4
    assert not folder.exists()
