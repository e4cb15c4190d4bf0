"""One contract for the state on disk and the state in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot
from crdt.memory_state import MemoryState
from crdt.record_codec import encode
from crdt.state import IdempotencyRow, State
from tests.unit.store.rig import T0_MS, Maker, actor, memory, open_store

DotRow = IdempotencyRow(b"b" * 16, (Dot(actor(), 1),))


@pytest.fixture(params=["disk", "memory"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryState()
        return
    store = open_store(tmp_path / "s")
    yield store
    store.close()


def test_it_is_a_state(state: State) -> None:
    assert state.record(b"dmemory/x") is None
    assert state.idempotent(b"x") is None
    assert list(state.tail(actor(), 0, 10)) == []
    page = state.page({}, 10)
    assert (list(page.bundles), page.complete) == ([], True)


def test_a_batch_is_read_back(state: Any) -> None:
    maker = Maker()
    key, gone = maker.create("a"), maker.create("b")
    maker.hold(Dot(actor(), 9), b"held")
    maker.request(b"s" * 16, DotRow)
    state.commit(maker.take(genesis=b"mesh"))
    maker.edit(key, title="2")
    maker.delete(gone)
    maker.govern()
    state.commit(maker.take())
    assert state.record(key) == encode(maker.records[key])
    assert state.record(gone) is None
    assert state.idempotent(b"s" * 16) == DotRow
    loaded = state.load()
    assert dict(loaded.actors) == maker.actors
    assert dict(loaded.pending) == {Dot(actor(), 9): b"held"}
    assert loaded.digest == maker.digest
    assert loaded.arrivals == len(maker.bundles)
    assert loaded.genesis == b"mesh"
    assert list(loaded.governance) == [b.data for b in maker.bundles if b.actor[:1] == GOVERNANCE]


def test_every_prefix_of_the_pages_keeps_order(state: Any) -> None:
    makers = [Maker(1), Maker(2), Maker(3)]
    order: list[bytes] = []
    for n in range(30):
        maker = makers[n * 7 % 3]
        maker.create(f"{n}")
        if n % 5 == 0:
            maker.govern()
        if n % 4 == 0:
            maker.create(f"p{n}", PRIVATE)
        batch = maker.take()
        order += [b.data for b in batch.bundles]
        state.commit(batch)
    order = [b for b in order if b[:1] != PRIVATE]
    expected = [b for b in order if b[:1] == GOVERNANCE] + [b for b in order if b[:1] == DATA]
    for limit in (1, 350, 10**6):
        clock: dict[bytes, int] = {}
        seen: list[bytes] = []
        complete = False
        while not complete:
            page = state.page(clock, limit)
            assert page.bundles
            seen += page.bundles
            for bundle in page.bundles:
                clock[bundle[:45]] = int(bundle[45:].split()[1])
            complete = page.complete
        assert seen == expected
        assert list(state.page(clock, limit).bundles) == []


def test_a_clock_that_knows_more_is_lacking_nothing(state: Any) -> None:
    maker = Maker()
    maker.create("a")
    state.commit(maker.take())
    page = state.page({actor(): 99, actor(node=8): 4}, 10**6)
    assert (list(page.bundles), page.complete) == ([], True)


def test_the_tail_of_one_actor(state: Any) -> None:
    mine, other = Maker(1), Maker(2)
    for n in range(5):
        mine.create(f"a{n}")
        other.create(f"b{n}")
        state.commit(mine.take())
        state.commit(other.take())
    data = [b.data for b in mine.bundles]
    assert list(state.tail(actor(), 0, 10**6)) == data
    assert list(state.tail(actor(), 3, 10**6)) == data[3:]
    assert list(state.tail(actor(), 0, 1))[:1] == data[:1]
    assert list(state.tail(actor(), 5, 1)) == []


def test_a_request_seen_again_takes_the_later_row(state: Any) -> None:
    maker = Maker()
    maker.request(b"s", DotRow)
    state.commit(maker.take(T0_MS))
    longer = IdempotencyRow(DotRow.body, (*DotRow.dots, Dot(actor(), 2)))
    maker.request(b"s", longer)
    state.commit(maker.take(T0_MS + 1))
    assert state.idempotent(b"s") == longer


def test_a_record_can_come_back_after_its_deletion(state: Any) -> None:
    maker = Maker()
    for turn in range(3):
        maker.create("a", content=f"{turn}")
        state.commit(maker.take())
        assert state.record(memory("a")) == encode(maker.records[memory("a")])
        maker.delete(memory("a"))
        state.commit(maker.take())
        assert state.record(memory("a")) is None
    assert state.load().digest == maker.digest == 0
