"""An agent is forgotten: its words are in no export, no record and no byte of any member."""

from typing import Any, Final

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_governance import cut_off
from tests.integration.rig_mesh import heal
from tests.integration.rig_traces import traces, until_clear

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
ALICE, BOB, EVE = "ai:alice", "ai:bob", "ai:eve"
HERS: Final = "zanzibar-quagga"
HIS: Final = "okapi-lagoon"


def left_by(node: RealNode, agent: str, words: str, other: str) -> dict[str, str]:
    """Everything that an agent can leave, each with the words; ids by name."""

    def told(name: str, **fields: Any) -> str:
        body = {"title": f"{name} {words}", "content": words, "tags": [words], **fields}
        return str(node.tell("POST", "/memories", body, X_Agent_Id=agent)["id"])

    ids = {name: told(name) for name in ("shown", "archived", "edited", "first", "second")}
    ids["private"] = told("private", scope="private")
    ids["brief"] = told("brief", ttl_secs=1)
    body = {"content": f"{words} again", "metadata": {"note": words}}
    node.tell("PUT", f"/memories/{ids['edited']}", body, X_Agent_Id=agent)
    node.tell("POST", f"/archive/{ids['archived']}", {"reason": words}, X_Agent_Id=agent)
    both = [ids["first"], ids["second"]]
    node.tell("POST", "/consolidate", {"ids": both}, X_Agent_Id=agent)
    for target, more in ((other, {}), (other, {"ttl_secs": 1})):
        note = {"target_agent_id": target, "title": words, "content": words, **more}
        node.tell("POST", "/notify", note, X_Agent_Id=agent)
    wish = {"events": ["memory_store"], "url": f"https://{words}.example/hook"}
    node.tell("POST", "/subscriptions", wish, X_Agent_Id=agent)
    link = {"source_id": ids["shown"], "target_id": ids["edited"], "relation": "related_to"}
    node.tell("POST", "/links", link, X_Agent_Id=agent)
    return ids


def entity(node: RealNode, agent: str, words: str) -> Any:
    body = {"canonical_name": "Acme", "aliases": [words], "namespace": "n"}
    return node.ask("POST", "/entities", {**body, "agent_id": agent})


@pytest.mark.slow
def test_nothing_says_what_a_forgotten_agent_said(found: Found) -> None:
    nodes = found(3, flags=("--quorum-timeout-ms", "300"))
    far, *near = nodes
    hers = left_by(near[0], ALICE, HERS, BOB)
    his = left_by(near[1], BOB, HIS, ALICE)
    until_level(nodes)
    # Both make one entity, neither knowing of the other: one birth hides the other.
    cut_off(far, near)
    assert entity(near[0], BOB, HIS).status in {200, 201}
    entity(far, ALICE, HERS)
    heal(far, near)
    until_linked(nodes)
    # Others take her words over, and she may see what is private to another.
    near[1].tell(
        "PUT", f"/memories/{his['private']}", {"metadata": {"seen": "by some"}}, X_Agent_Id=BOB
    )
    near[1].tell("POST", f"/memories/{his['private']}/grant", {"agent_id": ALICE}, X_Agent_Id=BOB)
    body = {"ids": [hers["shown"], his["shown"]]}
    made = near[1].tell("POST", "/consolidate", body, X_Agent_Id=BOB)["id"]
    copied = near[1].store("copied", f"{HERS} it said", agent_id=EVE)["id"]
    link = {"source_id": copied, "target_id": hers["edited"], "relation": "reflects_on"}
    near[1].tell("POST", "/links", link, X_Agent_Id=EVE)
    until_level(nodes)
    assert HERS in str(far.tell("GET", "/export?include_archived=true"))
    assert all(traces(node, HERS) for node in nodes)
    assert near[0].tell("POST", "/forget", {"agent_id": ALICE}, X_Agent_Id=ALICE)["deleted"] >= 9
    # What never leaves a node is forgotten where it lies.
    assert near[1].tell("POST", "/forget", {"agent_id": ALICE}, X_Agent_Id=ALICE)["deleted"] == 0
    until(lambda: near[0].get(made)["content"].strip().endswith(HIS), "only his words are left")
    until_level(nodes)
    for node in nodes:
        assert HERS not in str(node.tell("GET", "/export?include_archived=true"))
        assert node.ask("GET", f"/memories/{copied}").status == 404
        assert not node.tell("GET", "/inbox", X_Agent_Id=BOB)["messages"]
        assert node.ask("GET", f"/memories/{his['private']}", X_Agent_Id=ALICE).status == 404
    until_clear(nodes)
    near[0].tell("POST", "/compact", {"mesh": True})
    for node in nodes:
        until(
            lambda node=node: not traces(node, HERS),
            f"{node.name} has no byte of it",
            seen=lambda node=node: traces(node, HERS),
        )
        assert traces(node, HIS)
        assert HIS in str(node.tell("GET", "/export"))
