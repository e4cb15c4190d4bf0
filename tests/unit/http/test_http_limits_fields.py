"""The limits of a memory: each with its status, its field and its words, on every way in."""

from typing import Any

import pytest

from tests.unit.http.conftest import API, Started, World, with_limits

MIB = 1024 * 1024
KINDS = (
    "claim, concept, conversation, decision, document, entity, event, observation, persona, "
    "reflection, relation"
)


def deep(levels: int) -> dict[str, Any]:
    """Metadata with so many levels."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def sized(size: int) -> dict[str, str]:
    """Metadata of so many bytes as JSON."""
    return {"k": "x" * (size - len('{"k":""}'))}


TOO_MUCH: list[tuple[str, Any, str]] = [
    ("title", "", "has 0 characters, expected 1 to 512"),
    ("title", "x" * 513, "has 513 characters, expected 1 to 512"),
    ("title", 5, "expected text"),
    ("content", "", "is empty"),
    ("content", "x" * (MIB + 1), "has 1048577 bytes, at most 1048576 are allowed"),
    ("content", "\u00e4" * (MIB // 2 + 1), "has 1048578 bytes, at most 1048576 are allowed"),
    ("content", ["x"], "expected text"),
    ("tags", "x", "expected a list of texts"),
    ("tags", [""], "a tag is a text of 1 to 128 characters"),
    ("tags", ["x" * 129], "a tag is a text of 1 to 128 characters"),
    ("tags", [5], "a tag is a text of 1 to 128 characters"),
    ("tags", [f"t{n}" for n in range(51)], "has 51 tags, at most 50 are allowed"),
    ("metadata", "x", "expected an object"),
    ("metadata", [], "expected an object"),
    ("metadata", sized(65_537), "has 65537 bytes, at most 65536"),
    ("metadata", deep(33), "nests deeper than 32 levels"),
    ("namespace", "", "has 0 characters, expected 1 to 512"),
    ("namespace", "x" * 513, "has 513 characters, expected 1 to 512"),
    ("namespace", "/".join("abcdefghi"), "has 9 segments, at most 8"),
    ("namespace", "a//b", "has an empty segment"),
    ("namespace", "/a", "has an empty segment"),
    ("namespace", 5, "expected text"),
    ("tier", "eternal", "expected one of long, mid, short"),
    ("tier", ["mid"], "expected one of long, mid, short"),
    ("priority", 0, "expected a whole number from 1 to 10"),
    ("priority", 11, "expected a whole number from 1 to 10"),
    ("priority", 1.5, "expected a whole number from 1 to 10"),
    ("priority", "5", "expected a whole number from 1 to 10"),
    ("priority", True, "expected a whole number from 1 to 10"),
    ("confidence", 1.1, "expected a number from 0 to 1"),
    ("confidence", -0.1, "expected a number from 0 to 1"),
    ("confidence", "1", "expected a number from 0 to 1"),
    ("confidence", False, "expected a number from 0 to 1"),
    ("source", "x" * 2049, "has 2049 characters, at most 2048"),
    ("memory_kind", "dream", f"expected one of {KINDS}"),
    ("scope", "secret", "expected one of collective, org, private, team, unit"),
    ("reflection_depth", -1, "expected a whole number from 0 to 9007199254740991"),
    ("citations", "x", "expected a list"),
    ("citations", ["x" * 65_536], "has 65540 bytes, at most 65536"),
    ("entity_id", "x" * 2049, "has 2049 characters, at most 2048"),
    ("source_uri", 5, "expected text"),
    ("confidence_signals", [], "expected an object"),
    ("source_span", deep(33), "nests deeper than 32 levels"),
    ("persona_version", "x" * 65_535, "has 65537 bytes, at most 65536"),
    ("expires_at", "tomorrow", "expected an RFC 3339 timestamp, as 2026-03-01T12:00:00.250Z"),
    ("expires_at", "2001-01-01T00:00:00Z", "lies in the past"),
    ("ttl_secs", 0, "expected a whole number from 1 to "),
    ("ttl_secs", -5, "expected a whole number from 1 to "),
    ("ttl_secs", 10**15, "expected a whole number from 1 to "),
    ("ttl_secs", "60", "expected a whole number from 1 to "),
]  # fmt: skip
NAMES: list[tuple[str, Any, str]] = [
    ("agent_id", "x" * 129, "expected 1 to 128 characters of A-Za-z0-9_-:@./"),
    ("agent_id", "a b", "expected 1 to 128 characters of A-Za-z0-9_-:@./"),
    ("agent_id", "", "expected 1 to 128 characters of A-Za-z0-9_-:@./"),
    ("agent_id", 5, "expected 1 to 128 characters of A-Za-z0-9_-:@./"),
    ("agent_id", "a/../b", "a segment of an agent id cannot be .."),
]
NEW: list[tuple[str, Any, str]] = [
    ("id", "", "expected 1 to 128 characters of A-Za-z0-9_-:."),
    ("id", "x" * 129, "expected 1 to 128 characters of A-Za-z0-9_-:."),
    ("id", "a/b", "expected 1 to 128 characters of A-Za-z0-9_-:."),
    ("id", "\u0131d", "expected 1 to 128 characters of A-Za-z0-9_-:."),
    ("id", "abc\n", "expected 1 to 128 characters of A-Za-z0-9_-:."),
    ("id", 5, "expected 1 to 128 characters of A-Za-z0-9_-:."),
    ("id", "..", "the ids . and .. cannot stand in an address"),
    ("on_conflict", "merge", "expected one of error, none, update"),
]
ALLOWED: list[tuple[str, Any]] = [
    ("title", "\U0001f680" * 512),
    ("content", "x" * MIB),
    ("content", "\u00e4" * (MIB // 2)),
    ("tags", ["\U0001f680" * 128, *(f"t{n}" for n in range(49))]),
    ("tags", ["same"] * 60),
    ("tags", []),
    ("metadata", sized(65_536)),
    ("metadata", deep(32)),
    ("namespace", "\U0001f680" * 512),
    ("namespace", "/".join("abcdefgh")),
    ("priority", 1),
    ("priority", 10),
    ("priority", 5.0),
    ("confidence", 0),
    ("confidence", 1),
    ("source", "x" * 2048),
    ("reflection_depth", 2**53 - 1),
    ("citations", []),
    ("confidence_signals", {}),
    ("ttl_secs", 1),
    ("id", "A-Za-z0-9_-:." + "x" * 115),
    ("agent_id", "x" * 128),
    ("agent_id", "..a/b..:c@d"),
]


def said(field: str, words: str) -> str:
    return f"{field}: {words}"


def check(reply: Any, field: str, words: str) -> None:
    body = reply.json
    assert (reply.status, body["error"], body["field"]) == (400, "invalid_field", field), body
    assert body["detail"].startswith(said(field, words)), body


@pytest.mark.parametrize(("field", "value", "words"), [*TOO_MUCH, *NAMES, *NEW])
async def test_a_create_beyond_a_limit(world: World, field: str, value: Any, words: str) -> None:
    body = {"title": "t", "content": "c", field: value}
    check(await world.ask("POST", f"{API}/memories", body), field, words)
    assert not world.node.log


@pytest.mark.parametrize(("field", "value", "words"), [*TOO_MUCH, *NAMES])
async def test_an_update_beyond_a_limit(world: World, field: str, value: Any, words: str) -> None:
    made = (await world.store())["id"]
    check(await world.ask("PUT", f"{API}/memories/{made}", {field: value}), field, words)
    assert len(world.node.log) == 1


@pytest.mark.parametrize(
    ("path", "counted"), [("memories/bulk", "created"), ("import", "imported")]
)
async def test_items_beyond_a_limit_are_told_by_place_and_the_others_taken(
    world: World, path: str, counted: str
) -> None:
    rows = [row for row in (*TOO_MUCH, *NAMES, *NEW) if len(str(row[1])) < MIB // 2]
    if counted == "imported":  # it has no on_conflict, and skips what is over already
        rows = [row for row in rows if row[0] != "on_conflict" and row[2] != "lies in the past"]
    items = [{"title": "t", "content": "c", field: value} for field, value, _ in rows]
    for more in ([], [{"title": "good", "content": "c"}]):
        reply = await world.ask("POST", f"{API}/{path}", {"memories": [*items, *more]})
        assert reply.json[counted] == len(more)
        told = reply.json["errors"]
        assert [error["index"] for error in told] == list(range(len(rows)))
        for error, (field, _, words) in zip(told, rows, strict=True):
            assert error["error"].startswith(said(field, words)), error
        assert len(world.node.log) == len(more)


@pytest.mark.parametrize(("field", "value"), ALLOWED)
async def test_what_is_at_a_limit_is_taken(world: World, field: str, value: Any) -> None:
    body = {"title": "t", "content": "c", field: value}
    reply = await world.ask("POST", f"{API}/memories", body)
    assert reply.status == 201, reply.body[:500]
    held = (await world.ask("GET", f"{API}/memories/{reply.json['id']}")).json["memory"]
    if field == "agent_id":
        assert held["metadata"]["agent_id"] == value
    elif field == "tags":
        assert held[field] == list(dict.fromkeys(value))
    elif field == "metadata":
        assert {k: v for k, v in held[field].items() if k != "agent_id"} == value
    elif field != "ttl_secs":
        assert held[field] == value


@pytest.mark.parametrize("name", ["title", "content"])
@pytest.mark.parametrize("body", [{}, {"null": None}])
async def test_title_and_content_are_required(world: World, name: str, body: Any) -> None:
    fields = {"title": "t", "content": "c"}
    del fields[name]
    given = {**fields, **({name: None} if body else {})}
    check(await world.ask("POST", f"{API}/memories", given), name, "is required")


async def test_an_operator_may_tighten_a_limit(start: Started) -> None:
    world = await start(limits=with_limits(title_chars_max=4, tags_max=0, bulk_items_max=1))
    for field, value in (("title", "12345"), ("tags", ["x"])):
        body = {"title": "t", "content": "c", field: value}
        reply = await world.ask("POST", f"{API}/memories", body)
        assert (reply.status, reply.json["field"]) == (400, field)
    items = [{"title": "t", "content": "c"}] * 2
    reply = await world.ask("POST", f"{API}/memories/bulk", items)
    assert reply.status == 413
    assert reply.json["detail"] == "2 items in one request, at most 1 are taken."


@pytest.mark.parametrize("key", ["k" * 129, "a\u00adb", "\u00a0"])
async def test_a_retry_key_beyond_its_limit(world: World, key: str) -> None:
    body = {"title": "t", "content": "c"}
    reply = await world.ask("POST", f"{API}/memories", body, idempotency_key=key)
    assert (reply.status, reply.json["error"]) == (400, "invalid_field")
    assert reply.json["detail"] == "Idempotency-Key: expected 1 to 128 characters"
    assert not world.node.log
    reply = await world.ask("POST", f"{API}/memories", body, idempotency_key="k" * 128)
    assert reply.status == 201
