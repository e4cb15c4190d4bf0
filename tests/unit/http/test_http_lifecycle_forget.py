"""Forgetting, consolidation and the end of what is over, as clients meet them."""

from typing import Any

import pytest

from crdt.op import ERASE, Kind
from node.errors import Denied
from node.lifecycle.sweeping import SweepRules
from tests.unit.http.conftest import API, Reply, Started, World

ALICE, BOB, EVE, ROOT = "ai:alice", "ai:bob", "ai:eve", "ai:root"
DAY_MS = 86_400_000


async def ask(world: World, method: str, path: str, body: Any = None, agent: str = ALICE) -> Reply:
    return await world.ask(method, f"{API}{path}", body, x_agent_id=agent)


async def forget(world: World, agent: str = ALICE, **wish: Any) -> Reply:
    return await ask(world, "POST", "/forget", wish, agent)


async def made(world: World, *titles: str, **fields: Any) -> list[str]:
    return [
        (await world.store(title, **{"content": f"of {title}", **fields}))["id"] for title in titles
    ]


async def consolidated(world: World, ids: list[str], agent: str = ALICE, **fields: Any) -> str:
    reply = await ask(world, "POST", "/consolidate", {"ids": ids, **fields}, agent)
    assert (reply.status, reply.json["consolidated"]) == (201, len(ids)), reply.body
    ident: str = reply.json["id"]
    return ident


async def memory(world: World, ident: str, agent: str = ALICE) -> dict[str, Any]:
    reply = await ask(world, "GET", f"/memories/{ident}", agent=agent)
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json["memory"]
    return found


async def is_there(world: World, ident: str) -> bool:
    return (await ask(world, "GET", f"/memories/{ident}")).status == 200


def erased(world: World) -> set[tuple[str, str]]:
    return {
        (op.collection, op.id)
        for op in world.node.log
        if op.kind is Kind.DELETE and op.set == {ERASE: True}
    }


# --- forgetting ---------------------------------------------------------------------------


async def test_to_forget_one_is_to_archive_it_or_to_erase_it(world: World) -> None:
    one, two = await made(world, "one", "two")
    reply = await ask(world, "POST", f"/memories/{one}/forget")
    assert (reply.status, reply.json["deleted"]) == (200, 1)
    (row,) = (await ask(world, "GET", "/archive")).json["memories"]
    assert (row["id"], row["archive_reason"]) == (one, "forgotten")
    for ident in (one, two):
        reply = await ask(world, "POST", f"/memories/{ident[:8]}/forget", {"erase": True})
        assert (reply.status, reply.json["deleted"]) == (200, 1)
    assert (await ask(world, "GET", "/archive")).json["count"] == 0
    assert erased(world) == {("memory", one), ("memory", two)}
    assert (await ask(world, "POST", f"/memories/{one}/forget")).status == 404


@pytest.mark.parametrize(
    ("wish", "gone"),
    [
        ({"namespace": "n1"}, {"b", "c"}),
        ({"tier": "long"}, {"c"}),
        ({"pattern": "SECRET"}, {"a", "c"}),
        ({"pattern": "secret", "namespace": "n1"}, {"c"}),
        ({"agent_id": BOB}, {"b"}),
        ({"agent_id": BOB, "namespace": "n0"}, set()),
        ({"pattern": "100%"}, set()),
        ({"pattern": ".*"}, set()),
    ],
)
@pytest.mark.parametrize("by_query", [False, True])
async def test_filters_narrow_each_other_and_patterns_are_literal(
    world: World, wish: dict[str, Any], gone: set[str], *, by_query: bool
) -> None:
    await world.store("a", id="a-id", namespace="n0", content="a Secret thing")
    await world.store("b", id="b-id", namespace="n1", agent=BOB)
    await world.store("The secret", id="c-id", namespace="n1", tier="long")
    if by_query:
        query = "&".join(f"{name}={value.replace('%', '%25')}" for name, value in wish.items())
        reply = await ask(world, "POST", f"/forget?{query}")
    else:
        reply = await forget(world, **wish)
    assert (reply.status, reply.json["deleted"]) == (200, len(gone)), reply.body
    left = {name for name in "abc" if await is_there(world, f"{name}-id")}
    assert left == set("abc") - gone


