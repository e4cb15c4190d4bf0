"""The chain of events on a real mesh: what stands in it, and that nobody bends it unseen."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from node.store.environment import DATA_FILE
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_mesh import cut, heal

pytestmark = [pytest.mark.integration, pytest.mark.slow]
STANDARD = "/namespaces/team/standard"


def folder_of(node: RealNode) -> Path:
    return node.data_dir / "audit"


def segment(node: RealNode) -> Path:
    return max(folder_of(node).glob("0*.jsonl"))


def entries(node: RealNode, event: str = "") -> list[dict[str, Any]]:
    lines = b"".join(path.read_bytes() for path in sorted(folder_of(node).glob("0*.jsonl")))
    rows = [json.loads(line) for line in lines.splitlines()]
    return [row for row in rows if event in ("", row["event"])]


def all_vouched(nodes: list[RealNode]) -> None:
    def vouched() -> bool:
        held = [node.metric("mnemesh_audit_head_countersigned") for node in nodes]
        return held == [len(nodes) - 1.0] * len(nodes)

    until(vouched, "every head is countersigned by every other member")


def verified(node: RealNode, code: int) -> dict[str, Any]:
    ran = mnemesh("verify", "--json", node=node)
    assert ran.code == code, (ran.out, ran.err)
    found: dict[str, Any] = ran.json
    assert found["chain_holds"] is (code == 0)
    return found


def keep_lines(path: Path, count: int) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))


def test_a_decision_made_on_one_node_stands_in_the_chains_of_all(found: Found) -> None:
    one, _, three = nodes = found(3)
    one.tell("POST", STANDARD, {"governance": {"write": "owner"}}, x_agent_id="ann")
    until(lambda: all(entries(n, "policy_set") for n in nodes), "the policy is in every chain")
    dots = {entries(n, "policy_set")[0]["facts"]["dot"] for n in nodes}
    assert len(dots) == 1, "each names the same operation"
    facts = entries(three, "policy_set")[0]["facts"]
    assert (facts["namespace"], facts["agent"], facts["levels"]) == ("team", "ann", ["write=owner"])
    refused = three.ask("POST", STANDARD, {"governance": {}}, x_agent_id="mallory")
    assert refused.status == 403
    until(lambda: entries(three, "gate_denied"), "the refusal is in the chain of that node")
    three.tell("DELETE", STANDARD, x_agent_id="ann")
    until(lambda: all(entries(n, "policy_cleared") for n in nodes), "so is that it was cleared")
    for node in nodes:
        assert len(entries(node, "member_added")) == 3
        assert entries(node)[0]["event"] == "started"
    all_vouched(nodes)
    for node in nodes:
        assert node.metric("mnemesh_audit_entries_total", event="policy_set") == 1


def test_a_mesh_verifies_while_it_works_and_when_it_stands_still(found: Found) -> None:
    one, _, _ = nodes = found(3)
    held = [one.store(f"title {number}") for number in range(20)]
    all_vouched(nodes)
    before = time.monotonic()
    data = verified(one, 0)
    assert data["heads_countersigned"] == 2
    assert data["peers_asked"] == 2
    assert data["first_bad"] is None
    assert data["ops"]["operations"] >= 23
    assert data["rows_checked"] == data["ops"]["bundles"] + data["events"]["entries"]
    assert one.metric("mnemesh_event_loop_lag_seconds") < 0.5
    assert time.monotonic() - before < 15
    alone = mnemesh("verify", "--memory", held[3]["id"], "--json", node=one).json
    assert alone["memory"]["holds"]
    assert [op["kind"] for op in alone["memory"]["operations"]] == ["create"]
    assert one.stop() == 0
    assert entries(one)[-1]["event"] == "stopped"
    files = {p: p.read_bytes() for p in one.data_dir.rglob("*") if p.is_file() and p.name != "lock"}
    still = verified(one, 0)
    assert still["ops"] == data["ops"]
    assert still["peers_asked"] is None
    assert still["heads_countersigned"] == 2
    changed = [p for p, data in files.items() if p.read_bytes() != data]
    assert not changed, "verifying changes nothing"
    words = mnemesh("verify", node=one)
    assert "everything holds" in words.out


def test_an_operator_alone_may_ask_and_gets_clear_answers(found: Found) -> None:
    (one,) = found(1)
    assert one.ask("GET", "/verify?memory=").status == 400
    unknown = mnemesh("verify", "--memory", "nowhere", "--json", node=one)
    assert unknown.code == 1
    assert unknown.json["error"] == "not_found"
    nothing = mnemesh("verify", "--data-dir", str(one.data_dir / "no-such"))
    assert nothing.code == 6
    assert not (one.data_dir / "no-such").exists()


def test_a_cut_off_end_shows_offline_and_to_the_peers(found: Found) -> None:
    one, two, three = nodes = found(3)
    one.tell("POST", STANDARD, {"governance": {"write": "owner"}}, x_agent_id="ann")
    until(lambda: all(entries(n, "policy_set") for n in nodes), "the policy is in every chain")
    all_vouched(nodes)
    last = len(entries(one))
    one.stop()
    keep_lines(segment(one), last - 1)
    offline = verified(one, 5)
    assert offline["first_bad"] == {"actor": "events", "seq": last, "reason": "cut_off"}
    (folder_of(one) / "witnesses.json").unlink()  # whoever cuts the chain can take this too
    one.start()
    until(lambda: entries(one, "audit_rollback"), "the node hears of it from its peers")
    for peer in (two, three):
        until(lambda p=peer: p.metric("mnemesh_audit_rollbacks_total"), "peers raise the alarm")  # type: ignore[misc]  # bound early
        assert entries(peer, "audit_rollback")[0]["facts"]["node"] == one.mesh()["node_id"]
    online = verified(one, 5)
    assert online["first_bad"]["seq"] == last
    assert verified(two, 0)["chain_holds"], "the chains of the others are their own"
    sections = {s["name"]: s for s in one.tell("GET", "/doctor")["sections"]}
    assert sections["audit"]["severity"] == "critical"


def test_a_flipped_bit_shows_in_a_segment_and_in_the_log(found: Found) -> None:
    one, two, _ = nodes = found(3)
    until(lambda: all(len(entries(n, "member_added")) == 3 for n in nodes), "all are members")
    for number in range(10):
        one.store(f"title {number}", content=f"needle {number} " * 20)
    for node in nodes:
        node.stop()
    path = segment(one)
    data = bytearray(path.read_bytes())
    place = len(data.splitlines(keepends=True)[0]) + 50
    data[place] ^= 0x04
    path.write_bytes(data)
    bad = verified(one, 5)["first_bad"]
    assert (bad["actor"], bad["seq"]) == ("events", 2)
    words = mnemesh("verify", node=one)
    assert words.code == 5
    assert "BROKEN: events at 2" in words.out
    store = two.data_dir / (two.data_dir / "CURRENT").read_text().strip() / DATA_FILE
    image = store.read_bytes()
    assert b"needle 7 needle" in image
    store.write_bytes(image.replace(b"needle 7 needle", b"needle 7 neddle"))
    bad = verified(two, 5)["first_bad"]
    assert bad["reason"] == "checksum_does_not_hold"
    assert bad["seq"] == 8


def test_operations_that_were_rolled_back_show_against_the_countersignatures(found: Found) -> None:
    """An older copy of the store is sound by itself; what peers have seen says otherwise."""
    one, two = nodes = found(2)
    one.store("before")
    store = one.data_dir / (one.data_dir / "CURRENT").read_text().strip() / DATA_FILE
    all_vouched(nodes)
    one.stop()
    older = store.read_bytes()
    one.start()
    until(lambda: one.links() and two.links(), "they are linked again")
    ident = one.store("after")["id"]
    assert ident
    clock = {actor for actor in one.mesh()["clock"] if actor.startswith("Z")}

    def seen() -> bool:
        heads = (folder_of(one) / "witnesses.json").stat().st_mtime_ns
        return heads > written and one.metric("mnemesh_audit_head_countersigned") == 1

    written = (folder_of(one) / "witnesses.json").stat().st_mtime_ns
    until(seen, "the peer has countersigned the new line of operations")
    assert verified(one, 0)["chain_holds"]
    one.stop()
    assert verified(one, 0)["chain_holds"]
    store.write_bytes(older)
    bad = verified(one, 5)["first_bad"]
    assert bad["reason"] == "cut_off"
    assert bad["actor"] in clock
    one.start()
    until(lambda: one.ask("GET", f"/memories/{ident}").status == 200, "it learns it again")
    until(lambda: mnemesh("verify", node=one).code == 0, "and then everything holds again")


def test_a_torn_end_after_a_kill_is_cut_and_said(found: Found) -> None:
    one, two, _ = nodes = found(3)
    all_vouched(nodes)
    one.kill()
    with segment(one).open("ab") as file:
        file.write(b'{"seq":99,"at":17')
    assert verified(one, 5)["first_bad"]["reason"] == "torn"
    one.start()
    until(lambda: entries(one, "chain_recovered"), "the cut is an entry")
    all_vouched(nodes)
    assert verified(one, 0)["chain_holds"]
    assert not entries(two, "audit_rollback"), "nothing that was countersigned is gone"


def test_heads_are_countersigned_again_after_a_cut_in_the_network(found: Found) -> None:
    one, two, three = nodes = found(3)
    all_vouched(nodes)
    cut(one, [two, three])
    until(lambda: not one.links(), "it is cut off")
    until(lambda: entries(one, "allowlist_changed"), "a change of the list is in the chain")
    removed = {f for row in entries(one, "allowlist_changed") for f in row["facts"]["removed"]}
    assert {two.fingerprint, three.fingerprint} <= removed
    until(lambda: not one.metric("mnemesh_audit_head_countersigned"), "nobody vouches for it")
    assert verified(one, 0)["peers_asked"] == 0
    heal(one, [two, three])
    all_vouched(nodes)
    assert not entries(two, "audit_rollback")


def test_entries_are_shown_from_the_files_and_mirrored_line_by_line(
    found: Found, tmp_path: Path
) -> None:
    mirror = tmp_path / "siem.jsonl"
    (one,) = found(1, config={"audit": {"path": str(mirror)}})
    one.tell("POST", STANDARD, {"governance": {"write": "any"}}, x_agent_id="ann")
    until(lambda: entries(one, "policy_set"), "the policy is in the chain")
    until(lambda: mirror.read_bytes() == segment(one).read_bytes(), "the mirror has every line")
    shown = mnemesh("audit", "tail", "-n", "1", node=one)
    assert shown.code == 0
    assert "policy_set" in shown.out
    one.stop()
    lines = mnemesh("audit", "tail", "--json", "-n", "100", node=one).out.splitlines()
    assert [json.loads(line) for line in lines] == entries(one)
    assert mirror.read_bytes() == segment(one).read_bytes()


def test_keys_that_come_and_go_are_entries_even_while_no_node_runs(found: Found) -> None:
    (one,) = found(1)
    made = mnemesh("key", "create", "--role", "agent-writer", "--name", "ci", "--json", node=one)
    assert made.code == 0, made.err
    until(lambda: entries(one, "key_created"), "the key is in the chain")
    assert made.json["key"] not in str(entries(one))
    one.stop()
    assert mnemesh("key", "revoke", "ci", "--json", node=one).code == 0
    one.start()
    until(lambda: entries(one, "key_revoked"), "so is its end")
    assert len(entries(one, "key_created")) == 1
