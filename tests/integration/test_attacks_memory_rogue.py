"""What a hostile member can put into records of memories, links, messages and subscriptions.

Law: the rogue holds real keys of a member and says anything that the format of operations can
say. No node stops, no answer of another agent fails, and honest records are found as before.
"""

import http.client
import itertools
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from crdt.op import Op
from node.events.messages import inbox_of
from node.graph.names import entity_id
from node.links.index import link_id
from tests.integration.rig import RealNode, cleaned_up, until, until_level
from tests.integration.rig_forger import Forger
from tests.integration.rig_hooks import receiving
from tests.integration.rig_mesh import founded, start_all

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

ALICE = {"x_agent_id": "alice"}
HUGE, DEEP = 2**62, -(2**62)
ODD: tuple[Any, ...] = (
    *(HUGE, DEEP, 2**64 - 1, -1, 0, True, 1.5, 1e308),
    *(None, b"\xff\x00", "text", "\x00", "x" * 70_000, [], {}, [b"\xff"], {"a": [{"b": b"\xff"}]}),
)
"""What a field may hold that is not what it should."""

FIELDS = (
    *("title", "content", "tier", "priority", "confidence", "source", "metadata", "memory_kind"),
    *("expires_at", "created_at", "updated_at", "archived_at", "archive_reason"),
    *("original_expires_at", "scope", "citations", "entity_id", "consolidation", "attest_level"),
    *("reflection_depth", "source_span", "confidence_signals", "grants/alice", "tags/x", "rev"),
    *("grants/", "tags/", "aliases/", "+grants", "aliases/\x00", "consolidation/x"),
)
LINKS = ("valid_from", "valid_until", "created_at", "attest_level", "relation", "target_id")
MESSAGES = ("title", "content", "priority", "tier", "expires_at", "read", "scope", "to")
HOOKS = ("url", "events", "namespace", "secret", "home", "spaces")

ASKED: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/memories?limit=1000", None),
    ("GET", "/memories?limit=1000&tags=x&min_priority=1", None),
    ("GET", "/memories?limit=1000&session_id=s&tier=mid", None),
    ("GET", "/archive?limit=1000", None),
    ("GET", "/archive/stats", None),
    ("GET", "/stats", None),
    ("GET", "/export", None),
    ("GET", "/namespaces", None),
    ("GET", "/taxonomy", None),
    ("GET", "/contradictions", None),
    ("GET", "/contradictions?topic=title", None),
    ("GET", "/inbox", None),
    ("GET", "/inbox?unread_only=true", None),
    ("GET", "/subscriptions", None),
    ("GET", "/entities/by_alias?alias=Acme", None),
    ("GET", "/entities/by_alias?alias=Acme&namespace=global", None),
    ("GET", "/kg/timeline?source_id=honest-1", None),
    ("POST", "/kg/query", {"source_id": "honest-1", "max_depth": 5}),
    ("GET", "/links/honest-1", None),
    ("GET", "/memories/honest-1/lineage", None),
    ("GET", "/memories/honest-2/lineage?direction=descendants", None),
    ("POST", "/session/start", {"limit": 1000}),
    ("POST", "/check_duplicate", {"content": "text of the rogue", "limit": 50}),
    ("POST", "/recall", {"context": "text of the rogue", "limit": 50}),
    ("GET", "/search?q=text&limit=100", None),
    ("GET", "/pending", None),
    ("GET", "/quota", None),
    ("GET", "/erasure", None),
    ("GET", "/mesh", None),
    ("POST", "/gc", {"dry_run": True}),
    ("POST", "/forget", {"pattern": "no such words at all", "dry_run": True}),
    ("POST", "/forget", {"agent_id": "nobody-at-all", "dry_run": True}),
)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RealNode]]:
    """Three nodes; the keys of the third are the rogue's."""
    config = {"subscriptions": {"allow_loopback_webhooks": True}}
    nodes = founded(tmp_path_factory.mktemp("odd"), 3, config=config)
    with cleaned_up(nodes):
        start_all(nodes)
        one = nodes[0]
        for name in ("honest-1", "honest-2"):
            one.store(f"title of {name}", "honest words", id=name, agent_id="alice")
        body = {"source_id": "honest-1", "target_id": "honest-2", "relation": "derived_from"}
        one.tell("POST", "/links", body, **ALICE)
        one.tell("POST", "/entities", {"canonical_name": "Acme", "aliases": ["ACME"]}, **ALICE)
        until_level(nodes)
        nodes[2].kill()
        yield nodes


