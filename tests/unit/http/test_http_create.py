from node.errors import Denied, DiskFull, Draining
from tests.unit.http.conftest import API, World

CREATE = f"{API}/memories"


async def test_created_memory_tells_its_durability(world: World) -> None:
    made = await world.store("Tea", namespace="kitchen/shelf", tags=["a", "b"])
    assert made["tier"] == "mid"
    assert made["namespace"] == "kitchen/shelf"
    assert made["title"] == "Tea"
    assert made["agent_id"] == "ai:alice"
    assert made["quorum_acks"] == 2
    durability = made["durability"]
    assert durability["local"] is True
    assert (durability["acks"], durability["needed"], durability["peers"]) == (2, 2, ["node-b"])
    assert durability["dot"].endswith(":1")
    assert durability["token"]


async def test_defaults_come_on_reading_and_are_not_stored(world: World) -> None:
    made = await world.store("Tea")
    got = (await world.ask("GET", f"{CREATE}/{made['id']}")).json
    record = got["memory"]
    assert record["priority"] == 5
    assert record["confidence"] == 1.0
    assert record["source"] == "api"
    assert record["memory_kind"] == "observation"
    assert record["tags"] == record["citations"] == got["links"] == []
    assert record["metadata"] == {"agent_id": "ai:alice"}
    assert record["version"] == 1
    assert record["created_at"].endswith("Z")
    assert "conflicts" not in record
    assert got["title"] == "Tea"
    assert set(world.node.log[0].set) == {"title", "content", "tier", "expires_at", "rev"}


async def test_everything_given_comes_back(world: World) -> None:
    given = {
        "tier": "long",
        "tags": ["z", "a", "m/n"],
        "priority": 9,
        "confidence": 0.25,
        "source": "chat",
        "metadata": {"deep": [{"x": 1}], "big": 2**64 - 1},
        "memory_kind": "decision",
        "reflection_depth": 2,
        "entity_id": "e-1",
        "citations": ["c"],
        "source_uri": "file:///x",
        "source_span": {"from": 1, "to": 2},
        "persona_version": 3,
        "confidence_source": "human",
        "confidence_signals": {"s": 0.5},
        "confidence_decayed_at": "2026-01-01T00:00:00Z",
    }
    text = "\u202eright to left\u200b, caf\u00e9, \U0001f600"
    made = await world.store(text, content=text, **given)
    record = (await world.ask("GET", f"{CREATE}/{made['id']}")).json["memory"]
    assert record["title"] == record["content"] == text
    metadata = record.pop("metadata")
    assert metadata == {**given.pop("metadata"), "agent_id": "ai:alice"}
    assert {name: record[name] for name in given} == given
    assert "expires_at" not in record


async def test_tiers_bring_their_life(world: World) -> None:
    now = world.node.clock.ms
    for tier, hours in (("short", 6), ("mid", 7 * 24)):
        made = await world.store(tier=tier)
        world.node.clock.ms = now + hours * 3_600_000 - 1
        assert (await world.ask("GET", f"{CREATE}/{made['id']}")).status == 200
        world.node.clock.ms += 1
        assert (await world.ask("GET", f"{CREATE}/{made['id']}")).status == 404
        world.node.clock.ms = now
    made = await world.store(ttl_secs=60)
    world.node.clock.ms += 60_000
    assert (await world.ask("GET", f"{CREATE}/{made['id']}")).status == 404


async def test_the_caller_is_body_then_metadata_then_header(world: World) -> None:
    assert (await world.store(agent_id="ai:body", metadata={"agent_id": "ai:m"}))[
        "agent_id"
    ] == "ai:body"
    made = await world.store(metadata={"agent_id": "ai:m"})
    assert made["agent_id"] == "ai:m"
    assert (await world.store())["agent_id"] == "ai:alice"
    reply = await world.ask("POST", CREATE, {"title": "t", "content": "c"})
    name = reply.json["agent_id"]
    assert name.startswith("anonymous:req-")
    assert len(name) == len("anonymous:req-") + 8


async def test_bad_agent_names_are_refused(world: World) -> None:
    for name in ("a b", "", "../x", "a/../b", "x" * 129, "x\n"):
        body = {"title": "t", "content": "c", "agent_id": name}
        reply = await world.ask("POST", CREATE, body)
        assert (reply.status, reply.json["field"]) == (400, "agent_id"), name
    assert not world.node.log


