from crdt.dot import DATA, PRIVATE, Dot, new_actor
from tests.unit.http.conftest import API, Started, World

MEMORIES = f"{API}/memories"


async def read(world: World, name: str, agent: str = "ai:alice") -> dict:
    reply = await world.ask("GET", f"{MEMORIES}/{name}", x_agent_id=agent)
    assert reply.status == 200, reply.body
    return reply.json["memory"]


async def test_update_changes_what_is_named_and_nothing_else(world: World) -> None:
    made = await world.store("Tea", tags=["a", "b"], priority=7, metadata={"k": 1})
    reply = await world.ask(
        "PUT",
        f"{MEMORIES}/{made['id']}",
        {"title": "Coffee", "tags": ["b", "c"], "metadata": {"agent_id": "ai:mallory", "j": 2}},
    )
    assert reply.status == 200
    record = reply.json["memory"]
    assert (await read(world, made["id"]))["title"] == record["title"] == "Coffee"
    assert record["tags"] == ["b", "c"]
    assert record["priority"] == 7
    assert record["metadata"] == {"agent_id": "ai:alice", "j": 2}
    assert record["version"] == 2
    assert reply.json["id"] == made["id"]
    assert reply.json["quorum_acks"] == 2


async def test_a_tier_never_goes_down(world: World) -> None:
    made = await world.store("Tea", tier="long")
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"tier": "short"})
    assert (await read(world, made["id"]))["tier"] == "long"


async def test_a_higher_tier_brings_its_life(world: World) -> None:
    made = await world.store("Tea", tier="short")
    short = (await read(world, made["id"]))["expires_at"]
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"tier": "mid"})
    assert (await read(world, made["id"]))["expires_at"] > short
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"tier": "long"})
    assert "expires_at" not in await read(world, made["id"])


async def test_null_unsets_what_may_be_unset(world: World) -> None:
    made = await world.store("Tea", source_uri="x:y", tags=["a"])
    body = {"expires_at": None, "source_uri": None, "tags": None}
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", body)
    record = await read(world, made["id"])
    assert "expires_at" not in record
    assert "source_uri" not in record
    assert record["tags"] == []
    reply = await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"title": None})
    assert (reply.status, reply.json["field"]) == (400, "title")


async def test_a_move_keeps_fields_author_and_creation(world: World) -> None:
    made = await world.store("Tea", namespace="a", tags=["x"], metadata={"k": 1})
    before = await read(world, made["id"])
    world.node.clock.ms += 60_000
    reply = await world.ask(
        "PUT", f"{MEMORIES}/{made['id']}", {"namespace": "b", "title": "Mate"}, x_agent_id="ai:bob"
    )
    after = await read(world, made["id"])
    assert reply.json["memory"]["namespace"] == "b"
    assert after["namespace"] == "b"
    assert after["title"] == "Mate"
    for name in ("content", "tags", "metadata", "created_at", "expires_at", "tier"):
        assert after[name] == before[name], name
    assert after["version"] > before["version"]
    kinds = [op.kind.name for op in world.node.log]
    assert kinds == ["CREATE", "CREATE", "DELETE"]


async def test_promote_makes_it_last(world: World) -> None:
    made = await world.store("Tea", namespace="a")
    reply = await world.ask("POST", f"{MEMORIES}/{made['id']}/promote")
    assert reply.status == 200
    record = await read(world, made["id"])
    assert (record["tier"], "expires_at" in record) == ("long", False)
    body = {"to_namespace": "team/b"}
    reply = await world.ask("POST", f"{MEMORIES}/{made['id']}/promote", body)
    assert (await read(world, made["id"]))["namespace"] == "team/b"
    assert (await world.ask("POST", f"{MEMORIES}/nothing-here/promote")).status == 404
    assert world.node.actions[-1][0] == "promote"


async def test_a_whole_id_is_the_beginning_of_no_other(world: World) -> None:
    for ident in ("d-1-8000", "d-1-800", "d-1-80"):
        await world.store(id=ident)
    assert (await world.ask("DELETE", f"{MEMORIES}/d-1-80")).status == 200
    for method, body in (("DELETE", None), ("PUT", {"title": "Two"}), ("GET", None)):
        reply = await world.ask(method, f"{MEMORIES}/d-1-80", body, x_agent_id="ai:alice")
        assert (reply.status, reply.json["error"]) == (404, "not_found"), method
    for ident in ("d-1-800", "d-1-8000"):
        assert (await read(world, ident))["title"] == "A title"


async def test_delete_ends_it(world: World) -> None:
    made = await world.store("Tea")
    reply = await world.ask("DELETE", f"{MEMORIES}/{made['id']}")
    assert (reply.status, reply.json["deleted"]) == (200, True)
    assert reply.json["durability"]["local"] is True
    assert (await world.ask("GET", f"{MEMORIES}/{made['id']}")).status == 404
    assert (await world.ask("DELETE", f"{MEMORIES}/{made['id']}")).status == 404


