"""Keys of a role or of some namespaces, and policies, tried on every way that moves memories.

Law: whatever the way, a key does no more than its role in its namespaces, a policy holds for
what a change does and not for how it is called, and a refusal changes nothing.
"""

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rig import RealNode, Reply, until
from tests.integration.rig_governance import set_policy
from tests.integration.rig_mcp import called
from tests.integration.rig_mesh import founded
from tests.integration.test_attacks_keys import Keys

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]

ROOT = {"x_agent_id": "root"}
ZOE, MAL = {"x_agent_id": "zoe"}, {"x_agent_id": "mal"}
COUNT = itertools.count()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    folder: Path = tmp_path_factory.mktemp("lanes")
    config = {
        "admin": {"agent_ids": ["root"]},
        "subscriptions": {"allow_loopback_webhooks": True},
    }
    (node,) = founded(folder, 1, config=config)
    made = Keys(node)
    node.api_key = made.give(role="system-admin", name="admin").api_key
    try:
        node.start()
        until(node.ready, "ready", seen=node.tail)
        for agent, kind in (("hana", "human"), ("zoe", "ai:model"), ("mal", "human")):
            node.tell("POST", "/agents", {"agent_id": agent, "agent_type": kind}, **ROOT)
        yield made
    finally:
        node.clean_up()


@pytest.fixture(scope="module")
def admin(keys: Keys) -> RealNode:
    return keys.node


@pytest.fixture(scope="module")
def reader(keys: Keys) -> RealNode:
    return given(keys, role="agent-reader", name="reader")


@pytest.fixture(scope="module")
def writer(keys: Keys) -> RealNode:
    return given(keys, role="agent-writer", agent_id="mal", name="writer")


@pytest.fixture(scope="module")
def team(keys: Keys) -> RealNode:
    return given(keys, role="team-admin", namespaces=("team",), name="team")


def given(keys: Keys, **wish: Any) -> RealNode:
    """A node asked with a new key, once it counts."""
    node = keys.give(**wish)
    until(lambda: node.ask("GET", "/version").status == 200, "the key counts")
    return node


def made(node: RealNode, space: str = "other", agent: str = "zoe", **fields: Any) -> str:
    """A memory of zoe."""
    ident = f"{space.replace('/', '-')}-{next(COUNT):04}"
    node.store(f"title {ident}", "words", id=ident, namespace=space, agent_id=agent, **fields)
    return ident


def state(node: RealNode) -> str:
    """Everything there is, in one text; what only counts reads is left out."""
    rows = [
        node.tell("GET", path, **ROOT)
        for path in ("/export", "/archive?limit=1000", "/subscriptions", "/pending")
    ]
    for row in rows:
        row.pop("exported_at", None)
        for memory in row.get("memories", ()):
            memory.pop("access_count", None)
            memory.pop("last_accessed_at", None)
    return json.dumps(rows, sort_keys=True)


WAYS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/archive", {"ids": ["{one}"]}),
    ("POST", "/archive/{one}", {}),
    ("POST", "/archive/{away}/restore", {}),
    ("DELETE", "/archive/{away}", None),
    ("POST", "/memories/{one}/forget", {}),
    ("POST", "/memories/{one}/forget", {"erase": True}),
    ("POST", "/memories/{away}/promote", {}),
    ("POST", "/links", {"source_id": "{one}", "target_id": "{two}"}),
    ("POST", "/kg/invalidate", {"source_id": "{one}", "target_id": "{two}", "relation": "linked"}),
    ("POST", "/entities", {"canonical_name": "Acme", "namespace": "other", "aliases": ["A"]}),
    ("POST", "/notify", {"to": "zoe", "title": "t", "content": "c", "namespace": "other"}),
    ("POST", "/subscriptions", {"events": "*", "namespace": "other"}),
)
BROAD: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/forget", {"ids": ["{one}", "{away}"]}),
    ("POST", "/forget", {"namespace": "other"}),
    ("POST", "/forget", {"pattern": "words"}),
    ("POST", "/forget", {"agent_id": "zoe"}),
    ("POST", "/forget", {"tier": "mid"}),
    ("DELETE", "/archive", None),
    ("DELETE", "/archive?namespace=other", None),
    ("POST", "/consolidate", {"ids": ["{one}", "{two}"]}),
    ("POST", "/gc", {}),
)
"""For a team administrator at least."""


