"""Clients of three nodes while one of them is killed, cut off or stopped."""

import asyncio
import signal
import time
from collections import Counter
from typing import Any

import pytest

from node.client import AsyncClient, Client, ClientError, QuorumNotMet, Retry
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, content_hash, until, until_linked
from tests.integration.rig_mesh import cut

pytestmark = [pytest.mark.thorough, pytest.mark.integration, pytest.mark.slow]
PATIENT = Retry(total=30.0, attempt=5.0, connect=1.0, first_pause=0.1, longest_pause=0.5)


def urls(nodes: list[RealNode]) -> list[str]:
    return [f"http://127.0.0.1:{node.agent[1]}" for node in nodes]


async def writing(client: AsyncClient, name: str, kept: dict[str, str], count: int) -> None:
    """Store one after the other; each is read back at once, wherever that is."""
    for number in range(count):
        title = f"{name}-{number}"
        stored = await client.store(title, f"text of {title}")
        kept[stored["id"]] = title
        assert (await client.get(stored["id"]))["title"] == title, "read your writes"


async def test_a_node_is_killed_and_nothing_acknowledged_is_lost_or_doubled(found: Found) -> None:
    nodes = found(3)
    kept: dict[str, str] = {}
    clients = [
        AsyncClient(urls(nodes), agent_id=f"ai:{name}", retry=PATIENT) for name in ("a", "b", "c")
    ]
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(writing(client, str(clients.index(client)), kept, 60))
        while len(kept) < 45:
            assert time.monotonic() < started + 60, "the clients make progress"
            await asyncio.sleep(0)
        await asyncio.to_thread(nodes[0].kill)
    assert len(kept) == 180
    assert {client.url for client in clients} <= set(urls(nodes[1:]))
    for client in clients:
        await client.aclose()
    await asyncio.to_thread(nodes[0].start)
    await asyncio.to_thread(until_linked, nodes)
    promised = {
        ident: content_hash({"title": title, "content": f"text of {title}"})
        for ident, title in kept.items()
    }
    await asyncio.to_thread(check_equal, nodes, promised)
    titles = Counter(memory["title"] for memory in nodes[0].tell("GET", "/export")["memories"])
    assert set(titles) == set(kept.values())
    assert set(titles.values()) == {1}, "nothing is there twice"


def test_what_was_written_on_one_node_is_read_on_the_next(shared_mesh: list[RealNode]) -> None:
    nodes = shared_mesh
    with Client(urls(nodes), retry=PATIENT) as client:
        assert client.url == urls(nodes)[0]
        for number in range(20):
            stored = client.store(f"t{number}", "text")
            client._session.preferred = (number + 1) % 3  # whoever answers next
            assert client.get(stored["id"])["title"] == f"t{number}"
            client.update(stored["id"], content=f"changed {number}")
            client._session.preferred = (number + 2) % 3
            assert client.get(stored["id"])["content"] == f"changed {number}"
            client._session.preferred = number % 3
            client.delete(stored["id"])


def test_a_session_goes_on_in_another_client(shared_mesh: list[RealNode]) -> None:
    nodes = shared_mesh
    for number in range(10):
        with Client(urls(nodes)[0]) as one, Client(urls(nodes)[1]) as other:
            stored = one.store(f"t{number}", "text")
            other.adopt(one.token)
            assert other.get(stored["id"])["title"] == f"t{number}"


def test_a_node_without_its_quorum_gives_way_to_one_that_has_it(found: Found) -> None:
    nodes = found(3, flags=("--quorum-timeout-ms", "500"))
    lonely, *others = nodes
    cut(lonely, others)
    until(lambda: not lonely.links(), "the first node is cut off")
    with Client(urls(nodes), retry=PATIENT) as client:
        stored = client.store("through the others", "text")
        assert stored["quorum_acks"] >= 2
        assert client.url in urls(others)
    held = [memory["id"] for memory in others[0].tell("GET", "/export")["memories"]]
    assert held == [stored["id"]]
    first = [memory["id"] for memory in lonely.tell("GET", "/export")["memories"]]
    assert first == held, "both sides of the cut hold one memory, not two"


