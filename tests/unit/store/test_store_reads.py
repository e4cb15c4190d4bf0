"""What was committed is what is read, verified."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot
from crdt.log_rule import LogRule
from crdt.record_codec import encode
from crdt.state import Batch, IdempotencyRow
from node.store import BelowFloor, CorruptRecord, Store
from node.store.rows import Head, read_standing
from node.store.schema import number
from node.store.scrub import START
from node.store.upkeep import days
from tests.unit.store.rig import T0_MS, Maker, actor, memory, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = open_store(tmp_path / "s")
    yield held
    held.close()


def reopened(store: Store) -> Store:
    store.close()
    return open_store(store.path)


def test_a_new_store_is_empty_and_keeps_its_name(tmp_path: Path) -> None:
    first = open_store(tmp_path / "s")
    name = first.store_id
    assert first.load().actors == {}
    assert first.head == Head()
    assert first.record(b"dmemory/x") is None
    first.close()
    again = open_store(tmp_path / "s")
    assert again.store_id == name
    again.close()
    assert (tmp_path / "s" / "data.mdb").stat().st_mode & 0o777 == 0o600


def test_records_come_back_after_a_restart(tmp_path: Path) -> None:
    maker, store = Maker(), open_store(tmp_path / "s")
    key = maker.create("a", content="x" * 5000)
    gone = maker.create("b")
    store.commit(maker.take(genesis=b"the mesh"))
    maker.delete(gone)
    maker.edit(key, title="new")
    store.commit(maker.take())
    store = reopened(store)
    assert store.record(key) == encode(maker.records[key])
    assert store.record(gone) is None
    loaded = store.load()
    assert loaded.digest == maker.digest
    assert loaded.genesis == b"the mesh"
    assert loaded.arrivals == 2
    assert loaded.actors == maker.actors
    store.close()


def test_pending_requests_and_governance_come_back(store: Store) -> None:
    maker = Maker()
    dot = Dot(actor(), 7)
    row = IdempotencyRow(b"b" * 16, (dot, Dot(actor(PRIVATE), 2)))
    maker.govern()
    maker.hold(dot, b"held")
    maker.request(b"s" * 16, row)
    maker.create("a")
    store.commit(maker.take())
    assert store.load().pending == {dot: b"held"}
    assert store.idempotent(b"s" * 16) == row
    assert store.idempotent(b"t" * 16) is None
    assert store.load().governance == [b.data for b in maker.bundles if b.actor[:1] == GOVERNANCE]


def test_a_pending_row_can_go(store: Store) -> None:
    maker = Maker()
    maker.hold(Dot(actor(), 7), b"held")
    store.commit(maker.take())
    maker._pending[Dot(actor(), 7)] = None
    store.commit(maker.take())
    assert store.load().pending == {}


def test_several_batches_in_one_transaction_equal_several_transactions(tmp_path: Path) -> None:
    def batches(maker: Maker) -> Iterator[Batch]:
        key = maker.create("a", expires_at=T0_MS + 5)
        other = maker.create("b", tier="long")
        yield maker.take(T0_MS)
        maker.edit(key, tier="long")
        maker.delete(other)
        yield maker.take(T0_MS + 1)
        maker.edit(key, title="z")
        maker.create("b", namespace="n2")
        yield maker.take(T0_MS + 2)

    one, many = open_store(tmp_path / "one"), open_store(tmp_path / "many")
    first, second = Maker(), Maker()
    one.commit(*batches(first))
    for batch in batches(second):
        many.commit(batch)
    assert first.digest == second.digest
    for held in (one, many):
        assert held.lists.counts() == {("global", "long"): 1, ("n2", "mid"): 1}
        assert held.lists.count() == 2
        assert len(held.feed.history(memory("a"), 9)) == 3
        assert [e.key for e in held.feed.after(0, 9)] == [memory("a"), memory("b")]
        assert held.load().digest == first.digest
    assert one.record(memory("a")) == many.record(memory("a"))
    one.close()
    many.close()


def test_pages_put_governance_first_and_never_hold_private_bundles(store: Store) -> None:
    maker = Maker()
    for n in range(3):
        maker.create(f"d{n}")
        maker.create(f"p{n}", PRIVATE)
        maker.govern()
        store.commit(maker.take())
    page = store.page({}, 10**6)
    lanes = [bundle[:1] for bundle in page.bundles]
    assert lanes == [GOVERNANCE] * 3 + [DATA] * 3
    assert page.complete


def test_pages_end_past_the_limit_and_go_on(store: Store) -> None:
    maker, seen, clock = Maker(), [], {}
    for n in range(10):
        maker.create(f"d{n}")
        store.commit(maker.take())
    while True:
        page = store.page(clock, 250)
        assert len(page.bundles) in {1, 3}
        seen += page.bundles
        clock = {actor(): len(seen)}
        if page.complete:
            break
    assert seen == [bundle.data for bundle in maker.bundles]
    assert store.page(clock, 250).bundles == []


def test_pages_merge_actors_by_arrival(store: Store) -> None:
    mine, theirs = Maker(1), Maker(2)
    order = []
    for n in range(6):
        maker = (mine, theirs)[n % 2]
        maker.create(f"{n}")
        batch = maker.take()
        order.append(batch.bundles[0].data)
        store.commit(batch)
    assert list(store.page({}, 10**6).bundles) == order
    assert list(store.page({actor(): 2}, 10**6).bundles) == [order[i] for i in (1, 3, 4, 5)]


def test_tail_is_one_actors_line(store: Store) -> None:
    maker = Maker()
    for n in range(5):
        maker.create(f"{n}")
        store.commit(maker.take())
    data = [bundle.data for bundle in maker.bundles]
    assert store.tail(actor(), 2, 10**6) == data[2:]
    assert store.tail(actor(), 0, 1) == data[:1]
    assert store.tail(actor(), 5, 10**6) == []
    assert store.tail(actor(node=9), 0, 10**6) == []


def test_below_the_floor_is_said_never_skipped(store: Store) -> None:
    maker = Maker()
    for n in range(5):
        maker.create(f"{n}")
        store.commit(maker.take())
    rule = LogRule(rows=[{actor(): 3}], log_bytes_max=10**9, log_bytes_min=0, log_ms_max=days(30))
    done = store.truncate(rule, T0_MS)
    assert (done.bundles, dict(done.floors)) == (3, {actor(): 3})
    assert store.load().actors[actor()].floor == 3
    with pytest.raises(BelowFloor):
        store.page({}, 10**6)
    with pytest.raises(BelowFloor):
        store.tail(actor(), 2, 10**6)
    assert len(store.page({actor(): 3}, 10**6).bundles) == 2


def test_a_floor_outlives_batches_that_have_not_heard_of_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    maker = Maker()
    maker.create("a")
    store.commit(maker.take())
    maker.create("b")
    rule = LogRule(rows=[], log_bytes_max=0, log_bytes_min=0, log_ms_max=days(30))
    store.truncate(rule, T0_MS)
    store.commit(maker.take())
    assert store.load().actors[actor()].floor == 1
    store = reopened(store)
    maker.create("c")
    store.commit(maker.take())
    assert store.load().actors[actor()].floor == 1
    store.close()


def test_a_flipped_bit_in_a_record_is_named(store: Store) -> None:
    maker = Maker()
    key = maker.create("a")
    store.commit(maker.take())
    table, at = store.tables.feed, number(1)
    value = bytearray(store.environment.read(lambda txn: txn.get(at, db=table)))
    value[-1] ^= 1
    store.environment.write(lambda txn: txn.put(at, bytes(value), db=table))
    with pytest.raises(CorruptRecord) as caught:
        store.record(key)
    assert (caught.value.table, caught.value.key) == ("records", key)
    assert [(bad.table, bad.key) for bad in store.scrub(START, 1000).bad] == [("records", key)]


@pytest.mark.parametrize("name", ["records", "feed"])
def test_no_flipped_bit_makes_another_record_of_it(store: Store, name: str) -> None:
    maker = Maker()
    key, _ = maker.create("a"), maker.create("b")
    store.commit(maker.take())
    whole = store.record(key)
    table, at = getattr(store.tables, name), key if name == "records" else number(1)
    stored = store.environment.read(lambda txn: txn.get(at, db=table))
    for bit in range(0, 8 * len(stored), 7):
        value = bytearray(stored)
        value[bit // 8] ^= 1 << bit % 8
        store.environment.write(lambda txn, value=value: txn.put(at, bytes(value), db=table))
        assert store.scrub(START, 1000).bad, f"nobody sees bit {bit}"
        with suppress(CorruptRecord):
            assert store.record(key) == whole
        with suppress(CorruptRecord):
            assert store.feed.after(0, 1)[0].key == key
        assert store.feed.changed(0, 1)[0] in {(1, key, whole), store.feed.changed(1, 1)[0]}


def test_content_whose_place_was_damaged_leaves_the_feed_all_the_same(tmp_path: Path) -> None:
    store, maker = open_store(tmp_path / "s"), Maker()
    for name in ("one", "two"):
        maker.create(name)
    store.commit(maker.take())
    tables = store.environment.tables
    keys = [b"dmemory/one", b"dmemory/two"]
    for key in keys:
        store.environment.write(lambda txn, key=key: txn.put(key, bytes(20), db=tables.records))  # type: ignore[misc]
    maker.edit(keys[0], title="fresh")
    maker.delete(keys[1])
    store.commit(maker.take())
    rows = store.environment.read(lambda txn: list(txn.cursor(db=tables.feed)))
    held = [read_standing(at, value) for at, value in rows]
    assert sorted((one.key, bool(one.data)) for one in held) == [(keys[0], True), (keys[1], False)]
    store.close()
