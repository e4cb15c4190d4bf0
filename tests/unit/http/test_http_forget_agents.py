"""Forgetting an agent, and the retries of requests to forget, as clients meet them."""

from typing import Any

import pytest

from crdt.op import Draft, Kind
from node.contracts import Caller
from node.errors import Unavailable
from node.lifecycle import contradictions
from tests.unit.http.conftest import API, Started, World
from tests.unit.http.test_http_lifecycle_forget import (
    ALICE,
    BOB,
    EVE,
    ask,
    consolidated,
    forget,
    is_there,
    made,
    memory,
)

# --- all of an agent ------------------------------------------------------------------------


async def test_messages_and_subscriptions_of_an_agent_go_with_it(world: World) -> None:
    for sender, addressee in ((ALICE, BOB), (BOB, ALICE), (BOB, EVE)):
        note = {
            "target_agent_id": addressee,
            "title": "note",
            "content": f"{sender} to {addressee}",
        }
        assert (await ask(world, "POST", "/notify", note, sender)).status == 201
    for agent in (ALICE, BOB):
        wish = {"events": ["*"], "url": ""}
        assert (await ask(world, "POST", "/subscriptions", wish, agent)).status == 201
    reply = await forget(world, ALICE, agent_id=ALICE)
    assert (reply.json["deleted"], reply.json["others_deleted"]) == (0, 3), reply.json
    left = [key[1:].decode().partition("/")[0] for key in world.node.records]
    assert sorted(left) == ["message", "subscription"]
    assert ALICE not in str(world.node.records)
    (inbox,) = (await ask(world, "GET", "/inbox", agent=EVE)).json["messages"]
    assert inbox["from"] == BOB


async def test_births_that_others_hide_go_with_their_author(world: World) -> None:
    for agent, words in ((BOB, "older"), (ALICE, "hushed")):
        rival(world, "memory", "shared-id", agent, title="t", content=words, tier="long")
    reply = await forget(world, ALICE, agent_id=ALICE)
    assert reply.json["deleted"] == 1
    assert "hushed" not in str(world.node.records)
    assert (await memory(world, "shared-id"))["content"] == "older"
    assert (await forget(world, BOB, agent_id=BOB)).json["deleted"] == 1
    assert not world.node.records


async def test_the_older_birth_goes_and_the_one_behind_it_shows(world: World) -> None:
    for agent, words in ((ALICE, "hushed"), (BOB, "younger")):
        rival(world, "memory", "shared-id", agent, title="t", content=words, tier="long")
    assert (await forget(world, ALICE, agent_id=ALICE)).json["deleted"] == 1
    assert "hushed" not in str(world.node.records)
    assert (await memory(world, "shared-id"))["content"] == "younger"


async def test_a_hidden_birth_behind_an_archived_one_goes_too(world: World) -> None:
    for agent, words in ((BOB, "older"), (ALICE, "hushed")):
        rival(world, "memory", "shared-id", agent, title="t", content=words, tier="long")
    assert (await ask(world, "POST", "/archive/shared-id", agent=BOB)).status == 200
    assert (await forget(world, ALICE, agent_id=ALICE)).json["deleted"] == 1
    assert "hushed" not in str(world.node.records)


async def test_leaves_to_see_others_memories_end_with_an_agent(world: World) -> None:
    (hidden,) = await made(world, "hidden", scope="private", agent=BOB)
    for agent in (ALICE, EVE):
        await ask(world, "POST", f"/memories/{hidden}/grant", {"agent_id": agent}, BOB)
    assert await is_there(world, hidden)
    reply = await forget(world, ALICE, agent_id=ALICE)
    assert (reply.json["deleted"], reply.json["others_deleted"]) == (0, 1)
    assert not await is_there(world, hidden)
    assert (await ask(world, "GET", f"/memories/{hidden}", agent=EVE)).status == 200
    (op,) = [op for op in world.node.log if "grants/ai:alice" in op.removed]
    assert (op.agent, op.kind) == (BOB, Kind.EDIT)