async def test_what_is_archived_or_expired_is_forgotten_too(world: World) -> None:
    one, two, three = await made(world, "one", "two", "three", ttl_secs=60)
    await ask(world, "POST", f"/archive/{one}")
    world.node.clock.ms += 61_000
    assert not await is_there(world, two)
    assert (await forget(world, ids=[three])).json["deleted"] == 1
    assert (await forget(world, pattern="of ")).json["deleted"] == 2
    assert erased(world) == {("memory", one), ("memory", two), ("memory", three)}
    assert not world.node.records


async def test_a_dry_run_counts_and_changes_nothing(world: World) -> None:
    ids = await made(world, "one", "two")
    ops = len(world.node.log)
    reply = await forget(world, pattern="of ", dry_run=True)
    assert (reply.json["deleted"], reply.json["dry_run"]) == (2, True)
    assert sorted(reply.json["ids"]) == sorted(ids)
    assert len(world.node.log) == ops


async def test_unknown_ids_are_told_and_an_ambiguous_one_is_refused(world: World) -> None:
    for ident in ("prefix-1", "prefix-2"):
        await world.store("x", id=ident)
    reply = await forget(world, ids="prefix-1,no-such-id")
    assert (reply.json["deleted"], reply.json["missing"]) == (1, ["no-such-id"])
    await world.store("x", id="prefix-3")
    assert (await forget(world, ids=["prefix-"])).status == 409
    assert await is_there(world, "prefix-2")


async def test_private_memories_are_forgotten_by_their_author_or_an_administrator(
    world: World,
) -> None:
    world.administrators = frozenset([ROOT])
    one, two = await made(world, "one", "two", scope="private")
    await ask(world, "POST", f"/memories/{one}/grant", {"agent_id": BOB})
    for wish in ({"agent_id": ALICE}, {"pattern": "of "}, {"ids": [two]}):
        for agent in (EVE, BOB):
            assert (await forget(world, agent, **wish)).json["deleted"] == 0
    reply = await forget(world, BOB, ids=[one])
    assert (reply.status, reply.json["error"]) == (403, "owner_only")
    assert (await forget(world, ROOT, ids=[one])).json["deleted"] == 1
    assert (await forget(world, ALICE, agent_id=ALICE)).json["deleted"] == 1
    assert not world.node.records


async def test_an_agent_is_forgotten_with_all_that_it_left(world: World) -> None:
    mine, kept = await made(world, "mine", "kept")
    (theirs,) = await made(world, "theirs", agent=BOB)
    (derived,) = await made(world, "derived", agent=BOB)
    (further,) = await made(world, "further", agent=BOB)
    await ask(world, "POST", f"/archive/{mine}")
    for agent, source, relation, target in (
        (BOB, theirs, "related_to", kept),
        (ALICE, theirs, "related_to", further),
        (BOB, derived, "derived_from", kept),
        (BOB, further, "reflects_on", derived),
    ):
        link = {"source_id": source, "target_id": target, "relation": relation}
        assert (await ask(world, "POST", "/links", link, agent)).status == 201
    reply = await forget(world, ALICE, agent_id=ALICE)
    told = reply.json
    assert (told["deleted"], told["derived"], told["links_deleted"]) == (4, 2, 4), told
    assert {key[1:].decode() for key in world.node.records} == {f"memory/{theirs}"}


