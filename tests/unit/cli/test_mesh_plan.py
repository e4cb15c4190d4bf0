"""Which names and ports a local mesh takes."""

import socket
from pathlib import Path

import pytest

from node.cli.mesh_plan import MeshPlan, check_ports_free, make_plan, planned_nodes, read_plan
from node.errors import ImpossibleQuorum, NodeError, UsageError


def plan(nodes: int = 3, base_port: int = 9000, writes: int | None = None) -> MeshPlan:
    return MeshPlan(nodes=nodes, base_port=base_port, quorum_writes=writes)


@pytest.mark.parametrize("nodes", [1, 2, 3, 7, 50])
def test_only_the_promised_ports_are_used_and_each_once(nodes: int, tmp_path: Path) -> None:
    planned = planned_nodes(plan(nodes), tmp_path)
    ports = [port for node in planned for port in (node.agent_port, node.peer_port)]
    assert len(set(ports)) == 2 * nodes
    assert min(ports) == 9000
    assert max(ports) <= 9000 + 3 * nodes - 1


def test_nodes_have_their_own_folders(tmp_path: Path) -> None:
    first = planned_nodes(plan(), tmp_path)[0]
    assert first.name == "node-1"
    assert first.paths.data_dir == tmp_path / "node-1"
    assert first.paths.node_key == tmp_path / "node-1" / "keys" / "node.key"
    assert first.peer_url == "https://127.0.0.1:9003"


def test_the_environment_does_not_lend_one_nodes_keys_to_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNEMESH_KEY_DIR", "/elsewhere")
    monkeypatch.setenv("MNEMESH_CONFIG", "/elsewhere/config.toml")
    for node in planned_nodes(plan(), tmp_path):
        assert node.paths.key_dir.parent == node.paths.config.parent == node.paths.data_dir


def test_a_folder_keeps_its_plan(tmp_path: Path) -> None:
    assert read_plan(tmp_path) is None
    plan(writes=2).write(tmp_path)
    kept = read_plan(tmp_path)
    assert kept == plan(writes=2)
    assert make_plan(kept, nodes=None, base_port=None, writes=None) == kept
    assert make_plan(kept, nodes=3, base_port=9000, writes=3).quorum_writes == 3


def test_a_plan_that_contradicts_the_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="3 nodes on ports from 9000"):
        make_plan(plan(), nodes=4, base_port=None, writes=None)
    with pytest.raises(UsageError, match="ports from 9000"):
        make_plan(plan(), nodes=None, base_port=1, writes=None)


def test_impossible_wishes_are_refused() -> None:
    with pytest.raises(ImpossibleQuorum):
        make_plan(None, nodes=3, base_port=None, writes=4)
    with pytest.raises(UsageError, match="--nodes"):
        make_plan(None, nodes=0, base_port=None, writes=None)
    with pytest.raises(UsageError, match="last port"):
        make_plan(None, nodes=3, base_port=65_530, writes=None)
    assert make_plan(None, nodes=2, base_port=65_530, writes=None).base_port == 65_530


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NodeError, match=f"port {port}") as caught:
            check_ports_free([port])
        assert "--base-port" in caught.value.fix
    check_ports_free([port])