def tried(node: RealNode, ways: Any, names: dict[str, str], **agent: str) -> list[Any]:
    """What became of each way, with the ids put in."""
    out = []
    for method, pattern, body in ways:
        path, text = pattern, json.dumps(body)
        for name, ident in names.items():
            path, text = path.replace(f"{{{name}}}", ident), text.replace(f"{{{name}}}", ident)
        reply = node.ask(method, path, None if body is None else json.loads(text), **agent)
        out.append((method, path, text, reply))
    return out


def stocked(admin: RealNode, space: str = "other") -> dict[str, str]:
    """Two memories with a link, and one in the archive."""
    one, two, away = (made(admin, space) for _ in range(3))
    body = {"source_id": one, "target_id": two, "relation": "linked"}
    admin.tell("POST", "/links", body, **ZOE)
    admin.tell("POST", f"/archive/{away}", {}, **ZOE)
    return {"one": one, "two": two, "away": away}


def test_a_reader_changes_nothing_on_any_way(admin: RealNode, reader: RealNode) -> None:
    names = stocked(admin)
    before = state(admin)
    for method, path, body, reply in tried(reader, (*WAYS, *BROAD), names, **ZOE):
        assert reply.status == 403, (method, path, body, reply.body)
    for method, path in (("POST", "/inbox/read"), ("POST", "/compact"), ("POST", "/index/rebuild")):
        assert reader.ask(method, path, {}, **ZOE).status == 403, path
    assert reader.ask("GET", "/inbox?mark_read=true", **ZOE).status in {200, 403}
    assert reader.ask("GET", "/index").status == 403
    assert state(admin) == before


def test_a_writer_does_not_what_is_for_team_administrators(
    admin: RealNode, writer: RealNode
) -> None:
    names = stocked(admin)
    before = state(admin)
    for method, path, body, reply in tried(writer, BROAD, names):
        assert (reply.status, reply.body["error"]) == (403, "role_forbids"), (method, path, body)
    for agent in (ZOE, ROOT):
        for method, path, body, reply in tried(writer, WAYS, names, **agent):
            assert reply.status == 403, (method, path, body, reply.body)
    assert state(admin) == before


def test_a_writer_of_one_name_changes_only_what_is_its_own(
    admin: RealNode, writer: RealNode
) -> None:
    names = stocked(admin)
    before = state(admin)
    changing = [way for way in WAYS if "{" in way[1]]
    for method, path, body, reply in tried(writer, changing, names):
        assert reply.status in {403, 404}, (method, path, body, reply.body)
    reply = writer.ask("POST", "/archive", {"ids": [names["one"]]})
    assert reply.status in {200, 403}, reply.body
    assert state(admin) == before


def test_a_key_of_a_namespace_reaches_no_other_on_any_way(admin: RealNode, team: RealNode) -> None:
    names = stocked(admin)
    own = stocked(admin, "team/a")
    other = made(admin, "other", metadata={"topic": "leak-topic"})
    before = {
        "export": admin.tell("GET", "/export", **ROOT)["memories"],
        "archive": admin.tell("GET", "/archive?namespace=other&limit=1000", **ROOT)["memories"],
    }
    others = [m for m in before["export"] if m["namespace"] == "other"]
    for method, path, body, reply in tried(team, (*WAYS, *BROAD), names, **ROOT):
        told = json.dumps(reply.body)
        if reply.status < 400:
            counts = ("deleted", "purged", "archived", "expired_deleted", "links_deleted")
            found = [reply.body.get(name, 0) for name in counts]
            if "/forget" in path and "other" not in body and names["one"] not in body:
                continue  # its own namespace is for it
            if path == "/archive" and method == "DELETE":
                continue
            assert not any(found), (method, path, body, reply.body)
        else:
            assert reply.status in {403, 404}, (method, path, body, reply.body)
            assert "words" not in told, told
    kept = [
        m for m in admin.tell("GET", "/export", **ROOT)["memories"] if m["namespace"] == "other"
    ]
    assert {m["id"] for m in kept} == {m["id"] for m in others}
    after = admin.tell("GET", "/archive?namespace=other&limit=1000", **ROOT)["memories"]
    assert {m["id"] for m in after} == {m["id"] for m in before["archive"]}
    for method, path, body in (
        ("POST", "/consolidate", {"ids": [own["two"], names["one"]]}),
        ("POST", "/recall", {"context": "words", "namespace": "other"}),
        ("POST", "/recall", {"context": "words", "limit": 50}),
        ("GET", "/search?q=words", None),
        ("GET", "/search?q=words&namespace=other", None),
        ("POST", "/check_duplicate", {"content": "words"}),
        ("POST", "/check_duplicate", {"content": "words", "namespace": "other"}),
        ("GET", "/contradictions?topic=leak-topic", None),
        ("GET", "/contradictions", None),
        ("GET", "/taxonomy", None),
        ("GET", "/taxonomy?prefix=other", None),
        ("GET", "/archive", None),
        ("GET", "/archive?namespace=other", None),
        ("GET", "/archive/stats", None),
        ("GET", "/entities/by_alias?alias=Acme", None),
        ("GET", "/entities/by_alias?alias=Acme&namespace=other", None),
        ("POST", "/kg/query", {"source_id": names["one"]}),
        ("GET", f"/kg/timeline?source_id={names['one']}", None),
        ("GET", f"/links/{names['one']}", None),
        ("POST", "/session/start", {"namespace": "other"}),
        ("GET", "/subscriptions", None),
        ("GET", "/stats", None),
    ):
        told = team.ask(method, path, body, **ROOT)
        text = json.dumps(told.body).replace('"namespace": "other"', "")
        for word in (names["one"], names["away"], other, "title other"):
            asked = path + json.dumps(body)
            assert word in asked or word not in text, (method, path, told.body)
        if "namespace=other" in path and told.status == 200:
            assert not told.body.get("count"), told.body


