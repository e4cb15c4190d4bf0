"""Streams, subscriptions, messages and sessions over HTTP, field by field."""

import asyncio
import json
from typing import Any

import pytest

from node.events.names import NAMES
from tests.unit.http.conftest import API, Started, World

STREAM = f"{API}/events/stream"


async def heard(world: World, count: int, path: str = "?cursor=0", agent: str = "") -> list[Any]:
    """The first events of a stream: (id, name, data)."""
    assert world.session is not None
    headers = {"X-Agent-Id": agent} if agent else {}
    url = f"http://127.0.0.1:{world.port}{STREAM}{path}"
    found: list[Any] = []
    async with asyncio.timeout(10), world.session.get(url, headers=headers) as response:
        assert response.status == 200
        fields: dict[str, str] = {}
        while len(found) < count:
            line = (await response.content.readline()).decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                found.append((fields.get("id", ""), fields["event"], json.loads(fields["data"])))
                fields = {}
            else:
                fields = {}
    return found


async def names(world: World, count: int, **more: Any) -> list[str]:
    return [name for _, name, _ in await heard(world, count, **more)]


async def told(world: World, method: str, path: str, body: Any = None, agent: str = "ai:a") -> Any:
    reply = await world.ask(method, f"{API}{path}", body, x_agent_id=agent)
    assert reply.status < 300, reply.body
    return reply.json


# --- streams ------------------------------------------------------------------------


async def test_a_stream_tells_what_is_done_to_memories_and_links(world: World) -> None:
    one = (await world.store("one", agent="ai:a"))["id"]
    two = (await world.store("two", agent="ai:a", namespace="team"))["id"]
    await told(world, "PUT", f"/memories/{one}", {"content": "x", "tags": ["t"]})
    await told(world, "POST", f"/memories/{two}/promote", {})
    await told(world, "POST", "/links", {"source_id": one, "target_id": two})
    await told(world, "PUT", f"/memories/{two}", {"namespace": "other"})
    three = (await world.store("three", agent="ai:a"))["id"]
    await told(world, "DELETE", f"/memories/{three}")
    events = await heard(world, 8)
    assert [name for _, name, _ in events] == [
        "memory_store",
        "memory_store",
        "memory_update",
        "memory_promote",
        "memory_link_created",
        "memory_moved",
        "memory_store",
        "memory_delete",
    ]
    first = events[0][2]
    assert {k: first[k] for k in ("event", "memory_id", "namespace", "agent_id", "owner")} == {
        "event": "memory_store",
        "memory_id": one,
        "namespace": "global",
        "agent_id": "ai:a",
        "owner": "ai:a",
    }
    assert events[2][2]["fields"] == ["content", "tags"]
    assert (events[4][2]["source_id"], events[4][2]["target_id"]) == (one, two)
    assert events[4][2]["relation"] == "related_to"
    assert (events[5][2]["from_namespace"], events[5][2]["namespace"]) == ("team", "other")
    assert "Some content" not in json.dumps(events)


async def test_a_client_goes_on_behind_the_event_it_had_last(world: World) -> None:
    made = [(await world.store(f"m{n}"))["id"] for n in range(4)]
    events = await heard(world, 4)
    again = await heard(world, 2, path=f"?cursor={events[1][0]}")
    assert [data["memory_id"] for _, _, data in again] == made[2:]
    assert again == events[2:]


async def test_a_client_that_goes_on_behind_a_move_hears_no_half_of_it(world: World) -> None:
    ident = (await world.store("m", agent="ai:a"))["id"]
    await told(world, "PUT", f"/memories/{ident}", {"namespace": "other"})
    await world.store("last")
    events = await heard(world, 3)
    assert await names(world, 1, path=f"?cursor={events[1][0]}") == ["memory_store"]


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [("elsewhere-1-0", "store_replaced"), ("nonsense", "unreadable_place"),
     ("5702e1d0-99-0", "store_replaced"), ("5702e1d0--1-0", "store_replaced"),
     ("5702e1d0-1-" + "9" * 40, "unreadable_place")],
)  # fmt: skip
async def test_a_place_that_means_nothing_here_is_told(
    world: World, cursor: str, reason: str
) -> None:
    await world.store("m")
    ((ident, name, data),) = await heard(world, 1, path=f"?cursor={cursor}")
    assert (name, data["reason"], data["cursor"]) == ("reset", reason, ident)


