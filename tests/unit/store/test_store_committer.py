"""The writing thread: order, confirmation, a full disk, a broken disk, an orderly end."""

import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from crdt.state import Batch
from node.errors import DiskError
from node.store import Committer, NoRoom, QueueFull, Store
from tests.unit.store.rig import DEADLINE_S, Maker, disk_error, open_store, until


class Disk:
    """Ends transactions; fails on demand, and can be held."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.commits = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, txn: Any) -> None:
        assert self.gate.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        txn.commit()
        self.commits += 1


class Desk:
    """What the loop would be told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def post(self, call: Callable[[], None]) -> None:
        call()

    def full(self, full: bool) -> None:  # noqa: FBT001 - the callback's signature
        self.told.append(("full", full))

    def fatal(self, error: BaseException) -> None:
        self.told.append(("fatal", error))

    def done(self, batch: Batch) -> Callable[[BaseException | None], None]:
        return lambda error: self.told.append(("done", (batch.number, error)))

    def numbers(self) -> list[int]:
        return [fact[0] for what, fact in self.told if what == "done" and fact[1] is None]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def store(tmp_path: Path, disk: Disk) -> Iterator[Store]:
    held = open_store(tmp_path / "s", commit=disk)
    disk.commits = 0
    yield held
    held.close()


def committer(store: Store, desk: Desk, **options: Any) -> Committer:
    defaults: dict[str, Any] = {"queue_bytes_max": 10**8, "retry_seconds": 0.001}
    return Committer(
        store, post=desk.post, on_full=desk.full, on_fatal=desk.fatal, **(defaults | options)
    )


def batches(maker: Maker, count: int) -> list[Batch]:
    out = []
    for _ in range(count):
        maker.create(f"{maker.number}")
        out.append(maker.take())
    return out


def test_batches_are_confirmed_in_order_when_durable(store: Store, desk: Desk) -> None:
    writer, maker = committer(store, desk), Maker()
    for batch in batches(maker, 20):
        writer.submit(batch, desk.done(batch))
    assert writer.close(DEADLINE_S)
    assert desk.numbers() == list(range(20))
    assert store.lists.count() == 20
    assert writer.queued_bytes == 0


def test_what_queued_during_a_commit_shares_the_next_one(
    store: Store, disk: Disk, desk: Desk
) -> None:
    writer, maker = committer(store, desk), Maker()
    disk.gate.clear()
    for batch in batches(maker, 50):
        writer.submit(batch, desk.done(batch))
    assert not writer.idle
    assert desk.numbers() == []
    disk.gate.set()
    assert writer.close(DEADLINE_S)
    assert desk.numbers() == list(range(50))
    assert disk.commits <= 3


def test_the_queue_is_bounded_in_bytes(store: Store, disk: Disk, desk: Desk) -> None:
    writer, maker = committer(store, desk, queue_bytes_max=5_000), Maker()
    disk.gate.clear()
    taken = 0
    for batch in batches(maker, 50):
        try:
            writer.submit(batch, desk.done(batch))
        except QueueFull:
            break
        taken += 1
    assert 0 < taken < 10
    assert 0 < writer.queued_bytes <= 5_000
    disk.gate.set()
    assert writer.close(DEADLINE_S)
    assert desk.numbers() == list(range(taken))


def test_a_batch_larger_than_the_queue_still_goes_alone(store: Store, desk: Desk) -> None:
    writer, maker = committer(store, desk, queue_bytes_max=10), Maker()
    (batch,) = batches(maker, 1)
    writer.submit(batch, desk.done(batch))
    assert writer.close(DEADLINE_S)
    assert desk.numbers() == [0]


def test_a_full_disk_holds_the_queue_and_loses_nothing(
    store: Store, disk: Disk, desk: Desk
) -> None:
    writer, maker = committer(store, desk), Maker()
    disk.error = disk_error(errno.ENOSPC, lmdb.DiskError)
    for batch in batches(maker, 5):
        writer.submit(batch, desk.done(batch))
    until(lambda: writer.full)
    assert desk.numbers() == []
    assert store.lists.count() == 0
    disk.error = None
    until(lambda: desk.numbers() == [0, 1, 2, 3, 4])
    assert writer.close(DEADLINE_S)
    assert [told for told in desk.told if told[0] == "full"] == [("full", True), ("full", False)]
    assert "fatal" not in [what for what, _ in desk.told]
    assert store.lists.count() == 5


