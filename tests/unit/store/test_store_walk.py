"""A walk over a store reads all of it, once."""

import random
from pathlib import Path

from crdt.dot import DATA
from crdt.op import record_key
from node.store import Store
from node.store.feed import Changed
from node.store.walk import PAGE_ROWS, FeedWalk
from tests.unit.integrity.rig import flip_row
from tests.unit.store.rig import Maker, open_store


def key_of(name: str) -> bytes:
    return record_key(DATA, "memory", name)


def filled(path: Path, count: int) -> tuple[Store, Maker]:
    store, maker = open_store(path), Maker()
    for number in range(count):
        maker.create(f"{number:04}")
    store.commit(maker.take())
    return store, maker


async def read_by(walk: FeedWalk) -> tuple[str | None, list[bytes]]:
    noted: list[bytes] = []
    ended = await walk.go(wanted=lambda _row: True, note=noted.append, found=lambda: noted)
    return ended, noted


async def test_it_ends_where_the_feed_ends_not_at_damage(tmp_path: Path) -> None:
    store, maker = filled(tmp_path / "s", 3 * PAGE_ROWS)
    whole = await read_by(FeedWalk.beside(tmp_path / "none", "n", lambda: store))
    assert whole == (store.store_id, sorted(maker.records))
    flip_row(store, random.Random(1), "feed")
    ended, noted = await read_by(FeedWalk.beside(tmp_path, "n", lambda: store))
    assert ended == store.store_id
    assert len(noted) == len(set(noted)) == 3 * PAGE_ROWS - 1
    store.close()


async def test_the_next_start_has_what_was_found_and_reads_what_is_new(tmp_path: Path) -> None:
    store, maker = filled(tmp_path / "s", 3)
    await read_by(FeedWalk.beside(tmp_path, "n", lambda: store))
    maker.create("new")
    store.commit(maker.take())
    rows: list[Changed] = []

    def pages(after: int, limit: int) -> list[Changed]:
        page = store.feed.changed(after, limit)
        rows.extend(page)
        return page

    there = FeedWalk.beside(tmp_path, "n", lambda: store)
    walk = FeedWalk(store_id=there.store_id, pages=pages, bookmark=there.bookmark)
    ended, noted = await read_by(walk)
    assert ended == store.store_id
    assert noted == [key_of(name) for name in ("0000", "0001", "0002", "new")]
    assert [row.key for row in rows] == [key_of("new")]
    store.close()


async def test_it_is_given_up_when_another_store_is_there(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "s", 3)
    names = iter([store.store_id] * 2 + ["another"] * 9)
    walk = FeedWalk.beside(tmp_path, "n", lambda: store)
    ended, _ = await read_by(
        FeedWalk(store_id=lambda: next(names), pages=walk.pages, bookmark=walk.bookmark)
    )
    assert ended is None
    assert not (tmp_path / "derived").exists()
    store.close()
