"""The count of open conflicts is what a recount of the whole store gives, at any moment."""

import asyncio
import random
from pathlib import Path

import pytest

from crdt.dot import DATA, PRIVATE
from crdt.op import Kind
from crdt.record_codec import decode
from crdt.view import NOTHING_APPROVED, in_conflict
from node.memory.conflicts_open import OpenConflicts, fields_in_conflict
from node.store import Store
from node.store.bookmark import Bookmark
from node.store.feed import Changed
from node.store.walk import FeedWalk, Pages
from tests.unit.store.rig import Maker, open_store

_FIELDS = ("title", "content", "priority")
_SEED = random.SystemRandom().randrange(1 << 32)


class Author(Maker):
    """Edits, some of which have not seen what was there."""

    def blind(self, key: bytes, **fields: object) -> None:
        """An edit that was made elsewhere at the same time."""
        self.stamp += 1
        seen = self._touch(Kind.EDIT, key, self.records[key], fields)
        self._change(key, seen._replace(supersedes=frozenset()))

    def step(self, rng: random.Random) -> None:
        """One change of any kind."""
        keys = [*self.records]
        if not keys or rng.random() < 0.2:
            self.create(f"{rng.randrange(1 << 40):x}", rng.choice((DATA, PRIVATE)))
            return
        key, field = rng.choice(keys), rng.choice(_FIELDS)
        value = rng.randrange(3) if field == "priority" else rng.choice("abc")
        drawn = rng.random()
        if drawn < 0.4:
            self.blind(key, **{field: value})
        elif drawn < 0.9:
            self.edit(key, **{field: value})
        else:
            self.delete(key)


def recounted(author: Author) -> int:
    """As a reader would count, without any short way."""
    return sum(
        in_conflict([*held.values()])
        for record in author.records.values()
        for name, held in record.fields.items()
        if name in _FIELDS
    )


def counting(
    store: Store, author: Author, data_dir: Path | None = None, pages: Pages | None = None
) -> OpenConflicts:
    bookmark = None
    if data_dir is not None:
        newest = store.head.feed
        bookmark = Bookmark(data_dir, "conflicts", store_id=store.store_id, newest=newest)
    return OpenConflicts(
        walk=FeedWalk(
            store_id=lambda: store.store_id,
            pages=pages or store.feed.changed,
            bookmark=bookmark,
        ),
        read=author.records.get,
        approvals=lambda: NOTHING_APPROVED,
    )


@pytest.fixture
def rng() -> random.Random:
    print(f"seed {_SEED}")
    return random.Random(_SEED)


async def test_it_follows_commits_and_starts_from_what_the_store_holds(
    tmp_path: Path, rng: random.Random
) -> None:
    store, author = open_store(tmp_path / "s"), Author()
    following = counting(store, author)
    await following.walk()
    seen = 0
    for _ in range(60):
        for _ in range(rng.randrange(1, 12)):
            author.step(rng)
        batch = author.take()
        store.commit(batch)
        following.saw(batch)
        assert following.total == recounted(author)
        seen = max(seen, following.total)
    assert seen > 3, "nothing was ever in conflict"
    fresh = counting(store, author)
    assert fresh.stale
    await fresh.walk()
    assert not fresh.stale
    assert fresh.total == following.total == recounted(author)
    store.close()


async def test_what_changes_while_the_store_is_walked_is_counted_once(
    tmp_path: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.store.walk.PAGE_ROWS", 4)
    store, author = open_store(tmp_path / "s"), Author()
    for _ in range(400):
        author.step(rng)
    store.commit(author.take())
    conflicts = counting(store, author)
    walk = asyncio.create_task(conflicts.walk())
    for _ in range(40):  # fewer rows than the walk has to read: it comes to its end
        for _ in range(2):
            author.step(rng)
        batch = author.take()
        store.commit(batch)
        conflicts.saw(batch)
        await asyncio.sleep(0)
    assert not walk.done(), "nothing changed while it went on"
    await walk
    assert conflicts.total == recounted(author)
    for key, record in author.records.items():
        data = store.record(key)
        assert data is not None
        assert fields_in_conflict(decode(key, data), NOTHING_APPROVED) == fields_in_conflict(
            record, NOTHING_APPROVED
        )
    store.close()


async def test_the_next_start_reads_what_changed_since_the_last_one(
    tmp_path: Path, rng: random.Random
) -> None:
    store, author = open_store(tmp_path / "s"), Author()
    read = 0

    def pages(after: int, limit: int) -> list[Changed]:
        nonlocal read
        rows = store.feed.changed(after, limit)
        read += len(rows)
        return rows

    seen = 0
    for _ in range(25):  # every round is a start that follows nothing of what comes after it
        for _ in range(rng.randrange(1, 30)):
            author.step(rng)
        batch = author.take()
        store.commit(batch)
        read = 0
        conflicts = counting(store, author, tmp_path, pages)
        await conflicts.walk()
        assert conflicts.total == recounted(author)
        assert read <= len(batch.records)
        seen = max(seen, conflicts.total)
    assert seen > 3, "nothing was ever in conflict"
    conflicts = counting(store, author, tmp_path, pages)
    await conflicts.walk()
    assert conflicts.total == recounted(author)
    store.close()


async def test_a_content_beside_the_changes_of_a_document_is_found_in_what_is_stored(
    tmp_path: Path,
) -> None:
    store, author = open_store(tmp_path / "s"), Author()
    key = author.create("plan", memory_kind="document", content="beside")
    author.edit(key, **{"chunk/00": b"bytes"})
    store.commit(author.take())
    conflicts = counting(store, author)
    await conflicts.walk()
    assert conflicts.total == fields_in_conflict(author.records[key], NOTHING_APPROVED) == 1
    store.close()
