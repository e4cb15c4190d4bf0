"""API keys of a real node: roles, agents, revocation, and files that change under it."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode, clean_environment, free_ports, until

pytestmark = pytest.mark.integration


def mnemesh(*args: object, code: int = 0) -> Any:
    """One command with --json, as an operator would type it."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "node", *map(str, args), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(),
    )
    assert ran.returncode == code, f"{args}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return json.loads(ran.stdout)


def with_key(node: RealNode, key: str) -> RealNode:
    """The same node, asked with another key."""
    return RealNode(name=node.name, data_dir=node.data_dir, flags=[], agent=node.agent, api_key=key)


@pytest.fixture
def node(keyed: RealNode) -> RealNode:
    return keyed


def create(node: RealNode, role: str, *options: object) -> tuple[str, Any]:
    made = mnemesh("key", "create", "--role", role, "--data-dir", node.data_dir, *options)
    return made["key"], made


def test_a_key_counts_at_once_and_stops_counting_within_a_second(node: RealNode) -> None:
    key, made = create(node, "agent-writer", "--agent-id", "ai:alice", "--name", "w")
    alice = with_key(node, key)
    stored = alice.tell("POST", "/memories", {"title": "t", "content": "c"})
    assert stored["agent_id"] == "ai:alice"
    other = {"title": "t", "content": "c", "agent_id": "ai:bob"}
    reply = alice.ask("POST", "/memories", other)
    assert (reply.status, reply.body["error"]) == (403, "agent_not_of_key")
    reply = alice.ask("POST", "/import", {"memories": []})
    assert (reply.status, reply.body["error"]) == (403, "role_forbids")
    assert "system-admin" in reply.body["detail"]
    mnemesh("key", "revoke", "w", "--data-dir", node.data_dir)
    asked = time.monotonic()
    until(lambda: alice.ask("GET", "/stats").status == 401, "it is revoked", seconds=1)
    assert time.monotonic() - asked < 1
    assert node.ask("GET", "/stats").status == 200
    listed = mnemesh("key", "list", "--data-dir", node.data_dir)["keys"]
    assert [(one["id"], one["state"]) for one in listed] == [(made["id"], "revoked")]
    assert node.metric("mnemesh_auth_rejected_total", reason="role") == 1
    for secret in (key, node.api_key):
        assert secret not in node.log.read_text()
        for path in node.data_dir.rglob("*.json"):
            assert secret not in path.read_text(), path


def test_each_role_may_what_its_name_says(node: RealNode) -> None:
    keys = {
        role: create(node, role)[0]
        for role in ("metrics", "agent-reader", "agent-writer", "team-admin", "system-admin")
    }
    made = node.store("kept")["id"]
    until(lambda: with_key(node, keys["metrics"]).ask("GET", "/metrics").status == 200, "counts")
    allowed = {
        ("GET", "/metrics"): set(keys),
        ("GET", f"/memories/{made}"): set(keys) - {"metrics"},
        ("POST", "/memories"): {"agent-writer", "team-admin", "system-admin"},
        ("POST", "/import"): {"system-admin"},
        ("POST", "/mesh/remove"): {"system-admin"},
    }
    for (method, path), roles in allowed.items():
        for role, key in keys.items():
            body = {"title": "t", "content": "c", "memories": []} if method == "POST" else None
            reply = with_key(node, key).ask(method, path, body)
            forbidden = reply.status == 403 and reply.body["error"] == "role_forbids"
            assert forbidden is (role not in roles), (method, path, role, reply)


@pytest.mark.slow
def test_a_file_that_cannot_be_read_changes_nothing_and_refuses_the_start(node: RealNode) -> None:
    key, _ = create(node, "agent-reader")
    reader = with_key(node, key)
    until(lambda: reader.ask("GET", "/stats").status == 200, "the key counts", seconds=1)
    path = node.data_dir / "keys" / "api_keys.json"
    good = path.read_text()
    path.write_text("{")

    def told() -> bool:
        assert reader.ask("GET", "/stats").status == 200
        return bool(node.events("auth_file_refused"))

    until(told, "the file is refused and the old one holds", seconds=5)
    node.stop()
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == 2
    node.process = None
    path.write_text(good)
    path.chmod(0o644)
    node.spawn()
    assert node.process is not None
    assert node.process.wait(20) == 4
    node.process = None
    path.chmod(0o600)
    node.start()
    assert reader.ask("GET", "/stats").status == 200