def test_what_follows_in_another_namespace_is_not_told_to_a_key(
    admin: RealNode, team: RealNode
) -> None:
    """A memory of the team that another namespace was consolidated from is forgotten."""
    source, second = made(admin, "team/a"), made(admin, "team/a")
    body = {"ids": [source, second], "namespace": "other"}
    derived = admin.tell("POST", "/consolidate", body, **ZOE)["id"]
    plain = made(admin, "team/a")
    told = [
        team.ask("POST", "/forget", {"ids": [ident]}, x_agent_id="tim") for ident in (plain, source)
    ]
    shape = [(reply.status, sorted(reply.body), reply.body.get("deleted")) for reply in told]
    assert shape[0] == shape[1], [reply.body for reply in told]
    assert shape[1][0] == 200
    for name in ("derived", "recomposed", "links_deleted"):
        assert told[0].body[name] == told[1].body[name], (name, told[1].body)
    assert admin.ask("GET", f"/archive/{source}").status in {404, 405}
    until(
        lambda: (
            source not in json.dumps(admin.tell("GET", f"/memories/{derived}", **ZOE)["memory"])
        ),
        "its words are taken out",
    )


def outcome(reply: Reply) -> bool:
    """Whether something was done."""
    return reply.status < 300 and reply.status != 202


POLICED: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/memories", {"title": "t", "content": "c", "namespace": "{space}"}),
    ("PUT", "/memories/{one}", {"content": "other"}),
    ("PUT", "/memories/{mine}", {"namespace": "{space}"}),
    ("POST", "/memories/{mine}/promote", {"to_namespace": "{space}"}),
    ("POST", "/memories/{one}/promote", {"to_namespace": "free"}),
    ("PUT", "/memories/{one}", {"namespace": "free"}),
    ("POST", "/memories/{away}/promote", {}),
    ("POST", "/archive", {"ids": ["{one}"]}),
    ("POST", "/archive", {"ids": ["{mine}", "{one}"]}),
    ("POST", "/archive/{one}", {}),
    ("POST", "/archive/{away}/restore", {}),
    ("DELETE", "/archive/{away}", None),
    ("DELETE", "/archive?namespace={space}", None),
    ("DELETE", "/archive", None),
    ("POST", "/memories/{one}/forget", {}),
    ("POST", "/memories/{one}/forget", {"erase": True}),
    ("POST", "/forget", {"ids": ["{one}"]}),
    ("POST", "/forget", {"ids": ["{mine}", "{one}"]}),
    ("POST", "/forget", {"namespace": "{space}"}),
    ("POST", "/consolidate", {"ids": ["{one}", "{two}"]}),
    ("POST", "/consolidate", {"ids": ["{one}", "{two}"], "namespace": "free"}),
    ("POST", "/consolidate", {"ids": ["{mine}", "{two}"], "namespace": "free"}),
    ("POST", "/entities", {"canonical_name": "Acme", "namespace": "{space}"}),
    ("POST", "/links", {"source_id": "{one}", "target_id": "{two}"}),
    ("DELETE", "/links", {"source_id": "{one}", "target_id": "{two}", "relation": "linked"}),
    ("POST", "/kg/invalidate", {"source_id": "{one}", "target_id": "{two}", "relation": "linked"}),
    ("POST", "/notify", {"to": "zoe", "title": "t", "content": "c", "namespace": "{space}"}),
    ("POST", "/subscriptions", {"events": "*", "namespace": "{space}"}),
)