async def test_if_match_holds_a_change_to_its_version(world: World) -> None:
    made = await world.store("Tea")
    path = f"{MEMORIES}/{made['id']}"
    etag = (await world.ask("GET", path)).headers["ETag"]
    reply = await world.ask("PUT", path, {"title": "One"}, if_match=etag)
    assert reply.status == 200
    assert reply.headers["ETag"] != etag
    for method, body in (("PUT", {"title": "Two"}), ("DELETE", None)):
        stale = await world.ask(method, path, body, if_match=etag)
        assert (stale.status, stale.json["error"]) == (412, "precondition_failed")
        assert stale.json["etag"] == reply.headers["ETag"]
    listed = f'"other", {reply.headers["ETag"]}'
    assert (await world.ask("PUT", path, {"title": "Two"}, if_match=listed)).status == 200
    assert (await world.ask("DELETE", path, if_match="*")).status == 200


async def test_prefixes_stand_for_one_id(world: World) -> None:
    await world.store("One", id="abcdef-1")
    await world.store("Two", id="abcdef-2")
    await world.store("Three", id="abcdef")
    await world.store("Hidden", id="abcdef-9", scope="private", agent="ai:bob")
    assert (await read(world, "abcdef-"[:6]))["title"] == "Three"
    reply = await world.ask("GET", f"{MEMORIES}/abcdef-")
    assert reply.status == 409
    assert reply.json["candidates"] == ["abcdef-1", "abcdef-2"]
    assert (await world.ask("GET", f"{MEMORIES}/abcde")).status == 404
    await world.ask("DELETE", f"{MEMORIES}/abcdef-1")
    assert (await read(world, "abcdef-"))["title"] == "Two"


async def test_private_memories_do_not_exist_for_others(world: World) -> None:
    made = await world.store("Diary", scope="private")
    path = f"{MEMORIES}/{made['id']}"
    assert (await read(world, made["id"]))["scope"] == "private"
    for headers in ({}, {"x_agent_id": "ai:bob"}):
        for method, tail in (
            ("GET", ""),
            ("PUT", ""),
            ("DELETE", ""),
            ("POST", "/promote"),
            ("GET", "/conflicts"),
            ("GET", "/history"),
        ):
            reply = await world.ask(method, path + tail, **headers)
            assert reply.status == 404, (method, tail)
        assert (await world.ask("GET", MEMORIES, **headers)).json["count"] == 0
        assert (await world.ask("GET", f"{API}/export", **headers)).json["count"] == 0
    assert (await world.ask("GET", MEMORIES, x_agent_id="ai:alice")).json["count"] == 1
    world.administrators = frozenset(["ai:root"])
    assert (await world.ask("GET", f"{API}/export", x_agent_id="ai:root")).json["count"] == 1
    assert (await world.ask("GET", MEMORIES, x_agent_id="ai:root")).json["count"] == 0


async def test_private_memories_stay_in_their_lane(world: World) -> None:
    made = await world.store("Diary", scope="private")
    assert world.node.log[0].dot.actor[:1] == PRIVATE
    body = {"scope": "collective"}
    reply = await world.ask("PUT", f"{MEMORIES}/{made['id']}", body, x_agent_id="ai:alice")
    assert reply.status == 200
    assert [op.dot.actor[:1] for op in world.node.log] == [PRIVATE, DATA, PRIVATE]
    assert (await read(world, made["id"], "ai:bob"))["title"] == "Diary"


async def test_private_memories_travel_when_told_to(start: Started) -> None:
    world = await start(share_private=True)
    await world.store("Diary", scope="private")
    assert world.node.log[0].dot.actor[:1] == DATA


async def test_conflicts_show_what_the_merge_did_not_choose(world: World) -> None:
    made = await world.store("Tea")
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"title": "Here"})
    edit = world.node.log[-1]
    elsewhere = new_actor(DATA, 1_770_000_001, bytes(8), bytes(32))
    there = edit._replace(
        dot=Dot(elsewhere, 1),
        hlc=edit.hlc - 1,
        agent="ai:carol",
        set={**edit.set, "title": "There"},
    )
    world.node.arrive(there)
    record = await read(world, made["id"])
    assert (record["title"], record["conflicts"], record["version"]) == ("Here", 1, 3)
    got = (await world.ask("GET", f"{MEMORIES}/{made['id']}/conflicts")).json
    (other,) = got["fields"]["title"]
    assert (other["value"], other["agent_id"], other["hlc"]) == ("There", "ai:carol", there.hlc)
    assert got["shown"]["title"]["value"] == "Here"
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"title": "Settled"})
    assert (await world.ask("GET", f"{MEMORIES}/{made['id']}/conflicts")).json["fields"] == {}


async def test_history_is_newest_first(world: World) -> None:
    made = await world.store("Tea")
    await world.ask("PUT", f"{MEMORIES}/{made['id']}", {"title": "Mate"}, x_agent_id="ai:bob")
    got = (await world.ask("GET", f"{MEMORIES}/{made['id']}/history")).json
    assert [(op["kind"], op["agent_id"]) for op in got["history"]] == [
        ("edit", "ai:bob"),
        ("create", "ai:alice"),
    ]
    assert got["history"][0]["fields"]["title"] == "Mate"
    assert got["history"][1]["fields"]["expires_at"].endswith("Z")
    got = (await world.ask("GET", f"{MEMORIES}/{made['id']}/history?limit=1")).json
    assert got["count"] == 1


async def test_reads_are_counted_aside(world: World) -> None:
    made = await world.store("Tea")
    await read(world, made["id"])
    record = await read(world, made["id"])
    assert record["access_count"] >= 1
    assert record["last_accessed_at"].endswith("Z")
    assert record["version"] == 1
    assert len(world.node.log) == 1
