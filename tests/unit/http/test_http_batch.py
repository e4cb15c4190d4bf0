import orjson

from tests.unit.http.conftest import API, World

BULK = f"{API}/memories/bulk"
IMPORT = f"{API}/import"


def item(title: str = "t", **fields: object) -> dict[str, object]:
    return {"title": title, "content": "c", **fields}


async def test_bulk_is_one_write(world: World) -> None:
    reply = await world.ask("POST", BULK, [item("a"), item("b")], x_agent_id="ai:alice")
    assert reply.status == 201
    got = reply.json
    assert (got["created"], got["errors"], got["pending"]) == (2, [], [])
    assert len(set(got["ids"])) == 2
    assert got["quorum_acks"] == 2
    assert got["durability"]["dot"].endswith(":2")
    assert len(world.node.actions) == 1


async def test_bad_items_are_told_by_place(world: World) -> None:
    items = [item(id="x-1"), {"title": "no content"}, 7, item(id="x-1"), item(tier="huge")]
    reply = await world.ask("POST", BULK, items)
    assert reply.status == 207
    assert [error["index"] for error in reply.json["errors"]] == [1, 2, 3, 4]
    assert reply.json["ids"] == ["x-1"]
    assert len(world.node.log) == 1
    reply = await world.ask("POST", BULK, [7])
    assert (reply.status, reply.json["created"]) == (400, 0)
    assert (await world.ask("POST", BULK, {"memories": 5})).status == 400
    assert (await world.ask("POST", BULK, [])).json["created"] == 0


async def test_bulk_shortfall_tells_the_ids(world: World) -> None:
    world.node.acks = 1
    reply = await world.ask("POST", BULK, [item(), item()])
    assert (reply.status, reply.json["error"]) == (503, "quorum_not_met")
    assert len(reply.json["ids"]) == reply.json["created"] == 2


async def test_bulk_pending_is_told_by_place(world: World) -> None:
    world.node.pending_id = "p-1"
    got = (await world.ask("POST", BULK, [item(), item()])).json
    assert got["created"] == 0
    assert got["pending"] == [{"index": n, "pending_id": "p-1"} for n in (0, 1)]


async def test_bulk_knows_on_conflict(world: World) -> None:
    made = await world.store("Tea")
    items = [item("Tea", on_conflict="update"), item("Tea", on_conflict="error"), item("Tea")]
    reply = await world.ask("POST", BULK, items)
    assert reply.status == 207
    assert reply.json["ids"][0] == made["id"]
    assert [error["index"] for error in reply.json["errors"]] == [1]
    items = [item("New", on_conflict=wish) for wish in ("update", "update", "error")]
    reply = await world.ask("POST", BULK, items)
    assert reply.json["created"] == 1
    assert [error["index"] for error in reply.json["errors"]] == [1, 2]


async def test_bulk_items_may_name_their_author(world: World) -> None:
    got = await world.ask("POST", BULK, [item(agent_id="ai:x"), item()], x_agent_id="ai:alice")
    owners = []
    for name in got.json["ids"]:
        record = (await world.ask("GET", f"{API}/memories/{name}")).json["memory"]
        owners.append(record["metadata"]["agent_id"])
    assert owners == ["ai:x", "ai:alice"]


async def test_export_is_what_import_takes(world: World) -> None:
    await world.store("Tea", tags=["a"], namespace="x", metadata={"k": 1}, tier="long")
    world.node.clock.ms += 5000
    await world.store("Mate", priority=2)
    reply = await world.ask("GET", f"{API}/export")
    assert reply.headers["Transfer-Encoding"] == "chunked"
    exported = orjson.loads(reply.body)
    assert exported["count"] == len(exported["memories"]) == 2
    assert exported["exported_at"].endswith("Z")
    assert exported["links"] == []
    for memory in exported["memories"]:
        await world.ask("DELETE", f"{API}/memories/{memory['id']}")
    world.node.clock.ms += 60_000
    reply = await world.ask("POST", IMPORT, exported, x_agent_id="ai:bob")
    assert reply.status == 200
    assert (reply.json["imported"], reply.json["skipped"], reply.json["errors"]) == (2, 0, [])
    again = orjson.loads((await world.ask("GET", f"{API}/export")).body)["memories"]
    by_id = {memory["id"]: memory for memory in again}
    for memory in exported["memories"]:
        after = by_id[memory["id"]]
        for name in ("title", "content", "tags", "namespace", "tier", "created_at", "priority"):
            assert after[name] == memory[name], name
        assert after["metadata"]["agent_id"] == "ai:bob"
        assert after["metadata"]["imported_from_agent_id"] == "ai:alice"
    reply = await world.ask("POST", IMPORT, exported, x_agent_id="ai:bob")
    assert (reply.json["imported"], reply.json["skipped"]) == (0, 2)


async def test_trust_is_for_administrators(world: World) -> None:
    world.administrators = frozenset(["ai:root"])
    body = {"memories": [item(id="mine-1", metadata={"agent_id": "ai:x"})]}
    path = f"{IMPORT}?trust_source=true"
    reply = await world.ask("POST", path, body, x_agent_id="ai:alice")
    assert (reply.status, reply.json["error"]) == (403, "administrators_only")
    assert not world.node.log
    assert (await world.ask("POST", path, body, x_agent_id="ai:root")).json["imported"] == 1
    record = (await world.ask("GET", f"{API}/memories/mine-1")).json["memory"]
    assert record["metadata"] == {"agent_id": "ai:x"}


async def test_import_reports_what_it_cannot_take(world: World) -> None:
    body = [
        item(id="ok-1"),
        item(id="bad id"),
        item(id="old-1", expires_at="2001-01-01T00:00:00Z"),
        {"title": "no content"},
    ]
    got = (await world.ask("POST", IMPORT, body)).json
    assert (got["imported"], got["skipped"]) == (1, 1)
    assert [error["index"] for error in got["errors"]] == [1, 3]
    reply = await world.ask("POST", IMPORT, {"memories": [], "links": [{"source_id": "a"}]})
    assert reply.json["imported"] == 0
    assert reply.json["errors"][0]["link"] == 0


async def test_a_long_export_streams_in_pieces(world: World) -> None:
    for number in range(40):
        await world.store(f"m{number}", content="x" * 10_000)
    got = orjson.loads((await world.ask("GET", f"{API}/export")).body)
    assert got["count"] == 40
