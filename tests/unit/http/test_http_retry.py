import pytest

from tests.unit.http.conftest import API, World

MEMORIES = f"{API}/memories"
BODY = {"title": "t", "content": "c"}


async def test_a_retry_gets_the_same_answer_and_one_effect(world: World) -> None:
    replies = [
        await world.ask("POST", MEMORIES, BODY, x_agent_id="ai:a", idempotency_key="k")
        for _ in range(2)
    ]
    assert [reply.status for reply in replies] == [201, 201]
    assert replies[0].json == replies[1].json
    assert len(world.node.log) == 1


async def test_a_nameless_retry_keeps_its_name(world: World) -> None:
    first, second = [
        (await world.ask("POST", MEMORIES, BODY, idempotency_key="k")).json for _ in range(2)
    ]
    assert first == second
    assert len(world.node.log) == 1


async def test_another_body_under_the_key_is_409(world: World) -> None:
    await world.ask("POST", MEMORIES, BODY, x_agent_id="ai:a", idempotency_key="k")
    reply = await world.ask(
        "POST", MEMORIES, {**BODY, "title": "u"}, x_agent_id="ai:a", idempotency_key="k"
    )
    assert (reply.status, reply.json["error"]) == (409, "idempotency_key_reused")
    other = await world.ask("POST", MEMORIES, BODY, x_agent_id="ai:b", idempotency_key="k")
    assert other.status == 201
    assert len(world.node.log) == 2


@pytest.mark.parametrize("key", ["", "x" * 129])
async def test_keys_have_a_length(world: World, key: str) -> None:
    reply = await world.ask("POST", MEMORIES, BODY, idempotency_key=key)
    assert reply.status == 400
    assert not world.node.log


async def test_a_retry_after_a_shortfall_measures_durability_anew(world: World) -> None:
    world.node.acks = 1
    first = await world.ask("POST", MEMORIES, BODY, x_agent_id="ai:a", idempotency_key="k")
    assert first.status == 503
    world.node.acks = 2
    second = await world.ask("POST", MEMORIES, BODY, x_agent_id="ai:a", idempotency_key="k")
    assert (second.status, second.json["id"]) == (201, first.json["id"])
    assert len(world.node.log) == 1


async def test_every_write_can_be_retried(world: World) -> None:
    made = await world.store("Tea")
    etag = (await world.ask("GET", f"{MEMORIES}/{made['id']}")).headers["ETag"]
    steps = [
        ("PUT", f"{MEMORIES}/{made['id']}", {"content": "x"}, {"if_match": etag}),
        ("POST", f"{MEMORIES}/{made['id']}/promote", {}, {}),
        ("POST", f"{MEMORIES}/bulk", [BODY, {**BODY, "id": "mine-1"}], {}),
        ("POST", f"{API}/import", {"memories": [{**BODY, "id": "theirs-1"}]}, {}),
        ("DELETE", f"{MEMORIES}/{made['id']}", None, {}),
    ]
    for number, (method, path, body, headers) in enumerate(steps):
        key = {"x_agent_id": "ai:a", "idempotency_key": f"k{number}", **headers}
        first = await world.ask(method, path, body, **key)
        assert first.status in {200, 201}, (path, first.body)
        size = len(world.node.log)
        again = await world.ask(method, path, body, **key)
        assert (again.status, again.json) == (first.status, first.json), path
        assert len(world.node.log) == size, path


async def test_a_retried_change_of_what_has_ended_since_still_stands(world: World) -> None:
    made = await world.store("Tea")
    path = f"{MEMORIES}/{made['id']}"
    key = {"x_agent_id": "ai:a", "idempotency_key": "k"}
    assert (await world.ask("PUT", path, {"content": "x"}, **key)).status == 200
    assert (await world.ask("DELETE", path)).status == 200
    again = await world.ask("PUT", path, {"content": "x"}, **key)
    assert (again.status, again.json["memory"]) == (200, None)


async def test_on_conflict_update_can_be_retried(world: World) -> None:
    first = await world.store("Tea")
    body = {"title": "Tea", "content": "new", "on_conflict": "update"}
    key = {"x_agent_id": "ai:a", "idempotency_key": "k"}
    replies = [await world.ask("POST", MEMORIES, body, **key) for _ in range(2)]
    assert [reply.json["id"] for reply in replies] == [first["id"]] * 2
    assert len(world.node.log) == 2
    fresh = {"title": "New", "content": "new", "on_conflict": "error"}
    key["idempotency_key"] = "k2"
    replies = [await world.ask("POST", MEMORIES, fresh, **key) for _ in range(2)]
    assert replies[0].json == replies[1].json
    assert replies[1].status == 201
