"""Agents that bound a key, on a real node: signed writes, and replays after flood and restart."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import ClientSession, TCPConnector

from node.auth.identities import FOLDER, Identities
from tests.integration.rig import RealNode, Reply, clean_environment, free_ports, running, until
from tests.integration.rig_signed import MEMORIES, Agent, Signed, bound, send
from transport.identity import NodeKey

pytestmark = pytest.mark.integration

FLOOD, REPLAYS, AT_ONCE = 20_000, 1_000, 64


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RealNode]:
    main, plain = free_ports(2)
    flags = ["--port", str(main), "--agent-listen", f"127.0.0.1:{plain}"]
    made = RealNode(name="a", data_dir=tmp_path / "a", flags=flags, agent=("127.0.0.1", plain))
    with running(made):
        yield made


def error(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body.get("error", "")


def test_a_bound_name_is_used_with_its_signature_or_not_at_all(node: RealNode) -> None:
    alice = bound(node, "ai:alice")
    reply = node.ask("POST", "/memories", {"title": "t", "content": "c"}, x_agent_id="ai:alice")
    assert error(reply) == (401, "agent_signature_missing")
    body = {"title": "t", "content": "c", "agent_id": "ai:alice"}
    assert error(node.ask("POST", "/memories", body)) == (401, "agent_signature_missing")
    good = alice.memory("n1")
    assert send(node, good).status == 201
    assert error(send(node, good)) == (401, "agent_nonce_replay")
    forged = Agent("ai:alice", NodeKey(bytes(32))).memory("n2")
    assert error(send(node, forged)) == (401, "agent_signature_bad")
    assert send(node, alice.memory("n2")).status == 201
    assert len(node.held()) == 2
    for reason, count in (("missing", 2), ("bad", 1)):
        name = f"agent_signature_{reason}"
        assert node.metric("mnemesh_auth_rejected_total", reason=name) == count
    # Others may not take the name over, nor its key.
    taken = {"agent_id": "ai:alice", "agent_type": "human"}
    assert node.ask("POST", "/agents", taken).status in {401, 403}
    assert node.ask("POST", "/agents", taken, x_agent_id="ai:eve").status in {401, 403}


def test_items_of_a_bulk_in_a_bound_name_are_refused_one_by_one(node: RealNode) -> None:
    alice = bound(node, "ai:alice")
    items = [
        {"title": "own", "content": "c"},
        {"title": "hers", "content": "c", "agent_id": "ai:alice"},
        {"title": "another", "content": "c", "agent_id": "ai:carol"},
    ]
    reply = node.ask("POST", "/memories/bulk", items, x_agent_id="ai:bob")
    assert reply.status == 207
    assert [one["index"] for one in reply.body["errors"]] == [1]
    signed = alice.signed("n1", path=f"{MEMORIES}/bulk", memories=items)
    reply = send(node, signed)
    assert (reply.status, reply.body["errors"]) == (201, [])


def test_the_command_line_signs_with_a_key_that_is_here(node: RealNode) -> None:
    bound(node, "ai:alice")
    where = ("--data-dir", str(node.data_dir), "--agent-id", "ai:alice", "--json")
    text = ("--title", "t", "--content", "c")
    stored = json.loads(command("store", *text, *where))
    assert stored["agent_id"] == "ai:alice"
    Identities(node.data_dir / "keys" / FOLDER).remove("ai:alice")
    said = json.loads(command("store", *text, *where, code=4))
    assert said["error"] == "agent_signature_missing"
    assert len(node.held()) == 1


def command(*args: str, code: int = 0) -> str:
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "node", *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(),
    )
    assert ran.returncode == code, f"{args}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


async def _send_all(node: RealNode, requests: Sequence[Signed]) -> list[tuple[int, str]]:
    """(status, error) of each, in order."""
    host, port = node.agent
    outcomes: list[tuple[int, str]] = [(0, "")] * len(requests)
    places = iter(range(len(requests)))
    async with ClientSession(
        f"http://{host}:{port}", connector=TCPConnector(limit=AT_ONCE)
    ) as session:

        async def work() -> None:
            for place in places:
                request = requests[place]
                async with session.request(
                    request.method, request.path, data=request.body, headers=request.headers
                ) as answer:
                    said = await answer.json()
                    outcomes[place] = (answer.status, said.get("error", ""))

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
    return outcomes


@pytest.mark.slow
def test_replays_are_refused_after_a_flood_and_a_restart(node: RealNode) -> None:
    alice, bob = bound(node, "ai:alice"), bound(node, "ai:bob")
    early = [alice.memory(f"early-{number}") for number in range(REPLAYS)]
    assert set(asyncio.run(_send_all(node, early))) == {(201, "")}
    held = len(node.held())
    flood = [bob.signed(f"flood-{number}", "GET", "/api/v1/version") for number in range(FLOOD)]
    assert set(asyncio.run(_send_all(node, flood))) == {(200, "")}
    replayed = {(401, "agent_nonce_replay")}
    assert set(asyncio.run(_send_all(node, early))) == replayed
    node.kill()
    node.start()
    until(node.ready, "ready", seen=node.tail)
    assert set(asyncio.run(_send_all(node, early))) == replayed
    assert set(asyncio.run(_send_all(node, flood[:REPLAYS]))) == replayed
    assert len(node.held()) == held == REPLAYS
    assert send(node, alice.memory("fresh")).status == 201