def test_a_full_disk_does_not_hold_up_the_end(store: Store, disk: Disk, desk: Desk) -> None:
    writer, maker = committer(store, desk, retry_seconds=1000.0), Maker()
    disk.error = disk_error(errno.ENOSPC, lmdb.DiskError)
    (batch,) = batches(maker, 1)
    writer.submit(batch, desk.done(batch))
    until(lambda: writer.full)
    assert not writer.close(DEADLINE_S)
    assert desk.numbers() == []


@pytest.mark.parametrize(
    "error",
    [
        disk_error(errno.EIO),
        disk_error(-30795, lmdb.PanicError),
        OSError(errno.EIO, "Input/output error"),
    ],
    ids=["eio", "panic", "os"],
)
def test_a_broken_disk_is_final(store: Store, disk: Disk, desk: Desk, error: Exception) -> None:
    writer, maker = committer(store, desk), Maker()
    fine, *bad = batches(maker, 4)
    writer.submit(fine, desk.done(fine))
    until(lambda: desk.numbers() == [0])
    disk.error = error
    disk.gate.clear()
    for batch in bad:
        writer.submit(batch, desk.done(batch))
    disk.gate.set()
    until(lambda: len(desk.told) == 5)
    disk.error = None
    fatal = [fact for what, fact in desk.told if what == "fatal"]
    assert len(fatal) == 1
    assert isinstance(fatal[0], DiskError)
    assert desk.numbers() == [0]
    with pytest.raises(DiskError):
        writer.submit(bad[0], desk.done(bad[0]))
    assert not writer.close(DEADLINE_S)
    assert disk.commits == 1
    assert store.lists.count() == 1


def test_a_programmers_error_is_final_too(store: Store, desk: Desk) -> None:
    writer, maker = committer(store, desk), Maker()
    maker.create("x" * 600)  # no key may be that long
    batch = maker.take()
    writer.submit(batch, desk.done(batch))
    until(lambda: len(desk.told) == 2)
    assert [what for what, _ in desk.told] == ["fatal", "done"]
    assert isinstance(desk.told[0][1], lmdb.BadValsizeError)
    assert store.load().arrivals == 0


def test_maintenance_runs_between_batches(store: Store, desk: Desk) -> None:
    writer, maker = committer(store, desk), Maker()
    done: list[Any] = []
    (batch,) = batches(maker, 1)
    writer.submit(batch, desk.done(batch))
    writer.run(store.lists.count, lambda result, error: done.append((result, error)))
    until(lambda: bool(done))
    assert writer.close(DEADLINE_S)
    assert done == [(1, None)]
    with pytest.raises(DiskError):
        writer.run(store.lists.count, lambda *_: None)


def test_maintenance_on_a_full_disk_is_told_and_not_final(
    store: Store, disk: Disk, desk: Desk
) -> None:
    writer = committer(store, desk)
    done: list[Any] = []
    disk.error = disk_error(errno.ENOSPC, lmdb.DiskError)
    writer.run(lambda: store.prune_feed(1), lambda _, error: done.append(error))
    until(lambda: bool(done))
    assert isinstance(done[0], NoRoom)
    disk.error = None
    (batch,) = batches(Maker(), 1)
    writer.submit(batch, desk.done(batch))
    assert writer.close(DEADLINE_S)
    assert desk.numbers() == [0]


def test_a_loop_that_is_gone_is_not_an_error(store: Store) -> None:
    def post(_: Callable[[], None]) -> None:
        raise RuntimeError("Event loop is closed")

    desk = Desk()
    desk.post = post  # type: ignore[method-assign]  # the closed loop
    writer, maker = committer(store, desk), Maker()
    (batch,) = batches(maker, 1)
    writer.submit(batch, desk.done(batch))
    assert writer.close(DEADLINE_S)
    assert store.lists.count() == 1
