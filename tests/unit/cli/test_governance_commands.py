"""Commands about governance: what they send, what they print, how they end."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from node.cli.governance import differences
from node.errors import UsageError
from tests.unit.cli.standin import Mnemesh, StandIn
from transport.identity import NodeKey

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
RULES = {"write": "approve", "approver": {"consensus": 2}, "inherit": False}
TOLD: dict[str, Any] = {"quorum_acks": 2, "durability": DURABLE}


# --- namespace ------------------------------------------------------------------------------


def test_set_standard_sends_what_was_given_and_nothing_else(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    path = "/api/v1/namespaces/team%2Fx/standard"
    standin.on("POST", path, 201, {"governance": RULES, "ignored": ["rite"], **TOLD})
    ran = mnemesh(
        "namespace", "set-standard", "--namespace", "team/x", "--governance",
        '{"write": "approve", "rite": 1}', "--owner", "olga", "--agent-id", "ann",
        "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    method, asked, headers, body = standin.asked[0]
    assert (method, asked) == ("POST", path)
    assert body == {"governance": {"write": "approve", "rite": 1}, "owner": "olga"}
    assert headers["x-agent-id"] == "ann"
    assert 'team/x: write approve, approver {"consensus": 2}' in ran.out
    assert "held by 2" in ran.out
    assert "rite" in ran.err


@pytest.mark.parametrize("text", ["{", "[]", '"deny"', "deny"])
def test_a_value_that_is_no_object_is_a_usage_error(
    mnemesh: Mnemesh, standin: StandIn, text: str
) -> None:
    ran = mnemesh(
        "namespace", "set-standard", "-n", "x", "--governance", text,
        "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert ran.code == 2
    assert "--governance" in ran.err
    assert standin.asked == []


@pytest.mark.parametrize(
    "args",
    [
        ("namespace", "set-standard", "-n", "x", "--governance", "{}"),
        ("namespace", "clear-standard", "-n", "x"),
        ("pending", "approve", "some-id"),
        ("pending", "reject", "some-id"),
        ("agent", "register", "--agent-id", "a", "--type", "human"),
        ("agent", "role", "a", "none"),
    ],
)
def test_a_dry_run_asks_nobody(mnemesh: Mnemesh, standin: StandIn, args: tuple[str, ...]) -> None:
    ran = mnemesh(*args, "--dry-run", "--json", "--data-dir", standin.paths.data_dir)
    assert ran.code == 0, ran.err
    assert ran.json["dry_run"] is True
    assert standin.asked == []


def test_get_standard_shows_the_chain(mnemesh: Mnemesh, standin: StandIn) -> None:
    one = {"namespace": "*", "governance": RULES, "author": "ann", "id": ""}
    body = {"namespace": "a", "standards": [one], "chain": ["*", "a"], "count": 1}
    standin.on("GET", "/api/v1/namespaces/a/standard", 200, body)
    here = ("--data-dir", standin.paths.data_dir)
    ran = mnemesh("namespace", "get-standard", "-n", "a", "--inherit", *here)
    assert "a < *" in ran.out
    assert "ann" in ran.out
    assert standin.asked[0][1].endswith("?inherit=true")
    assert mnemesh("namespace", "get-standard", "-n", "a", "--json", *here).json == body


def test_clear_standard_says_whether_there_was_one(mnemesh: Mnemesh, standin: StandIn) -> None:
    path = "/api/v1/namespaces/a/standard"
    standin.on("DELETE", path, 200, {"cleared": True, **TOLD})
    standin.on("DELETE", path, 200, {"cleared": False})
    here = ("--data-dir", standin.paths.data_dir)
    assert "a cleared (held by 2" in mnemesh("namespace", "clear-standard", "-n", "a", *here).out
    assert "had no standard" in mnemesh("namespace", "clear-standard", "-n", "a", *here).out


def test_namespaces_are_listed(mnemesh: Mnemesh, standin: StandIn) -> None:
    rows = [
        {"namespace": "a", "count": 3, "standards": 1, "ruled_by": "a"},
        {"namespace": "a/b", "count": 2, "standards": 0, "ruled_by": "a"},
        {"namespace": "c", "count": 1, "standards": 0, "ruled_by": None},
    ]
    standin.on("GET", "/api/v1/namespaces", 200, {"namespaces": rows, "count": 3})
    ran = mnemesh("namespace", "list", "--data-dir", standin.paths.data_dir)
    assert [line.split() for line in ran.out.splitlines()[1:]] == [
        ["a", "3", "1", "a"],
        ["a/b", "2", "-", "a"],
        ["c", "1", "-", "-"],
    ]


def test_a_refusal_is_exit_code_4(mnemesh: Mnemesh, standin: StandIn) -> None:
    refused = {"error": "governance_denied", "detail": "Ask an administrator."}
    standin.on("DELETE", "/api/v1/namespaces/a/standard", 403, refused)
    ran = mnemesh("namespace", "clear-standard", "-n", "a", "--data-dir", standin.paths.data_dir)
    assert ran.code == 4
    assert "governance_denied" in ran.err


# --- pending --------------------------------------------------------------------------------


def test_pending_actions_are_listed(mnemesh: Mnemesh, standin: StandIn) -> None:
    row = {
        "id": "actor:1", "status": "pending", "action_type": "store", "namespace": "team",
        "memory_id": "m-1", "payload": {"title": "Plan\x1b[2J"}, "requested_by": "bob",
        "collected": 1, "needed": 2, "expires_at": "soon",
    }  # fmt: skip
    standin.on("GET", "/api/v1/pending", 200, {"pending": [row], "count": 1})
    ran = mnemesh("pending", "list", "--status", "pending", "--data-dir", standin.paths.data_dir)
    assert "actor:1" in ran.out
    assert "1/2" in ran.out
    assert "\x1b" not in ran.out
    assert standin.asked[0][1] == "/api/v1/pending?status=pending&limit=100"


def test_reasons_are_listed_where_somebody_gave_one(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    silent = {"id": "a:1", "approvals": [{"agent_id": "hana", "decision": "approve"}]}
    vote = {"agent_id": "hugo", "decision": "reject", "reason": "no room"}
    standin.on("GET", "/api/v1/pending", 200, {"pending": [silent], "count": 1})
    standin.on("GET", "/api/v1/pending", 200, {"pending": [{"id": "a:2", "approvals": [vote]}]})
    assert "REASONS" not in mnemesh("pending", "list", *here).out
    ran = mnemesh("pending", "list", *here)
    assert "REASONS" in ran.out
    assert "hugo: no room" in ran.out


def test_votes_are_sent_as_the_agent(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--agent-id", "hana", "--data-dir", standin.paths.data_dir)
    base = "/api/v1/pending/actor%3D%3A1"
    standin.on("POST", f"{base}/approve", 200, {"action": "store", "memory_id": "m-1", **TOLD})
    standin.on("POST", f"{base}/reject", 200, {"rejected": True, "memory_id": "m-1", **TOLD})
    ran = mnemesh("pending", "approve", "actor=:1", "--reason", "fine", *here)
    assert "approved: store m-1" in ran.out
    ran = mnemesh("pending", "reject", "actor=:1", "--reason", "no", "--hash", "ab", *here)
    assert "rejected: m-1" in ran.out
    assert [one[3] for one in standin.asked] == [
        {"reason": "fine"},
        {"reason": "no", "hash": "ab"},
    ]
    assert {one[2]["x-agent-id"] for one in standin.asked} == {"hana"}


def test_a_vote_that_does_not_suffice_says_what_is_missing(
    mnemesh: Mnemesh, standin: StandIn
) -> None:
    body = {"status": "collecting", "approvals": 1, "needed": 3, **TOLD}
    standin.on("POST", "/api/v1/pending/some-id/approve", 202, body)
    ran = mnemesh("pending", "approve", "some-id", "--data-dir", standin.paths.data_dir)
    assert "1 of 3 needed" in ran.out


# --- agent ----------------------------------------------------------------------------------


def test_register_sends_the_public_key_of_a_file(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    key = NodeKey(bytes(range(32))).public
    file = tmp_path / "bob.pub"
    file.write_text(key.hex() + "\n", encoding="ascii")
    standin.on("POST", "/api/v1/agents", 201, {"agent_id": "bob", **TOLD})
    ran = mnemesh(
        "agent", "register", "--agent-id", "bob", "--type", "human", "--capability", "a",
        "--capability", "b", "--pub", file, "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert standin.asked[0][3] == {
        "agent_id": "bob",
        "agent_type": "human",
        "capabilities": ["a", "b"],
        "public_key": base64.b64encode(key).decode(),
    }
    assert standin.asked[0][2]["x-agent-id"] == "bob"


@pytest.mark.parametrize("text", ["", "nothing", "\xff", "0" * 64])
def test_a_file_without_a_key_is_a_usage_error(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "bob.pub"
    file.write_text(text, encoding="latin-1")
    ran = mnemesh(
        "agent", "register", "--agent-id", "bob", "--type", "human", "--pub", file,
        "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert ran.code == 2
    assert standin.asked == []


def test_agents_and_roles_are_listed_together(mnemesh: Mnemesh, standin: StandIn) -> None:
    bob = {"agent_id": "bob", "agent_type": "human", "capabilities": [], "last_seen_at": "now"}
    ops = {"agent_id": "ops", "role": "system-admin", "namespaces": []}
    standin.on("GET", "/api/v1/agents", 200, {"agents": [bob], "roles": [ops], "count": 1})
    ran = mnemesh("agent", "list", "--data-dir", standin.paths.data_dir)
    assert [line.split()[0] for line in ran.out.splitlines()] == ["AGENT", "bob", "ops"]
    assert "system-admin" in ran.out


def test_a_role_is_given_and_taken(mnemesh: Mnemesh, standin: StandIn) -> None:
    path = "/api/v1/agents/ai%3Atina/role"
    given = {"role": "team-admin", "namespaces": ["a", "b"], **TOLD}
    standin.on("POST", path, 200, given)
    here = ("--agent-id", "ops", "--data-dir", standin.paths.data_dir)
    ran = mnemesh("agent", "role", "ai:tina", "team-admin", "-n", "a", "-n", "b", *here)
    assert "ai:tina is team-admin in a, b" in ran.out
    assert "has no role" in mnemesh("agent", "role", "ai:tina", "none", *here).out
    assert [one[3] for one in standin.asked] == [
        {"role": "team-admin", "namespaces": ["a", "b"]},
        {"role": "", "namespaces": []},
    ]


# --- export and import ----------------------------------------------------------------------


def state(**parts: Any) -> dict[str, Any]:
    return {"schema_version": 1, "policies": [], "agents": [], "roles": [], **parts}


def policy(space: str, **fields: Any) -> dict[str, Any]:
    return {"namespace": space, "governance": {"write": "deny"}, **fields}


HANA = {"agent_id": "hana", "agent_type": "human", "capabilities": []}
ADMIN = {"agent_id": "ops", "role": "system-admin", "namespaces": []}
WRITER = {"agent_id": "bob", "role": "agent-writer", "namespaces": []}


def test_equal_states_differ_in_nothing() -> None:
    same = state(policies=[policy("a")], agents=[HANA], roles=[ADMIN])
    assert differences(same, same) == []


def test_agents_come_before_policies_and_the_first_administrator_last() -> None:
    wanted = state(policies=[policy("b"), policy("*")], agents=[HANA], roles=[ADMIN, WRITER])
    found = differences(state(), wanted)
    assert [(one.kind, one.name) for one in found] == [
        ("agent", "hana"),
        ("policy", "*"),
        ("policy", "b"),
        ("role", "bob"),
        ("role", "ops"),
    ]


def test_once_there_are_administrators_new_ones_come_before_changes_of_others() -> None:
    now = state(roles=[ADMIN])
    other = {"agent_id": "two", "role": "system-admin", "namespaces": []}
    wanted = state(roles=[{**ADMIN, "role": "agent-writer"}, other])
    assert [one.name for one in differences(now, wanted)] == ["two", "ops"]


def test_only_what_differs_is_shown_and_what_is_not_named_goes() -> None:
    now = state(policies=[policy("a", owner="olga")], agents=[{**HANA, "public_key": "k"}])
    assert differences(now, state(agents=[HANA])) == [], "what only the node has stays"
    (one,) = differences(now, state(policies=[policy("a", parent="x")]))
    assert one.body == {
        "governance": {"write": "deny"}, "parent": "x", "owner": None, "id": None,
    }  # fmt: skip
    (agent,) = differences(now, state(agents=[{**HANA, "agent_type": "system"}]))
    assert (agent.now, agent.wanted) == ({"agent_type": "human"}, {"agent_type": "system"})


def test_concurrent_policies_in_a_file_are_only_fine_where_they_hold_already() -> None:
    two = state(policies=[policy("a"), policy("a", owner="olga")])
    assert differences(two, two) == []
    with pytest.raises(UsageError, match="concurrent"):
        differences(state(), two)


def scripted(standin: StandIn) -> None:
    """A node with one policy and one agent."""
    shown = {
        "namespace": "team/x", "governance": RULES, "author": "ann", "parent": "team", "id": "",
        "title": "", "content": "", "set_at": "now", "dot": "d",
    }  # fmt: skip
    spaces = [{"namespace": "team/x", "standards": 1}, {"namespace": "no", "standards": 0}]
    standin.on("GET", "/api/v1/namespaces", 200, {"namespaces": spaces})
    standin.on("GET", "/api/v1/namespaces/team%2Fx/standard", 200, {"standards": [shown]})
    agent = {**HANA, "registered_at": "then", "last_seen_at": "now"}
    standin.on("GET", "/api/v1/agents", 200, {"agents": [agent], "roles": []})


def test_an_export_can_be_imported_and_finds_nothing_to_do(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    scripted(standin)
    file, here = tmp_path / "g.json", ("--data-dir", standin.paths.data_dir)
    assert "1 policies, 1 agents, 0 roles" in mnemesh("governance", "export", file, *here).out
    document = json.loads(file.read_text(encoding="utf-8"))
    assert document == state(policies=[{"namespace": "team/x", "governance": RULES}], agents=[HANA])
    assert mnemesh("governance", "export", "--json", *here).json == document
    ran = mnemesh("governance", "import", file, *here)
    assert (ran.code, ran.out.strip()) == (0, "nothing to do")
    assert {method for method, *_ in standin.asked} == {"GET"}


def test_an_import_shows_and_applies_the_differences(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    scripted(standin)
    file, here = tmp_path / "g.json", ("--data-dir", standin.paths.data_dir)
    wanted = state(policies=[policy("team/x"), policy("new")], agents=[HANA], roles=[ADMIN])
    file.write_text(json.dumps(wanted), encoding="utf-8")
    dry = mnemesh("governance", "import", file, "--dry-run", "--json", *here)
    assert [one["name"] for one in dry.json["changes"]] == ["new", "team/x", "ops"]
    assert dry.json["applied"] == 0
    assert {method for method, *_ in standin.asked} == {"GET"}
    for path in ("namespaces/new/standard", "namespaces/team%2Fx/standard", "agents/ops/role"):
        standin.on("POST", f"/api/v1/{path}", 201, TOLD)
    ran = mnemesh("governance", "import", file, *here)
    assert ran.code == 0, ran.err
    assert "changed 3" in ran.out
    assert len([one for one in standin.asked if one[0] == "POST"]) == 3


def test_an_import_that_fails_says_how_far_it_came(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    scripted(standin)
    file = tmp_path / "g.json"
    wanted = state(policies=[policy("a"), policy("b")])
    file.write_text(json.dumps(wanted), encoding="utf-8")
    standin.on("POST", "/api/v1/namespaces/a/standard", 201, TOLD)
    standin.on("POST", "/api/v1/namespaces/b/standard", 403, {"error": "governance_denied"})
    ran = mnemesh("governance", "import", file, "--data-dir", standin.paths.data_dir)
    assert ran.code == 4
    assert "1 of 2" in ran.err


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema_version": 2}',
        '{"schema_version": 1, "agents": {}}',
        '{"schema_version": 1, "policies": [{"namespace": 3}]}',
        '{"schema_version": 1, "roles": ["x"]}',
    ],
)
def test_a_file_that_is_no_export_is_a_usage_error(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "g.json"
    file.write_text(text, encoding="utf-8")
    ran = mnemesh("governance", "import", file, "--data-dir", standin.paths.data_dir)
    assert ran.code == 2
    assert standin.asked == []
