"""Governance, agents, messages and subscriptions as the contract has them, on a real node."""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.rig import RealNode, Reply
from tests.integration.rig_routes import lone
from tests.integration.rig_shapes import (
    AGENT,
    DURABLE,
    MEMORY,
    MESSAGE,
    PENDING,
    STANDARD,
    SUBSCRIPTION,
    WRITTEN,
    each,
    flag,
    shaped,
    text,
    texts,
    uuid,
    whole,
)

pytestmark = pytest.mark.integration
KEPT: dict[str, Any] = {"title": "t", "content": "c", "namespace": "kept"}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    one = lone(tmp_path_factory.mktemp("contract"))
    try:
        one.start()
        for agent in ("ann", "bob"):
            one.tell("POST", "/agents", {"agent_id": agent, "agent_type": "human"})
        body = {"namespace": "kept", "governance": {"write": "approve", "delete": "approve"}}
        one.tell("POST", "/namespaces", body, X_Agent_Id="ann")
        yield one
    finally:
        one.clean_up()


def held(node: RealNode, **fields: Any) -> dict[str, Any]:
    reply = node.ask("POST", "/memories", {**KEPT, **fields}, X_Agent_Id="cat")
    assert reply.status == 202, reply.body
    told: dict[str, Any] = reply.body
    return told


def pending(node: RealNode, query: str = "", agent: str = "ann") -> list[dict[str, Any]]:
    answer = node.tell("GET", f"/pending{query}", X_Agent_Id=agent)
    shaped(answer, {"pending": each(PENDING), "count": whole})
    assert answer["count"] == len(answer["pending"])
    found: list[dict[str, Any]] = answer["pending"]
    return found


def decide(node: RealNode, told: dict[str, Any], word: str, agent: str, **body: Any) -> Reply:
    return node.ask("POST", f"/pending/{told['pending_id']}/{word}", body, X_Agent_Id=agent)


def test_agents_are_registered_and_listed(node: RealNode) -> None:
    body = {"agent_id": "ai:zed", "agent_type": "ai:model-x", "capabilities": ["read", "write"]}
    reply = node.ask("POST", "/agents", body)
    assert reply.status == 201
    shaped(reply.body, WRITTEN)
    node.tell("POST", "/agents", {"agent_id": "robot", "agent_type": "system"})
    answer = node.tell("GET", "/agents")
    shaped(answer, {"agents": each(AGENT), "count": whole})
    found = {agent["agent_id"]: agent for agent in answer["agents"]}
    assert answer["count"] == len(found)
    assert found["ai:zed"]["agent_type"] == "ai:model-x"
    assert found["ai:zed"]["capabilities"] == ["read", "write"]
    assert found["robot"]["capabilities"] == []
    for kind in ("robot", "ai:", "", None, 5):
        wrong = {"agent_id": "x", "agent_type": kind}
        assert node.ask("POST", "/agents", wrong).status == 400, kind


def test_standards_are_shown_alone_and_inherited(node: RealNode) -> None:
    memory = node.store("why", "because")["id"]
    body = {"namespace": "st/a", "id": memory, "standard": {"governance": {"write": "registered"}}}
    reply = node.ask("POST", "/namespaces", body, X_Agent_Id="ann")
    assert reply.status == 201
    shaped(reply.body, WRITTEN)
    node.tell(
        "POST", "/namespaces/st/standard", {"governance": {"delete": "any"}}, X_Agent_Id="ann"
    )
    for path in ("/namespaces?namespace=st/a", "/namespaces/st%2Fa/standard"):
        answer = node.tell("GET", path)
        shaped(answer, {"namespace": text, "standards": each(STANDARD), "chain": texts})
        assert answer["chain"] == ["*", "st", "st/a"]
        [own] = answer["standards"]
        assert answer["count"] == 1
        assert (own["namespace"], own["id"]) == ("st/a", memory)
        assert (own["title"], own["content"]) == ("why", "because")
        rules = {"write": "registered", "promote": "any", "delete": "owner", "approver": "human"}
        assert {name: own["governance"][name] for name in rules} == rules
        joint = "&" if "?" in path else "?"
        every = node.tell("GET", f"{path}{joint}inherit=true")
        assert [one["namespace"] for one in every["standards"]] == ["st", "st/a"]
    shown = {row["namespace"] for row in node.tell("GET", "/namespaces")["namespaces"]}
    assert {"st", "st/a", "global"} <= shown
    stranger = node.ask("POST", "/memories", {**KEPT, "namespace": "st/a"}, X_Agent_Id="cat")
    assert stranger.status == 403
    for path in ("/namespaces?namespace=st/a", "/namespaces/st/standard"):
        cleared = node.tell("DELETE", path, X_Agent_Id="ann")
        assert shaped(cleared, WRITTEN)["cleared"] is True
    assert node.tell("GET", "/namespaces/st%2Fa/standard")["standards"] == []


