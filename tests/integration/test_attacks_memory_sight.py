"""What somebody else's private memories change in the answers to another agent: nothing.

Law: the same questions are asked before and after an agent has stored, archived, linked,
consolidated and written in private; every answer must be the same to the last figure.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.rig import RealNode, running, until
from tests.integration.rig_hooks import Receiver, receiving
from tests.integration.rig_mesh import founded

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

SECRET = "xylographist"  # noqa: S105 - a word to look for
ALICE, MALLORY = {"x_agent_id": "alice"}, {"x_agent_id": "mallory"}
VOLATILE = frozenset(
    (
        *("db_size_bytes", "exported_at", "session_id", "access_count", "last_accessed_at"),
        *(
            "last_seen_at",
            "rewritten_at",
            "digest",
            "clock",
            "lag_ops",
            "log_clear",
            "covered",
            "token",
        ),
    )
)

QUESTIONS: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/stats", None),
    ("GET", "/memories?limit=1000", None),
    ("GET", "/memories?limit=1000&agent_id=alice", None),
    ("GET", "/export", None),
    ("GET", "/namespaces", None),
    ("GET", "/taxonomy?depth=8", None),
    ("GET", "/taxonomy?prefix=hidden", None),
    ("GET", "/archive?limit=1000", None),
    ("GET", "/archive/stats", None),
    ("GET", "/contradictions", None),
    ("GET", f"/contradictions?topic={SECRET}", None),
    ("GET", "/contradictions?topic=open", None),
    ("GET", f"/entities/by_alias?alias={SECRET}", None),
    ("GET", f"/entities/by_alias?alias={SECRET}&namespace=hidden/space", None),
    ("GET", "/links/open-1", None),
    ("GET", "/memories/open-1", None),
    ("GET", "/memories/open-1/history", None),
    ("GET", "/memories/open-1/lineage", None),
    ("GET", "/memories/open-1/lineage?direction=descendants", None),
    ("POST", "/kg/query", {"source_id": "open-1", "max_depth": 5}),
    ("POST", "/kg/query", {"source_id": "open-1", "max_depth": 5, "allowed_agents": ["alice"]}),
    ("GET", "/kg/timeline?source_id=open-1", None),
    ("GET", "/inbox", None),
    ("GET", "/inbox?agent_id=alice", None),
    ("GET", "/inbox?agent_id=bob", None),
    ("GET", "/pending", None),
    ("GET", "/quota", None),
    ("POST", "/session/start", {"namespace": "hidden/space"}),
    ("POST", "/session/start", {"limit": 1000}),
    ("POST", "/check_duplicate", {"title": SECRET, "content": f"the {SECRET} is here"}),
    ("POST", "/check_duplicate", {"content": "open words", "namespace": "hidden/space"}),
    ("POST", "/recall", {"context": "words", "namespace": "hidden/space"}),
    ("GET", f"/search?q={SECRET}", None),
    ("GET", "/search?q=words&agent_id=alice", None),
    ("POST", "/gc", {"dry_run": True}),
    ("POST", "/forget", {"pattern": SECRET, "dry_run": True}),
    ("POST", "/forget", {"namespace": "hidden/space", "dry_run": True}),
    ("POST", "/forget", {"agent_id": "alice", "dry_run": True}),
    ("POST", "/forget", {"ids": ["open-1"], "dry_run": True}),
    ("POST", "/forget", {"ids": ["private-1", "private-arch"], "dry_run": True}),
    ("GET", "/subscriptions", None),
)
SCORED: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/recall", {"context": SECRET, "limit": 50}),
    ("POST", "/recall", {"context": "words", "limit": 50, "as_agent": "alice"}),
    ("GET", "/search?q=words&limit=100", None),
    ("POST", "/recall", {"context": "open words", "limit": 50}),
    ("POST", "/recall", {"context": f"{SECRET[:-1]}d", "limit": 50}),
)
"""Answers with scores."""


def plain(value: Any) -> Any:
    """An answer without what changes by itself."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k not in VOLATILE}
    return [plain(one) for one in value] if isinstance(value, list) else value


def asked(node: RealNode, questions: Any, **agent: str) -> dict[str, Any]:
    """Status and body of every question."""
    out = {}
    for method, path, body in questions:
        reply = node.ask(method, path, body, **agent)
        out[f"{method} {path} {body}"] = (reply.status, plain(reply.body))
    return out


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    config = {"subscriptions": {"allow_loopback_webhooks": True}}
    (one,) = founded(tmp_path_factory.mktemp("sight"), 1, config=config)
    with running(one):
        yield one