async def test_bad_fields_are_named_and_nothing_is_written(world: World) -> None:
    long_content = "x" * (1024 * 1024 + 1)
    bad = {
        "title": ["", "x" * 513, 5, None],
        "content": ["", long_content, "\u00e9" * (512 * 1024 + 1), {}, None],
        "tags": [["x"] * 2 + [""], ["x" * 129], [str(n) for n in range(51)], "a,b", [1]],
        "tier": ["LONG", 1, []],
        "priority": [0, 11, 5.5, True, "5"],
        "confidence": [-0.1, 1.1, "1", True],
        "namespace": ["", "a//b", "/a", "a/", "/".join("123456789"), "x" * 513, 3],
        "metadata": [[], "x", {"k": "v" * 65536}],
        "memory_kind": ["thought", 1],
        "reflection_depth": [-1, 1.5],
        "expires_at": ["tomorrow", "2026-01-01", 5, "2001-01-01T00:00:00Z"],
        "ttl_secs": [0, -1, 1.5, True, 2**60],
        "scope": ["secret"],
        "id": ["a b", "x" * 129, "", 5, "a/b", "..", "a\n"],
        "on_conflict": ["replace"],
    }
    for name, values in bad.items():
        for value in values:
            body = {"title": "t", "content": "c", name: value}
            reply = await world.ask("POST", CREATE, body)
            assert reply.status == 400, (name, value)
            assert reply.json["field"] == name, (name, value)
            assert reply.json["error"] == "invalid_field"
            assert name in reply.json["detail"]
    assert not world.node.log


async def test_metadata_may_nest_32_levels_and_no_more(world: World) -> None:
    def nested(levels: int) -> dict[str, object]:
        value: dict[str, object] = {}
        for _ in range(levels - 1):
            value = {"n": value}
        return value

    await world.store(metadata=nested(32))
    body = {"title": "t", "content": "c", "metadata": nested(33)}
    assert (await world.ask("POST", CREATE, body)).status == 400


async def test_limits_are_inclusive(world: World) -> None:
    await world.store("x" * 512, content="x" * (1024 * 1024))
    await world.store(tags=["\U0001f600" * 128] + [str(n) for n in range(49)])
    await world.store(namespace="/".join("12345678"))
    await world.store(namespace="\u00e9" * 512)


async def test_own_ids_are_taken_once(world: World) -> None:
    await world.store(id="my.id:1_2-3")
    reply = await world.ask("POST", CREATE, {"title": "t", "content": "c", "id": "my.id:1_2-3"})
    assert (reply.status, reply.json["error"]) == (409, "conflict")


async def test_on_conflict_goes_by_title_and_namespace(world: World) -> None:
    first = await world.store("Tea", namespace="a")
    await world.store("Tea", namespace="b")
    reply = await world.ask(
        "POST",
        CREATE,
        {"title": "Tea", "content": "new", "namespace": "a", "on_conflict": "error"},
    )
    assert (reply.status, reply.json["existing_id"]) == (409, first["id"])
    again = await world.store("Tea", namespace="a", content="newer", on_conflict="update")
    assert again["id"] == first["id"]
    record = (await world.ask("GET", f"{CREATE}/{first['id']}")).json["memory"]
    assert (record["content"], record["version"]) == ("newer", 2)
    fresh = await world.store("Tea", namespace="a")
    assert fresh["id"] != first["id"]
    fresh = await world.store("Other", namespace="a", on_conflict="update")
    assert fresh["id"] not in {first["id"], again["id"]}


async def test_a_shortfall_is_503_and_says_what_stands(world: World) -> None:
    world.node.acks = 1
    reply = await world.ask("POST", CREATE, {"title": "t", "content": "c"})
    assert reply.status == 503
    assert reply.headers["Retry-After"] == "2"
    got = reply.json
    assert (got["error"], got["got"], got["needed"], got["reason"]) == (
        "quorum_not_met",
        1,
        2,
        "timeout",
    )
    assert got["durability"]["local"] is True
    assert got["quorum_acks"] == 1
    assert (await world.ask("GET", f"{CREATE}/{got['id']}")).status == 200


async def test_what_the_funnel_refuses_has_its_status(world: World) -> None:
    for error, status, code in (
        (Denied("not yours"), 403, "denied"),
        (Draining("the node is stopping"), 503, "draining"),
        (DiskFull("no room"), 507, "disk_full"),
    ):
        world.node.refuse = error
        reply = await world.ask("POST", CREATE, {"title": "t", "content": "c"})
        assert (reply.status, reply.json["error"]) == (status, code)
    assert reply.headers["Retry-After"]


async def test_held_for_approval_is_202(world: World) -> None:
    world.node.pending_id = "p-1"
    reply = await world.ask("POST", CREATE, {"title": "t", "content": "c", "id": "mine-1"})
    assert reply.status == 202
    got = reply.json
    assert (got["status"], got["pending_id"], got["id"], got["action"]) == (
        "pending",
        "p-1",
        "mine-1",
        "store",
    )


async def test_unknown_fields_are_ignored(world: World) -> None:
    made = await world.store(colour="red", access_count=99, version=7)
    record = (await world.ask("GET", f"{CREATE}/{made['id']}")).json["memory"]
    assert (record["version"], "colour" in record) == (1, False)
