"""Changes of the lifecycle that governance holds: nothing happens until they are approved."""

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level
from tests.integration.rig_governance import decide, enrol, fresh_space, policy_everywhere

ALICE, HUMAN = "ai:alice", "hana"


def archived(node: RealNode) -> set[str]:
    return {row["id"] for row in node.tell("GET", "/archive?limit=1000")["memories"]}


def stored(node: RealNode, space: str, *names: str) -> list[str]:
    return [node.store(name, f"of {name}", namespace=space, agent_id=ALICE)["id"] for name in names]


def test_what_is_to_be_erased_goes_when_it_is_approved_with_what_came_of_it(
    four: list[RealNode],
) -> None:
    node, other, space = four[0], four[1], fresh_space()
    one, two = stored(node, space, "one", "two")
    made = node.tell("POST", "/consolidate", {"ids": [one, two]}, X_Agent_Id=ALICE)["id"]
    policy_everywhere(four, space, write="any", delete="approve", approver="human")
    until_level(four)
    reply = node.ask("POST", "/forget", {"ids": [one]}, X_Agent_Id=ALICE)
    assert (reply.status, reply.body["deleted"], len(reply.body["pending"])) == (202, 0, 1)
    until_level(four)
    assert one in archived(other)
    assert "of one" in other.get(made)["content"]
    assert decide(other, reply.body["pending_id"], HUMAN).status == 200
    for member in four:
        until(lambda member=member: one not in archived(member), "it is gone")
        until(
            lambda member=member: member.get(made)["content"] == "two\nof two",
            "its words are gone",
        )


def test_to_archive_and_to_restore_wait_and_a_rejection_leaves_all_as_it_was(
    four: list[RealNode],
) -> None:
    node, other, space = four[0], four[1], fresh_space()
    (ident,) = stored(node, space, "held")
    policy_everywhere(four, space, write="approve", approver="human")
    for path, aside in ((f"/archive/{ident}", True), (f"/archive/{ident}/restore", False)):
        for word, moves in (("reject", False), ("approve", True)):
            reply = node.ask("POST", path, {}, X_Agent_Id=ALICE)
            assert (reply.status, reply.body["status"]) == (202, "pending")
            until_level(four)
            assert (ident in archived(other)) is not aside
            assert decide(other, reply.body["pending_id"], HUMAN, word).status == 200
            for member in four:
                until_level(four)
                assert (ident in archived(member)) is (aside if moves else not aside)


def shows(node: RealNode, ident: str) -> bool:
    return node.ask("GET", f"/memories/{ident}").status == 200


def test_a_soft_forget_waits_like_a_deletion(four: list[RealNode]) -> None:
    node, other, space = four[0], four[1], fresh_space()
    (ident,) = stored(node, space, "held")
    policy_everywhere(four, space, write="any", delete="approve", approver="human")
    until_level(four)
    for word, aside in (("reject", False), ("approve", True)):
        reply = node.ask("POST", f"/memories/{ident}/forget", {}, X_Agent_Id=ALICE)
        assert (reply.status, reply.body["status"], reply.body["action"]) == (
            202, "pending", "delete",
        )  # fmt: skip
        until_level(four)
        rows = other.tell("GET", "/pending")["pending"]
        (row,) = [row for row in rows if row["id"] == reply.body["pending_id"]]
        assert row["action_type"] == "delete"
        assert all(shows(member, ident) for member in four)
        assert decide(other, reply.body["pending_id"], HUMAN, word).status == 200
        until_level(four)
        for member in four:
            assert (ident in archived(member)) is aside
            assert shows(member, ident) is not aside
    # To put aside for any other reason is a change, and is not held.
    (second,) = stored(node, space, "second")
    assert (
        node.ask("POST", f"/archive/{second}", {"reason": "tidy"}, X_Agent_Id=ALICE).status == 200
    )


@pytest.mark.slow
def test_a_deletion_that_only_archives_waits_for_its_approval(found: Found) -> None:
    nodes = found(3, config={"storage": {"archive_on_delete": True}})
    enrol(nodes)
    node, other, space = nodes[0], nodes[1], fresh_space()
    (ident,) = stored(node, space, "held")
    policy_everywhere(nodes, space, write="any", delete="approve", approver="human")
    until_level(nodes)
    reply = node.ask("DELETE", f"/memories/{ident}", X_Agent_Id=ALICE)
    assert (reply.status, reply.body["status"], reply.body["action"]) == (202, "pending", "delete")
    until_level(nodes)
    assert all(shows(member, ident) for member in nodes)
    assert decide(other, reply.body["pending_id"], HUMAN).status == 200
    until_level(nodes)
    for member in nodes:
        assert (shows(member, ident), archived(member)) == (False, {ident})
