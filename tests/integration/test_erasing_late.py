"""What brings an erased record back into a log: late edits, and deletes that wait for approval."""

from typing import Final

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_governance import cut_off, enrol, fresh_space, policy_everywhere
from tests.integration.rig_mesh import heal
from tests.integration.rig_traces import erasure, traces, until_clear, until_gone

pytestmark = [pytest.mark.integration, pytest.mark.slow]
FIRST, LATE = "zanzibar-quagga-1", "zanzibar-quagga-2"
OWNER: Final = "bob"
QUICK: Final = ("--quorum-timeout-ms", "500")


def all_traces(nodes: list[RealNode]) -> dict[str, list[str]]:
    return {
        f"{node.name} {words}": held
        for node in nodes
        for words in (FIRST, LATE)
        if (held := traces(node, words))
    }


def test_an_edit_made_behind_a_cut_leaves_no_trace_either(found: Found) -> None:
    nodes = found(3, flags=QUICK)
    ident = nodes[0].tell("POST", "/memories", {"title": "t", "content": FIRST}, x_agent_id=OWNER)[
        "id"
    ]
    until_level(nodes)
    cut_off(nodes[2], nodes[:2])
    edit = nodes[2].ask("PUT", f"/memories/{ident}", {"content": LATE}, x_agent_id=OWNER)
    assert edit.status == 503  # it stays there, and spreads
    nodes[0].tell("POST", "/forget", {"ids": [ident]}, x_agent_id=OWNER)
    heal(nodes[2], nodes[:2])
    until_linked(nodes)
    until_level(nodes)
    # The edit has come to all of them after the delete.
    until_clear(nodes)
    nodes[0].tell("POST", "/compact", {"mesh": True})
    until_gone(nodes)
    assert all_traces(nodes) == {}
    for node in nodes:
        until(lambda node=node: erasure(node)["outstanding"] == 0, "done with")


def test_a_held_deletion_erases_when_it_is_approved(found: Found) -> None:
    nodes = found(3)
    enrol(nodes)
    space = fresh_space()
    policy_everywhere(nodes, space, delete="approve", write="any", approver={"agent": "hana"})
    ident = nodes[0].tell(
        "POST",
        "/memories",
        {"title": "t", "content": FIRST, "namespace": space},
        x_agent_id=OWNER,
    )["id"]
    until_level(nodes)
    reply = nodes[0].ask("POST", "/forget", {"ids": [ident]}, x_agent_id=OWNER)
    assert reply.status == 202
    until_level(nodes)
    # It shows, and is edited, as long as nobody has decided.
    nodes[1].tell("PUT", f"/memories/{ident}", {"content": LATE}, x_agent_id=OWNER)
    until_level(nodes)
    for node in nodes:
        node.tell("POST", "/compact", {})
    until_gone(nodes)  # as far as that goes
    assert traces(nodes[0], LATE)
    held = nodes[0].tell("GET", "/pending")["pending"]
    for one in held:
        nodes[0].tell("POST", f"/pending/{one['id']}/approve", {}, x_agent_id="hana")
    for node in nodes:
        until(lambda node=node: node.ask("GET", f"/memories/{ident}").status == 404, "it is gone")

    def swept() -> bool:
        """The seal ends it a moment after the vote; a rewrite before that does not count."""
        nodes[0].tell("POST", "/compact", {"mesh": True})
        return erasure(nodes[0])["gone"] and all_traces(nodes) == {}

    until(swept, "no trace", seen=lambda: (erasure(nodes[0]), all_traces(nodes)))


def test_all_that_an_agent_left_is_gone(found: Found) -> None:
    nodes = found(3)
    for number in range(20):
        nodes[number % 3].tell(
            "POST", "/memories", {"title": f"t{number}", "content": FIRST}, x_agent_id=OWNER
        )
    until_level(nodes)
    assert all(traces(node, FIRST) for node in nodes)
    nodes[1].tell("POST", "/forget", {"agent_id": OWNER}, x_agent_id=OWNER)
    until_clear(nodes)
    assert erasure(nodes[1])["outstanding"] >= 20
    nodes[0].tell("POST", "/compact", {"mesh": True})
    until_gone(nodes)
    assert all_traces(nodes) == {}