@pytest.fixture
def forger(mesh: list[RealNode]) -> Forger:
    return Forger(mesh)


def check(mesh: list[RealNode], asked: Any = ASKED) -> None:
    """Nobody stopped, and every question is answered, with what is honest in it."""
    until_level(mesh[:2])
    failed = []
    for node, (method, path, body) in itertools.product(mesh[:2], asked):
        try:
            reply = node.ask(method, path, body, timeout=60, **ALICE)
        except http.client.IncompleteRead:  # a stream that broke off
            failed.append((node.name, method, path, 0, "broke off"))
            continue
        if reply.status >= 400:
            failed.append((node.name, method, path, reply.status, reply.body))
    told = [line for node in mesh[:2] for line in node.events("request_failed")]
    assert not failed, (failed, {str(line) for line in told})
    assert not told, told
    for node in mesh[:2]:
        assert node.get("honest-1")["content"] == "honest words"
        assert node.is_alive()
        assert not node.events("index_failed"), node.events("index_failed")
        assert not node.events("maintenance_failed"), node.events("maintenance_failed")
        found = node.tell("POST", "/recall", {"context": "honest words"}, **ALICE)["memories"]
        assert {"honest-1", "honest-2"} <= {one["id"] for one in found}


def memories(forger: Forger) -> Iterator[Op]:
    for number, (name, value) in enumerate(itertools.product(FIELDS, ODD)):
        values = {"title": "title", "content": "text of the rogue", "tier": "mid", "rev": 1}
        yield forger.record_of(f"odd-{number}", set={**values, name: value})
    for number, left_out in enumerate(("title", "content", "tier", "rev")):
        values = {"title": "title", "content": "text", "tier": "mid", "rev": 1}
        del values[left_out]
        yield forger.record_of(f"bare-{number}", set=values)
    yield forger.record_of("nothing", set={})
    for ident in ("", "\x00", "a/b", "../..", "\u202e", "i" * 177, "%2e%2e"):
        yield forger.record_of(ident, set={"title": "t", "content": "c"})
    for space in ("", "/", "a//b", "*", "n" * 500, "deep/" * 60, "\x00"):
        number = len(space)
        yield forger.record_of(f"in-{number}", namespace=space, set={"title": "t", "content": "c"})
    for owner in ("", "*", "anonymous:req-00000000", "o" * 120, "\x00", "alice"):
        made = forger.record_of(f"by-{len(owner)}", owner=owner, set={"title": "t", "content": "c"})
        yield made


async def test_memories_with_fields_of_any_shape_fail_no_answer(
    mesh: list[RealNode], forger: Forger
) -> None:
    ops = list(memories(forger))
    await forger.send(*(ops[at : at + 50] for at in range(0, len(ops), 50)))
    check(mesh)
    node = mesh[1]
    for op in ops:
        for tail in ("", "/history", "/conflicts", "/lineage"):
            reply = node.ask("GET", f"/memories/{quote(op.id, safe='')}{tail}", **ALICE)
            assert reply.status in {200, 400, 404}, (op.id, op.set, tail, reply.body)


