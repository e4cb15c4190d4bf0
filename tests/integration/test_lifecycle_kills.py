"""A node that is killed between an erasure and what follows from it finishes after its return."""

import signal
from pathlib import Path
from typing import Any, Final

import pytest

from tests.integration.conftest import Found
from tests.integration.rig import RealNode, until, until_level, until_linked
from tests.integration.rig_governance import cut_off, decide, enrol, fresh_space, policy_everywhere
from tests.integration.rig_mesh import heal

pytestmark = pytest.mark.integration
ALICE, BOB, HUMAN = "ai:alice", "ai:bob", "hana"
LAUNCHER: Final = """
import os, signal, sys
from node.lifecycle.forgetting import Forgetting
from node.lifecycle.housekeeping import Housekeeping

def order():
    try:
        with open(os.environ["DIES_AT"]) as file:
            return file.read()
    except FileNotFoundError:
        return ""

def die():
    os.kill(os.getpid(), signal.SIGKILL)

consequences = Forgetting._consequences
def dying(self, *args):
    if order() == "erased":
        die()
    for step, work in enumerate(consequences(self, *args)):
        if order() == f"step {step}":
            die()
        yield work
Forgetting._consequences = dying

settle = Housekeeping.settle
async def settling(self):
    if self._owed and order() == "owed":
        die()
    await settle(self)
Housekeeping.settle = settling

from node.cli import main
sys.exit(main())
"""


class Mortal:
    """A node that dies at a given step."""

    def __init__(self, node: RealNode, order: Path) -> None:
        self.node = node
        self._order = order
        node.launch = ("-P", "-c", LAUNCHER)
        node.environment = {"DIES_AT": str(order)}

    def doom(self, step: str) -> None:
        self._order.write_text(step)

    def died(self) -> None:
        assert self.node.process is not None
        assert self.node.process.wait(20) == -signal.SIGKILL
        self.node.process = None

    def back(self) -> None:
        self._order.unlink()
        self.node.start()


def mortal_mesh(found: Found, order: Path, count: int) -> tuple[list[RealNode], Mortal]:
    nodes = found(count, start=False)
    mortal = Mortal(nodes[0], order)
    for node in nodes:
        node.spawn()
    for node in nodes:
        node.wait_alive()
    until_linked(nodes)
    return nodes, mortal


def words(node: RealNode) -> str:
    """Everything that shows or is archived, as text."""
    return str(node.tell("GET", "/export?include_archived=true")) + str(
        node.tell("GET", "/archive?limit=1000")
    )


def left(node: RealNode) -> list[Path]:
    return list(node.data_dir.glob("forgetting/*"))


@pytest.mark.slow
@pytest.mark.parametrize("step", ["erased", "step 0", "step 1", "step 2"])
def test_a_node_that_dies_after_an_erasure_finishes_what_follows(
    found: Found, tmp_path: Path, step: str
) -> None:
    (node,), mortal = mortal_mesh(found, tmp_path / "order", 1)
    one = node.store("secretive", "very hushed", agent_id=ALICE)["id"]
    two = node.store("open", "of the open", agent_id=BOB)["id"]
    three = node.store("third", "of the third", agent_id=BOB)["id"]
    made = node.tell("POST", "/consolidate", {"ids": [one, two]}, X_Agent_Id=BOB)["id"]
    summed = node.tell(
        "POST", "/consolidate", {"ids": [made, three], "summary": "hushed"}, X_Agent_Id=ALICE
    )["id"]
    mortal.doom(step)
    with pytest.raises((OSError, EOFError)):
        node.ask("POST", "/forget", {"ids": [one]}, X_Agent_Id=ALICE)
    mortal.died()
    mortal.back()
    until(lambda: "hushed" not in words(node) and "secretive" not in words(node), "words are gone")
    assert node.ask("GET", f"/memories/{summed}").status == 404
    (row,) = [row for row in node.tell("GET", "/archive")["memories"] if row["id"] == made]
    assert row["content"] == "open\nof the open"
    until(lambda: not links(node, one), "its links are gone")


def links(node: RealNode, ident: str) -> list[Any]:
    rows = node.tell("GET", "/export")["links"]
    return [row for row in rows if ident in (row["source_id"], row["target_id"])]


