"""Approvals on a real mesh: asked on one node, decided on another, the same on all."""

import http.client
import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, until, until_level, until_linked
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_governance import (
    cut_off,
    decide,
    enrol,
    fresh_space,
    held,
    policy_everywhere,
    row,
    set_policy,
    statuses,
    until_one_story,
    until_status,
    write,
)
from tests.integration.rig_mesh import heal

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def audited(node: RealNode) -> str:
    """What the chain of events of a node says last."""
    return mnemesh("audit", "tail", "--lines", 100, node=node).out


def test_a_human_approves_on_another_node_than_the_requesters(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve")
    action, memory = held(four[0], space, title="a risky thing")
    until_status(four, action, "pending")
    assert statuses(four, memory) == [404] * 4
    assert decide(four[1], action, "bob").body["error"] == "self_approval"
    assert decide(four[1], action, "nobody").body["error"] == "agent_not_registered"
    assert decide(four[1], action, "ai:one").body["error"] == "not_an_approver"
    done = decide(four[2], action, "hana")
    assert (done.status, done.body["executed"]) == (200, True)
    assert done.body["memory_id"] == memory
    assert done.body["quorum_acks"] >= done.body["durability"]["needed"]
    until_status(four, action, "approved")
    assert statuses(four, memory) == [200] * 4
    story = until_one_story(four, action)
    assert (story["decided_by"], story["requested_by"]) == ("hana", "bob")
    for node in four:
        again = decide(node, action, "hugo", "reject")
        assert (again.status, again.body["error"]) == (409, "already_decided")
    check_equal(four)


def test_a_rejection_on_another_node_ends_it(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve")
    action, memory = held(four[3], space)
    until_status(four, action, "pending")
    done = decide(four[0], action, "hugo", "reject", reason="no")
    assert (done.status, done.body["rejected"], done.body["decided_by"]) == (200, True, "hugo")
    until_status(four, action, "rejected")
    assert statuses(four, memory) == [404] * 4
    (vote,) = until_one_story(four, action)["approvals"]
    assert vote["reason"] == "no"
    for node in four:
        told = f"vote no {action} store {memory}"
        until(lambda n=node, t=told: t in audited(n), "the chain says how it was decided")


def test_a_named_agent_alone_approves(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve", approver={"agent": "ai:one"})
    action, memory = held(four[0], space)
    until_status(four, action, "pending")
    assert decide(four[1], action, "hana").body["error"] == "not_an_approver"
    assert decide(four[1], action, "ai:one").status == 200
    until_status(four, action, "approved")
    assert statuses(four, memory) == [200] * 4


def test_a_consensus_is_collected_over_several_nodes(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve", approver={"consensus": 3})
    action, memory = held(four[0], space)
    until_status(four, action, "pending")
    for count, (node, agent) in enumerate(zip(four[1:3], ("ai:one", "ai:two"), strict=True), 1):
        # Each decides knowing the votes before.
        until(lambda n=node, c=count: (row(n, action) or {})["collected"] == c - 1, "it knows")
        part = decide(node, action, agent)
        assert (part.status, part.body["status"]) == (202, "collecting")
        assert (part.body["approvals"], part.body["needed"]) == (count, 3)
        assert decide(node, action, agent).body["error"] == "already_voted"
    assert statuses(four, memory) == [404] * 4
    until(lambda: (row(four[3], action) or {})["collected"] == 2, "node-4 knows both votes")
    last = decide(four[3], action, "hana")
    assert (last.status, last.body["approved"]) == (200, True)
    until_status(four, action, "approved")
    assert statuses(four, memory) == [200] * 4
    assert len(until_one_story(four, action)["approvals"]) == 3


def test_changes_deletions_and_promotions_are_held_too(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="any")
    memory = write(four[0], space, title="as it was").body["id"]
    policy_everywhere(four, space, write="approve", delete="approve", promote="approve")
    asked = [
        ("PUT", f"/memories/{memory}", {"title": "changed"}, "update"),
        ("POST", f"/memories/{memory}/promote", {}, "promote"),
        ("DELETE", f"/memories/{memory}", None, "delete"),
    ]
    for method, path, body, kind in asked:
        reply = four[1].ask(method, path, body, x_agent_id="bob")
        assert (reply.status, reply.body["status"]) == (202, "pending"), reply.body
        action = reply.body["pending_id"]
        until_status(four, action, "pending")
        story = row(four[2], action)
        assert story is not None
        assert (story["action_type"], story["memory_id"]) == (kind, memory)
        assert four[2].get(memory)["title"] == ("as it was" if kind == "update" else "changed")
        assert decide(four[3], action, "hana").status == 200
        until_status(four, action, "approved")
    assert statuses(four, memory) == [404] * 4
    check_equal(four)


def test_approval_and_rejection_on_two_sides_of_a_cut_are_a_rejection(
    four: list[RealNode],
) -> None:
    *three, alone = four
    space = fresh_space()
    policy_everywhere(four, space, write="approve")
    action, memory = held(four[0], space)
    until_status(four, action, "pending")
    cut_off(alone, three)
    yes = decide(alone, action, "hana")
    assert (yes.status, yes.body["error"]) == (503, "quorum_not_met")
    assert alone.ask("GET", f"/memories/{memory}").status == 200, "it shows there for a while"
    assert decide(three[1], action, "hugo", "reject").status == 200
    heal(alone, three)
    until_linked(four)
    until_status(four, action, "rejected")
    assert statuses(four, memory) == [404] * 4
    story = until_one_story(four, action)
    assert story["decided_by"] == "hugo"
    assert {(v["agent_id"], v["decision"]) for v in story["approvals"]} == {
        ("hana", "approve"),
        ("hugo", "reject"),
    }
    for node in four:
        assert decide(node, action, "hana").body["error"] == "already_decided"
    check_equal(four)


def test_half_a_consensus_on_each_side_of_a_cut_is_whole_when_it_heals(
    four: list[RealNode],
) -> None:
    *three, alone = four
    space = fresh_space()
    policy_everywhere(four, space, write="approve", approver={"consensus": 2})
    action, memory = held(four[0], space)
    until_status(four, action, "pending")
    cut_off(alone, three)
    assert decide(alone, action, "ai:one").status == 503
    assert decide(three[0], action, "ai:two").status == 202
    assert statuses(four, memory) == [404] * 4
    heal(alone, three)
    until_linked(four)
    until_status(four, action, "approved")
    assert statuses(four, memory) == [200] * 4
    until_one_story(four, action)
    check_equal(four)


def test_an_action_that_nobody_decides_in_time_expires_everywhere(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve", approval_timeout_secs=1)
    action, memory = held(four[0], space)
    until_status(four, action, "expired")
    for node in four:
        late = decide(node, action, "hana")
        assert (late.status, late.body["error"]) == (409, "expired")
        listed = node.tell("GET", f"/pending?status=expired&namespace={space}")["pending"]
        assert [one["id"] for one in listed] == [action]
    assert statuses(four, memory) == [404] * 4


def test_a_decision_about_another_payload_is_refused(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve")
    action, _ = held(four[0], space)
    other, _ = held(four[0], space, title="another one")
    until_status(four, action, "pending")
    until_status(four, other, "pending")
    wrong = (row(four[2], other) or {})["hash"]
    refused = decide(four[2], action, "hana", hash=wrong)
    assert (refused.status, refused.body["error"]) == (409, "payload_mismatch")
    assert decide(four[2], action, "hana", hash=refused.body["hash"]).status == 200


def test_a_retried_decision_on_another_node_counts_once(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve", approver={"consensus": 2})
    action, _ = held(four[0], space)
    until_status(four, action, "pending")
    path = f"/pending/{quote(action, safe='')}/approve"
    key = {"x_agent_id": "ai:one", "idempotency_key": f"vote-{space}"}
    first = four[1].ask("POST", path, {}, **key)
    until_level(four)
    again = four[2].ask("POST", path, {}, **key)
    assert (first.status, again.status) == (202, 202)
    assert again.body["approvals"] == 1
    assert len((row(four[2], action) or {})["approvals"]) == 1


def test_a_decided_action_stays_decided_over_kills(found: Found) -> None:
    one, two, _ = nodes = found(3)
    enrol(nodes)
    space = fresh_space()
    policy_everywhere(nodes, space, write="approve")
    yes, shown = held(one, space)
    no, hidden = held(one, space)
    until_status(nodes, no, "pending")
    assert decide(two, yes, "hana").status == 200
    assert decide(two, no, "hana", "reject").status == 200
    one.kill()
    two.kill()
    one.start()
    two.start()
    until_linked(nodes)
    until_status(nodes, yes, "approved")
    until_status(nodes, no, "rejected")
    assert statuses(nodes, shown) == [200] * 3
    assert statuses(nodes, hidden) == [404] * 3
    for node in nodes:
        assert decide(node, no, "hugo").body["error"] == "already_decided"
    check_equal(nodes)


# --- the stream ---------------------------------------------------------------------------


class Stream:
    """A client of server-sent events."""

    def __init__(self, node: RealNode, **headers: str) -> None:
        self.connection = http.client.HTTPConnection(*node.agent, timeout=20)
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        self.connection.request("GET", "/api/v1/pending/stream", headers=sent)
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def event(self) -> dict[str, Any] | None:
        """The next event with data; None at the end."""
        found: dict[str, Any] = {}
        while line := self.response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name in {"id", "event", "data"}:
                found[name] = json.loads(value) if name == "data" else value
            elif "data" in found:
                return found
            elif not name:
                found = {}
        return None

    def close(self) -> None:
        self.connection.close()


def test_every_node_streams_what_happens_on_any_node(four: list[RealNode]) -> None:
    space = fresh_space()
    policy_everywhere(four, space, write="approve")
    stream = Stream(four[3], x_agent_id="hana")
    try:
        action, memory = held(four[0], space)
        first = next(e for e in iter(stream.event, None) if e["data"]["id"] == action)
        assert (first["event"], first["data"]["memory_id"]) == ("pending", memory)
        decide(four[1], action, "hana")
        last = stream.event()
        assert last is not None
        assert (last["event"], last["data"]["id"]) == ("approved", action)
    finally:
        stream.close()
    other, _ = held(four[0], space)
    again = Stream(four[3], x_agent_id="hana", Last_Event_ID=last["id"])
    try:
        seen = [again.event()]
        # The seal of the first one may come between; nothing before it is told again.
        while seen[-1] is not None and seen[-1]["data"]["id"] == action:
            seen.append(again.event())
        assert seen[-1] is not None
        assert (seen[-1]["event"], seen[-1]["data"]["id"]) == ("pending", other)
    finally:
        again.close()


def test_a_stream_ends_in_order_when_its_node_stops(found: Found) -> None:
    one, two = nodes = found(2)
    enrol(nodes)
    set_policy(one, "team", write="approve")
    stream = Stream(two, x_agent_id="hana")
    try:
        assert two.stop() == 0
        assert stream.event() is None, "the answer ends as it should, without a broken connection"
    finally:
        stream.close()


def test_a_private_action_is_shown_to_its_own_people_alone(found: Found) -> None:
    one, two = nodes = found(2, config={"federation": {"share_private": True}})
    enrol(nodes)
    policy_everywhere(nodes, "team", write="approve")
    action, memory = held(one, "team", scope="private")

    def listed(node: RealNode, agent: str) -> list[str]:
        return [p["id"] for p in node.tell("GET", "/pending", x_agent_id=agent)["pending"]]

    until(lambda: listed(two, "bob") == [action], "its requester sees it on the other node")
    for node in nodes:
        assert listed(node, "hana") == []
        assert node.tell("GET", "/pending")["pending"] == []
        assert decide(node, action, "hana").status == 404
        assert decide(node, memory, "hana").status == 404
