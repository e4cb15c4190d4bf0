"""The log of a real store, read in order of arrival over all lanes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdt.bundle import Bundle
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot
from crdt.log_rule import LogRule
from node.store import Store
from node.store.oplog import Decoded, OpLog
from tests.unit.store.rig import T0_MS, Maker, open_store


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[Store, Maker]]:
    """Six bundles: governance, data, private, data (two operations), governance, data."""
    store, maker = open_store(tmp_path / "store"), Maker()
    steps = [
        maker.govern,
        lambda: maker.create("a"),
        lambda: maker.create("p", lane=PRIVATE),
        lambda: (maker.create("b"), maker.create("c")),
        maker.govern,
        lambda: maker.create("d"),
    ]
    for number, step in enumerate(steps):
        step()
        store.commit(maker.take(now_ms=T0_MS + 1000 * number))
    yield store, maker
    store.close()


def test_bundles_come_in_the_order_in_which_they_arrived(filled: tuple[Store, Maker]) -> None:
    store, maker = filled
    log = OpLog(store.environment)
    lanes = [(one.arrival, one.entry.actor[:1]) for one in log.after(0, 100)]
    assert lanes == [
        (1, GOVERNANCE), (2, DATA), (3, PRIVATE), (4, DATA), (5, GOVERNANCE), (6, DATA),
    ]  # fmt: skip
    assert [one.arrival for one in log.after(2, 2)] == [3, 4]
    assert log.after(6, 100) == []
    assert [one.arrival for one in log.after(0, 100, limit_bytes=1)] == [1]
    assert [one.arrival for one in log.after(1, 100, limit_bytes=1)] == [2]
    assert [one.arrival for one in log.after(4, 100, limit_bytes=1)] == [5, 6]
    entry = log.at(4)
    assert entry is not None
    assert (entry.first, entry.last) == (2, 3)
    assert (log.at(0), log.at(7)) == (None, None)
    data = maker.actor(DATA)
    assert [log.arrival_of(Dot(data, n)) for n in (1, 2, 3, 4, 5)] == [2, 4, 4, 6, None]
    assert log.arrival_of(Dot(maker.actor(PRIVATE), 1)) == 3


def test_times_lead_to_places(filled: tuple[Store, Maker]) -> None:
    store, _ = filled
    log = OpLog(store.environment)
    since = [log.arrival_since(T0_MS + ms) for ms in (-1, 0, 1, 1000, 3500, 5000, 5001)]
    assert since == [0, 0, 1, 1, 4, 5, 6]


def test_a_log_that_was_cut_has_a_hole_that_shows(filled: tuple[Store, Maker]) -> None:
    store, maker = filled
    rule = LogRule(rows=(), log_bytes_max=1 << 30, log_bytes_min=0, log_ms_max=1)
    store.truncate(rule, T0_MS + 3002)
    log = OpLog(store.environment)
    found = [one.arrival for one in log.after(0, 100)]
    assert found[0] == 1, "governance stays"
    assert found != list(range(1, 7))
    assert log.arrival_of(Dot(maker.actor(DATA), 1)) is None


def test_a_bundle_is_decoded_once_while_it_is_wanted() -> None:
    read: list[bytes] = []

    def decode(data: bytes) -> Bundle:
        read.append(data)
        return Bundle(
            actor=bytes(45), first=1, prev=b"", ops=(), data=data, signed=b"", signature=b"",
            hash=b"",
        )  # fmt: skip

    decoded = Decoded()
    big = bytes(5 * 1024 * 1024)
    for arrival in (1, 1, 2, 2, 1):
        decoded.bundle("s", arrival, big, decode)
    assert len(read) == 3, "the two together are beyond the bound"
    decoded.bundle("another", 1, b"x", decode)
    assert len(read) == 4
