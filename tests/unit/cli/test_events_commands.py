"""`mnemesh events`, `subscription`, `notify`, `inbox`, `session`: what they send and print."""

import json
from pathlib import Path

from tests.unit.cli.standin import Mnemesh, StandIn

DURABLE = {"local": True, "acks": 2, "needed": 2, "peers": ["node-b"], "dot": "d", "token": "t"}
SUBSCRIPTION = {
    "id": "s-1",
    "url": "https://hooks.example.org/x",
    "events": ["memory_store"],
    "namespace": "",
    "agent_id": "ai:me",
    "created_at": "2026-01-01T00:00:00.000Z",
    "dispatch_count": 3,
    "failure_count": 1,
}
STREAM = (
    "retry: 2000\n\nid: a-1-0\nevent: memory_store\n"
    'data: {"event":"memory_store","memory_id":"m-1","namespace":"team","agent_id":"ai:me"}\n\n'
    ": nothing new\n\nid: a-2-0\nevent: reset\n"
    'data: {"event":"reset","reason":"log_truncated"}\n\n'
)


def test_events_are_a_line_each(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/api/v1/events/stream", 200, STREAM)
    here = ("--data-dir", standin.paths.data_dir)
    ran = mnemesh("events", "--events", "memory_store", "--cursor", "0", *here)
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "- memory_store m-1 in team by ai:me",
        "- reset log_truncated",
    ]
    assert standin.asked[0][1].endswith("?events=memory_store&cursor=0")
    ran = mnemesh("events", "--json", "--count", "1", *here)
    assert [json.loads(line)["cursor"] for line in ran.out.splitlines()] == ["a-1-0"]


def test_a_refused_stream_is_an_error(mnemesh: Mnemesh, standin: StandIn) -> None:
    standin.on("GET", "/api/v1/events/stream", 400, {"error": "invalid_field", "detail": "events"})
    assert mnemesh("events", "-e", "x", "--data-dir", standin.paths.data_dir).code == 2


def test_a_secret_comes_from_a_file_that_is_nobody_elses(
    mnemesh: Mnemesh, standin: StandIn, tmp_path: Path
) -> None:
    standin.on("POST", "/api/v1/subscriptions", 201, {**SUBSCRIPTION, "durability": DURABLE})
    secret = tmp_path / "secret"
    secret.write_text("hush\n", encoding="utf-8")
    secret.chmod(0o644)
    command = (
        "subscription", "add", "https://hooks.example.org/x", "-e", "memory_store",
        "--secret-file", secret, "--agent-id", "ai:me", "--data-dir", standin.paths.data_dir,
    )  # fmt: skip
    assert mnemesh(*command, "--dry-run").code == 0
    assert mnemesh(*command).code == 4
    assert not standin.asked
    secret.chmod(0o600)
    ran = mnemesh(*command)
    assert ran.out.strip() == "subscribed as s-1 (held by 2, needed 2, also on node-b)"
    assert standin.asked[0][3] == {
        "url": "https://hooks.example.org/x",
        "events": "memory_store",
        "agent_id": "ai:me",
        "secret": "hush",
    }
    assert mnemesh(*command[:-4], "--secret-file", tmp_path / "none", *command[-2:]).code == 2


def test_subscriptions_are_listed_and_ended(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    standin.on("GET", "/api/v1/subscriptions", 200, {"subscriptions": [SUBSCRIPTION], "count": 1})
    assert "3/1" in mnemesh("subscription", "list", *here).out
    standin.on("DELETE", "/api/v1/subscriptions/s-1", 200, {"deleted": True, "durability": DURABLE})
    asked = len(standin.asked)
    assert mnemesh("subscription", "remove", "s-1", *here).code == 2
    assert mnemesh("subscription", "remove", "s-1", "--dry-run", *here).code == 0
    assert len(standin.asked) == asked
    assert "ended s-1" in mnemesh("subscription", "remove", "s-1", "--yes", *here).out


def test_messages_and_inboxes(mnemesh: Mnemesh, standin: StandIn) -> None:
    here = ("--data-dir", standin.paths.data_dir)
    standin.on("POST", "/api/v1/notify", 201, {"id": "n-1", "durability": DURABLE})
    ran = mnemesh("notify", "ai:b", "Hello", "Read this", "--priority", "8", *here)
    assert ran.out.startswith("written to ai:b"), ran.err
    assert standin.asked[0][3] == {
        "target_agent_id": "ai:b", "title": "Hello", "content": "Read this", "priority": 8,
    }  # fmt: skip
    assert mnemesh("notify", "ai:b", "x", "y", "--dry-run", *here).code == 0
    one = {"from": "ai:a", "title": "Hello", "payload": "Read this", "read": False, "priority": 5}
    standin.on("GET", "/api/v1/inbox", 200, {"messages": [one], "count": 1})
    assert mnemesh("inbox", *here).code == 2
    shown = mnemesh("inbox", "--agent-id", "ai:b", "--unread", "--mark-read", *here)
    assert "Read this" in shown.out
    assert "unread_only=true&mark_read=true" in standin.asked[-1][1]


def test_a_session_begins(mnemesh: Mnemesh, standin: StandIn) -> None:
    memory = {"id": "m-1", "namespace": "team", "title": "One"}
    standin.on(
        "POST", "/api/v1/session/start", 201, {"session_id": "u", "memories": [memory], "count": 1}
    )
    here = ("--agent-id", "ai:b", "--namespace", "team", "--data-dir", standin.paths.data_dir)
    ran = mnemesh("session", "start", *here)
    assert ran.out.splitlines()[0] == "session u"
    assert "One" in ran.out
    assert standin.asked[0][3] == {"agent_id": "ai:b", "namespace": "team", "limit": 20}
    assert mnemesh("session", "start", "--json", *here).json["session_id"] == "u"
