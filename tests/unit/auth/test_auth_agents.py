"""Agents that bound a key: what they must sign, and what is refused."""

from typing import Any

import orjson
import pytest

from node.auth.signatures import header_of, sign_agent
from tests.unit.auth.rig import ALICE, API, BOB, Reply, World
from transport.identity import NodeKey

PATH = f"{API}/memories"
BODY = orjson.dumps({"title": "t", "content": "c"})


@pytest.fixture
def bound(world: World) -> World:
    world.bind("ai:alice", ALICE)
    world.bind("ai:bob", BOB)
    return world


def signed(
    key: NodeKey,
    nonce: str,
    *,
    method: str = "POST",
    path: str = PATH,
    query: str = "",
    body: bytes = BODY,
) -> dict[str, str]:
    signature = sign_agent(key, method, path, query, body, nonce)
    return {"x-agent-sig": signature, "x-agent-nonce": nonce}


async def post(
    world: World, headers: dict[str, str], body: bytes = BODY, path: str = PATH
) -> Reply:
    before = len(world.node.log)
    reply = await world.send("POST", path, body, headers)
    assert (len(world.node.log) > before) is (reply.status == 201)
    return reply


async def test_a_signed_write_is_attested_and_an_unbound_agent_stays_claimed(bound: World) -> None:
    alice = {"x-agent-id": "ai:alice"}
    assert (await post(bound, alice | signed(ALICE, "n1"))).status == 201
    assert bound.node.callers[-1].attested
    assert (await post(bound, {"x-agent-id": "ai:carol"})).status == 201
    assert not bound.node.callers[-1].attested
    assert (await post(bound, {})).status == 201


async def test_a_bound_name_cannot_be_used_without_its_signature(bound: World) -> None:
    missing = (401, "agent_signature_missing")
    alice = {"x-agent-id": "ai:alice"}
    both = signed(ALICE, "n")
    assert (await post(bound, alice)).outcome == missing
    assert (await post(bound, alice | {"x-agent-sig": both["x-agent-sig"]})).outcome == missing
    assert (await post(bound, alice | {"x-agent-nonce": "n"})).outcome == missing
    for fields in ({"agent_id": "ai:alice"}, {"metadata": {"agent_id": "ai:alice"}}):
        body = orjson.dumps({"title": "t", "content": "c", **fields})
        assert (await post(bound, {}, body)).outcome == missing
        assert (await post(bound, {"x-agent-id": "ai:carol"}, body)).outcome == missing
        # Bob's signature is good, and says nothing about Alice.
        bobs = {"x-agent-id": "ai:bob"} | signed(BOB, f"b{len(body)}", body=body)
        assert (await post(bound, bobs, body)).outcome == missing
    assert bound.rejected("agent_signature_missing") == 9


async def test_the_name_may_stand_in_the_body_or_in_the_key(bound: World) -> None:
    body = orjson.dumps({"title": "t", "content": "c", "agent_id": "ai:alice"})
    assert (await post(bound, signed(ALICE, "n1", body=body), body)).status == 201
    assert bound.node.callers[-1].attested
    text = bound.give("agent-writer", agent_id="ai:alice")
    key = {"x-api-key": text}
    assert (await post(bound, key)).outcome == (401, "agent_signature_missing")
    assert (await post(bound, key | signed(ALICE, "n2"))).status == 201
    assert bound.node.callers[-1].attested


@pytest.mark.parametrize(
    "change",
    [
        {"x-agent-id": "ai:bob"},
        {"x-agent-id": "ai:carol"},
        {"x-agent-id": ""},
        {"x-agent-nonce": "n2"},
        {"x-agent-nonce": "n" * 129},
        {"x-agent-sig": "ed25519=AAAA"},
        {"x-agent-sig": "nonsense"},
    ],
)
async def test_what_was_signed_cannot_be_changed(bound: World, change: dict[str, str]) -> None:
    good = {"x-agent-id": "ai:alice"} | signed(ALICE, "n1")
    assert (await post(bound, good | change)).outcome == (401, "agent_signature_bad")
    assert (await post(bound, good, BODY + b" ")).outcome == (401, "agent_signature_bad")
    reply = await post(bound, good, path=f"{PATH}?x=1")
    assert reply.outcome == (401, "agent_signature_bad")
    reply = await post(bound, good, path=f"{API}/links")
    assert reply.outcome == (401, "agent_signature_bad")
    # None of the forgeries has burned the nonce.
    assert (await post(bound, good)).status == 201
    assert (await post(bound, good)).outcome == (401, "agent_nonce_replay")


async def test_a_nonce_belongs_to_one_agent(bound: World) -> None:
    assert (await post(bound, {"x-agent-id": "ai:alice"} | signed(ALICE, "n"))).status == 201
    assert (await post(bound, {"x-agent-id": "ai:bob"} | signed(BOB, "n"))).status == 201


async def test_reads_need_no_signature_and_one_that_is_sent_must_hold(bound: World) -> None:
    alice = {"x-agent-id": "ai:alice"}
    good = signed(ALICE, "n1", method="GET", query="limit=1", body=b"")
    assert (await bound.send("GET", PATH, headers=alice)).status == 200
    reply = await bound.send("GET", f"{PATH}?limit=2", headers=alice | good)
    assert reply.outcome == (401, "agent_signature_bad")
    assert (await bound.send("GET", f"{PATH}?limit=1", headers=alice | good)).status == 200


async def test_a_key_that_proves_nothing_admits_nobody(bound: World) -> None:
    bound.governing.agents["ai:alice"]["public_key"] = bytes(32)
    reply = await post(bound, {"x-agent-id": "ai:alice"} | signed(ALICE, "n"))
    assert reply.outcome == (401, "agent_signature_bad")
    forged = {"x-agent-id": "ai:alice", "x-agent-nonce": "n"}
    for small in (bytes(64), b"\x01" + bytes(63)):
        reply = await post(bound, forged | {"x-agent-sig": header_of(small)})
        assert reply.outcome == (401, "agent_signature_bad")


async def test_when_nonces_cannot_be_remembered_nothing_signed_is_accepted(bound: World) -> None:
    bound.nonces.close()
    reply = await post(bound, {"x-agent-id": "ai:alice"} | signed(ALICE, "n"))
    assert reply.status == 503
    assert (await post(bound, {"x-agent-id": "ai:carol"})).status == 201


async def test_a_removal_of_a_member_is_signed_too(bound: World) -> None:
    body = orjson.dumps({"node_id": "node-b", "force": True})
    path = f"{API}/mesh/remove"
    alice: dict[str, Any] = {"x-agent-id": "ai:alice"}
    reply = await bound.send("POST", path, body, alice)
    assert reply.outcome == (401, "agent_signature_missing")
    good = alice | signed(ALICE, "n", path=path, body=body)
    assert (await bound.send("POST", path, body, good)).status == 200
