"""What tests of governance do on real nodes."""

import uuid
from typing import Any
from urllib.parse import quote

from tests.integration.rig import RealNode, Reply, until, until_level
from tests.integration.rig_mesh import cut

PEOPLE = {
    "hana": "human",
    "hugo": "human",
    "ai:one": "ai:model",
    "ai:two": "ai:model",
    "ai:three": "ai:model",
    "bob": "ai:model",
}
KEEPER = "ann"


def enrol(nodes: list[RealNode]) -> None:
    """Register people on one node and wait until all know them."""
    for agent, kind in PEOPLE.items():
        nodes[0].tell("POST", "/agents", {"agent_id": agent, "agent_type": kind})
    for node in nodes:
        until(lambda node=node: known(node) >= set(PEOPLE), f"{node.name} knows them")


def known(node: RealNode) -> set[str]:
    """Ids of the agents that a node knows."""
    return {one["agent_id"] for one in node.tell("GET", "/agents")["agents"]}


def cut_off(node: RealNode, others: list[RealNode]) -> None:
    """Part a node from all others, and wait until both sides have noticed."""
    cut(node, others)
    until(lambda: not node.links(), "the cut is made")
    until(lambda: all(node.name not in other.links() for other in others), "on both sides")


def fresh_space(word: str = "team") -> str:
    """A namespace of a test's own."""
    return f"{word}/{uuid.uuid4().hex[:8]}"


def standard(space: str) -> str:
    return f"/namespaces/{quote(space, safe='')}/standard"


def set_policy(node: RealNode, space: str, agent: str = KEEPER, **rules: Any) -> Any:
    """Set a policy on one node, and expect that to work."""
    return node.tell("POST", standard(space), {"governance": rules}, x_agent_id=agent)


def policy_everywhere(nodes: list[RealNode], space: str, **rules: Any) -> None:
    """Set a policy on the first node and wait until all hold it."""
    dot = set_policy(nodes[0], space, **rules)["dot"]
    for node in nodes:
        until(
            lambda node=node: (
                [s["dot"] for s in node.tell("GET", standard(space))["standards"]] == [dot]
            ),
            f"{node.name} holds the policy",
        )


def write(node: RealNode, space: str, agent: str = "bob", **fields: Any) -> Reply:
    """Ask for a memory."""
    body = {"title": "t", "content": "c", "namespace": space, **fields}
    return node.ask("POST", "/memories", body, x_agent_id=agent)


def held(node: RealNode, space: str, agent: str = "bob", **fields: Any) -> tuple[str, str]:
    """Ask for a memory that has to wait: (id of the action, id of the memory)."""
    reply = write(node, space, agent, **fields)
    assert reply.status == 202, reply.body
    assert reply.body["status"] == "pending"
    return reply.body["pending_id"], reply.body["id"]


def decide(node: RealNode, action: str, agent: str, word: str = "approve", **body: Any) -> Reply:
    path = f"/pending/{quote(action, safe='')}/{word}"
    return node.ask("POST", path, body, x_agent_id=agent)


def row(node: RealNode, action: str) -> dict[str, Any] | None:
    """A held action as one node shows it; None while it does not know it."""
    listed = node.tell("GET", "/pending?limit=1000")["pending"]
    found: dict[str, Any] | None = next((one for one in listed if one["id"] == action), None)
    return found


def until_status(nodes: list[RealNode], action: str, status: str) -> None:
    """Wait until every node shows an action in a status."""
    for node in nodes:
        until(
            lambda node=node: (row(node, action) or {}).get("status") == status,
            f"{node.name} shows {status}",
            seen=lambda node=node: row(node, action),
        )


def until_one_story(nodes: list[RealNode], action: str) -> dict[str, Any]:
    """Wait until all are level; all must tell the same of an action."""
    until_level(nodes)
    told = [row(node, action) for node in nodes]
    assert told[0] is not None
    # Seals follow on their own time; they change nothing that was decided.
    stories = [{**(one or {}), "sealed": None} for one in told]
    assert all(one == stories[0] for one in stories), stories
    return told[0]


def statuses(nodes: list[RealNode], memory: str) -> list[int]:
    """What each node answers when it is asked for a memory."""
    return [node.ask("GET", f"/memories/{memory}").status for node in nodes]
