"""What a node knows of where consolidations come from is what the store says, start after start."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from crdt.dot import DATA, PRIVATE
from node.lifecycle.composing import CONSOLIDATION
from node.lifecycle.origins import Origins
from node.store import Store
from node.store.bookmark import Bookmark
from node.store.feed import Changed
from node.store.walk import FeedWalk
from tests.unit.store.rig import Maker, open_store


class Reading:
    """One start: an index of its own, and how many rows it read."""

    def __init__(self, store: Store, maker: Maker, data_dir: Path) -> None:
        self.store, self.maker = store, maker
        self.bookmark = Bookmark(
            data_dir, "origins", store_id=store.store_id, newest=store.head.feed
        )
        self.rows = 0
        self.origins = Origins()

    def pages(self, after: int, limit: int) -> list[Changed]:
        rows = self.store.feed.changed(after, limit)
        self.rows += len(rows)
        return rows

    async def follow(self) -> Origins:
        await self.origins.follow(self.walk(lambda: self.store.store_id), self.maker.records.get)
        return self.origins

    def walk(self, store_id: Callable[[], str]) -> FeedWalk:
        return FeedWalk(store_id=store_id, pages=self.pages, bookmark=self.bookmark)


def composed_of(*names: str) -> dict[str, list[str]]:
    return {"sources": list(names)}


async def test_every_start_knows_what_a_reading_of_everything_tells(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    store, maker = open_store(tmp_path / "s"), Maker()
    made: list[bytes] = []
    for _ in range(20):
        for _ in range(rng.randrange(1, 20)):
            draw = rng.random()
            if draw < 0.5 or not made:
                lane = rng.choice((DATA, PRIVATE))
                made.append(maker.create(f"{rng.randrange(1 << 40):x}", lane))
            elif draw < 0.8:
                sources = rng.sample(["x", "y", "z", "u", "v"], rng.randrange(0, 4))
                maker.edit(rng.choice(made), **{CONSOLIDATION: composed_of(*sources)})
            elif draw < 0.9:
                maker.edit(rng.choice(made), title="another")
            else:
                key = made.pop(rng.randrange(len(made)))
                maker.delete(key)
        batch = maker.take()
        store.commit(batch)
        start = Reading(store, maker, tmp_path)
        known = await start.follow()
        assert start.rows <= len(batch.records)
        everything = Reading(store, maker, tmp_path / "none")
        expected = await everything.follow()
        assert known.store == expected.store == store.store_id
        assert sorted(known.keys()) == sorted(expected.keys())
        assert sorted(known.sources()) == sorted(expected.sources())
        for source in expected.sources():
            assert sorted(known.made_of(source)) == sorted(expected.made_of(source))
    store.close()


@pytest.mark.parametrize("at", [1, 2])
async def test_a_store_that_was_replaced_meanwhile_is_not_known(tmp_path: Path, at: int) -> None:
    store, maker = open_store(tmp_path / "s"), Maker()
    key = maker.create("a")
    maker.edit(key, **{CONSOLIDATION: composed_of("x")})
    store.commit(maker.take())
    start = Reading(store, maker, tmp_path)
    asked = 0

    def store_id() -> str:
        nonlocal asked
        asked += 1
        return "another" if asked > at else store.store_id

    await start.origins.follow(start.walk(store_id), maker.records.get)
    assert start.origins.store == ""
    assert not (tmp_path / "derived").exists()
    store.close()
