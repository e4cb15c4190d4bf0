"""What a foreign peer of its own making may push to a real node, and a member may not."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from node.auth.public_keys import public_pem
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until
from tests.integration.rig_commands import told
from tests.integration.rig_mesh import Pair, list_of, self_signed
from tests.integration.test_auth_peers import KEY, SINCE, Peer
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NAME = "peer-b"
_nonces = (f"nonce-{number}" for number in itertools.count())


def met(node: RealNode, folder: Path, pair: Pair | None = None) -> Peer:
    """An enrolled peer with a certificate of its own, or with that pair."""
    pair = pair or self_signed(folder, NAME)
    allowlist.add(list_of(node), pair.fingerprint, NAME)
    folder.mkdir(exist_ok=True)
    pub = folder / f"{NAME}.pub"
    pub.write_bytes(public_pem(KEY.public))
    told(
        *("identity", "import", "--agent-id", NAME, "--pub", pub),
        *("--fingerprint", pair.fingerprint),
        node=node,
    )
    peer = Peer(pair, int(node.url.rpartition(":")[2]))
    until(lambda: lets_in(peer), "the certificate is let in", seen=node.tail)
    return peer


def lets_in(peer: Peer) -> bool:
    try:
        return peer.ask("GET", SINCE, b"", {})[0] == 200
    except OSError:
        return False


def push(peer: Peer, **items: Any) -> tuple[int, Any]:
    return peer.push(next(_nonces), {"sender_agent_id": peer.name, **items})


def since(peer: Peer, query: str = "") -> Any:
    status, page = peer.ask("GET", f"{SINCE}{query}", b"", {})
    assert status == 200, page
    return page


def test_a_push_answers_as_the_contract_says(found: Found, tmp_path: Path) -> None:
    (node,) = found(1)
    peer = met(node, tmp_path / "peer")
    row = {"id": "row-1", "title": "one", "content": "text", "metadata": {"agent_id": "ai:zoe"}}
    status, dry = push(peer, memories=[row], dry_run=True)
    assert (status, dry["applied"], dry["dry_run"]) == (200, 1, True)
    assert node.ask("GET", "/memories/row-1").status == 404
    status, answer = push(
        peer,
        sender_clock={"entries": {}},
        memories=[row, {"id": "bad"}],
        deletions=["unknown"],
        archives=["never seen"],
    )
    assert status == 200
    assert {name: answer[name] for name in ("applied", "deleted", "noop", "skipped")} == {
        "applied": 1, "deleted": 0, "noop": 1, "skipped": 2,
    }  # fmt: skip
    assert [one["status"] for one in answer["results"]] == [
        "applied", "invalid", "invalid", "duplicate",
    ]  # fmt: skip
    assert answer["receiver_agent_id"] == node.name
    assert set(answer["receiver_clock"]["entries"]) == set(node.mesh()["clock"])
    assert (answer["quorum_acks"], answer["durability"]["local"]) == (1, True)
    assert node.get("row-1")["metadata"]["agent_id"] == "ai:zoe"
    assert since(peer)["memories"] == [], "what it gave is not given back"
    node.tell("PUT", "/memories/row-1", {"title": "edited here"}, x_agent_id="ai:zoe")
    assert push(peer, memories=[row])[1]["results"][0]["status"] == "duplicate"
    node.kill()
    node.start()
    assert push(peer, memories=[row])[1]["results"][0]["status"] == "duplicate"
    assert node.get("row-1")["title"] == "edited here"
    page = since(peer)
    assert [one["title"] for one in page["memories"]] == ["edited here"]
    assert push(peer, deletions=["row-1"])[1]["deleted"] == 1
    assert since(peer, f"?since={page['next_since']}")["deletions"] == []
    assert node.ask("GET", "/memories/row-1").status == 404


def test_too_many_items_and_bad_fields_change_nothing(found: Found, tmp_path: Path) -> None:
    (node,) = found(1)
    peer = met(node, tmp_path / "peer")
    before = node.mesh()["clock"]
    status, said = push(peer, deletions=["x"] * 1001)
    assert (status, said["error"]) == (413, "too_many_items")
    for bad, field in (({"memories": {}}, "memories"), ({"dry_run": "yes"}, "dry_run")):
        status, said = push(peer, **bad)
        assert (status, said["field"]) == (400, field)
    assert node.mesh()["clock"] == before


def test_a_replay_is_refused_and_a_new_push_of_the_same_is_a_duplicate(
    found: Found, tmp_path: Path
) -> None:
    (node,) = found(1)
    peer = met(node, tmp_path / "peer")
    row = {"id": "row-1", "title": "one", "content": "text"}
    body = {"sender_agent_id": NAME, "memories": [row]}
    assert peer.push("n1", body)[0] == 200
    assert peer.push("n1", body)[1]["error"] == "x_memory_nonce_replay"
    assert peer.push("n2", body)[1]["noop"] == 1


def test_a_member_is_sent_away(found: Found, tmp_path: Path) -> None:
    one, two = found(2)
    flags = two.flags
    pair = Pair(
        certificate=Path(flags[flags.index("--tls-cert") + 1]),
        key=Path(flags[flags.index("--tls-key") + 1]),
    )
    # Enrolled or not: whoever belongs to the mesh has a better way to talk.
    stranger = Peer(pair, int(one.url.rpartition(":")[2]))
    body = {"memories": [{"id": "row-1", "title": "t", "content": "c"}]}
    assert stranger.push("m0", {"sender_agent_id": NAME, **body})[0] == 409
    status, said = push(met(one, tmp_path / "peer", pair), **body)
    assert (status, said["error"]) == (409, "member_of_this_mesh")
    assert one.ask("GET", "/memories/row-1").status == 404


def test_a_shortfall_is_told_with_its_results(found: Found, tmp_path: Path) -> None:
    one, two = found(2, flags=("--quorum-timeout-ms", "300"))
    peer = met(one, tmp_path / "peer")
    two.kill()
    until(lambda: not one.links(), "node-1 is alone")
    status, said = push(peer, memories=[{"id": "row-1", "title": "t", "content": "c"}])
    assert (status, said["error"]) == (503, "quorum_not_met")
    assert (said["applied"], said["results"][0]["status"]) == (1, "applied")
    two.start()
    until(lambda: one.links() == {"node-2"}, "they are linked again")
    status, said = push(peer, memories=[{"id": "row-1", "title": "t", "content": "c"}])
    assert (status, said["noop"]) == (200, 1)
    until(lambda: two.ask("GET", "/memories/row-1").status == 200, "it spreads")


def test_policies_and_held_actions_are_told_once(found: Found, tmp_path: Path) -> None:
    (node,) = found(1)
    peer = met(node, tmp_path / "peer")
    node.tell("POST", "/namespaces/team/standard", {"governance": {"write": "approve"}})
    node.tell("POST", "/memories", {"title": "held", "content": "c", "namespace": "team"})
    page = since(peer)
    (meta,) = page["namespace_meta"]
    assert (meta["namespace"], meta["governance"]["write"]) == ("team", "approve")
    assert meta["parent_namespace"] is None
    (held,) = page["pendings"]
    assert (held["status"], held["payload"]["title"]) == ("pending", "held")
    assert (page["memories"], page["deletions"], page["pending_decisions"]) == ([], [], [])
    again = since(peer, f"?since={page['next_since']}&peer={NAME}")
    assert (again["namespace_meta"], again["pendings"]) == ([], [])
    node.tell("POST", "/agents", {"agent_id": "human:bob", "agent_type": "human"})
    node.tell("POST", f"/pending/{held['id']}/approve", {}, x_agent_id="human:bob")
    page = since(peer, f"?since={again['next_since']}")
    assert page["pendings"] == []
    (vote,) = page["pending_decisions"]
    assert (vote["id"], vote["approved"], vote["decider"]) == (held["id"], True, "human:bob")
    status, bad = peer.ask("GET", f"{SINCE}?peer=..", b"", {})
    assert (status, bad["field"]) == (400, "peer")