def test_alone_the_shortfall_is_told_with_the_key_that_repeats_it(found: Found) -> None:
    nodes = found(3, flags=("--quorum-timeout-ms", "300"))
    others = nodes[1:]
    for node in others:
        node.kill()
    rule = Retry(total=3.0, attempt=1.0, connect=0.5)
    with Client(urls(nodes)[0], retry=rule) as client:
        with pytest.raises(QuorumNotMet) as caught:
            client.store("not confirmed", "text")
        assert caught.value.indefinite
        for node in others:
            node.start()
        until_linked(nodes)
        stored = client.store("not confirmed", "text", idempotency_key=caught.value.idempotency_key)
        assert stored["quorum_acks"] >= 2
        assert [memory["id"] for memory in client.iterate()] == [stored["id"]]


def test_a_stopped_node_costs_one_try(found: Found) -> None:
    nodes = found(3)
    with Client(urls(nodes), retry=Retry(total=20.0, attempt=1.0)) as client:
        client.store("before", "text")
        assert nodes[0].process is not None
        nodes[0].process.send_signal(signal.SIGSTOP)
        try:
            started = time.monotonic()
            client.store("meanwhile", "text")
            assert time.monotonic() - started < 10
            assert client.url in urls(nodes[1:])
        finally:
            nodes[0].process.send_signal(signal.SIGCONT)
        titles = Counter(memory["title"] for memory in client.iterate())
        assert titles == {"before": 1, "meanwhile": 1}


def test_many_memories_an_export_and_an_import(found: Found) -> None:
    nodes = found(3)
    with Client(urls(nodes), agent_id="ai:many") as client:
        items: list[Any] = [{"title": f"t{n}", "content": f"c{n}"} for n in range(2_500)]
        items[1_700] = {"title": "", "content": "bad"}
        result = client.store_many(items, idempotency_key="one")
        assert result["created"] == len(result["ids"]) == 2_499
        assert [error["index"] for error in result["errors"]] == [1_700]
        again = client.store_many(items, idempotency_key="one")
        assert again["ids"] == result["ids"]
        assert sorted(memory["id"] for memory in client.iterate()) == sorted(result["ids"])
        client.link(result["ids"][0], result["ids"][1])
        records = list(client.export())
    (single,) = found(1)
    with Client(urls([single])[0]) as other:
        memories = [record for kind, record in records if kind == "memory"]
        links = [record for kind, record in records if kind == "link"]
        taken = other.take_in(memories, links)
        assert taken == {"imported": 2_499, "skipped": 0, "errors": []}
        assert other.take_in(memories, links)["imported"] == 0
        assert len(other.links(result["ids"][0])) == 1


async def test_events_go_on_after_the_node_is_gone(found: Found) -> None:
    nodes = found(3)
    titles: list[str] = []

    async def follow(client: AsyncClient) -> None:
        async for event in client.events():
            titles.append(event.name)
            if len(titles) > 3:
                return

    retry = Retry(total=20.0, connect=1.0, first_pause=0.1, longest_pause=0.5)
    async with AsyncClient(urls(nodes), retry=retry) as client, asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            following = group.create_task(follow(client))
            async with AsyncClient(urls(nodes)[1]) as writer:
                killed = False
                while not following.done():
                    await writer.store("news", "text")
                    if titles and not killed:
                        await asyncio.to_thread(nodes[0].kill)
                        killed = True
        assert killed


async def test_cancelling_a_call_leaves_the_client_usable(shared_mesh: list[RealNode]) -> None:
    node = shared_mesh[0]
    async with AsyncClient(urls([node])[0]) as client:
        task = asyncio.get_running_loop().create_task(client.store("a", "b"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await client.store("c", "d"))["id"]


def test_errors_of_a_real_node_are_typed(shared_mesh: list[RealNode]) -> None:
    node = shared_mesh[0]
    with Client(urls([node])[0]) as client:
        stored = client.store("a", "b")
        version = client.get(stored["id"])["etag"]
        client.update(stored["id"], title="new", if_match=version)
        wrong: list[tuple[str, Any]] = [
            (
                "PreconditionFailed",
                lambda: client.update(stored["id"], title="x", if_match=version),
            ),
            ("BadRequest", lambda: client.store("", "text")),
            ("NotFound", lambda: client.get("not-there-at-all")),
            ("Conflict", lambda: client.store("x", "y", id=stored["id"])),
            ("BadArgument", lambda: client.update(stored["id"])),
            ("BadArgument", client.forget),
        ]
        for name, call in wrong:
            with pytest.raises(ClientError) as caught:
                call()
            assert type(caught.value).__name__ == name