async def test_what_the_log_no_longer_has_is_told_and_the_rest_follows(world: World) -> None:
    made = [(await world.store(f"m{n}"))["id"] for n in range(4)]
    place = (await heard(world, 1))[0][0]
    world.node.truncated = 3
    events = await heard(world, 2, path=f"?cursor={place}")
    assert (events[0][1], events[0][2]["reason"]) == ("reset", "log_truncated")
    assert events[1][2]["memory_id"] == made[3]
    assert (await heard(world, 1, path=f"?cursor={events[0][0]}"))[0] == events[1]


async def test_filters_narrow_by_name_and_by_namespace(world: World) -> None:
    one = (await world.store("one", agent="ai:a", namespace="team"))["id"]
    await world.store("two", namespace="team/sub")
    await told(world, "DELETE", f"/memories/{one}")
    await world.store("three")
    assert await names(world, 2, path="?cursor=0&namespace=team") == [
        "memory_store",
        "memory_delete",
    ]
    assert await names(world, 1, path="?cursor=0&events=memory_deleted") == ["memory_delete"]
    reply = await world.ask("GET", f"{STREAM}?events=memory_store,nonsense")
    assert (reply.status, reply.json["field"]) == (400, "events")
    assert all(name in reply.json["detail"] for name in NAMES)


@pytest.mark.parametrize("share_private", [False, True], ids=["own lane", "shared lane"])
async def test_what_is_private_is_told_to_who_may_see_it(
    start: Started, *, share_private: bool
) -> None:
    world: World = await start(share_private=share_private)
    secret = (await world.store("s", agent="ai:a", scope="private"))["id"]
    gone = (await world.store("g", agent="ai:a", scope="private"))["id"]
    await told(world, "PUT", f"/memories/{secret}", {"content": "x"})
    await told(world, "POST", f"/memories/{secret}/grant", {"agent_id": "ai:b"})
    await told(world, "DELETE", f"/memories/{gone}")
    last = (await world.store("open", agent="ai:c"))["id"]
    mine = await heard(world, 6, agent="ai:a")
    assert [n for _, n, _ in mine][:2] == ["memory_store"] * 2
    for agent in ("ai:eve", ""):
        ((_, _, data),) = await heard(world, 1, agent=agent)
        assert data["memory_id"] == last
    let_in = await heard(world, 4, agent="ai:b")
    assert {data["memory_id"] for _, _, data in let_in} == {secret, last}


async def test_sharing_a_memory_does_not_publish_what_was_done_before(start: Started) -> None:
    world: World = await start(share_private=True)
    ident = (await world.store("s", agent="ai:a", scope="private"))["id"]
    await told(world, "PUT", f"/memories/{ident}", {"content": "x"})
    await told(world, "PUT", f"/memories/{ident}", {"scope": "team"})
    await told(world, "PUT", f"/memories/{ident}", {"title": "y"})
    await told(world, "DELETE", f"/memories/{ident}")
    events = await heard(world, 3, agent="ai:eve")
    assert [(n, d.get("fields")) for _, n, d in events] == [
        ("memory_update", ["scope"]),
        ("memory_update", ["title"]),
        ("memory_delete", None),
    ]


async def test_without_a_place_a_stream_begins_now(world: World) -> None:
    await world.store("before")
    assert world.session is not None
    url = f"http://127.0.0.1:{world.port}{STREAM}"
    async with asyncio.timeout(10), world.session.get(url) as response:
        assert (await response.content.readline()).startswith(b"retry: ")
        await response.content.readline()
        place = (await response.content.readline()).decode().strip().partition(": ")[2]
    await world.store("after")
    ((_, name, data),) = await heard(world, 1, path=f"?cursor={place}")
    assert (name, data["memory_id"]) == ("memory_store", world.node.log[-1].id)


# --- subscriptions --------------------------------------------------------------------

HOOK = "https://hooks.example.org/T0/B1?token=x"