def links(forger: Forger) -> Iterator[Op]:
    for number, (name, value) in enumerate(itertools.product(LINKS, ODD)):
        relation = f"odd_{number}"
        ends = {"source_id": "honest-1", "relation": relation, "target_id": "honest-2"}
        ident = link_id("honest-1", relation, "honest-2")
        yield forger.record_of(ident, "link", set={**ends, name: value})
    for ident in ("", "|", "honest-1|", "honest-1|x", "honest-1|" + "0" * 48, "a|b|c"):
        yield forger.record_of(ident, "link", set={"source_id": "honest-1"})


async def test_links_with_fields_of_any_shape_fail_no_answer(
    mesh: list[RealNode], forger: Forger
) -> None:
    ops = list(links(forger))
    await forger.send(*(ops[at : at + 50] for at in range(0, len(ops), 50)))
    check(mesh)


def messages(forger: Forger) -> Iterator[Op]:
    start = inbox_of("alice")
    whole = {"to": "alice", "title": "t", "content": "c", "scope": "private", "grants/alice": 0}
    for number, (name, value) in enumerate(itertools.product(MESSAGES, ODD)):
        yield forger.record_of(f"{start}odd-{number}", "message", set={**whole, name: value})
    for name in whole:
        less = {key: value for key, value in whole.items() if key != name}
        yield forger.record_of(f"{start}without-{name}", "message", set=less)
    yield forger.record_of(f"{start}nothing", "message", set={})
    yield forger.record_of("", "message", set=whole)


async def test_messages_with_fields_of_any_shape_leave_an_inbox_readable(
    mesh: list[RealNode], forger: Forger
) -> None:
    said = {"to": "alice", "title": "from a friend", "body": "honest words"}
    mesh[0].tell("POST", "/notify", said, x_agent_id="bob")
    ops = list(messages(forger))
    await forger.send(*(ops[at : at + 50] for at in range(0, len(ops), 50)))
    check(mesh)
    for node in mesh[:2]:
        inbox = node.tell("GET", "/inbox?limit=1000", **ALICE)["messages"]
        assert "from a friend" in {one["title"] for one in inbox}
    marked = mesh[1].tell("POST", "/inbox/read", {}, **ALICE)
    assert marked["marked"] > 0
    assert mesh[1].tell("GET", "/inbox?unread_only=true", **ALICE)["count"] == 0


def hooks(forger: Forger) -> Iterator[Op]:
    whole = {"url": "", "events": "*", "namespace": "", "home": "00"}
    for number, (name, value) in enumerate(itertools.product(HOOKS, ODD)):
        yield forger.record_of(f"hook-{number}", "subscription", set={**whole, name: value})
    urls = ("http://", "http://[::1", "http://\ud7ff.example/", "http://a:99999/", "x" * 60_000)
    for number, url in enumerate((*urls, "http://127.0.0.1:1/\n", "file:///etc/passwd")):
        yield forger.record_of(f"url-{number}", "subscription", set={**whole, "url": url})
    yield forger.record_of("empty", "subscription", set={})
    many = ["memory_store"] * 10_000
    yield forger.record_of("many", "subscription", set={**whole, "events": many})


async def test_subscriptions_with_fields_of_any_shape_stop_no_delivery(
    mesh: list[RealNode], forger: Forger
) -> None:
    with receiving() as receiver:
        mesh[0].tell("POST", "/subscriptions", {"url": receiver.url}, **ALICE)
        homes = [node.mesh()["node_id"] for node in mesh[:2]]
        ops = list(hooks(forger))
        for number, url in enumerate(("http://", "http://[::1", 5, b"\xff", "http://127.0.0.1:1/")):
            for home in homes:
                said = {"url": url, "events": ["*", b"\xff", 5], "home": home}
                ops.append(forger.record_of(f"home-{number}-{home[:4]}", "subscription", set=said))
        await forger.send(*(ops[at : at + 50] for at in range(0, len(ops), 50)))
        check(mesh)
        mesh[0].store("told", id="told-after-all", agent_id="bob")
        until(
            lambda: "told-after-all" in {one.get("memory_id") for one in receiver.events},
            "it is delivered",
        )