@pytest.mark.slow
def test_all_of_an_agent_goes_although_the_node_dies_in_between(
    found: Found, tmp_path: Path
) -> None:
    (node,), mortal = mortal_mesh(found, tmp_path / "order", 1)
    one = node.store("mine", "of mine", agent_id=ALICE)["id"]
    derived = node.store("taken over", "words of mine", agent_id=BOB)["id"]
    link = {"source_id": derived, "target_id": one, "relation": "reflects_on"}
    node.tell("POST", "/links", link, X_Agent_Id=BOB)
    note = {"target_agent_id": BOB, "title": "note", "content": "from alice"}
    node.tell("POST", "/notify", note, X_Agent_Id=ALICE)
    sent = {"X_Agent_Id": ALICE, "Idempotency_Key": "once"}
    mortal.doom("erased")
    with pytest.raises((OSError, EOFError)):
        node.ask("POST", "/forget", {"agent_id": ALICE}, **sent)
    mortal.died()
    mortal.back()
    until(lambda: node.ask("GET", f"/memories/{derived}").status == 404, "what came of it is gone")
    until(lambda: not node.tell("GET", "/inbox", X_Agent_Id=BOB)["messages"], "messages are gone")
    until(lambda: not node.tell("GET", "/export")["links"], "links are gone")
    again = node.tell("POST", "/forget", {"agent_id": ALICE}, **sent)
    assert (again["deleted"], again["derived"]) == (2, 1)


@pytest.mark.slow
def test_one_that_dies_before_it_looked_after_an_erasure_elsewhere_does_so_later(
    found: Found, tmp_path: Path
) -> None:
    nodes, mortal = mortal_mesh(found, tmp_path / "order", 3)
    far, *near = nodes
    one = far.store("secretive", "very hushed", agent_id=ALICE)["id"]
    two = far.store("open", "of the open", agent_id=ALICE)["id"]
    until_level(nodes)
    cut_off(far, near)
    made = far.ask("POST", "/consolidate", {"ids": [one, two]}, X_Agent_Id=BOB).body["id"]
    assert near[0].tell("POST", "/forget", {"ids": [one]}, X_Agent_Id=ALICE)["deleted"] == 1
    mortal.doom("owed")
    heal(far, near)
    mortal.died()
    mortal.back()
    until_linked(nodes)
    for node in nodes:
        until(lambda node=node: node.get(made)["content"] == "open\nof the open", "words are gone")
    until_level(nodes)


@pytest.mark.slow
def test_a_restart_between_request_and_approval_forgets_nothing(
    found: Found, tmp_path: Path
) -> None:
    nodes, _ = mortal_mesh(found, tmp_path / "order", 3)
    enrol(nodes)
    node, other = nodes[0], nodes[1]
    space = fresh_space()
    one = node.store("secretive", "very hushed", agent_id=ALICE, namespace=space)["id"]
    two = node.store("open", "of the open", agent_id=ALICE, namespace=space)["id"]
    derived = node.store("taken over", "hushed words", agent_id=BOB)["id"]
    link = {"source_id": derived, "target_id": one, "relation": "derived_from"}
    node.tell("POST", "/links", link, X_Agent_Id=BOB)
    body = {"ids": [one, two], "namespace": "elsewhere"}
    made = node.tell("POST", "/consolidate", body, X_Agent_Id=BOB)["id"]
    policy_everywhere(nodes, space, write="any", delete="approve", approver="human")
    until_level(nodes)
    reply = node.ask("POST", "/forget", {"agent_id": ALICE}, X_Agent_Id=ALICE)
    assert (reply.status, reply.body["deleted"]) == (202, 2)
    until_level(nodes)
    node.kill()
    node.start()
    until_linked(nodes)
    assert "hushed" in node.get(made)["content"]
    assert node.ask("GET", f"/memories/{derived}").status == 200
    for held in reply.body["pending"]:
        assert decide(other, held["pending_id"], HUMAN).status == 200
    for member in nodes:
        for name, ident in {"one": one, "two": two, "made": made, "derived": derived}.items():
            until(
                lambda member=member, ident=ident: (
                    member.ask("GET", f"/memories/{ident}").status == 404
                ),
                f"{name} is gone",
                seen=lambda member=member: member.tell("GET", "/export"),
            )
        until(lambda member=member: "hushed" not in words(member), "so are its words")
