"""`mnemesh grant`, `revoke` and `quota`: what they send, what they print, how they end."""

from typing import Any

import pytest

from tests.unit.cli.standin import Mnemesh, StandIn

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
QUOTA: dict[str, Any] = {
    "agent_id": "ann",
    "limits": {"max_memories_per_day": 5, "max_links_per_day": 0, "max_storage_bytes": 0},
    "use": {"memories_today": 3, "links_today": 0, "storage_bytes": None},
    "reset_at": "2026-01-02T00:00:00.000Z",
}


@pytest.mark.parametrize(
    ("word", "grants", "said"),
    [
        ("grant", ["ai:bob", "dan"], "m-1 shows to its author and ai:bob, dan (held by 2"),
        ("revoke", [], "m-1 shows to its author and nobody else (held by 2"),
    ],
)
def test_grant_and_revoke_name_the_agent_in_the_body(
    mnemesh: Mnemesh, standin: StandIn, word: str, grants: list[str], said: str
) -> None:
    path = f"/api/v1/memories/m%2F1/{word}"
    told = {"id": "m-1", "agent_id": "ai:bob", "grants": grants, "durability": DURABLE}
    standin.on("POST", path, 200, told)
    here = ("--agent-id", "ann", "--data-dir", standin.paths.data_dir)
    ran = mnemesh(word, "m/1", "ai:bob", *here)
    assert ran.code == 0, ran.err
    assert said in ran.out
    _, asked, headers, body = standin.asked[0]
    assert (asked, headers["x-agent-id"], body) == (path, "ann", {"agent_id": "ai:bob"})
    assert mnemesh(word, "m/1", "ai:bob", *here, "--json").json == told


@pytest.mark.parametrize("word", ["grant", "revoke"])
def test_a_dry_run_of_sharing_asks_nobody(mnemesh: Mnemesh, standin: StandIn, word: str) -> None:
    ran = mnemesh(word, "m-1", "bob", "--dry-run", "--json", "--data-dir", standin.paths.data_dir)
    assert (ran.code, ran.json) == (0, {"dry_run": True, "id": "m-1", "agent_id": "bob"})
    assert standin.asked == []


def test_what_changes_nothing_or_waits_is_told_so(mnemesh: Mnemesh, standin: StandIn) -> None:
    path = "/api/v1/memories/m-1/grant"
    here = ("--data-dir", standin.paths.data_dir)
    none = {"local": True, "acks": 0, "needed": 0, "peers": []}
    standin.on("POST", path, 200, {"id": "m-1", "grants": ["bob"], "durability": none})
    standin.on("POST", path, 202, {"status": "pending", "pending_id": "a:1"})
    assert "it was so already" in mnemesh("grant", "m-1", "bob", *here).out
    assert "waits for approval as a:1" in mnemesh("grant", "m-1", "bob", *here).out


def test_quota_is_a_table_or_json(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/api/v1/quota", 200, QUOTA)
    here = ("--agent-id", "ann", "--data-dir", standin.paths.data_dir)
    ran = mnemesh("quota", *here)
    assert ran.code == 0, ran.err
    assert "of ann, until 2026-01-02" in ran.out
    lines = [line.split() for line in ran.out.splitlines() if "today" in line or "held" in line]
    assert lines == [
        ["memories", "today", "3", "5"],
        ["links", "today", "0", "none"],
        ["bytes", "held", "-", "none"],
    ]
    assert standin.asked[0][2]["x-agent-id"] == "ann"
    assert mnemesh("quota", *here, "--json").json == QUOTA


def test_a_quota_that_is_used_up_is_exit_code_4(mnemesh: Mnemesh, standin: StandIn) -> None:
    refused = {"error": "quota_exceeded", "detail": "5 are used.", "limit": 5}
    standin.on("POST", "/api/v1/memories", 429, refused)
    ran = mnemesh("store", "T", "C", "--data-dir", standin.paths.data_dir)
    assert ran.code == 4
    assert "quota_exceeded" in ran.err