async def test_a_link_of_somebody_else_is_no_leave_to_erase_what_it_names(world: World) -> None:
    (mine,) = await made(world, "mine", namespace="free")
    (theirs,) = await made(world, "theirs", agent=BOB, namespace="guarded")
    link = {"source_id": theirs, "target_id": mine, "relation": "derived_from"}
    await ask(world, "POST", "/links", link)
    world.node.refused = {"guarded": "denied: only the owner"}
    assert (await forget(world, ALICE, agent_id=ALICE)).json["deleted"] == 1
    assert await is_there(world, theirs)


async def test_what_governance_refuses_is_refused_whole(world: World) -> None:
    ids = await made(world, "one", "two")
    world.node.refuse = Denied("no")
    assert (await forget(world, ids=ids)).status == 403
    world.node.refuse = None
    assert all([await is_there(world, ident) for ident in ids])


async def test_a_retry_tells_what_the_first_one_did_and_takes_nothing_new(world: World) -> None:
    await made(world, "one", "two")
    sent = {"x_agent_id": ALICE, "idempotency_key": "k"}
    first = await world.ask("POST", f"{API}/forget", {"pattern": "of "}, **sent)
    (new,) = await made(world, "three")
    again = await world.ask("POST", f"{API}/forget", {"pattern": "of "}, **sent)
    assert (first.json["deleted"], again.json["deleted"]) == (2, 2)
    assert await is_there(world, new)
    other = await world.ask("POST", f"{API}/forget", {"pattern": "th"}, **sent)
    assert (other.status, other.json["error"]) == (409, "idempotency_key_reused")


@pytest.mark.slow
async def test_a_request_of_many_parts_is_whole_and_can_be_finished(world: World) -> None:
    for start in range(0, 1200, 600):
        rows = [{"title": f"m{start + n}", "content": "of many"} for n in range(600)]
        assert (await ask(world, "POST", "/memories/bulk", rows)).status == 201
    sent = {"x_agent_id": ALICE, "idempotency_key": "k"}
    first = await world.ask("POST", f"{API}/forget", {"pattern": "of many"}, **sent)
    assert (first.json["deleted"], len(world.node.records)) == (1200, 0)
    again = await world.ask("POST", f"{API}/forget", {"pattern": "of many"}, **sent)
    assert again.json["deleted"] == 1200
    assert again.json["durability"]["dot"] == first.json["durability"]["dot"]


async def test_a_shortfall_tells_what_was_forgotten_here(world: World) -> None:
    ids = await made(world, "one", "two")
    world.node.acks = 1
    reply = await forget(world, ids=ids)
    assert (reply.status, reply.json["error"]) == (503, "quorum_not_met")
    assert reply.json["deleted"] == 2
    assert not world.node.records


async def test_what_waits_for_approval_is_told_with_its_names(world: World) -> None:
    ids = await made(world, "one", "two")
    world.node.pending_id = "a:1"
    reply = await forget(world, ids=ids)
    assert (reply.status, reply.json["status"], reply.json["deleted"]) == (202, "pending", 0)
    assert reply.json["pending"] == [{"id": ident, "pending_id": "a:1"} for ident in ids]


# --- consolidation ------------------------------------------------------------------------


async def test_several_become_one_and_their_lineage_is_kept(world: World) -> None:
    (one,) = await made(world, "one", tier="long", namespace="n", priority=9, tags=["x"])
    (two,) = await made(world, "two", agent=BOB, namespace="n")
    ident = await consolidated(world, [one, two], EVE, title="Both", summary="All of it")
    found = await memory(world, ident)
    assert (found["title"], found["content"]) == ("Both", "All of it")
    assert (found["tier"], found["namespace"], found["priority"]) == ("long", "n", 9)
    assert found["metadata"] == {"agent_id": EVE, "consolidated_from_agents": [ALICE, BOB]}
    assert {row["id"] for row in (await ask(world, "GET", "/archive")).json["memories"]} == {
        one,
        two,
    }
    nodes = (await ask(world, "GET", f"/memories/{ident}/lineage")).json["nodes"]
    assert {(node["id"], node["relation"]) for node in nodes} == {
        (one, "derived_from"),
        (two, "derived_from"),
    }
    assert (await ask(world, "GET", f"/links/{ident}")).json["count"] == 2
    assert "consolidation" not in found


