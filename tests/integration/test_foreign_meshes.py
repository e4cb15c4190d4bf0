"""Two real meshes of different clusters that exchange over the REST face.

The bridge is the node itself, by its configuration or through `mnemesh sync-daemon`; the other
side only answers.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.settings.toml_file import write_config
from tests.integration.rig import RealNode, check_equal, clean_environment, cleaned_up, until
from tests.integration.rig_commands import mnemesh, told
from tests.integration.rig_mesh import founded, list_of, start_all
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BRIDGE = "bridge-a"
Meshes = Callable[..., list[RealNode]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Meshes]:
    """Meshes by the names of their clusters; none is started."""
    every: list[RealNode] = []

    def one(cluster: str, count: int = 1, **options: Any) -> list[RealNode]:
        nodes = founded(tmp_path / cluster, count, flags=("--cluster", cluster), **options)
        every.extend(nodes)
        return nodes

    with cleaned_up(every):
        yield one


def acquaint(near: RealNode, far: RealNode) -> None:
    """Each allows the other's certificate, and `far` enrols the bridge of `near`."""
    allowlist.add(list_of(near), far.fingerprint, "far")
    allowlist.add(list_of(far), near.fingerprint, "near")
    told("identity", "generate", "--agent-id", BRIDGE, node=near)
    pub = near.data_dir / "bridge.pub"
    told("identity", "export-pub", "--agent-id", BRIDGE, "--out", pub, node=near)
    told(
        *("identity", "import", "--agent-id", BRIDGE, "--pub", pub),
        *("--fingerprint", near.fingerprint),
        node=far,
    )


def bridging(near: RealNode, far: RealNode) -> None:
    """Let the configuration of `near` name `far`."""
    write_config(
        near.data_dir / "config.toml",
        {"federation": {"foreign_peers": [far.url], "foreign_interval_secs": 0.1}},
    )


@dataclass
class Pair:
    a: RealNode
    p: RealNode

    @property
    def both(self) -> tuple[RealNode, RealNode]:
        return self.a, self.p


@pytest.fixture
def pair(make: Meshes) -> Pair:
    """Two meshes of one node each; the first bridges to the second."""
    (a,), (p,) = make("mesh-a"), make("mesh-p")
    acquaint(a, p)
    bridging(a, p)
    start_all([p])
    start_all([a])
    return Pair(a, p)


def held(node: RealNode) -> dict[str, tuple[Any, ...]]:
    """What people wrote of every memory, by id."""
    rows = node.tell("GET", "/export")["memories"]
    names = ("title", "content", "namespace", "tier", "updated_at", "created_at")
    return {
        row["id"]: (*(row[n] for n in names), sorted(row["tags"]), row["metadata"]) for row in rows
    }


def until_same(one: RealNode, other: RealNode, ids: set[str]) -> None:
    def same() -> bool:
        return held(one).keys() == ids and held(one) == held(other)

    until(
        same, f"{one.name} and {other.name} are the same", seen=lambda: (one.tail(), other.tail())
    )


def titles(node: RealNode, ident: str) -> set[str]:
    found = node.tell("GET", f"/memories/{ident}/conflicts")["fields"].get("title", [])
    return {one["value"] for one in found} | {node.get(ident)["title"]}


def peer_of(node: RealNode) -> dict[str, Any]:
    (found,) = node.tell("GET", "/federation/peers")["peers"]
    result: dict[str, Any] = found
    return result


def refusals(node: RealNode) -> list[dict[str, Any]]:
    """What the other side did not take."""
    return [one for one in node.events("foreign_items_untaken") if one["direction"] == "out"]


def rounds(node: RealNode, more: int = 2) -> None:
    """Wait for so many more rounds."""
    wanted = peer_of(node)["rounds"] + more
    until(lambda: peer_of(node)["rounds"] >= wanted, "rounds go on", seen=node.tail)


