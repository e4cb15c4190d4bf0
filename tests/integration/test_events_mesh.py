"""Streams, webhooks and messages on real meshes."""

import hashlib
import hmac
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_governance import cut_off, fresh_space, policy_everywhere
from tests.integration.rig_hooks import Receiver, receiving
from tests.integration.rig_mesh import heal

LAB = {"MNEMESH_SUBSCRIPTIONS_ALLOW_LOOPBACK_WEBHOOKS": "true"}


class Follower:
    """Follows the stream of a node over a connection of its own."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def event(self) -> dict[str, Any]:
        """The next event with data; its place is its `cursor`."""
        fields: dict[str, str] = {}
        while True:
            line = self._response.readline().decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return {**json.loads(fields["data"]), "cursor": fields.get("id", "")}
            elif "id" in fields:
                return {"event": "", "cursor": fields["id"]}
            else:
                fields = {}

    def named(self, name: str) -> dict[str, Any]:
        """The next event of a name."""
        while True:
            event = self.event()
            if event["event"] == name:
                return event


@contextmanager
def following(node: RealNode, query: str = "", agent: str = "") -> Iterator[Follower]:
    connection = http.client.HTTPConnection(*node.agent, timeout=20)
    headers = {"x-agent-id": agent} if agent else {}
    if node.api_key:
        headers["x-api-key"] = node.api_key
    try:
        connection.request("GET", f"/api/v1/events/stream{query}", headers=headers)
        yield Follower(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture
def lab(found: Found) -> list[RealNode]:
    """Three nodes whose webhooks may lead to this machine."""
    nodes = found(3, start=False)
    for node in nodes:
        node.environment |= LAB
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    return nodes


def subscribe(node: RealNode, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    body = {"url": receiver.url, "agent_id": "ai:me", **fields}
    made: dict[str, Any] = node.tell("POST", "/subscriptions", body)
    return made


def test_a_stream_tells_on_every_node_what_was_done_on_one(shared_mesh: list[RealNode]) -> None:
    one, two, _ = shared_mesh
    with following(two) as stream:
        stream.event()
        ident = one.store("told everywhere")["id"]
        event = stream.named("memory_store")
        assert event["memory_id"] == ident
        one.tell("PUT", f"/memories/{ident}", {"namespace": "moved"})
        moved = stream.event()
        assert (moved["event"], moved["memory_id"]) == ("memory_moved", ident)
        one.tell("DELETE", f"/memories/{ident}")
        assert stream.event()["event"] == "memory_delete"
    with following(two, f"?cursor={event['cursor']}") as stream:
        assert [stream.event()["event"] for _ in range(2)] == ["memory_moved", "memory_delete"]


def test_what_was_written_behind_a_cut_is_told_after_it(shared_mesh: list[RealNode]) -> None:
    *others, alone = shared_mesh
    with following(others[0]) as stream:
        stream.event()
        cut_off(alone, others)
        alone.ask("POST", "/memories", {"title": "behind the cut", "content": "x", "id": "cut-1"})
        heal(alone, others)
        assert stream.named("memory_store")["memory_id"] == "cut-1"


def test_private_memories_are_told_to_their_author_alone(shared_mesh: list[RealNode]) -> None:
    node = shared_mesh[0]
    with following(node, agent="ai:me") as mine, following(node, agent="ai:eve") as hers:
        for stream in (mine, hers):
            stream.event()
        secret = node.store("secret", scope="private", agent_id="ai:me")["id"]
        node.tell("PUT", f"/memories/{secret}", {"scope": "team"}, X_Agent_Id="ai:me")
        last = node.store("open")["id"]
        assert [mine.event()["memory_id"] for _ in range(2)] == [secret, secret]
        event = hers.event()
        assert (event["event"], event["memory_id"]) == ("memory_store", secret)
        assert hers.event()["memory_id"] == last


@pytest.mark.thorough
def test_what_is_held_is_told_when_it_is_approved(four: list[RealNode]) -> None:
    node, other, space = four[0], four[1], fresh_space("told")
    policy_everywhere(four, space, write="approve")
    with following(other, f"?namespace={space}") as stream:
        stream.event()
        body = {"title": "t", "content": "c", "namespace": space, "agent_id": "ai:me"}
        held = node.tell("POST", "/memories", body)
        asked = stream.event()
        assert (asked["event"], asked["pending_id"]) == ("approval_requested", held["pending_id"])
        refused = node.tell("POST", "/memories", body)
        assert stream.event()["event"] == "approval_requested"
        until_level(four)
        node.tell("POST", f"/pending/{held['pending_id']}/approve", {}, X_Agent_Id="hana")
        granted, stored = stream.event(), stream.event()
        assert (granted["event"], granted["cursor"]) == ("approval_granted", "")
        assert (stored["event"], stored["memory_id"]) == ("memory_store", held["id"])
        node.tell("POST", f"/pending/{refused['pending_id']}/reject", {}, X_Agent_Id="hana")
        assert stream.named("approval_rejected")["pending_id"] == refused["pending_id"]
    with following(other, f"?namespace={space}&cursor={asked['cursor']}") as again:
        told = [again.event()["event"] for _ in range(4)]
    assert told == ["approval_requested", "approval_granted", "memory_store", "approval_rejected"]


def test_messages_reach_their_addressee_on_every_node(shared_mesh: list[RealNode]) -> None:
    one, two, three = shared_mesh
    with following(two, agent="ai:bob") as stream:
        stream.event()
        body = {"to": "ai:bob", "subject": "Hello", "body": "Read this", "agent_id": "ai:ann"}
        ident = one.tell("POST", "/notify", body)["id"]
        event = stream.named("message_received")
        assert (event["message_id"], event["from"]) == (ident, "ai:ann")
    until_level(shared_mesh)
    for node in shared_mesh:
        box = node.tell("GET", "/inbox", X_Agent_Id="ai:bob")
        assert [one["payload"] for one in box["messages"]] == ["Read this"]
        for agent in ("ai:ann", "ai:eve"):
            assert node.tell("GET", "/inbox", X_Agent_Id=agent)["count"] == 0
    three.tell("POST", "/inbox/read", {"ids": [ident]}, X_Agent_Id="ai:bob")
    until_level(shared_mesh)
    assert one.tell("GET", "/inbox?unread_only=true", X_Agent_Id="ai:bob")["count"] == 0


@pytest.mark.slow
def test_one_node_delivers_signed_and_in_order(lab: list[RealNode]) -> None:
    one, two, three = lab
    with receiving() as receiver:
        made = subscribe(two, receiver, secret="hush", events=["memory_store", "memory_delete"])  # noqa: S106 - of a test
        ids = [node.store(f"m{n}")["id"] for n, node in enumerate((one, two, three) * 3)]
        one.tell("DELETE", f"/memories/{ids[0]}")
        until(lambda: len(receiver.got) >= 10, "ten deliveries", seen=lambda: receiver.names)
        assert {event["memory_id"] for event in receiver.events[:9]} == set(ids)
        assert receiver.names == ["memory_store"] * 9 + ["memory_delete"]
        for headers, body in receiver.got:
            signed = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
            assert headers["x-mnemesh-signature"] == f"sha256={signed}"
            assert json.loads(body)["subscription_id"] == made["id"]
    (shown,) = two.tell("GET", "/subscriptions", X_Agent_Id="ai:me")["subscriptions"]
    assert (shown["dispatch_count"], shown["failure_count"]) == (10, 0)
    for node in lab:
        assert "hush" not in json.dumps(node.tell("GET", "/subscriptions", X_Agent_Id="ai:me"))
        assert "hush" not in "\n".join(node.log_lines())
    assert two.metric("mnemesh_webhook_deliveries_total", outcome="delivered") == 10


@pytest.mark.slow
def test_deliveries_go_on_after_failures_and_after_a_restart(lab: list[RealNode]) -> None:
    one = lab[0]
    with receiving() as receiver:
        receiver.status = 503
        subscribe(one, receiver, events="memory_store")
        first = one.store("first")["id"]
        until(lambda: receiver.refused >= 2, "two tries")
        assert receiver.got == []
        one.kill()
        second = lab[1].store("second")["id"]
        receiver.status = 200
        one.start()
        until(lambda: len(receiver.got) >= 2, "both events", seen=one.tail)
        assert [event["memory_id"] for event in receiver.events] == [first, second]
        assert one.stop() == 0
        one.start()
        third = one.store("third")["id"]
        until(lambda: receiver.events[-1]["memory_id"] == third, "the third event")
        assert len(receiver.got) == 3, "what was confirmed before a stop is not sent again"


@pytest.mark.slow
def test_another_node_takes_over_when_the_one_that_delivers_leaves(lab: list[RealNode]) -> None:
    one, two, three = lab
    with receiving() as receiver:
        subscribe(three, receiver, events="memory_store")
        first = one.store("first")["id"]
        until(lambda: first in {event["memory_id"] for event in receiver.events}, "the first")
        name = three.name
        assert three.stop() == 0
        second = one.store("second")["id"]
        one.tell("POST", "/mesh/remove", {"node_id": name, "force": True})
        third = two.store("third")["id"]
        until(
            lambda: {second, third} <= {event["memory_id"] for event in receiver.events},
            "what came after the node left",
            seen=lambda: receiver.events,
        )
        ids = [event["event_id"] for event in receiver.events]
        repeated = len(ids) - len(set(ids))
        assert repeated <= 1, "what was sent before may come again, under the same name"


@pytest.mark.slow
def test_nothing_near_is_sent_to_unless_the_operator_says_so(found: Found) -> None:
    (node,) = found(1)
    with receiving() as receiver:
        for url in (receiver.url, f"http://localhost:{receiver.port}/"):
            reply = node.ask("POST", "/subscriptions", {"url": url})
            assert (reply.status, reply.body["field"]) == (400, "url")
        made = node.tell(
            "POST", "/subscriptions",
            {"url": f"http://nobody.invalid:{receiver.port}/?token=hush", "agent_id": "ai:me"},
        )  # fmt: skip
        node.store("unheard")

        def failures() -> int:
            shown = node.tell("GET", "/subscriptions", X_Agent_Id="ai:me")["subscriptions"]
            return int(shown[0]["failure_count"])

        until(lambda: failures() >= 1, "a failed try")
        assert node.metric("mnemesh_webhook_deliveries_total", outcome="unresolved") >= 1
        assert node.metric("mnemesh_webhook_deliveries_total", outcome="delivered") == 0
        assert receiver.got == []
        assert "hush" not in "\n".join(node.log_lines())
        node.tell("DELETE", f"/subscriptions/{made['id']}", X_Agent_Id="ai:me")
