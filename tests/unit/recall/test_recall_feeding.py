"""The index follows the store through kills, swaps, damage and rebuilds.

Law: the engines are real and lie on the disk; only the store is make-believe: a feed in which
each record stands once, at its latest change.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from crdt.view import View
from node.contracts import Caller, FeedEntry, Held, Reader
from node.errors import NodeError
from node.memory.query import Query
from node.metrics import Metrics
from node.recall.engines import Engines, open_engines
from node.recall.opening import RecallSide, open_recall
from node.recall.shelf import Progress, Shelf
from node.recall.values import Change

NOW = 1_770_000_000_000
SEER = Caller(agent="ai:alice")


class Store:
    """Records by id, and the feed of their latest changes."""

    def __init__(self) -> None:
        self.store_id = "first"
        self.records: dict[str, Held | None] = {}
        self.arrivals: dict[str, int] = {}
        self.arrival = 0

    def put(self, ident: str, content: str | None, *, private: bool = False) -> None:
        self.arrival += 1
        self.arrivals[ident] = self.arrival
        self.records[ident] = None if content is None else _held(ident, content, private=private)

    def replace(self, store_id: str) -> None:
        self.store_id, self.arrival = store_id, 0
        for ident, held in list(self.records.items()):
            if held is None:
                del self.records[ident]
        self.arrivals = {}
        for ident in self.records:
            self.arrival += 1
            self.arrivals[ident] = self.arrival

    # As `node.contracts.Reader`, as far as recall asks.

    def get(self, _collection: str, ident: str) -> Held | None:
        return self.records.get(ident)

    def own(self, _collection: str, ident: str) -> Held | None:
        held = self.records.get(ident)
        return held if held is not None and held.private else None

    def feed(self, after: int, limit: int, *, own: bool = False) -> Sequence[FeedEntry]:
        assert own
        rows = sorted((at, ident) for ident, at in self.arrivals.items() if at > after)
        return [
            FeedEntry(arrival=at, collection="memory", id=ident, held=self.records[ident])
            for at, ident in rows[:limit]
        ]

    def arrival_at(self, _ms: int) -> int:
        return self.arrival + 1


def _held(ident: str, content: str, *, private: bool) -> Held:
    view = View(
        owner="ai:alice",
        namespace="n",
        values={"title": "t", "content": content, "tags": []},
        created=NOW << 16,
        updated=NOW << 16,
        version=1,
        conflicts=0,
        rivals=0,
        etag="e",
    )
    return Held(collection="memory", id=ident, private=private, view=view)


class Side:
    """Recall over a make-believe store."""

    def __init__(self, side: RecallSide, events: list[tuple[str, dict[str, Any]]]) -> None:
        self.side = side
        self.events = events
        self.feeding = side.feeding
        self.engines = lambda: side.feeding.engines

    async def until(self, there: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not there():  # noqa: ASYNC110 - it waits for states of several parts
                await asyncio.sleep(0.005)

    async def level(self) -> None:
        await self.until(lambda: self.feeding.was_level and not self.feeding.lag_ops())

    async def found(self, text: str) -> list[str]:
        found = await self.side.recall.search(text, Query(limit=100), SEER)
        return sorted(one.held.id for one in found)


@asynccontextmanager
async def running(
    folder: Path, store: Store, opener: Callable[[Path], Engines] = open_engines
) -> AsyncIterator[Side]:
    events: list[tuple[str, dict[str, Any]]] = []
    side = open_recall(
        folder,
        reader=lambda: cast("Reader", store),
        metrics=Metrics(),
        log=lambda name, **facts: events.append((name, facts)),
        now_ms=lambda: NOW,
        opener=opener,
        flush_seconds=0.005,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(side.run())
        try:
            yield Side(side, events)
        finally:
            task.cancel()
    side.close()


async def test_what_the_store_has_is_found_and_followed(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "red fish")
    store.put("two", "blue fish", private=True)
    async with running(tmp_path, store) as side:
        await side.level()
        assert await side.found("fish") == ["one", "two"]
        store.put("one", "red bird")
        store.put("two", None)
        side.feeding._cadence.wake()
        await side.level()
        assert await side.found("fish") == []
        assert await side.found("bird") == ["one"]
        assert side.engines().lexical.documents == 1


async def test_the_next_start_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "red")
    async with running(tmp_path, store) as side:
        await side.level()
        generation = side.feeding.generation
    store.put("two", "red too")
    async with running(tmp_path, store) as side:
        assert side.engines().lexical.documents == 1
        await side.level()
        assert await side.found("red") == ["one", "two"]
        assert side.feeding.generation == generation


async def test_a_kill_between_flush_and_position_loses_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store()
    for number in range(30):
        store.put(f"m{number}", f"red number{number}")
    written: list[Progress] = []
    with monkeypatch.context() as patch:
        patch.setattr(Shelf, "write", lambda _self, progress: written.append(progress))
        async with running(tmp_path, store) as side:
            await side.level()
            lost = written[-1]
    assert lost.arrival == 30
    begun = Progress(
        generation=lost.generation, version=lost.version, store_id=lost.store_id, arrival=7
    )
    Shelf(tmp_path / "recall").write(begun)
    store.put("m3", "blue now")
    store.put("m4", None)
    async with running(tmp_path, store) as side:
        assert side.engines().lexical.documents == 30
        await side.level()
        assert side.engines().lexical.documents == 29
        assert await side.found("number3") == []
        assert await side.found("blue") == ["m3"]
        assert await side.found("number5") == ["m5"]


async def test_over_another_store_the_index_starts_over(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "red")
    store.put("two", "red")
    async with running(tmp_path, store) as side:
        await side.level()
        first = side.feeding.generation
        store.put("two", None)
        store.put("three", "red")
        store.replace("second")
        side.feeding._cadence.wake()
        await side.until(lambda: side.feeding.generation != first)
        await side.level()
        assert await side.found("red") == ["one", "three"]
        await side.until(lambda: len(list((tmp_path / "recall").glob("g-*"))) == 1)
    assert tuple(name for name, _ in side.events) == ("index_rebuilding", "index_rebuilt")


async def test_a_store_that_is_replaced_while_it_is_read_is_read_anew(tmp_path: Path) -> None:
    store = Store()
    for number in range(300):
        store.put(f"m{number}", f"red number{number}")
    began = Store.feed

    def feed(after: int, limit: int, *, own: bool = False) -> Sequence[FeedEntry]:
        if after > 100 and store.store_id == "first":
            store.replace("second")
            store.put("m7", None)
        return began(store, after, limit, own=own)

    store.feed = feed  # type: ignore[method-assign] # the store goes while it is read
    async with running(tmp_path, store) as side:
        await side.until(lambda: bool(side.engines().lexical.documents))
        await side.level()
        assert side.engines().lexical.documents == 299
    read = Shelf(tmp_path / "recall").read()
    assert read is not None
    assert read.store_id == "second"


async def test_purging_leaves_nothing_of_what_is_deleted(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "keptword")
    store.put("two", "goneword")
    async with running(tmp_path, store) as side:
        await side.level()
        store.put("two", None)
        side.feeding._cadence.wake()
        await side.level()
        before = side.engines().lexical
        assert before.found_in("content", "goneword") == 1  # removed, and still in the file
        async with asyncio.timeout(10):
            await side.side.recall.purge()
        lexical = side.engines().lexical
        assert lexical is not before
        assert lexical.found_in("content", "goneword") == 0
        assert lexical.found_in("content", "keptword") == 1
        assert len(list((tmp_path / "recall").glob("g-*"))) == 1


async def test_who_waits_for_a_rebuild_hears_of_its_failure(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "red")
    opened = 0

    def opener(folder: Path) -> Engines:
        nonlocal opened
        opened += 1
        engines = open_engines(folder)
        if opened == 2:

            def fail(_changes: Sequence[Change]) -> None:
                raise OSError("no room")

            engines.take = fail  # type: ignore[method-assign] # a disk that is full
        return engines

    async with running(tmp_path, store, opener) as side:
        await side.level()
        async with asyncio.timeout(10):
            with pytest.raises(NodeError, match="not rebuilt"):
                await side.side.recall.purge()
        assert await side.found("red") == ["one"]
        await side.until(lambda: any(name == "index_failed" for name, _ in side.events))


@pytest.mark.parametrize(
    "damage",
    ["lexical/meta.json", "lexical/hidden/meta.json", "order/data.mdb", "CURRENT"],
)
async def test_what_is_damaged_is_made_anew(tmp_path: Path, damage: str) -> None:
    store = Store()
    store.put("one", "red")
    async with running(tmp_path, store) as side:
        await side.level()
        generation = side.feeding.generation
    root = tmp_path / "recall"
    path = root / damage if damage == "CURRENT" else root / generation / damage
    path.write_bytes(b"damaged")
    async with running(tmp_path, store) as side:
        await side.level()
        assert await side.found("red") == ["one"]
        assert side.feeding.generation != generation
        assert len(list(root.glob("g-*"))) == 1


async def test_an_index_of_another_shape_starts_over(tmp_path: Path) -> None:
    store = Store()
    store.put("one", "red")
    async with running(tmp_path, store) as side:
        await side.level()
    shelf = Shelf(tmp_path / "recall")
    read = shelf.read()
    assert read is not None
    old = Progress(generation=read.generation, version=0, store_id="first", arrival=1)
    shelf.write(old)
    async with running(tmp_path, store) as side:
        await side.level()
        assert await side.found("red") == ["one"]
        assert side.feeding.generation != read.generation
