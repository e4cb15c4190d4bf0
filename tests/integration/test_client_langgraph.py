"""The LangGraph store on real nodes, held against LangGraph's own store in memory."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from langgraph.store.base import GetOp, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from node.client import AsyncClient, BadArgument, Client
from node.client.langgraph import MnemeshStore
from tests.integration.rig import RealNode, until

pytestmark = [pytest.mark.integration, pytest.mark.thorough]


@pytest.fixture
def store(shared_mesh: list[RealNode], request: pytest.FixtureRequest) -> Iterator[MnemeshStore]:
    urls = [f"http://127.0.0.1:{node.agent[1]}" for node in shared_mesh]
    root = request.node.name.replace("/", "-")
    with Client(urls, agent_id="ai:graph") as client:
        yield MnemeshStore(client, root=root)


def facts(items: list[Any]) -> set[tuple[Any, ...]]:
    return {(item.namespace, item.key, str(item.value)) for item in items}


def test_put_get_change_and_delete(store: MnemeshStore) -> None:
    space = ("users", "anna/1", "50%")
    assert store.get(space, "likes") is None
    store.put(space, "likes", {"food": "pão", "n": [1, 2.5, None]})
    item = store.get(space, "likes")
    assert item is not None
    assert item.value == {"food": "pão", "n": [1, 2.5, None]}
    assert (item.namespace, item.key) == (space, "likes")
    store.put(space, "likes", {"food": "figs"})
    changed = store.get(space, "likes")
    assert changed is not None
    assert changed.value == {"food": "figs"}
    assert changed.created_at == item.created_at
    assert changed.updated_at > item.updated_at
    store.delete(space, "likes")
    assert store.get(space, "likes") is None
    store.delete(space, "likes")
    store.put(space, "likes", {"food": "again"})
    back = store.get(space, "likes")
    assert back is not None
    assert back.value == {"food": "again"}


def test_a_search_knows_the_words(store: MnemeshStore) -> None:
    store.put(("notes", "a"), "1", {"text": "The harbour was full of sailing boats"})
    store.put(("notes", "b"), "2", {"text": "Quarterly figures of the bakery"})
    store.put(("other",), "3", {"text": "A boat in a bottle"})
    found = store.search(("notes",), query="boats in the harbour", limit=2)
    assert [item.key for item in found] == ["1", "2"]
    assert found[0].score is not None
    assert {item.key for item in store.search((), query="boat")} == {"1", "2", "3"}


def test_a_batch_reads_before_it_writes(store: MnemeshStore) -> None:
    space = ("batch",)
    store.put(space, "k", {"v": 1})
    results = store.batch(
        [
            PutOp(space, "k", {"v": 2}),
            GetOp(space, "k"),
            PutOp(space, "k", {"v": 3}),
            SearchOp(space),
        ]
    )
    assert results[0] is None
    assert results[1].value == {"v": 1}  # type: ignore[union-attr]  # an item
    assert [item.value for item in results[3]] == [{"v": 1}]  # type: ignore[union-attr]  # items
    last = store.get(space, "k")
    assert last is not None
    assert last.value == {"v": 3}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_it_does_what_langgraphs_own_store_does(store: MnemeshStore, seed: int) -> None:
    rng = random.Random(seed)
    theirs = InMemoryStore()
    labels = ["a", "b", "c/d", "%"]
    deep = tuple(f"l{n}" for n in range(9))
    spaces = [tuple(rng.choices(labels, k=rng.randint(1, 3))) for _ in range(5)] + [deep]
    for step in range(60):
        space, key = rng.choice(spaces), rng.choice("xyz")
        if rng.random() < 0.2:
            theirs.delete(space, key)
            store.delete(space, key)
        else:
            value = {"n": rng.randint(-3, 3), "s": rng.choice("pq")}
            theirs.put(space, key, value)
            store.put(space, key, value)
        prefix = space[: rng.randint(0, len(space))]
        wanted = rng.choice([None, {"s": "p"}, {"n": {"$gte": 0}}, {"n": {"$lt": 2}, "s": "q"}])
        mine = store.search(prefix, filter=wanted, limit=100)
        assert facts(mine) == facts(theirs.search(prefix, filter=wanted, limit=100)), step
        part = [item for at in (0, 2, 4) for item in store.search(prefix, limit=2, offset=at)]
        assert len(facts(part)) == len(part) == min(6, len(store.search(prefix, limit=100)))
    for options in (
        {},
        {"prefix": ("a",)},
        {"suffix": ("b",)},
        {"max_depth": 1},
        {"prefix": ("*", "b")},
    ):
        mine_too: set[tuple[str, ...]] = set(store.list_namespaces(**options))  # type: ignore[arg-type]  # as a caller would
        # Their store also lists namespaces whose last item was deleted.
        living = {item.namespace for item in theirs.search((), limit=1000)}
        theirs_too = set(theirs.list_namespaces(**options))  # type: ignore[arg-type]  # as above
        depth = options.get("max_depth", 99)
        assert isinstance(depth, int)
        assert mine_too == {n for n in theirs_too if any(one[:depth] == n for one in living)}


def test_items_end_with_their_life_and_reading_prolongs_it(store: MnemeshStore) -> None:
    space = ("ttl",)
    store.put(space, "short", {"v": 1}, ttl=1 / 60)
    store.put(space, "long", {"v": 1}, ttl=60)
    store.put(space, "ever", {"v": 1})
    until(lambda: store.get(space, "short", refresh_ttl=False) is None, "the item is over")
    assert facts(store.search(space)) == {(space, "long", "{'v': 1}"), (space, "ever", "{'v': 1}")}
    store.put(space, "short", {"v": 2})
    again = store.get(space, "short")
    assert again is not None
    assert again.value == {"v": 2}
    store.put(space, "long", {"v": 3})
    assert store._client is not None
    held = {memory["title"]: memory for memory in store._client.iterate()}
    assert "expires_at" not in held["long"], "put without a life takes the old one away"
    assert "expires_at" not in held["short"]


def test_private_items_are_seen_by_their_agent_alone(shared_mesh: list[RealNode]) -> None:
    url = f"http://127.0.0.1:{shared_mesh[0].agent[1]}"
    with Client(url, agent_id="ai:one") as one, Client(url, agent_id="ai:two") as two:
        mine = MnemeshStore(one, root="secretive", scope="private")
        mine.put(("diary",), "k", {"text": "mine alone"})
        theirs = MnemeshStore(two, root="secretive")
        assert theirs.get(("diary",), "k") is None
        assert theirs.search(()) == []
        assert theirs.list_namespaces() == []
        assert mine.list_namespaces() == [("diary",)]


async def test_the_same_awaiting_on_any_node(shared_mesh: list[RealNode]) -> None:
    urls = [f"http://127.0.0.1:{node.agent[1]}" for node in shared_mesh]
    async with AsyncClient(urls) as client:
        store = MnemeshStore(async_client=client, root="awaiting")
        for number in range(30):
            await store.aput(("n", str(number % 3)), str(number), {"v": number})
        items = await store.asearch(("n",), limit=50)
        assert {item.value["v"] for item in items} == set(range(30))
        found = await store.abatch([GetOp(("n", "1"), "1"), GetOp(("n", "1"), "none")])
        assert found[0].value == {"v": 1}  # type: ignore[union-attr]  # an item
        assert found[1] is None
        assert await store.alist_namespaces(prefix=("n",), limit=2) == [("n", "0"), ("n", "1")]
        await store.adelete(("n", "1"), "1")
        assert await store.aget(("n", "1"), "1") is None
        with pytest.raises(BadArgument, match="methods with an a"):
            store.get(("n", "1"), "1")