def test_what_is_held_has_the_id_it_will_have(node: RealNode) -> None:
    told = held(node)
    shaped(told, {"pending_id": text, "id": uuid, **DURABLE})
    assert (told["status"], told["action"]) == ("pending", "store")
    assert node.ask("GET", f"/memories/{told['id']}").status == 404
    [row] = [one for one in pending(node) if one["id"] == told["pending_id"]]
    assert (row["action_type"], row["memory_id"], row["namespace"]) == ("store", told["id"], "kept")
    assert (row["requested_by"], row["status"], row["approvals"]) == ("cat", "pending", [])
    assert (row["decided_by"], row["decided_at"]) == (None, None)
    assert decide(node, told, "approve", "cat").status == 403
    done = decide(node, told, "approve", "ann")
    assert done.status == 200
    shaped(done.body, DURABLE)
    assert node.get(told["id"])["title"] == "t"
    [row] = [one for one in pending(node, "?status=approved") if one["id"] == told["pending_id"]]
    assert row["decided_by"] == "ann"
    assert row["approvals"]
    assert decide(node, told, "approve", "bob").status == 409


def test_what_is_rejected_never_is(node: RealNode) -> None:
    told = held(node)
    reply = decide(node, told, "reject", "ann", reason="no")
    assert (reply.status, reply.body["rejected"]) == (200, True)
    assert (reply.body["id"], reply.body["decided_by"]) == (told["pending_id"], "ann")
    assert node.ask("GET", f"/memories/{told['id']}").status == 404
    assert told["pending_id"] in {one["id"] for one in pending(node, "?status=rejected")}


def test_two_of_them_are_collected(node: RealNode) -> None:
    rules = {"write": "approve", "approver": {"consensus": 2}}
    body = {"namespace": "two", "governance": rules}
    node.tell("POST", "/namespaces", body, X_Agent_Id="ann")
    told = held(node, namespace="two")
    assert decide(node, told, "approve", "ann").status == 202
    [row] = pending(node, "?namespace=two&status=pending")
    assert len(row["approvals"]) == 1
    assert decide(node, told, "approve", "bob").status == 200
    assert node.get(told["id"])["namespace"] == "two"


def test_deletes_are_held_too_and_lists_are_cut(node: RealNode) -> None:
    made = held(node)
    decide(node, made, "approve", "ann")
    reply = node.ask("DELETE", f"/memories/{made['id']}", X_Agent_Id="cat")
    assert (reply.status, reply.body["action"]) == (202, "delete")
    assert node.get(made["id"])["title"] == "t"
    assert decide(node, reply.body, "approve", "ann").status == 200
    assert node.ask("GET", f"/memories/{made['id']}").status == 404
    assert len(pending(node, "?limit=1")) == 1
    assert {one["namespace"] for one in pending(node, "?namespace=kept")} == {"kept"}
    both = {one["status"] for one in pending(node, "?status=approved,rejected")}
    assert both <= {"approved", "rejected"}


@pytest.mark.parametrize(
    "body",
    [
        {"target_agent_id": "ai:to", "title": "T", "content": "C", "priority": 7},
        {"to": "ai:to", "subject": "T", "body": "C", "priority": 7},
    ],
)
def test_a_message_is_its_addressee_s_alone(node: RealNode, body: dict[str, Any]) -> None:
    sent = node.ask("POST", "/notify", body, X_Agent_Id="ai:from")
    assert sent.status == 201
    shaped(sent.body, {**MESSAGE, **WRITTEN})
    answer = node.tell("GET", "/inbox", X_Agent_Id="ai:to")
    shaped(answer, {"messages": each(MESSAGE), "count": whole})
    message = answer["messages"][0]
    assert message["id"] == sent.body["id"]
    assert (message["from"], message["to"]) == ("ai:from", "ai:to")
    assert message["title"] == message["subject"] == "T"
    assert message["payload"] == message["body"] == "C"
    assert (message["priority"], message["tier"], message["read"]) == (7, "mid", False)
    assert message["created_at"] == sent.body["created_at"]
    for agent in ("ai:from", "ann", "ai:other"):
        assert node.tell("GET", "/inbox", X_Agent_Id=agent)["messages"] == []
        assert node.tell("GET", "/inbox?agent_id=ai:to", X_Agent_Id=agent)["messages"] == []
    assert message["id"] not in str(node.tell("GET", "/export", X_Agent_Id="ai:to"))


