import base64
from typing import Any

import pytest

from tests.unit.http.conftest import API, Started, World

SINCE = f"{API}/sync/since"
PUSH = f"{API}/sync/push"
PEER = "ab" * 32


@pytest.fixture
async def peer(start: Started) -> World:
    result: World = await start(tls=True, fingerprint=PEER, allowed=frozenset([PEER]))
    return result


async def since(world: World, query: str = "") -> Any:
    reply = await world.ask("GET", f"{SINCE}{query}")
    assert reply.status == 200, reply.body
    return reply.json


async def test_both_need_a_certificate(world: World) -> None:
    for method, path in (("GET", SINCE), ("POST", PUSH)):
        reply = await world.ask(method, path)
        assert (reply.status, reply.json["error"]) == (401, "peer_not_enrolled")


async def test_a_push_is_refused_with_what_is_missing_first(peer: World) -> None:
    good = "ed25519=" + base64.b64encode(bytes(64)).decode()
    for headers, error in (
        ({}, "x_memory_sig_missing"),
        ({"x_memory_sig": "nonsense"}, "x_memory_sig_malformed"),
        ({"x_memory_sig": "ed25519=AAAA"}, "x_memory_sig_malformed"),
        ({"x_memory_sig": good}, "x_memory_nonce_missing"),
        ({"x_memory_sig": good, "x_memory_nonce": "n"}, "peer_not_enrolled"),
    ):
        body = {"memories": [{"title": "t", "content": "c"}]}
        reply = await peer.ask("POST", PUSH, body, **headers)
        assert (reply.status, reply.json["error"]) == (401, error)
    assert not peer.node.log


async def test_pages_neither_skip_nor_repeat(peer: World) -> None:
    made = [(await _store(peer, f"m{number}"))["id"] for number in range(5)]
    seen: list[str] = []
    query = "?limit=2"
    while True:
        page = await since(peer, query)
        seen += [memory["id"] for memory in page["memories"]]
        query = f"?limit=2&since={page['next_since']}"
        if page["complete"]:
            break
    assert seen == made
    page = await since(peer, query)
    assert (page["count"], page["memories"], page["complete"]) == (0, [], True)
    await _store(peer, "later")
    page = await since(peer, query)
    assert [memory["title"] for memory in page["memories"]] == ["later"]
    assert page["earliest_updated_at"] == page["latest_updated_at"]


async def _store(world: World, title: str, **fields: Any) -> Any:
    body = {"title": title, "content": "c", **fields}
    return (await world.ask("POST", f"{API}/memories", body, x_agent_id="ai:alice")).json


async def test_deletions_are_told_and_private_memories_are_not(peer: World) -> None:
    made = await _store(peer, "gone")
    await _store(peer, "secret", scope="private")
    await peer.ask("DELETE", f"{API}/memories/{made['id']}")
    page = await since(peer)
    assert page["deletions"] == [made["id"]]
    assert page["memories"] == []
    for name in ("links", "namespace_meta", "pendings", "pending_decisions"):
        assert page[name] == []


async def test_a_timestamp_means_what_arrived_since_less_five_seconds(peer: World) -> None:
    for number in range(4):
        peer.node.clock.ms += 4000
        await _store(peer, f"m{number}")
    # Stored at 02:40:04, :08, :12 and :16.
    page = await since(peer, "?since=2026-02-02T02:40:14Z")
    assert [memory["title"] for memory in page["memories"]] == ["m2", "m3"]
    page = await since(peer, "?since=2026-02-02T03:40:14+01:00")
    assert [memory["title"] for memory in page["memories"]] == ["m2", "m3"]


async def test_a_token_of_another_store_starts_over(peer: World) -> None:
    await _store(peer, "m")
    token = (await since(peer))["next_since"]
    assert (await since(peer, f"?since={token}"))["count"] == 0
    peer.node.store_id = "another"
    assert (await since(peer, f"?since={token}"))["count"] == 1


async def test_bad_values_are_told_what_is_expected(peer: World) -> None:
    for value in ("yesterday", "123", "a" * 40, "%2B%2B", base64.b64encode(b"x@y").decode()):
        reply = await peer.ask("GET", f"{SINCE}?since={value}")
        assert reply.status == 400, value
        assert "expected RFC 3339 timestamp or token" in reply.json["detail"]
    assert (await peer.ask("GET", f"{SINCE}?limit=x")).status == 400