async def test_what_happens_to_odd_records_is_told_in_streams(
    mesh: list[RealNode], forger: Forger
) -> None:
    """From the oldest operation that is kept: all that the other tests sent is in it."""
    relation = "told"
    ident = link_id("honest-1", relation, "honest-2")
    await forger.send(
        [
            forger.record_of("odd-told", set={"title": b"\xff", "metadata": b"\xff"}),
            forger.record_of(ident, "link", set={"relation": b"\xff", "source_id": 5}),
        ]
    )
    mesh[0].store("the end", id="the-end-of-it", agent_id="bob")
    until_level(mesh[:2])
    for node in mesh[:2]:
        connection = http.client.HTTPConnection(*node.agent, timeout=20)
        path = "/api/v1/events/stream?cursor=0"
        connection.request("GET", path, headers={"x-agent-id": "alice"})
        stream = connection.getresponse()
        assert stream.status == 200
        while b"the-end-of-it" not in stream.readline():
            pass
        connection.close()


async def test_entities_that_are_not_what_their_ids_say_are_no_entities(
    mesh: list[RealNode], forger: Forger
) -> None:
    ops = []
    for number, value in enumerate(ODD):
        made = {"title": f"Name {number}", "memory_kind": "entity", "metadata": value}
        ident = entity_id("global", f"Name {number}")
        ops.append(forger.record_of(ident, set={**made, "aliases/Acme": value, "aliases/": 0}))
    other = entity_id("global", "Other")
    ops.append(forger.record_of(other, set={"title": 5, "memory_kind": "entity"}))
    ops.append(forger.record_of("e717", set={"title": "Acme", "memory_kind": "entity"}))
    await forger.send(ops)
    check(mesh)
    for number in range(len(ODD)):
        body = {"canonical_name": f"Name {number}", "aliases": ["x"], "metadata": {"a": 1}}
        reply = mesh[1].ask("POST", "/entities", body, **ALICE)
        assert reply.status in {200, 201}, reply.body
    found = mesh[1].tell("GET", "/entities/by_alias?alias=Acme&namespace=global", **ALICE)
    assert found["canonical_name"] == "Acme"
    assert found["entity_id"] == entity_id("global", "Acme")


async def test_changes_of_odd_records_by_others_are_no_faults(
    mesh: list[RealNode], forger: Forger
) -> None:
    """Each is archived, restored, promoted, changed, consolidated and forgotten by an agent."""
    ops = []
    for number, (name, value) in enumerate(itertools.product(FIELDS, ODD)):
        values = {"title": "title", "content": "text of the rogue", "tier": "mid", "rev": 1}
        ops.append(forger.record_of(f"mine-{number:04}", set={**values, name: value}))
    await forger.send(*(ops[at : at + 50] for at in range(0, len(ops), 50)))
    node, ids = mesh[1], [op.id for op in ops]
    for op in ops:
        for method, tail, body in (
            ("PUT", "", {"priority": 3, "metadata": {"a": 1}}),
            ("POST", "/promote", {}),
            ("PUT", "", {"namespace": "elsewhere"}),
        ):
            reply = node.ask(method, f"/memories/{op.id}{tail}", body, **ALICE)
            assert reply.status in {200, 404, 403}, (op.set, method, tail, reply.body)
    for part in (ids[:60], ids[60:120]):
        there = [one for one in part if node.ask("GET", f"/memories/{one}", **ALICE).status == 200]
        made = node.ask("POST", "/consolidate", {"ids": there}, **ALICE)
        assert made.status == 201, made.body
        node.tell("POST", "/forget", {"ids": [made.body["id"]]}, **ALICE)
    node.tell("POST", "/archive", {"ids": ids}, **ALICE)
    for ident in ids:
        assert node.ask("POST", f"/archive/{ident}/restore", **ALICE).status in {200, 403, 404}
    node.tell("POST", "/forget", {"ids": ids}, **ALICE)
    check(mesh)
