"""Allow, join, deny, remove: how each changes a node's standing, on real nodes."""

import contextlib
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest

from node.errors import Exit
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_commands import mnemesh, newcomer, told
from tests.integration.rig_mesh import list_of
from transport import allowlist

pytestmark = [pytest.mark.integration, pytest.mark.thorough]

CUT_SECONDS = 1.0


def listed(node: RealNode) -> dict[str, dict[str, Any]]:
    """What `node list --json` shows on a node, by name."""
    answer = told("node", "list", node=node)
    return {row["name"]: row for row in [*answer["members"], *answer["others"]]}


def standing(node: RealNode, name: str) -> str:
    row = listed(node).get(name)
    return "" if row is None else str(row["standing"])


@pytest.mark.slow
def test_standings_from_allowed_to_denied(found: Found, tmp_path: Path) -> None:
    one, two = found(2)
    late = newcomer(tmp_path / "late", "late")
    try:
        for member in (one, two):
            told("node", "allow", late.fingerprint, "--name", "late", node=member)
        until(lambda: standing(one, "late") == "allowed", "it is allowed and no member")
        row = listed(one)["late"]
        assert (row["fingerprint"], row["allowed"], row["node_id"]) == (late.fingerprint, True, "")
        assert one.mesh()["quorum"]["n"] == 2

        for member in (one, two):
            told("node", "allow", member.fingerprint, "--name", member.name, node=late)
        told("node", "join", one.url, "--fingerprint", one.fingerprint, node=late)
        late.start()
        until_linked([one, two, late])
        for member in (one, two, late):
            rows = listed(member)
            assert {r["standing"] for r in rows.values()} == {"member"}
            assert rows["late"]["fingerprint"] == late.fingerprint
            until(
                lambda member=member: "late" not in str(member.mesh()["others"]), "no outsider left"
            )

        told("node", "deny", late.fingerprint, node=one)
        until(lambda: standing(one, "late") == "revoked", "a member that is not allowed here")
        assert listed(one)["late"]["state"] == "away"
        assert standing(two, "late") == "member"
        told("node", "allow", late.fingerprint, "--name", "late", node=one)
        until_linked([one, two, late])
        assert standing(one, "late") == "member"

        gone = told("node", "remove", "late", "--yes", "--agent-id", "human:anna", node=two)
        assert gone["removed"] is True
        assert gone["durability"]["acks"] >= gone["durability"]["needed"] == 2
        for member in (one, two):
            until(lambda member=member: standing(member, "late") == "retired", "it is retired")
            row = listed(member)["late"]
            assert (row["by_node"], row["by_agent"]) == ("node-2", "human:anna")
            assert row["at"].startswith("20")
            assert row["allowed"] is True
        people = mnemesh("node", "list", node=one).out
        assert "still allowed to connect" in people
        assert "through node-2 for human:anna" in people

        told("node", "deny", late.fingerprint, node=one)
        until(lambda: listed(one)["late"]["allowed"] is False, "it may not connect any more")
        assert standing(one, "late") == "retired"
        # Who knows which certificate was whose still knows it after a restart.
        assert one.stop() == 0
        one.start()
        until(one.ready, "it serves again")
        row = listed(one)["late"]
        assert (row["standing"], row["fingerprint"]) == ("retired", late.fingerprint)
    finally:
        late.clean_up()


