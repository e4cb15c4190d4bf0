"""Documents on the routes of memories: nothing of their bytes leaks, and nothing is lost."""

from typing import Any

from tests.unit.http.conftest import API, Started, World

EDIT = [{"op": "splice", "path": ["text"], "insert": " two"}]


async def written(world: World) -> str:
    made = await world.store(content="one", memory_kind="document")
    return f"{API}/memories/{made['id']}"


async def shown(world: World, path: str, method: str = "GET", body: Any = None) -> Any:
    reply = await world.ask(method, path, body, x_agent_id="ai:alice")
    assert reply.status == 200, reply.body
    return reply.json


async def test_a_document_is_exported_with_its_changes_and_imported_again(start: Started) -> None:
    one, other = await start(), await start()
    path = await written(one)
    assert "document" not in (await shown(one, f"{API}/export"))["memories"][0]
    await shown(one, f"{path}/document", "PATCH", EDIT)
    (row,) = (await shown(one, f"{API}/export"))["memories"]
    assert (row["content"], row["memory_kind"]) == ("one two", "document")
    rows = [row, {**row, "id": "other", "document": "?"}]
    taken = await shown(other, f"{API}/import", "POST", {"memories": rows})
    assert (taken["imported"], [bad["index"] for bad in taken["errors"]]) == (1, [1])
    there, here = [await shown(side, f"{path}/document") for side in (other, one)]
    assert there["heads"] == here["heads"]
    assert there["value"] == {"text": "one two"}
    assert (await shown(other, path))["content"] == "one two"


async def test_no_route_shows_the_bytes_of_chunks(world: World) -> None:
    path = await written(world)
    await shown(world, f"{path}/document", "PATCH", EDIT)
    for part in ("", "/history", "/conflicts", "/lineage"):
        await shown(world, f"{path}{part}")
    for listed in ("memories", "export", "memories?namespace=global"):
        assert "one two" in str(await shown(world, f"{API}/{listed}"))
    (newest, _) = (await shown(world, f"{path}/history"))["history"]
    chunks = [value for name, value in newest["fields"].items() if name.startswith("chunk/")]
    assert len(chunks) == 2
    assert all(value.endswith(" bytes") for value in chunks)
    assert newest["removed"] == ["content"]
    put = await shown(world, path, "PUT", {"content": "one 2"})
    assert put["memory"]["content"] == "one 2"