def test_both_ways_through_a_partition_with_deletions(pair: Pair) -> None:
    a, p = pair.both
    ours = a.store("of a", "content of a", tags=["x"], agent_id="ai:alice")["id"]
    theirs = p.store("of p", namespace="team/one", agent_id="ai:bob")["id"]
    doomed = [a.store("doomed of a")["id"], p.store("doomed of p")["id"]]
    until_same(a, p, {ours, theirs, *doomed})
    assert p.get(ours)["metadata"]["agent_id"] == "ai:alice"
    # Cut: the other side takes the bridge off its list.
    allowlist.remove(list_of(p), a.fingerprint)
    until(lambda: peer_of(a)["state"] == "away", "the cut is noticed", seen=a.tail)
    a.tell("PUT", f"/memories/{theirs}", {"title": "changed at a"})
    p.tell("PUT", f"/memories/{ours}", {"content": "changed at p"})
    a.tell("DELETE", f"/memories/{doomed[1]}")
    p.tell("DELETE", f"/memories/{doomed[0]}")
    new = {a.store("behind the cut, a")["id"], p.store("behind the cut, p")["id"]}
    allowlist.add(list_of(p), a.fingerprint, "near")
    until_same(a, p, {ours, theirs, *new})
    assert a.get(ours)["content"] == "changed at p"
    assert p.get(theirs)["title"] == "changed at a"
    rounds(a)
    before = [node.mesh()["clock"] for node in pair.both]
    rounds(a, 5)
    assert [node.mesh()["clock"] for node in pair.both] == before, "nothing circles"
    assert a.metric("mnemesh_sync_ops_total", direction="in") >= 4
    assert a.metric("mnemesh_sync_ops_total", direction="out") >= 4
    assert p.metric("mnemesh_sync_ops_total", peer=BRIDGE, direction="in") >= 4


def test_a_double_change_is_a_conflict_on_both_and_a_restart_reverts_nothing(pair: Pair) -> None:
    a, p = pair.both
    made = a.store("one")["id"]
    until_same(a, p, {made})
    rounds(a)
    p.kill()
    a.tell("PUT", f"/memories/{made}", {"title": "at a"})
    until(lambda: peer_of(a)["state"] == "away", "the other is away", seen=a.tail)
    a.kill()
    p.start()
    p.tell("PUT", f"/memories/{made}", {"title": "at p"})
    a.start()
    until_same(a, p, {made})
    for node in pair.both:
        assert titles(node, made) == {"at a", "at p"}, node.name
        assert node.get(made)["title"] == "at p", "the later one shows on both"
    p.tell("PUT", f"/memories/{made}", {"title": "settled"})
    until_same(a, p, {made})
    for node in pair.both:
        assert titles(node, made) == {"settled"}, node.name
    # Neither process remembers what happened before; the folder beside the store does.
    for node in pair.both:
        node.kill()
    p.start()
    p.tell("PUT", f"/memories/{made}", {"title": "later"})
    a.start()
    until_same(a, p, {made})
    assert (a.get(made)["title"], titles(a, made)) == ("later", {"later"})


def test_a_policy_of_the_receiver_refuses_rows_and_no_others(pair: Pair) -> None:
    a, p = pair.both
    p.tell("POST", "/namespaces/locked/standard", {"governance": {"write": "deny"}})
    good = a.store("good")["id"]
    bad = a.store("bad", namespace="locked")["id"]
    until(lambda: good in held(p), "what is allowed gets there")
    until(lambda: refusals(a), "the other is told to be refused", seen=a.tail)
    rounds(a, 3)
    assert bad not in held(p)
    (told_once,) = refusals(a)
    assert (told_once["kind"], told_once["error"]) == ("memory", "refused denied")
    # The policy of another mesh is not ours.
    assert a.store("still free", namespace="locked")["durability"]["local"]


def test_two_meshes_of_two_meet_through_one_bridge(make: Meshes) -> None:
    left, (far,) = make("left", 2), make("right")
    acquaint(left[0], far)
    bridging(left[0], far)
    start_all([far])
    start_all(left)
    made = left[1].store("by the other node")["id"]
    until(lambda: made in held(far), "what any member wrote crosses", seen=left[0].tail)
    far.tell("PUT", f"/memories/{made}", {"title": "changed far away"})
    until(lambda: left[1].get(made)["title"] == "changed far away", "and comes back to all")
    far.tell("DELETE", f"/memories/{made}")
    until(lambda: not held(left[1]), "deletions too")
    check_equal(left)


