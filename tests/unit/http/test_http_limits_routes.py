"""The limits of every other route: each with its status, its field and its words."""

from typing import Any

import pytest

from tests.unit.http.conftest import API, Reply, Started, World, with_limits

AGENT = "expected 1 to 128 characters of A-Za-z0-9_-:@./"
WHOLE = "expected a whole number, zero or more"
TIME = "expected an RFC 3339 timestamp, as 2026-03-01T12:00:00.250Z"
SPACE = "has 513 characters, expected 1 to 512"
LONG = "x" * 513
IDS = [f"id-{n:06}" for n in range(1001)]

BODIES: list[tuple[str, dict[str, Any], str, str]] = [
    ("/links", {}, "source_id", "is required: the id of a memory"),
    ("/links", {"source_id": "{one}"}, "target_id", "is required: the id of a memory"),
    ("/links", {"source_id": 5}, "source_id", "is required: the id of a memory"),
    ("/links", {"source_id": "{one}", "target_id": "{one}"}, "target_id", "is the source itself"),
    *(
        (
            "/links",
            {"source_id": "{one}", "target_id": "{two}", "relation": relation},
            "relation",
            "expected 1 to 64 characters of a-z, 0-9 and _, beginning with a letter",
        )
        for relation in ("", "Related", "1st", "a b", "x" * 65, "related\n", 5, "\u00e4")
    ),
    ("/links", {"source_id": "{one}", "target_id": "{two}", "valid_from": "x"}, "valid_from", TIME),
    ("/kg/query", {}, "source_id", "is required: the id of a memory"),
    *(
        ("/kg/query", {"source_id": "{one}", "max_depth": n}, "max_depth",
         "expected a whole number from 1 to 5")
        for n in (0, 6, -1, "2", 1.5)
    ),
    ("/kg/query", {"source_id": "{one}", "valid_at": "x"}, "valid_at", TIME),
    ("/kg/query", {"source_id": "{one}", "as_of": "2026-01-01"}, "as_of", TIME),
    ("/kg/query", {"source_id": "{one}", "allowed_agents": "a b"}, "allowed_agents", AGENT),
    ("/kg/query", {"source_id": "{one}", "allowed_agents": 5}, "allowed_agents",
     "expected a list of agent ids"),
    ("/kg/query", {"source_id": "{one}", "limit": -1}, "limit", "expected a whole number from 0"),
    ("/kg/invalidate", {}, "source_id", "is required: the id of a memory"),
    ("/entities", {}, "canonical_name", "is required: what the entity is called"),
    ("/entities", {"canonical_name": ""}, "canonical_name", "has 0 characters, expected 1 to 512"),
    ("/entities", {"canonical_name": LONG}, "canonical_name", SPACE),
    ("/entities", {"canonical_name": "A", "namespace": LONG}, "namespace", SPACE),
    ("/entities", {"canonical_name": "A", "aliases": "B"}, "aliases", "expected a list of texts"),
    ("/entities", {"canonical_name": "A", "aliases": ["x" * 129]}, "aliases",
     "an alias is a text of at most 128 characters"),
    ("/entities", {"canonical_name": "A", "aliases": IDS[:51]}, "aliases",
     "has 51, at most 50 at a time"),
    ("/notify", {"title": "t", "content": "c"}, "target_agent_id", "is required (to is the same)"),
    ("/notify", {"to": "b", "content": "c"}, "title", "is required (subject is the same)"),
    ("/notify", {"to": "b", "title": "t"}, "content",
     "is required (body or payload or message is the same)"),
    ("/notify", {"to": "x" * 129, "title": "t", "content": "c"}, "to", AGENT),
    ("/notify", {"target_agent_id": 5, "title": "t", "content": "c"}, "target_agent_id", AGENT),
    ("/notify", {"to": "b", "subject": LONG, "content": "c"}, "subject", SPACE),
    ("/notify", {"to": "b", "title": LONG, "content": "c"}, "title", SPACE),
    ("/notify", {"to": "b", "title": "t", "body": "x" * 1048577}, "body",
     "has 1048577 bytes, at most 1048576 are allowed"),
    ("/notify", {"to": "b", "title": "t", "content": "c", "priority": 11}, "priority",
     "expected a whole number from 1 to 10"),
    ("/inbox/read", {"ids": "x"}, "ids", "expected a list of ids of messages"),
    ("/subscriptions", {"events": "memory_store,dream"}, "events", "there is no event 'dream'"),
    ("/subscriptions", {"events": 5}, "events",
     "expected names of events, as a list or with commas"),
    ("/subscriptions", {"url": 5}, "url", "expected text"),
    ("/subscriptions", {"url": "ftp://example.com/"}, "url", ""),
    ("/subscriptions", {"namespace": LONG}, "namespace", SPACE),
    ("/subscriptions", {"secret": "x" * 513}, "secret", "expected text of at most 512 characters"),
    ("/subscriptions", {"agent_id": "a b"}, "agent_id", AGENT),
    ("/consolidate", {}, "ids", "expected a list of ids"),
    ("/consolidate", {"ids": []}, "ids", "expected a list of ids"),
    ("/consolidate", {"ids": ["{one}"]}, "ids", "expected at least 2 different memories"),
    ("/consolidate", {"ids": ["{one}", "{one}"]}, "ids", "expected at least 2 different memories"),
    ("/consolidate", {"ids": ["{one}", "{two}"], "title": LONG}, "title", SPACE),
    ("/consolidate", {"ids": ["{one}", "{two}"], "tier": "x"}, "tier", "expected one of"),
    ("/consolidate", {"ids": ["{one}", "{two}"], "namespace": LONG}, "namespace", SPACE),
    ("/archive", {}, "ids", "expected a list of ids"),
    ("/archive", {"ids": [5]}, "ids", "an id is a text"),
    ("/archive", {"ids": ["{one}"], "reason": LONG}, "reason", "expected 1 to 512 characters"),
    ("/archive/{one}", {"reason": 5}, "reason", "expected 1 to 512 characters"),
    ("/forget", {}, "ids", "give at least one of ids, namespace, pattern, tier, agent_id"),
    ("/forget", {"ids": []}, "ids", "expected a list of ids"),
    ("/forget", {"pattern": ""}, "pattern", "expected 1 to "),
    ("/forget", {"tier": "x"}, "tier", "expected one of long, mid, short"),
    ("/forget", {"agent_id": "a b"}, "agent_id", AGENT),
    ("/forget", {"namespace": LONG}, "namespace", SPACE),
    ("/forget", {"ids": ["{one}"], "dry_run": "perhaps"}, "dry_run", "expected true or false"),
    ("/memories/{one}/forget", {"erase": 5}, "erase", "expected true or false"),
    ("/memories/{one}/grant", {}, "agent_id", "is required: who is let in"),
    ("/memories/{one}/grant", {"agent_id": "x" * 129}, "agent_id", AGENT),
    ("/memories/{one}/revoke", {"agent_id": "a/../b"}, "agent_id",
     "a segment of an agent id cannot be .."),
    ("/memories/{one}/promote", {"to_namespace": LONG}, "namespace", SPACE),
    ("/check_duplicate", {}, "content", "is required"),
    ("/check_duplicate", {"content": "c", "threshold": 1.5}, "threshold",
     "expected a number from 0 to 1"),
    ("/check_duplicate", {"content": "c", "namespace": LONG}, "namespace", SPACE),
    ("/session/start", {"namespace": LONG}, "namespace", SPACE),
    ("/session/start", {"agent_id": "a b"}, "agent_id", AGENT),
    ("/session/start", {"limit": -1}, "limit", "expected a whole number from 0"),
    ("/import?trust_source=perhaps", {"memories": []}, "trust_source", "expected true or false"),
    ("/import", {}, "memories", "expected a list of memories"),
    ("/gc", {"dry_run": 7}, "dry_run", "expected true or false"),
]  # fmt: skip
QUERIES: list[tuple[str, str, str]] = [
    *(
        (f"{path}{'&' if '?' in path else '?'}{name}={value}", name, WHOLE)
        for path, names in (
            ("/memories", ("limit", "offset", "min_priority")),
            ("/archive", ("limit", "offset")),
            ("/inbox", ("limit",)),
            ("/taxonomy", ("depth", "limit")),
            ("/kg/timeline?source_id={one}", ("limit",)),
            ("/memories/{one}/lineage", ("max_depth",)),
            ("/memories/{one}/history", ("limit",)),
        )
        for name in names
        for value in ("-1", "many", "1.5", "9" * 19, "%D9%A3")
    ),
    *(
        (f"{path}namespace={LONG}", "namespace", SPACE)
        for path in ("/memories?", "/archive?", "/entities/by_alias?alias=A&", "/contradictions?",
                     "/entities/by-alias?alias=A&")
    ),
    (f"/taxonomy?prefix={LONG}", "prefix", SPACE),
    (f"/taxonomy?root={LONG}", "root", SPACE),
    ("/memories?tier=eternal", "tier", "expected one of long, mid, short"),
    ("/memories?agent_id=a%20b", "agent_id", AGENT),
    ("/inbox?agent_id=a%20b", "agent_id", AGENT),
    ("/inbox?unread_only=perhaps", "unread_only", "expected true or false"),
    ("/subscriptions?agent_id=a%20b", "agent_id", AGENT),
    ("/memories?since=yesterday", "since", TIME),
    ("/memories?until=2026-01-01", "until", TIME),
    ("/kg/timeline?source_id={one}&since=x", "since", TIME),
    ("/kg/timeline?source_id={one}&until=x", "until", TIME),
    ("/kg/timeline", "source_id", "is required: the id of a memory"),
    ("/entities/by_alias", "alias", "is required: a name of the entity"),
    ("/memories/{one}/lineage?direction=sideways", "direction", "expected "),
]  # fmt: skip