def test_an_inbox_is_newest_first_and_marks_what_was_read(node: RealNode) -> None:
    for place in range(3):
        node.tell("POST", "/notify", {"to": "ai:reader", "subject": f"m{place}", "body": "b"})

    def subjects(query: str = "") -> list[str]:
        answer = node.tell("GET", f"/inbox{query}", X_Agent_Id="ai:reader")
        return [one["subject"] for one in answer["messages"]]

    assert subjects() == ["m2", "m1", "m0"]
    assert subjects("?limit=1") == ["m2"]
    [first, *_] = node.tell("GET", "/inbox", X_Agent_Id="ai:reader")["messages"]
    node.tell("POST", "/inbox/read", {"ids": [first["id"]]}, X_Agent_Id="ai:reader")
    assert subjects("?unread_only=true") == ["m1", "m0"]
    assert len(subjects()) == 3
    assert len(node.tell("GET", "/inbox?agent_id=ai:reader")["messages"]) == 3


def test_subscriptions_come_and_go(node: RealNode) -> None:
    body = {
        "url": "https://hooks.example.com/x",
        "events": ["memory_store", "memory_delete"],
        "secret": "s3cret",
        "agent_id": "ai:sub",
        "namespace": "n",
    }
    reply = node.ask("POST", "/subscriptions", body)
    assert reply.status == 201
    made = shaped(reply.body, {**SUBSCRIPTION, **WRITTEN})
    given = ("url", "events", "agent_id", "namespace")
    assert {name: made[name] for name in given} == {name: body[name] for name in given}
    bare = shaped(node.tell("POST", "/subscriptions", {}, X_Agent_Id="ai:sub"), SUBSCRIPTION)
    assert (bare["url"], bare["agent_id"], bare["dispatch_count"]) == ("", "ai:sub", 0)
    answer = node.tell("GET", "/subscriptions", X_Agent_Id="ai:sub")
    shaped(answer, {"subscriptions": each(SUBSCRIPTION), "count": whole})
    assert [one["id"] for one in answer["subscriptions"]] == [made["id"], bare["id"]]
    assert "s3cret" not in json.dumps(answer)
    for path in (f"/subscriptions/{made['id']}", f"/subscriptions?id={bare['id']}"):
        assert node.tell("DELETE", path, X_Agent_Id="ai:sub")["deleted"] is True
    node.tell("POST", "/subscriptions", body)
    gone = node.tell("DELETE", "/subscriptions?agent_id=ai:sub&namespace=n")
    assert shaped(gone, WRITTEN)["deleted"] is True
    assert node.tell("GET", "/subscriptions")["count"] == 0
    assert node.ask("DELETE", "/subscriptions?id=no-such-id").status == 404
    text_of_them = node.tell("POST", "/subscriptions", {"events": "memory_store,memory_delete"})
    assert text_of_them["events"] in ("memory_store,memory_delete", body["events"])


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/x", "http://169.254.169.254/", "http://[::1]/", "http://2130706433/",
     "file:///etc/passwd", "http://user:pw@example.com/", "http://0x7f.1/", "not a url"],
)  # fmt: skip
def test_webhooks_never_lead_inside(node: RealNode, url: str) -> None:
    reply = node.ask("POST", "/subscriptions", {"url": url})
    assert (reply.status, reply.body["field"]) == (400, "url")


def test_a_session_begins_with_what_is_known(node: RealNode) -> None:
    made = node.store("known", namespace="sessions")["id"]
    reply = node.ask("POST", "/session/start", {"agent_id": "ai:s", "namespace": "sessions"})
    assert reply.status == 201
    shaped(reply.body, {"session_id": text, "memories": each(MEMORY)})
    assert [memory["id"] for memory in reply.body["memories"]] == [made]
    again = node.tell("POST", "/session/start", {"agent_id": "ai:s"})
    assert again["session_id"] != reply.body["session_id"]


def test_both_streams_are_server_sent_events(node: RealNode) -> None:
    for path in ("/events/stream", "/pending/stream"):
        connection = http.client.HTTPConnection(*node.agent, timeout=10)
        try:
            connection.request("GET", f"/api/v1{path}", headers={"X-Agent-Id": "ann"})
            response = connection.getresponse()
            assert response.status == 200
            assert response.getheader("content-type", "").startswith("text/event-stream")
            told = held(node) if "pending" in path else node.store("streamed")
            wanted = told.get("pending_id") or told["id"]
            seen = ""
            while wanted not in seen:
                line = response.readline().decode()
                assert line, f"{path} ended: {seen}"
                seen += line
            assert "\nid: " in seen
            assert flag("event: " in seen)
        finally:
            connection.close()