@pytest.mark.slow
def test_without_a_key_of_the_node_given_out_ones_still_shut_the_door(tmp_path: Path) -> None:
    plain, main = free_ports(2)
    data_dir = tmp_path / "b"
    mnemesh("init", "--name", "b", "--data-dir", data_dir)
    (data_dir / "keys" / "api_key").unlink()
    flags = ["--port", str(main), "--agent-listen", f"127.0.0.1:{plain}"]
    node = RealNode(name="b", data_dir=data_dir, flags=flags, agent=("127.0.0.1", plain))
    try:
        node.start()
        assert node.ask("GET", "/stats").status == 200
        key, _ = create(node, "agent-reader", "--name", "r")
        until(lambda: node.ask("GET", "/stats").status == 401, "a key is demanded", seconds=1)
        assert with_key(node, key).ask("GET", "/stats").status == 200
        for _ in range(2):
            mnemesh("key", "revoke", "r", "--data-dir", data_dir)
            reader = with_key(node, key)
            until(lambda: reader.ask("GET", "/stats").status == 401, "it is revoked", seconds=1)  # noqa: B023 - called at once
            assert node.ask("GET", "/stats").status == 401
            node.stop()
            node.start()
        (data_dir / "keys" / "api_keys.json").unlink()

        def told() -> bool:
            assert node.ask("GET", "/stats").status == 401
            return any(one["file"] == "api_keys.json" for one in node.events("auth_file_loaded"))

        until(told, "its absence was seen, and let nobody in")
    finally:
        node.clean_up()


@pytest.mark.slow
def test_commands_of_keys_and_identities(tmp_path: Path) -> None:
    where = ("--data-dir", tmp_path / "c")
    assert mnemesh("key", "list", *where)["count"] == 0
    dry = mnemesh("key", "create", "--role", "metrics", "--dry-run", *where)
    assert dry["dry_run"]
    assert "key" not in dry
    assert not (tmp_path / "c").exists()
    out = tmp_path / "scrape.key"
    made = mnemesh("key", "create", "--role", "metrics", "--name", "m", "--out", out, *where)
    assert "key" not in made
    assert out.stat().st_mode & 0o777 == 0o600
    assert len(out.read_text().strip()) == 43
    mnemesh("key", "create", "--role", "metrics", "--name", "m", *where, code=4)
    mnemesh("key", "create", "--role", "metrics", "--out", out, *where, code=2)
    assert mnemesh("key", "list", *where)["count"] == 1
    mnemesh("key", "create", "--role", "boss", *where, code=2)
    mnemesh("key", "revoke", "nobody", *where, code=2)
    mnemesh("identity", "generate", "--agent-id", "peer-b", *where)
    mnemesh("identity", "generate", "--agent-id", "peer-b", *where, code=4)
    mnemesh("identity", "generate", "--agent-id", "../x", *where, code=2)
    pub = tmp_path / "b.pub"
    told = mnemesh("identity", "export-pub", "--agent-id", "peer-b", "--out", pub, *where)
    there = ("--data-dir", tmp_path / "d")
    enrol = ("identity", "import", "--agent-id", "peer-b", "--pub", pub, "--fingerprint")
    assert mnemesh(*enrol, "ab" * 32, *there)["public_key"] == told["public_key"]
    mnemesh(*enrol, "ab" * 32, *there)
    mnemesh(*enrol, "cd" * 32, *there, code=4)
    mnemesh(*enrol, "cd" * 32, "--force", *there)
    mnemesh(*enrol, "nonsense", *there, code=2)
    pub.write_text("00" * 32)
    mnemesh(*enrol, "cd" * 32, "--force", *there, code=2)
    (row,) = mnemesh("identity", "list", *there)["identities"]
    assert (row["fingerprint"], row["private"]) == ("cd" * 32, False)
    assert mnemesh("identity", "rm", "--agent-id", "peer-b", *there)["enrolment_ended"]
    assert mnemesh("identity", "list", *there)["count"] == 0
    mnemesh("identity", "rm", "--agent-id", "peer-b", *there, code=2)
    mnemesh("identity", "rm", "--agent-id", "peer-b", *where, code=2)
    mnemesh("identity", "rm", "--agent-id", "peer-b", "--yes", *where)