async def test_archived_expired_and_entity_records_of_an_agent_go(world: World) -> None:
    body = {"canonical_name": "Hushed Ltd", "aliases": ["HL"], "namespace": "n"}
    assert (await ask(world, "POST", "/entities", body)).status in {200, 201}
    one, _ = await made(world, "one", "two", ttl_secs=60)
    await ask(world, "POST", f"/archive/{one}")
    world.node.clock.ms += 61_000
    assert (await forget(world, ALICE, agent_id=ALICE)).json["deleted"] == 3
    assert not world.node.records


# --- retries -------------------------------------------------------------------------------


async def test_a_retry_is_told_the_first_answer_after_the_log_was_cut(world: World) -> None:
    one, two = await made(world, "one", "two")
    await consolidated(world, [one, two], BOB)
    sent = {"x_agent_id": ALICE, "idempotency_key": "k"}
    wish = {"ids": [one, "no-such-id"]}
    first = await world.ask("POST", f"{API}/forget", wish, **sent)
    assert (first.json["recomposed"], first.json["links_deleted"]) == (1, 1)
    world.node.log.clear()
    again = await world.ask("POST", f"{API}/forget", wish, **sent)
    told = [{k: v for k, v in r.json.items() if k != "durability"} for r in (first, again)]
    assert told[0] == told[1]
    assert not world.node.log


@pytest.mark.slow
async def test_a_retry_goes_on_with_what_a_fault_left_and_takes_nothing_new(
    world: World,
) -> None:
    for start in range(0, 1200, 600):
        rows = [{"title": f"m{start + n}", "content": "of many"} for n in range(600)]
        assert (await ask(world, "POST", "/memories/bulk", rows)).status == 201
    sent = {"x_agent_id": ALICE, "idempotency_key": "k"}
    write, calls = world.node.write, []

    async def faulty(drafts: Any, **more: Any) -> Any:
        calls.append(len(drafts))
        if len(calls) > 1:
            raise Unavailable("the disk failed")
        return await write(drafts, **more)

    world.node.write = faulty  # type: ignore[method-assign]  # a fault in the middle
    reply = await world.ask("POST", f"{API}/forget", {"pattern": "of many"}, **sent)
    assert reply.status == 503
    world.node.write = write  # type: ignore[method-assign]  # it is over
    assert len(world.node.records) == 700
    (new,) = await made(world, "many")
    again = await world.ask("POST", f"{API}/forget", {"pattern": "of many"}, **sent)
    assert (again.status, again.json["deleted"]) == (200, 1200)
    assert [key[1:].decode() for key in world.node.records] == [f"memory/{new}"]
    third = await world.ask("POST", f"{API}/forget", {"pattern": "of many"}, **sent)
    assert third.json["deleted"] == 1200


def rival(world: World, collection: str, ident: str, agent: str, **fields: Any) -> None:
    """A birth that another node made under an id that is taken."""
    draft = Draft(
        kind=Kind.CREATE, collection=collection, id=ident, namespace="global", owner=agent,
        set=fields,
    )  # fmt: skip
    world.node._mint(draft, agent)


# --- contradictions ------------------------------------------------------------------------


async def test_a_topic_of_long_ago_is_found_by_the_index(
    start: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None, str, int]] = []
    ids: list[str] = []

    async def alike(text: str, space: str | None, viewer: Caller, limit: int) -> list[str]:
        asked.append((text, space, viewer.agent, limit))
        return ids

    monkeypatch.setattr(contradictions, "SCANNED_MAX", 2)
    world: World = await start(parts={"alike": alike})
    ids += await made(world, "The port", "the PORT", "unlike")
    ids += await made(world, "port", scope="private", agent=BOB)
    await made(world, "x", "y", "port of today")
    told = (await ask(world, "GET", "/contradictions?topic=port")).json
    titles = [row["title"] for row in told["memories"]]
    assert titles == ["port of today", "the PORT", "The port"]
    assert (told["truncated"], told["count"]) == (True, 3)
    assert asked == [("port", None, ALICE, contradictions.CANDIDATES_MAX)]