@pytest.fixture
async def pair(world: World) -> tuple[World, dict[str, str]]:
    """A world with two memories."""
    return world, {name: (await world.store(name))["id"] for name in ("one", "two")}


def filled(value: Any, known: dict[str, str]) -> Any:
    """The value with the ids in their places."""
    if isinstance(value, str):
        return value.replace("{one}", known["one"]).replace("{two}", known["two"])
    if isinstance(value, list):
        return [filled(inner, known) for inner in value]
    if isinstance(value, dict):
        return {name: filled(inner, known) for name, inner in value.items()}
    return value


def check(reply: Reply, field: str, words: str) -> None:
    body = reply.json
    assert (reply.status, body["error"], body["field"]) == (400, "invalid_field", field), body
    assert body["detail"].startswith(f"{field}: {words}"), body


@pytest.mark.parametrize(("path", "body", "field", "words"), BODIES)
async def test_a_body_beyond_a_limit(
    pair: tuple[World, dict[str, str]], path: str, body: dict[str, Any], field: str, words: str
) -> None:
    world, known = pair
    path = filled(path, known)
    reply = await world.ask("POST", f"{API}{path}", filled(body, known), x_agent_id="ai:alice")
    check(reply, field, words)
    assert len(world.node.log) == 2


@pytest.mark.parametrize(("path", "field", "words"), QUERIES)
async def test_a_parameter_beyond_a_limit(
    pair: tuple[World, dict[str, str]], path: str, field: str, words: str
) -> None:
    world, known = pair
    check(await world.ask("GET", f"{API}{filled(path, known)}"), field, words)


