"""Growth is bounded: log floor, remembered requests, the map."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from crdt.clock import Clock
from crdt.dot import GOVERNANCE, PRIVATE, Dot
from crdt.log_rule import LogRule
from crdt.state import IdempotencyRow
from node.store import Store
from node.store.upkeep import BUNDLES_PER_JOB, days
from tests.unit.store.rig import T0_MS, Maker, actor, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = open_store(tmp_path / "s")
    yield held
    held.close()


def filled(store: Store, count: int = 10) -> Maker:
    maker = Maker()
    for n in range(count):
        maker.create(f"d{n}")
        maker.create(f"p{n}", PRIVATE)
        maker.govern()
        store.commit(maker.take(T0_MS + n))
    return maker


MONTH = days(30)


def rule(
    rows: Sequence[Clock] = (),
    most: int = 10**9,
    least: int = 0,
    age: int = MONTH,
    copies: int = 1,
) -> LogRule:
    return LogRule(
        rows=rows, log_bytes_max=most, log_bytes_min=least, log_ms_max=age, copies=copies
    )


def log_sizes(store: Store) -> tuple[int, int, int]:
    tables = store.tables
    logs = (tables.log_governance, tables.log_data, tables.log_private)
    return store.environment.read(lambda txn: tuple(txn.stat(t)["entries"] for t in logs))


def test_what_all_rows_cover_goes_and_only_that(store: Store) -> None:
    filled(store)
    done = store.truncate(rule([{actor(): 8}, {actor(): 4}]), T0_MS)
    assert done.floors == {actor(): 4}
    assert log_sizes(store) == (10, 6, 10)
    assert store.truncate(rule([{}]), T0_MS).bundles == 0


def test_the_private_lane_goes_by_budget_alone(store: Store) -> None:
    filled(store)
    store.truncate(rule([]), T0_MS)
    assert log_sizes(store) == (10, 0, 10)
    per_bundle = store.head.private_bytes // 10
    done = store.truncate(rule([], most=per_bundle * 4), T0_MS)
    assert log_sizes(store) == (10, 0, 4)
    assert done.floors == {actor(PRIVATE): 6}
    assert store.head.private_bytes == per_bundle * 4


def test_the_least_is_kept_although_everybody_has_it(store: Store) -> None:
    filled(store)
    per_bundle = store.head.log_bytes // 10
    store.truncate(rule([{actor(): 10}], least=per_bundle * 3), T0_MS)
    assert log_sizes(store) == (10, 3, 10)


def test_size_and_age_beat_a_peer_that_lacks_it(store: Store) -> None:
    filled(store)
    per_bundle = store.head.log_bytes // 10
    store.truncate(rule([{}], most=per_bundle * 7), T0_MS)
    assert log_sizes(store)[1] == 7
    store.truncate(rule([{}], age=days(1)), T0_MS + days(1) + 5)
    assert log_sizes(store) == (10, 5, 5)


def test_a_budget_takes_nothing_that_too_few_members_hold(store: Store) -> None:
    filled(store)
    per_bundle = store.head.log_bytes // 10
    rows = [{actor(): 6}, {actor(): 3}, {}, {}]
    done = store.truncate(rule(rows, most=per_bundle, copies=4), T0_MS)
    assert done.floors.keys() == {actor(PRIVATE)}
    assert log_sizes(store)[1] == 10
    store.truncate(rule(rows, most=per_bundle, copies=3), T0_MS)
    assert log_sizes(store)[1] == 7
    store.truncate(rule(rows, most=per_bundle, copies=2), T0_MS)
    assert log_sizes(store)[1] == 4
    assert store.truncate(rule(rows, most=per_bundle, copies=2), T0_MS).bundles == 0
    # Far above it, or too old, everything goes: a log is no place for what nobody ever takes.
    store.truncate(rule(rows, most=per_bundle // 6, copies=2), T0_MS)
    assert log_sizes(store)[1] == 2
    store.truncate(rule(rows, age=days(1), copies=2), T0_MS + days(2))
    assert log_sizes(store)[1] == 0


def test_governance_is_never_truncated(store: Store) -> None:
    filled(store)
    store.truncate(rule([], most=0, age=0), T0_MS + days(400))
    assert log_sizes(store) == (10, 0, 0)
    assert len(store.page({actor(): 10}, 10**6).bundles) == 10
    assert actor(GOVERNANCE) not in store.truncate(rule([], most=0), T0_MS).floors


def test_a_round_is_bounded_and_says_so(store: Store) -> None:
    maker = Maker()
    for n in range(BUNDLES_PER_JOB + 10):
        maker.create(f"{n}")
        maker.close()
    store.commit(maker.take())
    first = store.truncate(rule([]), T0_MS)
    assert (first.bundles, first.more) == (BUNDLES_PER_JOB, True)
    second = store.truncate(rule([]), T0_MS)
    assert (second.bundles, second.more) == (10, False)
    assert store.head.log_bytes == 0


def test_requests_are_forgotten_by_local_time(store: Store) -> None:
    maker = Maker()
    row = IdempotencyRow(b"b" * 16, (Dot(actor(), 1),))
    for n in range(5):
        maker.request(b"%d" % n, row)
        store.commit(maker.take(T0_MS + n))
    maker.request(b"0", row)  # seen again later: it lives from then on
    store.commit(maker.take(T0_MS + 9))
    assert store.expire_idempotency(T0_MS + 3) is False
    assert [store.idempotent(b"%d" % n) is not None for n in range(5)] == [
        True,
        False,
        False,
        True,
        True,
    ]


def test_a_tiny_map_grows_and_loses_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s", map_bytes=1)
    before = store.environment.map_bytes()
    maker = Maker()
    for n in range(40):
        maker.create(f"{n}", content="x" * 30_000)
        store.commit(maker.take())
        assert 0 < store.map_used_ratio() <= 1
    assert store.environment.map_bytes() > before
    assert store.lists.count() == 40
    assert store.load().digest == maker.digest
    assert len(store.page({}, 10**9).bundles) == 40
    assert store.size_bytes() > 40 * 30_000
    store.close()
