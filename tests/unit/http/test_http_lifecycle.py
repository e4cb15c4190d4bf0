"""The archive as clients meet it: into it, out of it, its lists and figures, and its end."""

from typing import Any

import pytest

from tests.unit.http.conftest import API, Reply, Started, World

ALICE, BOB, EVE, ROOT = "ai:alice", "ai:bob", "ai:eve", "ai:root"
DAY_MS = 86_400_000


async def ask(world: World, method: str, path: str, body: Any = None, agent: str = ALICE) -> Reply:
    return await world.ask(method, f"{API}{path}", body, x_agent_id=agent)


async def archived(world: World, agent: str = ALICE, query: str = "") -> list[dict[str, Any]]:
    reply = await ask(world, "GET", f"/archive{query}", agent=agent)
    assert reply.status == 200, reply.body
    rows: list[dict[str, Any]] = reply.json["memories"]
    assert reply.json["count"] == len(rows)
    return rows


async def test_a_memory_goes_into_the_archive_and_comes_back_as_it_was(world: World) -> None:
    made = (await world.store("kept", tier="short", ttl_secs=3600, tags=["a"]))["id"]
    before = (await ask(world, "GET", f"/memories/{made}")).json["memory"]
    reply = await ask(world, "POST", f"/archive/{made}", {"reason": "old news"})
    assert (reply.status, reply.json["archived"], reply.json["quorum_acks"]) == (200, True, 2)
    assert (await ask(world, "GET", f"/memories/{made}")).status == 404
    assert (await ask(world, "GET", "/memories")).json["count"] == 0
    (row,) = await archived(world)
    assert row["archive_reason"] == "old news"
    assert (row["original_tier"], row["original_expires_at"]) == ("short", before["expires_at"])
    assert "expires_at" not in row
    assert row["archived_at"].endswith("Z")
    world.node.clock.ms += 1000
    reply = await ask(world, "POST", f"/archive/{made[:8]}/restore")
    assert (reply.status, reply.json["restored"]) == (200, True)
    after = (await ask(world, "GET", f"/memories/{made}")).json["memory"]
    dull = {"version", "updated_at", "access_count", "last_accessed_at"}
    assert {k: v for k, v in after.items() if k not in dull} == {
        k: v for k, v in before.items() if k not in dull
    }
    assert await archived(world) == []
    assert (await ask(world, "POST", f"/archive/{made}/restore")).status == 404


async def test_an_archived_life_does_not_run_out_and_one_that_is_over_begins_anew(
    world: World,
) -> None:
    made = (await world.store("kept", tier="mid", ttl_secs=60))["id"]
    await ask(world, "POST", f"/archive/{made}")
    world.node.clock.ms += 30 * DAY_MS
    assert len(await archived(world)) == 1
    assert (await ask(world, "POST", f"/archive/{made}/restore")).status == 200
    memory = (await ask(world, "GET", f"/memories/{made}")).json["memory"]
    assert memory["tier"] == "mid"
    world.node.clock.ms += 6 * DAY_MS
    assert (await ask(world, "GET", f"/memories/{made}")).status == 200
    world.node.clock.ms += 2 * DAY_MS
    assert (await ask(world, "GET", f"/memories/{made}")).status == 404


async def test_the_last_archived_comes_first_and_filters_narrow(world: World) -> None:
    ids = [(await world.store(f"m{n}", namespace=f"n{n % 2}"))["id"] for n in range(4)]
    for ident in ids:
        world.node.clock.ms += 10
        await ask(world, "POST", f"/archive/{ident}")
    assert [row["id"] for row in await archived(world)] == ids[::-1]
    assert [row["id"] for row in await archived(world, query="?limit=1&offset=1")] == [ids[2]]
    assert [row["id"] for row in await archived(world, query="?namespace=n0")] == [ids[2], ids[0]]
    stats = (await ask(world, "GET", "/archive/stats")).json
    spaces = sorted((one["namespace"], one["count"]) for one in stats["by_namespace"])
    assert (stats["total"], spaces) == (4, [("n0", 2), ("n1", 2)])
    assert (await ask(world, "GET", "/stats")).json["total"] == 0


async def test_several_are_archived_in_one_write_and_one_there_already_counts(
    world: World,
) -> None:
    one, two = [(await world.store(name))["id"] for name in ("one", "two")]
    await ask(world, "POST", f"/archive/{one}")
    ops = len(world.node.log)
    body = {"ids": [one, two, "no-such-id", two], "reason": "tidy"}
    reply = await ask(world, "POST", "/archive", body)
    assert (reply.json["archived"], reply.json["missing"]) == (2, ["no-such-id"])
    assert len(world.node.log) == ops + 1
    reply = await ask(world, "POST", "/archive", body)
    assert (reply.json["archived"], len(world.node.log)) == (2, ops + 1)
    assert {row["archive_reason"] for row in await archived(world)} == {"archived", "tidy"}