@pytest.mark.parametrize(
    ("path", "body", "count", "most"),
    [
        ("/memories/bulk", [{"title": "t", "content": "c"}] * 1001, 1001, 1000),
        ("/memories/bulk", {"memories": [5] * 1001}, 1001, 1000),
        ("/import", {"memories": [{}] * 1001}, 1001, 1000),
        ("/import", {"memories": [], "links": [{}] * 1001}, 1001, 1000),
        ("/archive", {"ids": IDS}, 1001, 1000),
        ("/archive", {"ids": ",".join(IDS)}, 1001, 1000),
        ("/forget", {"ids": IDS}, 1001, 1000),
        ("/consolidate", {"ids": IDS[:201]}, 201, 200),
    ],
)
async def test_too_many_items_are_413(
    world: World, path: str, body: Any, count: int, most: int
) -> None:
    reply = await world.ask("POST", f"{API}{path}", body)
    assert (reply.status, reply.json["error"]) == (413, "too_many_items")
    assert reply.json["detail"] == f"{count} items in one request, at most {most} are taken."
    assert not world.node.log


async def test_a_page_is_cut_and_never_refused(start: Started) -> None:
    world = await start(limits=with_limits(page_items_max=2))
    for number in range(3):
        made = (await world.store(f"t{number}"))["id"]
        await world.ask("POST", f"{API}/archive/{made}", x_agent_id="ai:alice")
        await world.store(f"t{number}", agent="ai:bob")
        body = {"to": "ai:bob", "title": "t", "content": "c"}
        await world.ask("POST", f"{API}/notify", body)
    for path, name in (("memories", "memories"), ("archive", "memories"), ("inbox", "messages")):
        reply = await world.ask("GET", f"{API}/{path}?limit=999999", x_agent_id="ai:bob")
        assert (reply.status, reply.json["count"], len(reply.json[name])) == (200, 2, 2), path
        reply = await world.ask("GET", f"{API}/{path}?limit=0", x_agent_id="ai:bob")
        assert (reply.status, reply.json[name]) == (200, []), path