def open_connection(to: RealNode, by: RealNode) -> ssl.SSLSocket:
    """A connection over mTLS that has been answered once and stays open."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    flags = by.flags
    context.load_cert_chain(
        flags[flags.index("--tls-cert") + 1], flags[flags.index("--tls-key") + 1]
    )
    host, _, port = to.url.removeprefix("https://").rpartition(":")
    plain = socket.create_connection((host, int(port)), timeout=10)
    held = context.wrap_socket(plain)
    held.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert b"200" in held.recv(4096)
    return held


def test_deny_ends_live_connections_within_a_second(found: Found) -> None:
    one, two, three = nodes = found(3)
    until_level(nodes)
    held = open_connection(one, three)
    try:
        # The command returns when the list is written; from then on the second runs.
        told("node", "deny", three.fingerprint, node=one)
        began = time.monotonic()
        held.settimeout(CUT_SECONDS)
        with contextlib.suppress(ConnectionResetError):
            assert held.recv(1) == b""
        until(lambda: one.links() == {"node-2"}, "the link is cut", CUT_SECONDS)
        assert time.monotonic() - began < CUT_SECONDS
    finally:
        held.close()
    assert two.links() == {"node-1", "node-3"}
    told("node", "allow", three.fingerprint, "--name", "node-3", node=one)
    until_linked(nodes)
    check_equal(nodes)


def test_a_removal_that_is_asked_for_again_is_answered_and_not_done_twice(found: Found) -> None:
    one, two, three = found(3)
    until_level([one, two, three])
    body = {"node_id": "node-3"}
    first = one.ask("POST", "/mesh/remove", body, Idempotency_Key="gone-1", X_Agent_Id="ai:ops")
    assert first.status == 200
    assert first.body["durability"]["needed"] == 2
    assert first.body["quorum_acks"] >= 2
    assert first.body["dot"] == first.body["durability"]["dot"]
    again = one.ask("POST", "/mesh/remove", body, Idempotency_Key="gone-1", X_Agent_Id="ai:ops")
    assert (again.status, again.body["dot"]) == (200, first.body["dot"])
    until_level([one, two])
    elsewhere = two.ask("POST", "/mesh/remove", body, Idempotency_Key="gone-1", X_Agent_Id="ai:ops")
    assert (elsewhere.status, elsewhere.body["dot"]) == (200, first.body["dot"])
    other = one.ask(
        "POST",
        "/mesh/remove",
        {"node_id": "node-2"},
        Idempotency_Key="gone-1",
        X_Agent_Id="ai:ops",
    )
    assert (other.status, other.body["error"]) == (409, "idempotency_key_reused")
    assert one.mesh()["quorum"]["n"] == 2
    # Without a key the member simply is not there any more.
    assert one.ask("POST", "/mesh/remove", body).status == 404


@pytest.mark.slow
def test_a_forced_removal_says_who_holds_it(found: Found) -> None:
    one, two = found(2, flags=("--quorum-timeout-ms", "300"))
    two.kill()
    until(lambda: not one.links(), "node-1 is alone")
    refused = mnemesh("node", "remove", "node-2", "--yes", "--json", node=one)
    assert refused.code == Exit.QUORUM
    assert refused.json["durability"]["local"] is False
    assert standing(one, "node-2") == "member"
    gone = told("node", "remove", "node-2", "--yes", "--force", node=one)
    assert (gone["durability"]["local"], gone["durability"]["acks"]) == (True, 1)
    assert gone["durability"]["needed"] == 2
    assert standing(one, "node-2") == "retired"


@pytest.mark.slow
def test_changes_of_the_list_are_in_the_audit_chain(found: Found) -> None:
    (one,) = found(1)
    until(one.ready, "it serves")
    stranger, while_down = "ab" * 32, "cd" * 32
    told("node", "allow", stranger, "--name", "stranger", node=one)
    told("node", "deny", stranger, node=one)
    until(lambda: len(changes(one)) >= 2, "both are entries", seen=lambda: changes(one))
    assert one.stop() == 0
    allowlist.add(list_of(one), while_down, "while down")
    one.start()
    until(lambda: len(changes(one)) >= 3, "so is the one made while no node ran")
    kept = [(c["added"], c["removed"]) for c in changes(one)][-3:]
    assert kept == [([stranger], []), ([], [stranger]), ([while_down], [])]


def changes(node: RealNode) -> list[dict[str, Any]]:
    """Facts of the entries about the allowlist, oldest first."""
    ran = mnemesh("audit", "tail", "--json", "--lines", "200", node=node)
    assert ran.code == 0, ran.err
    entries = [json.loads(line) for line in ran.out.splitlines()]
    return [e["facts"] for e in entries if e["event"] == "allowlist_changed"]


def test_an_administrator_named_by_flags_is_known_everywhere(found: Found) -> None:
    admins: dict[str, Any] = {"admin": {"agent_ids": ["human:anna"]}}
    nodes = found(3, config=admins)
    until_level(nodes)
    for node in nodes:
        words = [
            finding["text"]
            for section in node.tell("GET", "/doctor")["sections"]
            for finding in section["findings"]
        ]
        assert not [text for text in words if "no system administrator" in text]