def test_a_member_is_no_foreign_peer(make: Meshes) -> None:
    one, two = make("mesh", 2)
    bridging(one, two)
    start_all([one, two])
    until(lambda: peer_of(one)["state"] == "stopped", "it is noticed", seen=one.tail)
    assert one.events("foreign_peer_is_member")
    assert one.store("all is well")["quorum_acks"] == 2


def test_the_daemon_bridges_through_the_running_node(make: Meshes) -> None:
    (a,), (p,) = make("mesh-a"), make("mesh-p")
    acquaint(a, p)
    start_all([p])
    start_all([a])
    cert, key = (a.flags[a.flags.index(flag) + 1] for flag in ("--tls-cert", "--tls-key"))
    args = ["sync-daemon", "--peers", p.url, "--interval", "0.1"]
    args += ["--client-cert", cert, "--client-key", key]
    ours, theirs = a.store("of a")["id"], p.store("of p")["id"]
    once = told(*args, "--once", node=a)
    assert [one["state"] for one in once["peers"]] == ["level"]
    until_same(a, p, {ours, theirs})
    assert a.tell("GET", "/federation/peers")["peers"] == []
    daemon = subprocess.Popen(
        [sys.executable, "-P", "-m", "node", *args, "--data-dir", str(a.data_dir)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    try:
        p.tell("DELETE", f"/memories/{ours}")
        until(lambda: ours not in held(a), "the daemon keeps exchanging")
        until(lambda: peer_of(a)["state"] == "level", "and is level")
    finally:
        daemon.send_signal(signal.SIGTERM)
        out, err = daemon.communicate(timeout=20)
    assert daemon.returncode == 0, err
    assert b"level" in out
    until(lambda: a.tell("GET", "/federation/peers")["peers"] == [], "it is withdrawn")
    p.kill()
    away = mnemesh(*args, "--once", "--json", node=a)
    assert (away.code, away.json["peers"][0]["state"]) == (6, "away")


def test_a_bad_wish_names_its_field_and_changes_nothing(make: Meshes) -> None:
    (a,) = make("mesh-a")
    start_all([a])
    for body, word in (
        ({}, "peers"),
        ({"peers": []}, "peers"),
        ({"peers": ["http://x:1"]}, "peers"),
        ({"peers": ["https://x:1"], "interval": 0}, "interval"),
        ({"peers": ["https://x:1"], "client_cert": "/x"}, "client_key"),
        ({"peers": ["https://x:1"], "client_cert": "/x", "client_key": "/y"}, "client_cert"),
        ({"peers": ["https://x:1"], "peer_id": "../x"}, "peer_id"),
    ):
        reply = a.ask("POST", "/federation/peers", body)
        assert (reply.status, reply.body["field"]) == (400, word), body
    assert a.tell("GET", "/federation/peers")["peers"] == []


def test_what_the_other_side_holds_for_approval_is_not_lost_here(pair: Pair) -> None:
    """A memory that waits there was never there, so nothing of it ended."""
    a, p = pair.both
    rules = {"write": "approve", "approver": "human"}
    p.tell("POST", "/namespaces", {"namespace": "kept", "governance": rules}, X_Agent_Id="ann")
    made = a.store("waits there", namespace="kept")["id"]
    until(lambda: p.tell("GET", "/pending")["count"] == 1, "it waits there", seen=p.tail)
    for number in range(3):  # further rounds, both ways
        near, far = a.store(f"from a {number}")["id"], p.store(f"from p {number}")["id"]
        until(lambda near=near: near in held(p), "a round there", seen=a.tail)
        until(lambda far=far: far in held(a), "and one back", seen=a.tail)
    assert made in held(a)
    (action,) = p.tell("GET", "/pending")["pending"]
    p.tell("POST", "/agents", {"agent_id": "dana", "agent_type": "human"})
    p.tell("POST", f"/pending/{action['id']}/approve", {}, X_Agent_Id="dana")
    until(lambda: made in held(p), "approved, it is on both")
    assert made in held(a)