async def test_an_id_in_the_archive_is_taken(world: World) -> None:
    await world.store("mine", id="known-id")
    await ask(world, "POST", "/archive/known-id")
    new = {"title": "t", "content": "c", "id": "known-id"}
    reply = await ask(world, "POST", "/memories", new)
    assert (reply.status, reply.json["error"]) == (409, "conflict")
    reply = await ask(world, "POST", "/memories/bulk", [new])
    assert reply.status == 400
    assert (await ask(world, "POST", "/import", {"memories": [new]})).json["skipped"] == 1
    assert (await ask(world, "PUT", "/memories/known-id", {"title": "x"})).status == 404
    assert (await ask(world, "DELETE", "/memories/known-id")).status == 404


async def test_a_promotion_restores(world: World) -> None:
    made = (await world.store("kept", tier="short"))["id"]
    await ask(world, "POST", f"/archive/{made}")
    reply = await ask(world, "POST", f"/memories/{made}/promote", {"to_namespace": "kept/here"})
    assert (reply.status, reply.json["promoted"]) == (200, True)
    memory = (await ask(world, "GET", f"/memories/{made}")).json["memory"]
    assert (memory["tier"], memory["namespace"]) == ("long", "kept/here")
    assert "expires_at" not in memory
    assert await archived(world) == []


@pytest.mark.parametrize("shared", [False, True])
async def test_what_is_private_to_others_is_in_no_archive_for_anybody_else(
    start: Started, *, shared: bool
) -> None:
    world: World = await start(share_private=shared)
    world.administrators = frozenset([ROOT])
    made = (await world.store("hushed", scope="private", namespace="hushed"))["id"]
    path = f"/memories/{made}/grant"
    assert (await ask(world, "POST", path, {"agent_id": BOB})).status == 200
    for way in (f"/archive/{made}", f"/memories/{made}/forget"):
        assert (await ask(world, "POST", way, agent=EVE)).status == 404
        assert (await ask(world, "POST", way, agent=BOB)).json["error"] == "owner_only"
    assert (await ask(world, "POST", "/archive", {"ids": [made]}, EVE)).json["archived"] == 0
    assert (await ask(world, "POST", f"/archive/{made}")).status == 200
    for agent, seen in ((ALICE, 1), (BOB, 1), (EVE, 0), ("ai:nobody", 0)):
        assert len(await archived(world, agent)) == seen
        assert (await ask(world, "GET", "/archive/stats", agent=agent)).json["total"] == seen
    for way in ("POST", f"/archive/{made}/restore"), ("DELETE", f"/archive/{made}"):
        assert (await ask(world, *way, agent=EVE)).status == 404
        assert (await ask(world, *way, agent=BOB)).status == 403
    assert (await ask(world, "DELETE", "/archive", agent=EVE)).json["purged"] == 0
    assert (await ask(world, "DELETE", "/archive", agent=BOB)).json["purged"] == 0
    assert (await ask(world, "POST", f"/archive/{made}/restore", agent=ROOT)).status == 200
    assert (await ask(world, "GET", f"/memories/{made}")).status == 200


async def test_an_archive_is_purged_by_age_or_whole_or_one_by_one(world: World) -> None:
    ids = [(await world.store(f"m{n}"))["id"] for n in range(4)]
    for ident in ids:
        await ask(world, "POST", f"/archive/{ident}")
        world.node.clock.ms += DAY_MS
    reply = await ask(world, "DELETE", "/archive?older_than_days=3")
    assert (reply.status, reply.json["purged"]) == (200, 1)
    assert [row["id"] for row in await archived(world)] == ids[:0:-1]
    assert (await ask(world, "DELETE", f"/archive/{ids[1]}")).json["purged"] == 1
    assert (await ask(world, "DELETE", f"/archive/{ids[1]}")).status == 404
    live = (await world.store("shown"))["id"]
    assert (await ask(world, "DELETE", f"/archive/{live}")).status == 404
    assert (await ask(world, "DELETE", "/archive")).json["purged"] == 2
    assert (await ask(world, "DELETE", "/archive")).json["purged"] == 0
    assert (await ask(world, "GET", f"/memories/{live}")).status == 200


