"""The client's connection for many stores, against real nodes."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from node.client import AsyncClient, BadRequest, CertificateRefused, Conflict, NotAdmitted, Retry
from node.client.errors import BadArgument, Unreachable
from tests.integration.conftest import Found
from tests.integration.rig import RealNode, check_equal, content_hash, until_linked

pytestmark = pytest.mark.integration
SHORT = Retry(total=5.0, connect=1.0, first_pause=0.1, longest_pause=0.3)
PATIENT = Retry(total=30.0, connect=1.0, first_pause=0.1, longest_pause=0.5)


def _url(node: RealNode) -> str:
    return f"http://127.0.0.1:{node.agent[1]}"


def _key(node: RealNode) -> Path:
    return node.data_dir / "keys" / "api_key"


async def test_stores_at_once_have_each_their_own_answer(node: RealNode) -> None:
    async with AsyncClient(_url(node), agent_id="ann", retry=SHORT) as client:
        async with client.ingest() as lane:
            good = [lane.store(f"t{number}", "words", tags=["lane"]) for number in range(100)]
            told = await asyncio.gather(*good, lane.store("", "words"), return_exceptions=True)
            stored = [one for one in told if isinstance(one, dict)]
            assert len(stored) == 100
            assert isinstance(told[-1], BadRequest)
            first = await lane.store("mine", "words", id="mine")
            assert first["durability"]["acks"] >= 1
            with pytest.raises(Conflict):
                await lane.store("mine", "words", id="mine")
            with pytest.raises(BadArgument):
                await lane.store("t", "c", metadata={"no": float("nan")})
        assert {one["id"] for one in stored} == {
            one["id"] for one in await client.list(limit=200, tags=["lane"])
        }
        with pytest.raises(Unreachable):
            await lane.store("after", "the end")


async def test_the_same_key_stores_once(node: RealNode) -> None:
    async with AsyncClient(_url(node), retry=SHORT) as client, client.ingest() as lane:
        first = await lane.store("kept", "once", idempotency_key="lane-1")
        again = await lane.store("kept", "once", idempotency_key="lane-1")
        assert first["id"] == again["id"]


async def test_a_pinned_node_and_a_stranger(keyed: RealNode) -> None:
    async with (
        AsyncClient(keyed.url, fingerprint=keyed.fingerprint, api_key_file=_key(keyed)) as client,
        client.ingest() as lane,
    ):
        assert (await lane.store("over TLS", "words"))["id"]
    options = {"api_key_file": _key(keyed), "retry": SHORT}
    stranger = AsyncClient(keyed.url, fingerprint="0" * 64, **options)
    async with stranger, stranger.ingest() as lane:
        with pytest.raises(CertificateRefused):
            await lane.store("to a stranger", "words")
    uninvited = AsyncClient(_url(keyed), api_key="wrong", retry=SHORT)
    async with uninvited, uninvited.ingest() as lane:
        with pytest.raises(NotAdmitted) as refused:
            await lane.store("uninvited", "words")
        assert not refused.value.indefinite


@pytest.mark.slow
async def test_a_node_is_killed_and_nothing_is_lost_or_doubled(found: Found) -> None:
    nodes = found(3)
    kept: dict[str, str] = {}
    half = asyncio.Event()
    async with AsyncClient([_url(node) for node in nodes], retry=PATIENT) as client:

        async def one(number: int, room: asyncio.Semaphore) -> None:
            async with room:
                stored = await lane.store(f"t{number}", f"text of t{number}")
                kept[stored["id"]] = f"t{number}"
                if len(kept) == 1000:
                    half.set()

        async with client.ingest() as lane, asyncio.TaskGroup() as group:
            room = asyncio.Semaphore(100)
            for number in range(3000):
                group.create_task(one(number, room))
            await half.wait()
            await asyncio.to_thread(nodes[0].kill)
    assert len(kept) == 3000
    await asyncio.to_thread(nodes[0].start)
    await asyncio.to_thread(until_linked, nodes)
    promised = {
        ident: content_hash({"title": title, "content": f"text of {title}"})
        for ident, title in kept.items()
    }
    await asyncio.to_thread(check_equal, nodes, promised)
    titles = Counter(memory["title"] for memory in nodes[0].tell("GET", "/export")["memories"])
    assert set(titles.values()) == {1}, "nothing is there twice"