async def test_a_subscription_field_by_field(world: World) -> None:
    body = {"url": HOOK, "events": ["memory_store"], "secret": "hush", "namespace": "team"}
    reply = await world.ask("POST", f"{API}/subscriptions", body, x_agent_id="ai:a")
    assert reply.status == 201
    made = reply.json
    assert made["quorum_acks"] == 2
    assert made["durability"]["local"] is True
    shown = {name: made[name] for name in ("url", "events", "namespace", "agent_id")}
    assert shown == {"url": HOOK, "events": ["memory_store"], "namespace": "team",
                     "agent_id": "ai:a"}  # fmt: skip
    listed = (await world.ask("GET", f"{API}/subscriptions", x_agent_id="ai:a")).json
    assert listed["count"] == 1
    (one,) = listed["subscriptions"]
    assert set(one) >= {"id", "url", "events", "namespace", "agent_id", "created_at",
                        "dispatch_count", "failure_count"}  # fmt: skip
    assert (one["id"], one["dispatch_count"], one["failure_count"]) == (made["id"], 0, 0)
    assert b"hush" not in reply.body
    assert "hush" not in json.dumps(listed)


async def test_all_of_it_is_optional(world: World) -> None:
    made = await told(world, "POST", "/subscriptions", {"agent_id": "ai:z"}, agent="")
    assert (made["url"], made["events"], made["namespace"]) == ("", "*", "")
    assert made["agent_id"] == "ai:z"


@pytest.mark.parametrize("given", ["*", "memory_store, memory_delete", ["*"], ["memory_created"]])
async def test_events_come_back_as_they_were_given(world: World, given: Any) -> None:
    made = await told(world, "POST", "/subscriptions", {"events": given})
    assert made["events"] == given


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"events": ["nonsense"]}, "events"), ({"events": 7}, "events"),
        ({"events": [7]}, "events"), ({"events": "memory_store,x"}, "events"),
        ({"url": 7}, "url"), ({"url": "http://127.0.0.1/"}, "url"),
        ({"url": "http://2130706433/"}, "url"), ({"url": "ftp://example.org/"}, "url"),
        ({"url": "http://u:p@example.org/"}, "url"), ({"secret": 7}, "secret"),
        ({"secret": "x" * 513}, "secret"), ({"namespace": "a//b"}, "namespace"),
        ({"agent_id": "a b"}, "agent_id"),
    ],
)  # fmt: skip
async def test_bad_subscriptions_change_nothing(world: World, body: Any, field: str) -> None:
    reply = await world.ask("POST", f"{API}/subscriptions", body)
    assert (reply.status, reply.json["error"], reply.json["field"]) == (400, "invalid_field", field)
    assert world.node.log == []


async def test_others_see_that_there_is_one_and_not_where_it_leads(world: World) -> None:
    await told(world, "POST", "/subscriptions", {"url": HOOK})
    for agent in ("ai:eve", ""):
        reply = await world.ask("GET", f"{API}/subscriptions", x_agent_id=agent)
        assert reply.json["subscriptions"][0]["url"] == "https://hooks.example.org/..."
    world.administrators = frozenset(["ops"])
    reply = await world.ask("GET", f"{API}/subscriptions", x_agent_id="ops")
    assert reply.json["subscriptions"][0]["url"] == HOOK


async def test_subscriptions_are_ended_by_id_or_by_agent_and_namespace(world: World) -> None:
    ids = [
        (await told(world, "POST", "/subscriptions", {"namespace": space}))["id"]
        for space in ("one", "two", "three", "three")
    ]
    assert (await told(world, "DELETE", f"/subscriptions/{ids[0]}"))["deleted"] is True
    assert (await told(world, "DELETE", f"/subscriptions?id={ids[1]}"))["deleted"] is True
    path = f"{API}/subscriptions?agent_id=ai:a&namespace=three"
    reply = await world.ask("DELETE", path)
    assert (reply.status, reply.json["count"]) == (200, 2)
    assert (await told(world, "GET", "/subscriptions"))["count"] == 0
    assert (await world.ask("DELETE", path)).status == 404
    assert (await world.ask("DELETE", f"{API}/subscriptions/{ids[0]}")).status == 404
    assert (await world.ask("DELETE", f"{API}/subscriptions")).json["field"] == "id"


async def test_nobody_ends_the_subscriptions_of_another(world: World) -> None:
    ident = (await told(world, "POST", "/subscriptions", {}))["id"]
    for path in (f"/{ident}", f"?id={ident}", "?agent_id=ai:a"):
        reply = await world.ask("DELETE", f"{API}/subscriptions{path}", x_agent_id="ai:eve")
        assert (reply.status, reply.json["error"]) == (403, "owner_only"), path
    assert (await told(world, "GET", "/subscriptions"))["count"] == 1


