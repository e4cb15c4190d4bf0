"""The archive's list: what stands in it, in which order, and what is counted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.dot import PRIVATE
from node.store import Store
from node.store.projection import ARCHIVED, facts
from tests.unit.store.rig import T0_MS, Maker, memory, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = open_store(tmp_path / "s")
    yield held
    held.close()


def archived(store: Store, **span: int) -> list[str]:
    return [key.partition(b"/")[2].decode() for _, key in store.lists.archived(**span)]


def test_an_archived_memory_stands_in_the_archive_alone(store: Store) -> None:
    maker = Maker()
    key = maker.create("a", expires_at=T0_MS + 100)
    maker.create("b")
    store.commit(maker.take())
    maker.edit(key, archived_at=T0_MS + 5)
    store.commit(maker.take())
    assert archived(store) == ["a"]
    assert [key for _, key in store.lists.recent()] == [memory("b")]
    assert list(store.lists.expiring(0, T0_MS + 1000)) == []
    assert store.lists.counts() == {("global", "mid"): 1, ("global", ARCHIVED): 1}
    maker.edit(key, archived_at=None)
    store.commit(maker.take())
    assert archived(store) == []
    assert store.lists.counts() == {("global", "mid"): 2}


def test_the_last_archived_comes_first_over_both_lanes_and_pages(store: Store) -> None:
    maker = Maker()
    for n in range(100):
        key = maker.create(f"{n:03}", PRIVATE if n % 3 == 0 else b"d")
        maker.edit(key, archived_at=T0_MS + n)
    store.commit(maker.take())
    assert archived(store) == [f"{n:03}" for n in range(99, -1, -1)]
    assert archived(store, until_ms=T0_MS + 10) == [f"{n:03}" for n in range(9, -1, -1)]
    assert archived(store, from_ms=T0_MS + 98) == ["099", "098"]


def test_a_deletion_takes_it_out_and_it_survives_a_restart(store: Store, tmp_path: Path) -> None:
    maker = Maker()
    keys = [maker.create(name, archived_at=T0_MS) for name in ("a", "b")]
    store.commit(maker.take())
    maker.delete(keys[0])
    store.commit(maker.take())
    store.close()
    again = open_store(tmp_path / "s")
    try:
        assert archived(again) == ["b"]
        assert again.lists.counts() == {("global", ARCHIVED): 1}
    finally:
        again.close()


@pytest.mark.parametrize("value", [True, "yesterday", 1.5, -1, 2**63])
def test_what_is_no_moment_archives_nothing(value: object) -> None:
    maker = Maker()
    key = maker.create("a", archived_at=value)
    found = facts(key, maker.records[key])
    assert found is not None
    assert found.archived is None