def held_state(node: RealNode, space: str) -> str:
    """What is in a namespace, shown and put away."""
    memories = [
        {k: v for k, v in m.items() if k not in ("access_count", "last_accessed_at", "archived_at")}
        for path in ("/export", "/archive?limit=1000")
        for m in node.tell("GET", path, **ROOT)["memories"]
        if m["namespace"] == space
    ]
    links = node.tell("GET", "/export", **ROOT)["links"]
    own = {m["id"] for m in memories}
    related = [one for one in links if one["source_id"] in own]
    return json.dumps([memories, related], sort_keys=True)


@pytest.mark.parametrize("level", ["deny", "owner", "approve"])
def test_a_policy_holds_on_every_way(admin: RealNode, level: str) -> None:
    space = f"kept/{level}-{time.time_ns()}"
    names = stocked(admin, space)
    rules = dict.fromkeys(("write", "promote", "delete"), level)
    set_policy(admin, space, "root", **rules)
    for way in POLICED:
        names["mine"] = made(admin, "free", agent="mal")
        wanted = (way[0], way[1].replace("{space}", space), way[2])
        before = held_state(admin, space)
        ((method, path, body, reply),) = tried(admin, [wanted], {**names, "space": space}, **MAL)
        after = held_state(admin, space)
        assert after == before, (method, path, body, reply.status, reply.body)
        assert reply.status in {200, 201, 202, 207, 403, 404}, (method, path, body, reply.body)


@pytest.mark.parametrize("level", ["deny", "owner", "approve"])
def test_a_policy_holds_for_tools_too(admin: RealNode, level: str) -> None:
    space = f"tools/{level}-{time.time_ns()}"
    names = stocked(admin, space)
    set_policy(admin, space, "root", **dict.fromkeys(("write", "promote", "delete"), level))
    one, two, away = names["one"], names["two"], names["away"]
    before = held_state(admin, space)
    for tool, arguments in (
        ("memory_store", {"title": "t", "content": "c", "namespace": space}),
        ("memory_update", {"id": one, "content": "x"}),
        ("memory_delete", {"id": one}),
        ("memory_promote", {"id": one}),
        ("memory_forget", {"namespace": space}),
        ("memory_consolidate", {"ids": [one, two], "title": "t", "summary": "s"}),
        ("memory_archive_restore", {"id": away}),
        ("memory_archive_purge", {}),
        ("memory_link", {"source_id": one, "target_id": two, "relation": "supersedes"}),
        ("memory_entity_register", {"canonical_name": "Acme", "namespace": space}),
    ):
        told = called(admin, tool, arguments, **MAL)
        assert held_state(admin, space) == before, (tool, told)


def test_a_request_is_known_again_by_its_agent_alone(admin: RealNode) -> None:
    """The same key and body of another agent is another request, on every new way."""
    secret, other = (made(admin, "free", scope="private") for _ in range(2))
    for path, body in (
        ("/notify", {"to": "zoe", "title": "t", "content": "c"}),
        ("/subscriptions", {"events": "*"}),
        ("/entities", {"canonical_name": "Twice", "namespace": "free"}),
        (f"/archive/{secret}", {}),
        ("/archive", {"ids": [other]}),
        ("/session/start", {}),
    ):
        key = f"k-{next(COUNT)}"
        mine = admin.ask("POST", path, body, idempotency_key=key, **ZOE)
        theirs = admin.ask("POST", path, body, idempotency_key=key, **MAL)
        assert mine.status < 300, (path, mine.body)
        if path == f"/archive/{secret}":
            assert theirs.status == 404, theirs.body
        elif path == "/archive":
            assert theirs.body["missing"] == [other], theirs.body
        elif path != "/entities":
            name = "session_id" if path.startswith("/session") else "id"
            assert mine.body[name] != theirs.body[name], path
        changed = {**body, "ids": ["x"], "title": "other"}
        again = admin.ask("POST", path, changed, idempotency_key=key, **ZOE)
        if not path.startswith("/session"):
            assert again.status == 409, (path, again.body)