def live_privately(node: RealNode) -> None:
    """Everything that alice can do without others knowing."""
    private = {"scope": "private", "agent_id": "alice"}
    for number in range(1, 6):
        node.store(
            f"open {SECRET}",
            f"words of the {SECRET} {number}",
            id=f"private-{number}",
            namespace="hidden/space" if number % 2 else "global",
            tags=[SECRET],
            metadata={"topic": SECRET},
            **private,
        )
    node.store(f"{SECRET} away", "words", id="private-arch", namespace="hidden/space", **private)
    node.tell("POST", "/archive/private-arch", {"reason": SECRET}, **ALICE)
    node.store("soon over", "words", id="private-soon", ttl_secs=1, **private)
    for link in (
        {"source_id": "private-1", "target_id": "open-1", "relation": "derived_from"},
        {"source_id": "open-1", "target_id": "private-2", "relation": "contradicts"},
        {"source_id": "private-3", "target_id": "open-2", "relation": "related_to"},
    ):
        node.tell("POST", "/links", link, **ALICE)
    node.tell("POST", "/consolidate", {"ids": ["private-4", "private-5"]}, **ALICE)
    node.tell("POST", "/memories/private-2/grant", {"agent_id": "bob"}, **ALICE)
    node.tell("PUT", "/memories/private-3", {"content": f"words {SECRET} once more"}, **ALICE)
    node.tell("POST", "/memories/private-3/promote", {}, **ALICE)
    said = {"to": "bob", "title": SECRET, "content": f"the {SECRET} again"}
    node.tell("POST", "/notify", said, **ALICE)
    node.tell("DELETE", "/memories/private-2", **ALICE)
    until(
        lambda: node.ask("GET", "/memories/private-soon", **ALICE).status == 404, "that it is over"
    )


def test_no_answer_changes_by_what_is_private_to_somebody_else(
    node: RealNode, receiver: Receiver, request: pytest.FixtureRequest
) -> None:
    for number in range(1, 4):
        node.store("open", f"open words {number}", id=f"open-{number}", agent_id="bob")
    node.tell("POST", "/subscriptions", {"url": receiver.url, "secret": "s"}, **MALLORY)
    request.addfinalizer((connection := http.client.HTTPConnection(*node.agent, timeout=20)).close)
    path = "/api/v1/events/stream"
    connection.request("GET", path, headers={"x-agent-id": "mallory"})
    stream = connection.getresponse()
    request.addfinalizer(stream.close)
    before = asked(node, QUESTIONS, **MALLORY)
    live_privately(node)
    after = asked(node, QUESTIONS, **MALLORY)
    changed = {name: (told, after[name]) for name, told in before.items() if after[name] != told}
    for name, (was, told) in changed.items():
        print(name, was, told, sep="\n  ")
    assert not changed.keys()
    # Who is nameless may say whose inbox it asks for: a claimed name is a claim.
    nameless = asked(node, [one for one in QUESTIONS if "/inbox" not in one[1]])
    assert SECRET not in json.dumps([told for name, told in nameless.items() if SECRET not in name])
    node.store("open", "the end", id="the-end-of-it", agent_id="bob")
    until(lambda: "the-end-of-it" in str(receiver.events), "the end is delivered")
    heard = b""
    while b"the-end-of-it" not in heard:
        heard += stream.readline()
    assert receiver.names == ["memory_store"], receiver.events
    assert heard.count(b"event:") == 1, heard
    assert SECRET not in "".join(node.log_lines())


def level(node: RealNode) -> None:
    """Wait until the index shows everything, and nothing is answered from beside it."""
    until(
        lambda: (
            (told := node.tell("GET", "/index"))["lag_ops"] == 0
            and told["waiting"] == 0
            and told["state"] == "ready"
        ),
        "the index is level",
        seen=lambda: node.tell("GET", "/index"),
    )


def test_no_score_changes_by_what_is_private_to_somebody_else(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    (node,) = founded(tmp_path_factory.mktemp("scores"), 1)
    try:
        node.start()
        until(node.ready, "ready", seen=node.tail)
        for number in range(1, 4):
            node.store("open", f"open words {number} {SECRET[:-1]}d", id=f"open-{number}")
        level(node)
        before = asked(node, SCORED, **MALLORY)
        live_privately(node)
        level(node)
        after = asked(node, SCORED, **MALLORY)
        for name, told in before.items():
            print(name, told, after[name], sep="\n  ")
        assert after == before
    finally:
        node.clean_up()


def test_nobody_ends_what_only_another_agent_sees(node: RealNode) -> None:
    """Messages, subscriptions, and leaves to see private memories, by forgetting an agent."""
    node.tell("POST", "/notify", {"to": "carol", "title": "t", "content": "c"}, x_agent_id="dora")
    made = node.tell("POST", "/subscriptions", {"events": "*"}, x_agent_id="carol")["id"]
    body = {"scope": "private", "agent_id": "dora", "id": "of-dora"}
    node.store("of dora", **body)
    node.tell("POST", "/memories/of-dora/grant", {"agent_id": "carol"}, x_agent_id="dora")
    for agent in (MALLORY, {"x_agent_id": "dora"}, {}):
        told = node.tell("POST", "/forget", {"agent_id": "carol"}, **agent)
        assert (told["deleted"], told["others_deleted"]) == (0, 0), told
    carol = {"x_agent_id": "carol"}
    assert node.tell("GET", "/inbox", **carol)["count"] == 1
    assert made in {
        one["id"] for one in node.tell("GET", "/subscriptions", **carol)["subscriptions"]
    }
    assert node.ask("GET", "/memories/of-dora", **carol).status == 200
    told = node.tell("POST", "/forget", {"agent_id": "carol"}, **carol)
    assert told["others_deleted"] == 3, told
    assert node.tell("GET", "/inbox", **carol)["count"] == 0
    assert node.ask("GET", "/memories/of-dora", **carol).status == 404
