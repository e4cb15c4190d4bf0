"""Documents beside everything else that a node does with memories: none of it shows bytes, and
none of it loses an edit.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.rig import RealNode, Reply, cleaned_up, until, until_level
from tests.integration.rig_commands import mnemesh
from tests.integration.rig_documents import change_of, in_base64
from tests.integration.rig_governance import fresh_space, set_policy
from tests.integration.rig_hooks import Receiver, receiving
from tests.integration.rig_mesh import founded, start_all
from tests.integration.test_events_mesh import LAB

pytestmark = [pytest.mark.integration, pytest.mark.thorough]
ANN, BOB = {"X_Agent_Id": "ann"}, {"X_Agent_Id": "bob"}
STORAGE_MAX = 40_000


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[list[RealNode]]:
    hook = {
        "on": ["before_write"], "url": receiver.url, "loopback": True, "timeout_ms": 10_000,
        "content": True, "everywhere": True,
    }  # fmt: skip
    config: dict[str, dict[str, Any]] = {
        "limits": {"max_storage_bytes": STORAGE_MAX},
        "hooks": {"all": hook},
    }
    mesh = founded(tmp_path_factory.mktemp("everywhere"), 2, config=config)
    with cleaned_up(mesh):
        for node in mesh:
            node.environment |= LAB
        start_all(mesh)
        for agent in ("ann", "bob"):
            mesh[0].tell("POST", "/agents", {"agent_id": agent, "agent_type": "human"})
        yield mesh


def document(node: RealNode, content: str = "begin", **fields: Any) -> str:
    fields = {"memory_kind": "document", "agent_id": "ann", **fields}
    return str(node.store("Plan", content, **fields)["id"])


def edit(node: RealNode, ident: str, words: str, agent: str = "ann") -> Reply:
    ops = [{"op": "splice", "path": ["text"], "insert": words}]
    return node.ask("PATCH", f"/memories/{ident}/document", {"ops": ops, "agent_id": agent})


def shows(node: RealNode, ident: str) -> tuple[Any, Any]:
    """Heads and text."""
    now = node.tell("GET", f"/memories/{ident}/document")
    return now["heads"], now["value"].get("text")


def plain(answer: object) -> str:
    """An answer as text, in which no bytes of changes show."""
    text = json.dumps(answer)
    for mark in ("mnpk", "hW9Kg", "bW5wa", "\\u0085oJ"):
        assert mark not in text, mark
    return text


def test_events_and_hooks_are_told_of_the_text_and_of_no_bytes(
    nodes: list[RealNode], receiver: Receiver
) -> None:
    one, two = nodes
    one.tell("POST", "/subscriptions", {"url": receiver.url, "agent_id": "ann", "events": "*"})
    space = fresh_space()
    ident = document(one, "the ferry", namespace=space)
    assert edit(one, ident, " leaves").status == 200

    def told(name: str) -> list[Any]:
        return [one for one in receiver.events if name in json.dumps(one) and ident in str(one)]

    until(lambda: told("memory_update"), "the webhook is told")
    asked = json.dumps(told("before_write")[-1])
    assert "the ferry leaves" in asked
    plain(receiver.events)
    until_level(nodes)
    assert edit(two, ident, " at nine").status == 200
    until(lambda: shows(one, ident)[1] == "the ferry leaves at nine", "it came")


def test_approved_it_shows_and_rejected_nothing_was_there(nodes: list[RealNode]) -> None:
    one, two = nodes
    space = fresh_space()
    ident = document(one, "law", namespace=space)
    set_policy(one, space, agent="ann", write="approve")
    until_level(nodes)
    before = shows(one, ident)
    held = [edit(one, ident, f" {n}", agent="cat") for n in range(3)]
    changes = {"changes": in_base64(change_of("k")), "agent_id": "cat"}
    held.append(one.ask("POST", f"/memories/{ident}/document/changes", changes))
    assert [reply.status for reply in held] == [202] * 4
    until_level(nodes)
    assert shows(one, ident) == shows(two, ident) == before
    for place, vote in enumerate(("approve", "reject", "approve", "reject")):
        pending = held[place].body["pending_id"]
        two.tell("POST", f"/pending/{pending}/{vote}", {}, **ANN)
    until_level(nodes)
    text = shows(one, ident)[1]
    assert sorted(text.split()) == ["0", "2", "law"]
    assert shows(two, ident) == shows(one, ident)
    assert one.tell("GET", f"/memories/{ident}/document")["set_aside_count"] == 0
    again = edit(one, ident, " 3", agent="cat")
    two.tell("POST", f"/pending/{again.body['pending_id']}/approve", {}, **ANN)
    until_level(nodes)
    assert shows(two, ident)[1] == f"{text} 3"


def test_a_quota_holds_for_edits_and_loses_nothing(nodes: list[RealNode]) -> None:
    one = nodes[0]
    ident = document(one, agent_id="bob")
    until(lambda: one.tell("GET", "/quota")["use"]["storage_bytes"] is not None, "counted")
    reply = edit(one, ident, "x" * 30_000, agent="bob")
    while reply.status == 200:
        before = shows(one, ident)
        reply = edit(one, ident, "y" * 9_000, agent="bob")
    assert (reply.status, reply.body["error"]) == (429, "quota_exceeded"), reply
    assert reply.body["quota"] == "max_storage_bytes"
    assert shows(one, ident) == before
    assert edit(one, document(one), " of somebody else").status == 200


def test_what_is_made_of_documents_is_made_of_their_text(nodes: list[RealNode]) -> None:
    one, two = nodes
    space = fresh_space()
    first = document(one, "The tea is in the", namespace=space, tags=["kitchen"])
    second = document(one, "The cups are on the", namespace=space)
    assert edit(one, first, " copper tin").status == 200
    assert edit(one, second, " high shelf").status == 200
    until_level(nodes)
    twin = {"title": "Plan", "content": "The tea is in the copper tin", "namespace": space}
    assert first in plain(two.tell("POST", "/check_duplicate", twin))
    started = plain(two.tell("POST", "/session/start", {"agent_id": "ann", "namespace": space}))
    assert "copper tin" in started
    assert "copper tin" in plain(two.tell("GET", f"/recall?context=copper&namespace={space}"))
    link = {"source_id": first, "target_id": second, "relation": "related_to"}
    two.tell("POST", "/links", link, **ANN)
    assert second in plain(one.tell("GET", f"/links/{first}"))
    for path in (f"/memories/{first}/history", f"/memories/{first}", "/memories", "/stats"):
        plain(one.tell("GET", path))
    one.tell("POST", f"/archive/{first}", {}, **ANN)
    assert edit(one, first, "!").status == 404
    one.tell("POST", f"/archive/{first}/restore", {}, **ANN)
    assert edit(one, first, "!").status == 200
    made = one.tell("POST", "/consolidate", {"ids": [first, second], "title": "Kitchen"}, **ANN)
    text = one.tell("GET", f"/memories/{made['id']}")["content"]
    assert "copper tin!" in text
    assert "high shelf" in text
    until_level(nodes)
    assert plain(two.tell("GET", f"/memories/{made['id']}"))


def test_a_life_that_is_over_ends_and_one_that_is_longer_goes_on(nodes: list[RealNode]) -> None:
    one, two = nodes
    ident = document(one, "short", tier="short", ttl_secs=2)
    kept = document(one, "long", tier="short", ttl_secs=2)
    assert edit(one, ident, " life").status == 200
    one.tell("PUT", f"/memories/{kept}", {"tier": "long"}, **ANN)
    until_level(nodes)
    until(lambda: two.ask("GET", f"/memories/{ident}/document").status == 404, "it is over")
    assert edit(two, ident, "!").status == 404
    assert edit(two, kept, "er life").status == 200


def test_the_chain_holds_and_the_second_program_agrees(nodes: list[RealNode]) -> None:
    for node in nodes:
        assert mnemesh("verify", "--json", node=node).json["chain_holds"]
        checked = mnemesh("doc", "verify", "--json", node=node)
        assert (checked.code, checked.json["differ"]) == (0, []), checked
        examined = mnemesh("doctor", "--json", node=node)
        assert "documents" not in {part["name"] for part in examined.json["sections"]}
        assert not node.events("request_failed")