BAD = [
    ("POST", "/archive", {}, "ids"),
    ("POST", "/archive", {"ids": []}, "ids"),
    ("POST", "/archive", {"ids": [7]}, "ids"),
    ("POST", "/archive", {"ids": ["a"], "reason": 7}, "reason"),
    ("POST", "/archive", {"ids": ["a"], "reason": "x" * 513}, "reason"),
    ("POST", "/archive/x", {"reason": ""}, "reason"),
    ("GET", "/archive?limit=many", None, "limit"),
    ("GET", "/archive?offset=-1", None, "offset"),
    ("GET", "/archive?namespace=a//b", None, "namespace"),
    ("DELETE", "/archive?older_than_days=soon", None, "older_than_days"),
    ("DELETE", "/archive?older_than_days=1.5", None, "older_than_days"),
    ("POST", "/memories/x/forget", {"erase": 7}, "erase"),
    ("POST", "/gc", {"dry_run": "perhaps"}, "dry_run"),
    ("POST", "/forget", {}, "ids"),
    ("POST", "/forget", {"ids": []}, "ids"),
    ("POST", "/forget", {"namespace": ""}, "namespace"),
    ("POST", "/forget", {"tier": "huge"}, "tier"),
    ("POST", "/forget", {"agent_id": "a b"}, "agent_id"),
    ("POST", "/forget", {"pattern": ""}, "pattern"),
    ("POST", "/forget", {"pattern": ["x"]}, "pattern"),
    ("POST", "/forget", {"patern": "x"}, "ids"),
    ("POST", "/consolidate", {}, "ids"),
    ("POST", "/consolidate", {"ids": ["only-one"]}, "ids"),
    ("POST", "/check_duplicate", {}, "content"),
    ("POST", "/check_duplicate", {"content": ""}, "content"),
    ("POST", "/check_duplicate", {"content": "c", "threshold": 2}, "threshold"),
    ("POST", "/check_duplicate", {"content": "c", "limit": 0}, "limit"),
    ("GET", "/contradictions?namespace=a//b", None, "namespace"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), BAD)
async def test_bad_input_names_the_field_and_changes_nothing(
    world: World, method: str, path: str, body: Any, field: str
) -> None:
    await world.store("there", id="x")
    ops = len(world.node.log)
    reply = await ask(world, method, path, body)
    assert (reply.status, reply.json["field"]) == (400, field), reply.body
    assert reply.json["detail"]
    assert len(world.node.log) == ops


async def test_a_retry_is_answered_as_the_first_time(world: World) -> None:
    ids = [(await world.store(f"m{n}"))["id"] for n in range(3)]
    ways: list[tuple[str, str, Any]] = [
        ("POST", f"/archive/{ids[0]}", None),
        ("POST", f"/archive/{ids[0]}/restore", None),
        ("POST", "/archive", {"ids": ids}),
        ("DELETE", f"/archive/{ids[0]}", None),
        ("DELETE", "/archive", None),
    ]
    for number, (method, path, body) in enumerate(ways):
        sent = {"x_agent_id": ALICE, "idempotency_key": f"k{number}"}
        first = await world.ask(method, f"{API}{path}", body, **sent)
        ops = len(world.node.log)
        again = await world.ask(method, f"{API}{path}", body, **sent)
        assert (first.status, again.status) == (200, 200), again.body
        dull = ("durability", "memory")
        told = [{k: v for k, v in r.json.items() if k not in dull} for r in (first, again)]
        assert told[0] == told[1]
        assert len(world.node.log) == ops


async def test_a_deletion_archives_where_that_is_set(start: Started) -> None:
    world: World = await start(archive_on_delete=True)
    made = (await world.store("kept"))["id"]
    reply = await ask(world, "DELETE", f"/memories/{made}")
    assert (reply.status, reply.json["deleted"]) == (200, True)
    (row,) = await archived(world)
    assert (row["id"], row["archive_reason"]) == (made, "deleted")
    world.node.refused = {"global": "denied: only the owner"}
    other = (await world.store("other"))["id"]
    assert (await ask(world, "DELETE", f"/memories/{other}", agent=EVE)).status == 403


async def test_who_asks_for_an_archived_memory_is_told_where_it_is(world: World) -> None:
    made = (await world.store("kept"))["id"]
    hidden = (await world.store("secret", scope="private", agent_id=BOB))["id"]
    await ask(world, "POST", f"/archive/{made}")
    await ask(world, "POST", f"/archive/{hidden}", agent=BOB)
    told = (await ask(world, "GET", f"/memories/{made}")).json["detail"]
    assert told == "no memory has this id: it lies in the archive. Restore it to read it."
    told = (await ask(world, "GET", f"/memories/{hidden}")).json["detail"]
    assert told == "no memory has this id."
