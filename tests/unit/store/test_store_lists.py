"""What agents list: order, namespaces, lives, counts, feed and history."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.dot import DATA, PRIVATE
from crdt.log_rule import LogRule
from crdt.record import Birth, Record
from node.store import Store
from node.store.projection import facts
from node.store.upkeep import days
from tests.unit.store.rig import T0_MS, Maker, actor, memory, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = open_store(tmp_path / "s")
    yield held
    held.close()


def recent(store: Store, namespace: str | None = None) -> list[str]:
    return [key.partition(b"/")[2].decode() for _, key in store.lists.recent(namespace)]


def test_newest_first_over_all_and_per_namespace(store: Store) -> None:
    maker = Maker()
    for n in range(100):
        maker.create(f"{n:03}", PRIVATE if n % 7 == 0 else DATA, namespace=f"n{n % 3}")
    store.commit(maker.take())
    assert recent(store) == [f"{n:03}" for n in range(99, -1, -1)]
    assert recent(store, "n1") == [f"{n:03}" for n in range(99, -1, -1) if n % 3 == 1]
    assert recent(store, "nowhere") == []
    assert store.lists.count() == 100


def test_a_list_goes_on_below_a_position(store: Store) -> None:
    maker = Maker()
    for n in range(10):
        maker.create(f"{n}")
    store.commit(maker.take())
    rows = list(store.lists.recent())
    assert list(store.lists.recent(before=rows[3])) == rows[4:]
    assert list(store.lists.recent("global", before=rows[8])) == rows[9:]


def test_a_list_survives_writes_between_its_steps(store: Store) -> None:
    maker = Maker()
    for n in range(200):
        maker.create(f"{n:03}")
    store.commit(maker.take())
    rows = store.lists.recent()
    first = next(rows)
    for n in range(150):
        maker.delete(memory(f"{n:03}"))
    store.commit(maker.take())
    left = [first, *rows]
    assert len(left) == len(set(left))
    assert {key for _, key in left} >= {memory(f"{n:03}") for n in range(150, 200)}


def test_other_collections_are_not_listed() -> None:
    assert facts(b"dlink/a", Record({}, {})) is None
    assert facts(b"dmemory/a", None) is None
    pending = {next(iter([actor()])): Birth("o", "n", 1, pending=True)}
    assert facts(b"dmemory/a", Record(pending, {})) is None


def test_edits_move_counts_and_lives(store: Store) -> None:
    maker = Maker()
    key = maker.create("a", expires_at=T0_MS + 100)
    maker.create("b", tier="short", expires_at=T0_MS + 50)
    store.commit(maker.take())
    assert list(store.lists.expiring(0, T0_MS + 100)) == [(T0_MS + 50, memory("b"))]
    assert list(store.lists.expired_before(T0_MS + 101)) == [memory("b"), key]
    maker.edit(key, tier="long", expires_at=None)
    store.commit(maker.take())
    assert list(store.lists.expired_before(T0_MS + 101)) == [memory("b")]
    assert store.lists.counts() == {("global", "long"): 1, ("global", "short"): 1}
    maker.delete(memory("b"))
    store.commit(maker.take())
    assert store.lists.counts() == {("global", "long"): 1}
    assert list(store.lists.expired_before(T0_MS + 101)) == []


def test_prefixes(store: Store) -> None:
    maker = Maker()
    for name in ("aab", "aaa", "ab", "b"):
        maker.create(name)
    store.commit(maker.take())
    assert store.lists.with_prefix(memory("aa"), 9) == [memory("aaa"), memory("aab")]
    assert store.lists.with_prefix(memory("a"), 2) == [memory("aaa"), memory("aab")]
    assert store.lists.with_prefix(memory("c"), 9) == []
    assert store.lists.with_prefix(b"d" * 600, 9) == []


def test_the_feed_holds_each_record_once_at_its_latest_change(store: Store) -> None:
    maker = Maker()
    maker.create("a")
    maker.create("b")
    store.commit(maker.take(T0_MS))
    maker.edit(memory("a"), title="2")
    store.commit(maker.take(T0_MS + 10))
    assert [e.key for e in store.feed.after(0, 9)] == [memory("b"), memory("a")]
    maker.delete(memory("b"))
    store.commit(maker.take(T0_MS + 20))
    entries = store.feed.after(0, 9)
    assert [(e.key, e.ms) for e in entries] == [
        (memory("a"), T0_MS + 10),
        (memory("b"), T0_MS + 20),
    ]
    assert store.feed.after(entries[0].position, 9) == entries[1:]
    assert store.feed.after(entries[1].position, 9) == []
    maker.create("b")
    store.commit(maker.take(T0_MS + 30))
    assert [e.key for e in store.feed.after(0, 9)] == [memory("a"), memory("b")]


def test_a_time_finds_its_place_in_the_feed(store: Store) -> None:
    maker = Maker()
    assert store.feed.position_at(T0_MS) == 0
    for n in range(50):
        maker.create(f"{n}")
        store.commit(maker.take(T0_MS + 10 * n))
    for n in range(0, 50, 3):
        maker.edit(memory(f"{n}"), title="again")
    store.commit(maker.take(T0_MS + 400))  # the clock went back: the feed's time does not
    everything = store.feed.after(0, 99)
    for ms in range(T0_MS - 5, T0_MS + 520, 7):
        found = store.feed.after(store.feed.position_at(ms), 99)
        assert found == [e for e in everything if e.ms >= ms]


def test_pruning_forgets_the_deleted_and_nothing_else(store: Store) -> None:
    maker = Maker()
    for name in "abc":
        maker.create(name)
    store.commit(maker.take(T0_MS))
    maker.delete(memory("a"))
    store.commit(maker.take(T0_MS + 10))
    maker.delete(memory("b"))
    store.commit(maker.take(T0_MS + 20))
    assert store.prune_feed(T0_MS + 15) is False
    assert [e.key for e in store.feed.after(0, 9)] == [memory("c"), memory("b")]
    maker.create("a")
    maker.create("b")
    store.commit(maker.take(T0_MS + 30))
    assert store.prune_feed(T0_MS + 99) is False
    assert [e.key for e in store.feed.after(0, 9)] == [memory("c"), memory("a"), memory("b")]


def test_history_is_newest_first_and_ends_where_the_log_ends(store: Store) -> None:
    maker = Maker()
    key = maker.create("a")
    store.commit(maker.take())
    for n in range(4):
        maker.edit(key, title=str(n))
        maker.create(f"other{n}")
        store.commit(maker.take())
    maker.delete(key)
    store.commit(maker.take())
    data = [b.data for b in maker.bundles if key in b.keys]
    assert [h.data for h in store.feed.history(key, 99)] == data[::-1]
    assert [h.data for h in store.feed.history(key, 2)] == data[:-3:-1]
    assert store.feed.history(memory("nobody"), 9) == []
    rule = LogRule(rows=[{actor(): 5}], log_bytes_max=10**9, log_bytes_min=0, log_ms_max=days(9))
    store.truncate(rule, T0_MS)
    assert [h.data for h in store.feed.history(key, 99)] == data[:2:-1]


def test_read_counters_add_up_and_go_with_their_record(store: Store) -> None:
    maker = Maker()
    key = maker.create("a")
    store.commit(maker.take())
    assert store.lists.access(key) == (0, 0)
    store.flush_access({key: (2, 50)})
    store.flush_access({key: (3, 40), memory("nobody"): (1, 1)})
    assert store.lists.access(key) == (5, 50)
    assert store.lists.access(memory("nobody")) == (0, 0)
    maker.delete(key)
    store.commit(maker.take())
    store.flush_access({key: (1, 60)})
    assert store.lists.access(key) == (0, 0)


def test_a_record_is_known_until_its_end_is_forgotten(store: Store) -> None:
    maker = Maker()
    for ident in ("aaa", "aab"):
        maker.create(ident)
    store.commit(maker.take())
    maker.delete(memory("aaa"))
    store.commit(maker.take())
    known = ("aaa", "aab", "aa", "aac")
    assert [store.feed.knows(memory(name)) for name in known] == [True, True, False, False]
    store.prune_feed(2**60)
    assert [store.feed.knows(memory(name)) for name in known] == [False, True, False, False]
    assert not store.feed.knows(b"d" * 600)