async def test_callers_without_a_name_share_theirs(world: World) -> None:
    reply = await world.ask("POST", f"{API}/subscriptions", {"url": HOOK})
    assert reply.json["agent_id"].startswith("anonymous:")
    listed = (await world.ask("GET", f"{API}/subscriptions")).json["subscriptions"]
    assert [one["url"] for one in listed] == [HOOK]
    ident = reply.json["id"]
    assert (await world.ask("DELETE", f"{API}/subscriptions/{ident}")).status == 200


async def test_a_retry_subscribes_once(world: World) -> None:
    answers = [
        await world.ask("POST", f"{API}/subscriptions", {"url": HOOK}, x_agent_id="ai:a",
                        idempotency_key="k")
        for _ in range(2)
    ]  # fmt: skip
    assert [reply.status for reply in answers] == [201, 201]
    assert answers[0].json["id"] == answers[1].json["id"]
    assert (await told(world, "GET", "/subscriptions"))["count"] == 1


# --- messages -------------------------------------------------------------------------

NOTE = {"target_agent_id": "ai:b", "title": "Hello", "content": "Read this", "priority": 8}


async def test_a_message_field_by_field(world: World) -> None:
    reply = await world.ask("POST", f"{API}/notify", NOTE, x_agent_id="ai:a")
    assert reply.status == 201
    assert reply.json["quorum_acks"] == 2
    body = (await world.ask("GET", f"{API}/inbox?agent_id=ai:b", x_agent_id="ai:b")).json
    assert body["count"] == 1
    (one,) = body["messages"]
    assert one["id"] == reply.json["id"]
    wanted = {"from": "ai:a", "to": "ai:b", "title": "Hello", "subject": "Hello",
              "payload": "Read this", "body": "Read this", "priority": 8, "tier": "mid",
              "read": False}  # fmt: skip
    assert {name: one[name] for name in wanted} == wanted
    assert one["created_at"].endswith("Z")
    assert one["received_at"].endswith("Z")


async def test_the_other_names_of_its_fields_mean_the_same(world: World) -> None:
    await told(world, "POST", "/notify", {"to": "ai:b", "subject": "S", "body": "B"})
    (one,) = (await told(world, "GET", "/inbox", agent="ai:b"))["messages"]
    assert (one["title"], one["payload"], one["priority"]) == ("S", "B", 5)


async def test_a_message_is_for_its_addressee_alone(world: World) -> None:
    await told(world, "POST", "/notify", NOTE)
    world.administrators = frozenset(["ops"])
    for agent in ("ai:a", "ai:eve", "ops"):
        for query in ("", "?agent_id=ai:b", f"?agent_id={agent}"):
            assert (await told(world, "GET", f"/inbox{query}", agent=agent))["count"] == 0
    assert (await world.ask("GET", f"{API}/inbox")).json["count"] == 0
    ident = (await told(world, "GET", "/inbox", agent="ai:b"))["messages"][0]["id"]
    for path in (f"/memories/{ident}", f"/memories/{ident}/history", f"/links/{ident}"):
        for agent in ("ai:a", "ai:b", "ai:eve"):
            assert (await world.ask("GET", API + path, x_agent_id=agent)).status == 404
    for path in ("/export", "/memories", "/stats"):
        assert b"Read this" not in (await world.ask("GET", API + path, x_agent_id="ai:b")).body
    await world.store("open")
    assert await names(world, 2, agent="ai:b") == ["message_received", "memory_store"]
    for agent in ("ai:a", "ai:eve", ""):
        assert await names(world, 1, agent=agent) == ["memory_store"]


async def test_an_inbox_has_the_latest_first_and_knows_what_was_read(world: World) -> None:
    for n in range(3):
        world.node.clock.ms += 1
        await told(world, "POST", "/notify", {**NOTE, "title": f"n{n}"})
    box = await told(world, "GET", "/inbox?limit=2", agent="ai:b")
    assert [one["title"] for one in box["messages"]] == ["n2", "n1"]
    before = len(world.node.log)
    await told(world, "GET", "/inbox?unread_only=true", agent="ai:b")
    assert len(world.node.log) == before, "looking marks nothing"
    first = box["messages"][0]["id"]
    assert (await told(world, "POST", "/inbox/read", {"ids": [first]}, "ai:b"))["marked"] == 1
    assert (await told(world, "POST", "/inbox/read", {"ids": [first]}, "ai:b"))["marked"] == 0
    box = await told(world, "GET", "/inbox?unread_only=true", agent="ai:b")
    assert [one["title"] for one in box["messages"]] == ["n1", "n0"]
    shown = await told(world, "GET", "/inbox?mark_read=true&limit=1", agent="ai:b")
    assert (shown["messages"][0]["title"], shown["count"]) == ("n2", 1)
    shown = await told(world, "GET", "/inbox?mark_read=true&unread_only=1", agent="ai:b")
    assert (shown["marked"], shown["quorum_acks"]) == (2, 2)
    assert (await told(world, "GET", "/inbox?unread_only=true", agent="ai:b"))["count"] == 0
    assert {one["read"] for one in (await told(world, "GET", "/inbox", agent="ai:b"))["messages"]}
    reply = await world.ask("POST", f"{API}/inbox/read", {"ids": [first]}, x_agent_id="ai:eve")
    assert reply.status == 404


