"""The file of a store is written anew under everything that goes on, and dies whole."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from crdt.dot import DATA, PRIVATE
from node.errors import DiskError
from node.store import NoRoom, Store
from node.store.environment import DATA_FILE
from node.store.errors import StoreBusy
from node.store.rewriting import Rewrite, RewriteRefused, RewriteStopped, Rewritten
from node.store.schema import TABLE_NAMES
from node.store.scrub import START
from tests.unit.store.rig import T0_MS, Maker, open_store

SECRET: Final = b"the walrus was Paul"
STEPS: Final = ("copy", "copied", "built", "swap", "swapped")


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = open_store(tmp_path / "s")
    yield held
    held.close()


def filled(store: Store, count: int = 40) -> Maker:
    """Records of all sizes (those above a page have pages of their own) in both lanes."""
    maker = Maker()
    for n in range(count):
        maker.create(f"d{n:03}", DATA, content=f"{n} " * (n * 40))
        maker.create(f"p{n:03}", PRIVATE, content=f"{n}")
        maker.govern()
        store.commit(maker.take(T0_MS + n))
    return maker


def rows(store: Store) -> dict[str, list[tuple[bytes, bytes]]]:
    held = {name: list(store.environment.walk(name)) for name in TABLE_NAMES}
    held["meta"] = [row for row in held["meta"] if row[0] != b"rewritten"]
    return held


def rewrite(store: Store, folder: Path) -> Rewritten:
    work = Rewrite(store, folder, now_ms=T0_MS)
    work.begin()
    work.copy()
    work.ready()
    done = work.finish()
    work.release()
    return done


def bytes_in(folder: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_everything_is_as_before_under_the_same_id(store: Store, tmp_path: Path) -> None:
    maker = filled(store)
    before, store_id, inode = rows(store), store.store_id, (store.path / DATA_FILE).stat().st_ino
    done = rewrite(store, tmp_path / "next")
    assert rows(store) == before
    assert store.store_id == store_id
    assert store.scrub(START, 10**6).bad == []
    assert (store.path / DATA_FILE).stat().st_ino != inode
    assert done.after_bytes <= done.before_bytes
    assert store.rewritten_ms() == T0_MS
    assert not (tmp_path / "next").exists()
    # It goes on, and opens again.
    maker.create("later")
    store.commit(maker.take(T0_MS + 99))
    after = rows(store)
    store.close()
    with_reopened = open_store(store.path)
    assert rows(with_reopened) == after
    assert with_reopened.load().digest == maker.digest
    with_reopened.close()


def test_freed_pages_and_the_gaps_in_pages_hold_old_bytes_until_then(
    store: Store, tmp_path: Path
) -> None:
    maker = filled(store)
    small = maker.create("small", content=SECRET.decode())
    large = maker.create("large", content=SECRET.decode() * 2000)
    store.commit(maker.take())
    maker.delete(small)
    maker.delete(large)
    store.commit(maker.take())
    assert bytes_in(store.path, SECRET)
    (tmp_path / "hot").mkdir()
    rewrite(store, tmp_path / "next")
    assert not bytes_in(tmp_path, SECRET)


def test_what_is_written_meanwhile_is_brought_over(store: Store, tmp_path: Path) -> None:
    maker = filled(store)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    maker.edit(maker.create("new"), title="newer")
    store.commit(maker.take(T0_MS + 100))
    work.copy()
    key = maker.create("late", content="x" * 9000)
    maker.delete(next(iter(maker.records)))
    store.commit(maker.take(T0_MS + 101))
    assert work.noted > 0
    work.bring(work.more())
    assert work.noted == 0
    maker.edit(key, content="short")
    maker.create("last")
    store.commit(maker.take(T0_MS + 102))
    store.expire_idempotency(T0_MS)
    store.flush_access({key: (1, 2)})
    before = rows(store)
    done = work.finish()
    work.release()
    assert rows(store) == before
    assert done.late_rows > 0


def test_a_killed_rewrite_leaves_one_whole_store(tmp_path: Path) -> None:
    for step in STEPS:
        folder = tmp_path / step
        store = open_store(folder / "s")
        maker = filled(store, 10)
        maker.delete(next(iter(maker.records)))
        store.commit(maker.take())
        before = rows(store)

        def die(at: str, step: str = step) -> None:
            if at == step:
                raise Killed

        work = Rewrite(store, folder / "next", now_ms=T0_MS, step=die)
        work.begin()
        with pytest.raises(Killed):
            _run(work)
        # What a dead process leaves is on the disk only; nobody closes anything in order.
        copied = _as_after_a_crash(folder)
        again = open_store(copied / "s")
        assert rows(again) == before, step
        assert again.store_id == store.store_id
        assert again.scrub(START, 10**6).bad == []
        again.close()
        store.close()


def _run(work: Rewrite) -> None:
    work.copy()
    work.ready()
    work.finish()


def _as_after_a_crash(folder: Path) -> Path:
    """The files as they are now, elsewhere: locks of this process do not hold there."""
    copied = folder / "after"
    (copied / "s").mkdir(parents=True)
    (copied / "s" / DATA_FILE).write_bytes((folder / "s" / DATA_FILE).read_bytes())
    return copied


def test_an_abandoned_rewrite_changes_nothing(store: Store, tmp_path: Path) -> None:
    maker = filled(store, 5)
    before = rows(store)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    work.copy()
    work.abandon()
    assert rows(store) == before
    assert not (tmp_path / "next").exists()
    maker.create("after")
    store.commit(maker.take())
    rewrite(store, tmp_path / "again")


def test_a_long_reader_holds_the_swap_off(store: Store, tmp_path: Path) -> None:
    filled(store, 5)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    work.copy()
    walk = store.environment.walk("records")
    next(walk)
    before = rows(store)
    with pytest.raises(StoreBusy):
        work.finish()
    work.abandon()
    assert len(list(walk)) == len(before["records"]) - 1
    assert rows(store) == before
    rewrite(store, tmp_path / "again")


def test_short_readers_go_on_through_a_swap(store: Store, tmp_path: Path) -> None:
    maker = filled(store, 20)
    keys = [key for key in maker.records if key[:1] == DATA]
    stop, failures, reads = threading.Event(), list[BaseException](), [0]

    def read() -> None:
        try:
            while not stop.is_set():
                for key in keys:
                    assert store.record(key) is not None
                    reads[0] += 1
                assert len(list(store.lists.recent())) == 2 * len(keys)
                assert store.feed.after(0, 10)
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(5):
        rewrite(store, tmp_path / f"next-{turn}")
    stop.set()
    for reader in readers:
        reader.join(20)
    assert not failures
    assert reads[0] > 0


def test_a_new_file_that_lacks_something_is_refused(store: Store, tmp_path: Path) -> None:
    maker = filled(store, 5)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    work.copy()
    maker.create("lost")
    store.commit(maker.take())
    work.more()  # and nobody brings them over
    before = rows(store)
    with pytest.raises(RewriteRefused):
        work.finish()
    work.abandon()
    assert rows(store) == before


def test_without_room_for_a_second_file_nothing_is_begun(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store, 5)
    monkeypatch.setattr(store.environment, "has_room", lambda _: False)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    with pytest.raises(NoRoom):
        work.copy()
    work.abandon()
    assert not (tmp_path / "next").exists()


def test_closing_ends_a_copy(store: Store, tmp_path: Path) -> None:
    filled(store, 5)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    work.stop()
    with pytest.raises(RewriteStopped):
        work.copy()
    work.abandon()


def test_a_new_file_that_cannot_take_its_place_ends_writing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(store, 5)
    work = Rewrite(store, tmp_path / "next", now_ms=T0_MS)
    work.begin()
    work.copy()

    def fail(_: Path, __: Path) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", fail)
        with pytest.raises(DiskError):
            work.finish()
    again = open_store(store.path)
    assert len(rows(again)["records"]) == 10
    again.close()