async def test_a_tier_never_goes_down_and_sources_are_those_that_show(world: World) -> None:
    one, two = await made(world, "one", "two", tier="long")
    ident = await consolidated(world, [one, two], tier="short")
    assert (await memory(world, ident))["tier"] == "long"
    reply = await ask(world, "POST", "/consolidate", {"ids": [one, ident]})
    assert reply.status == 404
    ops = len(world.node.log)
    (three,) = await made(world, "three")
    reply = await ask(world, "POST", "/consolidate", {"ids": [three, three]})
    assert (reply.status, reply.json["field"]) == (400, "ids")
    assert len(world.node.log) == ops + 1


async def test_what_comes_of_a_private_memory_is_private(world: World) -> None:
    (one,) = await made(world, "one", scope="private")
    (two,) = await made(world, "two", agent=BOB)
    await ask(world, "POST", f"/memories/{one}/grant", {"agent_id": EVE})
    for agent, status in ((BOB, 404), (EVE, 403)):
        reply = await ask(world, "POST", "/consolidate", {"ids": [one, two]}, agent)
        assert reply.status == status
    ident = await consolidated(world, [one, two])
    assert (await memory(world, ident))["scope"] == "private"
    assert (await ask(world, "GET", f"/memories/{ident}", agent=BOB)).status == 404


async def test_a_consolidation_can_be_retried(world: World) -> None:
    ids = await made(world, "one", "two")
    sent = {"x_agent_id": ALICE, "idempotency_key": "k"}
    first, again = [
        await world.ask("POST", f"{API}/consolidate", {"ids": ids}, **sent) for _ in range(2)
    ]
    assert (first.status, again.status) == (201, 201)
    assert (first.json["id"], first.json["consolidated"]) == (
        again.json["id"],
        again.json["consolidated"],
    )


async def test_words_of_an_erased_source_do_not_survive(world: World) -> None:
    (one,) = await made(world, "secretive", content="very hushed", tags=["hush"])
    (two,) = await made(world, "open", agent=BOB)
    first = await consolidated(world, [one, two], EVE)
    (three,) = await made(world, "third", agent=EVE)
    second = await consolidated(world, [first, three], EVE, title="Of the secretive")
    summed = await consolidated(
        world, [second, (await made(world, "fourth"))[0]], BOB, summary="hushed"
    )
    reply = await forget(world, ALICE, ids=[one])
    told = reply.json
    assert (told["deleted"], told["derived"], told["recomposed"]) == (2, 1, 2), told
    assert not await is_there(world, summed)
    kept = "\n".join(
        str(world.node.reader().whole("memory", i, private=False)) for i in (first, second)
    )
    assert "hush" not in kept
    assert "secretive" not in kept
    assert ALICE not in kept
    assert "of open" in kept
    assert "of third" in kept


async def test_a_consolidation_that_somebody_edited_is_taken_for_theirs(world: World) -> None:
    one, two = await made(world, "one", "two")
    ident = await consolidated(world, [one, two])
    await ask(world, "PUT", f"/memories/{ident}", {"content": "mine now"})
    assert (await forget(world, ids=[one])).json["derived"] == 1
    assert not await is_there(world, ident)


async def test_a_consolidation_ends_with_its_last_source(world: World) -> None:
    one, two = await made(world, "one", "two")
    ident = await consolidated(world, [one, two])
    assert (await forget(world, ids=[one])).json["recomposed"] == 1
    assert (await memory(world, ident))["content"] == "two\nof two"
    assert (await forget(world, ids=[two])).json["derived"] == 1
    assert not world.node.records


# --- the end of what is over ---------------------------------------------------------------