async def test_a_message_ends_with_its_tier(world: World) -> None:
    for tier in ("short", "mid", "long"):
        await told(world, "POST", "/notify", {**NOTE, "title": tier, "tier": tier})
    world.node.clock.ms += 7 * 3_600_000
    box = await told(world, "GET", "/inbox", agent="ai:b")
    assert {one["title"] for one in box["messages"]} == {"mid", "long"}
    world.node.clock.ms += 7 * 86_400_000
    box = await told(world, "GET", "/inbox", agent="ai:b")
    assert {one["title"] for one in box["messages"]} == {"long"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"target_agent_id": None}, "target_agent_id"), ({"target_agent_id": "a b"},
         "target_agent_id"), ({"target_agent_id": 7}, "target_agent_id"),
        ({"title": None}, "title"), ({"title": "x" * 513}, "title"),
        ({"content": None}, "content"), ({"content": ""}, "content"), ({"content": 7}, "content"),
        ({"content": "x" * (1024 * 1024 + 1)}, "content"), ({"priority": 11}, "priority"),
        ({"priority": "high"}, "priority"), ({"tier": "eternal"}, "tier"),
        ({"title": None, "subject": 7}, "subject"), ({"content": None, "body": ""}, "body"),
        ({"target_agent_id": None, "to": "a/../b"}, "to"), ({"namespace": "a//b"}, "namespace"),
    ],
)  # fmt: skip
async def test_bad_messages_are_not_sent(world: World, change: Any, field: str) -> None:
    reply = await world.ask("POST", f"{API}/notify", {**NOTE, **change}, x_agent_id="ai:a")
    assert (reply.status, reply.json["field"]) == (400, field), reply.body
    assert world.node.log == []


@pytest.mark.parametrize("query", ["limit=x", "unread_only=maybe", "mark_read=2", "agent_id=a b"])
async def test_bad_questions_about_an_inbox_are_400(world: World, query: str) -> None:
    reply = await world.ask("GET", f"{API}/inbox?{query.replace(' ', '%20')}", x_agent_id="ai:b")
    assert (reply.status, reply.json["field"]) == (400, query.partition("=")[0])


async def test_a_retry_sends_once(world: World) -> None:
    answers = [
        await world.ask("POST", f"{API}/notify", NOTE, x_agent_id="ai:a", idempotency_key="k")
        for _ in range(2)
    ]
    assert answers[0].json["id"] == answers[1].json["id"]
    assert (await told(world, "GET", "/inbox", agent="ai:b"))["count"] == 1


# --- sessions -------------------------------------------------------------------------


async def test_a_session_has_a_name_and_the_newest_memories(world: World) -> None:
    for n in range(3):
        world.node.clock.ms += 1
        await world.store(f"m{n}", namespace="team")
    await world.store("elsewhere")
    await world.store("hidden", namespace="team", scope="private")
    before = len(world.node.log)
    body = {"agent_id": "ai:b", "namespace": "team"}
    reply = await world.ask("POST", f"{API}/session/start", body)
    assert reply.status == 201
    assert len(reply.json["session_id"]) == 36
    assert [one["title"] for one in reply.json["memories"]] == ["m2", "m1", "m0"]
    assert len(world.node.log) == before
    again = await world.ask("POST", f"{API}/session/start", {**body, "limit": 1})
    assert again.json["session_id"] != reply.json["session_id"]
    assert again.json["count"] == 1
    for bad, field in (({"limit": "3"}, "limit"), ({"namespace": "a//b"}, "namespace")):
        reply = await world.ask("POST", f"{API}/session/start", bad)
        assert (reply.status, reply.json["field"]) == (400, field)
