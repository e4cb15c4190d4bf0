"""Writing over a WebSocket, against real nodes."""

import asyncio
import json
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from node.http.ingest_routes import UNANSWERED_MAX
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, running, until, until_level
from tests.integration.rig_commands import told
from tests.integration.rig_ingest import Socket, answers, connected, ingested
from tests.integration.rig_routes import lone

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


def _one(ident: str, **fields: Any) -> dict[str, Any]:
    return {"ref": ident, "memory": {"id": ident, "title": ident, "content": "words", **fields}}


def test_many_messages_are_confirmed_on_a_quorum_and_reach_all(found: Found) -> None:
    nodes = found(3)
    said = ingested(nodes[0], [_one(f"m-{number}") for number in range(300)])
    assert {one["status"] for one in said.values()} == {201}
    assert all(one["quorum_acks"] >= 2 for one in said.values())
    until_level(nodes)
    for node in nodes:
        assert set(node.held()) == {f"m-{number}" for number in range(300)}


def test_each_message_has_its_own_answer(node: RealNode) -> None:
    shown = ingested(
        node,
        [
            _one("once"),
            _one("once") | {"ref": "taken"},
            {"ref": "many", "memories": [{"title": "a", "content": "b"}, {"title": ""}]},
            {"ref": "shape", "memory": "text"},
            {"ref": ["no"], "memory": {}},
            {"memory": {"title": "t", "content": "c", "tier": "never"}},
            '{"ref": "twice", "ref": "twice", "memory": {}}',
            "not json",
            '["memory"]',
            {"ref": "both", "memory": {}, "memories": []},
        ],
    )
    said = {ref: (one["status"], one.get("error")) for ref, one in shown.items()}
    assert said["once"] == (201, None)
    assert said["taken"][0] == 409
    assert said["many"] == (207, None)
    assert len(shown["many"]["ids"]) == len(shown["many"]["errors"]) == 1
    # What cannot be read, or names itself wrongly, is answered by its number.
    for number in (4, 5, 7, 8, 9, 10):
        assert said[number][0] == 400, shown[number]
    assert said[6][0] == 400
    assert all(one["detail"] for one in shown.values() if one["status"] >= 400)


@pytest.mark.parametrize("depth", [33, 100, 254, 300, 900, 100_000])
def test_what_nests_too_deeply_is_the_senders_mistake(node: RealNode, depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    said = ingested(node, ['{"memory":{"title":"t","content":"c","metadata":' + deep + "}}"])
    assert said[1]["status"] == 400, said
    assert "deep" in said[1]["detail"]


def test_a_retry_of_a_message_takes_effect_once(node: RealNode) -> None:
    message = {"ref": 1, "key": "k-1", "memory": {"title": "kept", "content": "once"}}
    first = ingested(node, [message])[1]
    again = ingested(node, [message | {"ref": "again"}])["again"]
    assert (again["status"], again["id"]) == (201, first["id"])
    other = {"ref": 1, "key": "k-1", "memory": {"title": "other", "content": "once"}}
    assert ingested(node, [other])[1]["status"] in (409, 422)
    kept = [one for one in node.tell("GET", "/memories")["memories"] if one["title"] == "kept"]
    assert len(kept) == 1


def test_without_a_key_or_an_upgrade_nobody_comes_in(keyed: RealNode) -> None:
    async def talk(socket: Socket) -> None:
        await socket.receive()

    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        connected(keyed, talk, x_api_key="wrong")
    reply = keyed.ask("GET", "/ingest", X_Agent_Id="ann")
    assert (reply.status, reply.body["error"]) == (426, "upgrade_required")
    assert reply.headers["upgrade"] == "websocket"


def test_who_does_not_read_its_answers_is_not_read_either(node: RealNode) -> None:
    before = node.metric("mnemesh_memory_writes_total")
    large, most = "x" * 20_000, 50_000

    async def talk(socket: Socket) -> int:
        sent = 0
        # The answers are small, so what bounds is what is unanswered and not yet read here.
        bad = {"ref": "r" * 128, "memory": {"content": large, "title": large}}
        with suppress(TimeoutError):
            while sent < most:
                async with asyncio.timeout(1.0):
                    await socket.send_str(json.dumps(bad))
                sent += 1
        return sent

    assert UNANSWERED_MAX < connected(node, talk) < most, "all is taken from who reads nothing"
    assert node.metric("mnemesh_memory_writes_total") == before
    assert node.ask("GET", "/livez").status == 200


def test_a_node_that_drains_answers_what_it_has_read_and_says_goodbye(found: Found) -> None:
    nodes = found(2)
    other = nodes[1]

    async def talk(socket: Socket) -> tuple[int, int]:
        for number in range(200):
            await socket.send_str(json.dumps(_one(f"d-{number}")))
        first = await answers(socket, 1)
        assert nodes[0].process is not None
        nodes[0].process.send_signal(signal.SIGTERM)
        good = sum(one["status"] == 201 for one in first.values())
        async for message in socket:
            good += sum(one["status"] == 201 for one in json.loads(message.data))
        return good, socket.close_code or 0

    good, code = connected(nodes[0], talk)
    assert code == aiohttp.WSCloseCode.GOING_AWAY
    assert nodes[0].process is not None
    nodes[0].process.wait(30)
    nodes[0].process = None
    until(lambda: len(other.held()) >= good, "what was confirmed is on the other node")


def test_a_withdrawn_key_ends_the_connection(keyed: RealNode) -> None:
    where = ("--data-dir", keyed.data_dir)
    made = told("key", "create", "--role", "agent-writer", "--agent-id", "ann", *where)
    ann = replace(keyed, api_key=made["key"])

    async def talk(socket: Socket) -> tuple[int, int]:
        await socket.send_str(json.dumps(_one("before")))
        status = (await answers(socket, 1))["before"]["status"]
        await asyncio.to_thread(told, "key", "revoke", made["id"], *where)
        await asyncio.to_thread(
            until, lambda: ann.ask("GET", "/stats").status == 401, "it is revoked"
        )
        await socket.send_str(json.dumps(_one("after")))
        message = await socket.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return status, socket.close_code or 0

    assert connected(ann, talk) == (201, aiohttp.WSCloseCode.POLICY_VIOLATION)
    assert keyed.ask("GET", "/memories/after").status == 404


def test_who_came_without_a_key_goes_when_one_is_demanded(tmp_path: Path) -> None:
    with running(lone(tmp_path)) as bare:

        async def talk(socket: Socket) -> tuple[int, int]:
            await socket.send_str(json.dumps(_one("before")))
            status = (await answers(socket, 1))["before"]["status"]
            made = ("key", "create", "--role", "agent-writer", "--agent-id", "ann")
            await asyncio.to_thread(told, *made, "--data-dir", bare.data_dir)
            await asyncio.to_thread(
                until, lambda: bare.ask("GET", "/stats").status == 401, "a key is demanded"
            )
            await socket.send_str(json.dumps(_one("after")))
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.CLOSE, message
            return status, socket.close_code or 0

        assert connected(bare, talk) == (201, aiohttp.WSCloseCode.POLICY_VIOLATION)