async def test_what_has_expired_is_collected(world: World) -> None:
    await made(world, "one", "two", ttl_secs=60)
    await made(world, "three")
    await made(world, "hushed", scope="private", ttl_secs=60, agent=BOB)
    assert (await ask(world, "POST", "/gc")).json["expired_deleted"] == 0
    world.node.clock.ms += 61_000
    assert (await ask(world, "POST", "/gc", {"dry_run": True})).json["expired_deleted"] == 2
    reply = await ask(world, "POST", "/gc", agent=EVE)
    assert (reply.status, reply.json["expired_deleted"]) == (200, 2)
    assert (await ask(world, "POST", "/gc", agent=EVE)).json["expired_deleted"] == 0
    assert (await ask(world, "POST", "/gc", agent=BOB)).json["expired_deleted"] == 1
    assert len(world.node.records) == 1


async def test_collecting_can_archive_and_empty_the_archive(start: Started) -> None:
    world: World = await start(sweep=SweepRules(archive_on_gc=True, archive_max_days=10))
    await made(world, "one", ttl_secs=60)
    world.node.clock.ms += 61_000
    assert (await ask(world, "POST", "/gc")).json["expired_deleted"] == 1
    (row,) = (await ask(world, "GET", "/archive")).json["memories"]
    assert row["archive_reason"] == "expired"
    world.node.clock.ms += 11 * DAY_MS
    assert (await ask(world, "POST", "/gc")).json["archive_purged"] == 1
    assert not world.node.records


# --- likeness and contradiction -------------------------------------------------------------


async def test_duplicates_are_told_nearest_first_below_the_threshold_too(world: World) -> None:
    text = "The deploy of the billing service fails on Fridays"
    (same,) = await made(world, "a", content=text)
    (near,) = await made(world, "b", content=text + " at noon")
    (far,) = await made(world, "c", content="Cats like warm windows")
    await made(world, "d", content=text, scope="private", agent=BOB)
    reply = await ask(world, "POST", "/check_duplicate", {"content": text.upper()})
    told = reply.json
    assert [match["id"] for match in told["matches"]] == [same, near, far]
    assert told["is_duplicate"] is True
    assert told["nearest"] == told["matches"][0]
    assert (told["nearest"]["similarity"], told["candidates_scanned"]) == (1.0, 3)
    assert 0.7 < told["matches"][1]["similarity"] < 1 > told["matches"][2]["similarity"] >= 0
    wish = {"content": "nothing like it", "threshold": 0.5, "limit": 1, "namespace": "global"}
    told = (await ask(world, "POST", "/check_duplicate", wish)).json
    assert (told["is_duplicate"], len(told["matches"])) == (False, 1)
    told = (await ask(world, "POST", "/check_duplicate", {**wish, "namespace": "empty"})).json
    assert (told["nearest"], told["matches"]) == (None, [])


async def test_contradictions_are_stated_links_and_pairs_about_a_topic(world: World) -> None:
    (one,) = await made(world, "Port of the API", content="It is 80")
    (two,) = await made(world, "note", content="It is 8080", metadata={"topic": "port of the api"})
    (three,) = await made(world, "port of the api again", content="It is 80")
    await made(world, "port of the api", content="secret", scope="private", agent=BOB)
    link = {"source_id": one, "target_id": two, "relation": "contradicts"}
    await ask(world, "POST", "/links", link)
    told = (await ask(world, "GET", "/contradictions?topic=Port%20of%20the%20API")).json
    assert {row["id"] for row in told["memories"]} == {one, two, three}
    stated = [row for row in told["links"] if not row.get("candidate")]
    assert [(row["source_id"], row["target_id"]) for row in stated] == [(one, two)]
    pairs = {frozenset((r["source_id"], r["target_id"])) for r in told["links"]}
    assert pairs == {frozenset((one, two)), frozenset((two, three))}
    assert all(row["relation"] == "contradicts" for row in told["links"])
    told = (await ask(world, "GET", "/contradictions")).json
    assert {row["id"] for row in told["memories"]} == {one, two}
