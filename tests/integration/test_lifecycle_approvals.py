"""Changes of the lifecycle that governance holds: nothing happens until they are approved."""

from tests.integration.rig import RealNode, until, until_level
from tests.integration.rig_governance import decide, fresh_space, policy_everywhere

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
