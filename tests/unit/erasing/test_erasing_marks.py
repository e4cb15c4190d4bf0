"""What was erased is marked durably, the log goes through the mark, and the row goes last."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from crdt.clock import Clock
from crdt.dot import PRIVATE, Dot
from crdt.log_rule import LogRule
from crdt.op import Kind, Op
from crdt.record import Record
from node.store import Store
from node.store.erasures import Erasure, Erasures, decode_erasure, encode_erasure
from node.store.rewriting import Rewrite
from node.store.schema import name_of
from node.store.upkeep import days
from tests.unit.erasing.rig import RealMaker
from tests.unit.store.rig import T0_MS, actor, open_store

WORDS = "the walrus was Paul"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    held = open_store(tmp_path / "s")
    yield held
    held.close()


@pytest.fixture
def maker() -> RealMaker:
    return RealMaker()


def commit(store: Store, maker: RealMaker, ms: int = T0_MS) -> None:
    store.commit(maker.take(ms))


def keep_all(rows: Sequence[Clock] = ()) -> LogRule:
    """No limit would cut anything: only a mark does."""
    return LogRule(rows=rows, log_bytes_max=10**9, log_bytes_min=10**9, log_ms_max=days(30))


def logged(store: Store) -> tuple[int, int]:
    tables = store.tables
    return store.environment.read(
        lambda txn: (
            txn.stat(tables.log_data)["entries"],
            txn.stat(tables.log_private)["entries"],
        )
    )


def rewrite(store: Store, ms: int = T0_MS) -> int:
    work = Rewrite(store, store.path.parent / "next", now_ms=ms)
    work.begin()
    work.copy()
    done = work.finish()
    work.release()
    return done.erased


def test_a_plain_delete_leaves_no_mark(store: Store, maker: RealMaker) -> None:
    key = maker.create("a", content="erase", erase=True)  # the word alone is no mark
    commit(store, maker)
    maker.delete(key)
    commit(store, maker)
    assert store.erasures.left.total == 0
    assert store.truncate(keep_all(), T0_MS).bundles == 0


def test_an_erasing_delete_is_marked_in_its_own_transaction(store: Store, maker: RealMaker) -> None:
    key = maker.create("a")
    commit(store, maker)
    op = maker.erase(key)
    commit(store, maker, T0_MS + 5)
    left = store.erasures.left
    assert (left.total, left.unwritten, left.oldest_ms) == (1, 1, T0_MS + 5)
    assert left.marks == {b"d": 2}
    assert left.dots == {op.dot.actor: op.dot.seq}
    store.close()
    again = open_store(store.path)
    assert again.erasures.left == left
    again.close()


def test_a_failed_commit_marks_nothing(tmp_path: Path, maker: RealMaker) -> None:
    fail = [False]

    def ends(txn: object) -> None:
        if fail[0]:
            raise RuntimeError
        txn.commit()  # type: ignore[attr-defined]  # a transaction of the engine

    store = open_store(tmp_path / "s", commit=ends)
    key = maker.create("a")
    commit(store, maker)
    maker.erase(key)
    batch = maker.take()
    fail[0] = True
    with pytest.raises(RuntimeError):
        store.commit(batch)
    assert store.erasures.left.total == 0
    fail[0] = False
    store.commit(batch)
    assert store.erasures.left.total == 1
    store.close()


def test_the_log_goes_through_the_mark_and_no_further(store: Store, maker: RealMaker) -> None:
    key = maker.create("a")
    commit(store, maker)
    maker.create("b")
    commit(store, maker)
    maker.erase(key)
    commit(store, maker)
    maker.create("c")
    commit(store, maker)
    assert store.truncate(keep_all([{actor(): 4}]), T0_MS).floors == {actor(): 3}
    assert logged(store) == (1, 0)


def test_what_a_member_lacks_stays_in_the_log(store: Store, maker: RealMaker) -> None:
    key = maker.create("a")
    commit(store, maker)
    maker.erase(key)
    commit(store, maker)
    assert store.truncate(keep_all([{actor(): 1}, {}]), T0_MS).bundles == 0
    assert store.truncate(keep_all([{actor(): 2}, {actor(): 1}]), T0_MS).bundles == 1
    assert store.truncate(keep_all([{actor(): 2}, {actor(): 2}]), T0_MS).bundles == 1


def test_the_lanes_are_cut_apart(store: Store, maker: RealMaker) -> None:
    shared = maker.create("a")
    private = maker.create("p", PRIVATE)
    commit(store, maker)
    maker.create("q", PRIVATE)
    commit(store, maker)
    maker.erase(shared)
    commit(store, maker)
    store.truncate(keep_all(), T0_MS)
    assert logged(store) == (0, 2)
    maker.erase(private)
    commit(store, maker)
    store.truncate(keep_all([{}]), T0_MS)  # nobody else needs that lane
    assert logged(store) == (0, 0)


def test_a_concurrent_edit_that_comes_later_moves_the_mark(store: Store, maker: RealMaker) -> None:
    key = maker.create("a")
    commit(store, maker)
    op = maker.erase(key)
    commit(store, maker)
    store.truncate(keep_all(), T0_MS)
    assert rewrite(store) == 1
    assert store.erasures.left.unwritten == 0
    late = RealMaker(2)
    late.late_edit(key, op, content=WORDS)
    commit(store, late)
    left = store.erasures.left
    assert (left.marks, left.unwritten) == ({b"d": 3}, 1)
    assert logged(store) == (1, 0)
    store.truncate(keep_all(), T0_MS)
    assert rewrite(store) == 1
    assert WORDS.encode() not in (store.path / "data.mdb").read_bytes()


def test_what_changes_without_an_operation_of_its_own_moves_the_mark(
    store: Store, maker: RealMaker
) -> None:
    """A held delete is marked when it arrives; its seal ends the record later."""
    key = maker.create("a")
    commit(store, maker)
    maker.erase(key)
    commit(store, maker)
    before = store.erasures.left.marks
    record = RealMaker()
    record.records[key] = maker.records.get(key) or _born(key)
    record.clock, record.actors = maker.clock, maker.actors
    record._before[key] = None
    record.create("other")
    commit(store, record)
    assert store.erasures.left.marks[b"d"] > before[b"d"]


def _born(key: bytes) -> Record:
    made = RealMaker(5)
    made.create(key.partition(b"/")[2].decode())
    return made.records[key]


def test_a_rewrite_counts_only_for_what_the_log_was_clear_of(
    store: Store, maker: RealMaker
) -> None:
    first, second = maker.create("a"), maker.create("b")
    commit(store, maker)
    maker.erase(first)
    commit(store, maker)
    assert rewrite(store) == 0
    store.truncate(keep_all(), T0_MS)
    assert rewrite(store) == 1
    maker.erase(second)
    commit(store, maker)
    assert (store.erasures.left.total, store.erasures.left.unwritten) == (2, 1)


def test_what_is_erased_while_a_rewrite_runs_waits_for_the_next(
    store: Store, maker: RealMaker
) -> None:
    key = maker.create("a", content=WORDS)
    commit(store, maker)
    work = Rewrite(store, store.path.parent / "next", now_ms=T0_MS)
    work.begin()
    work.copy()
    maker.erase(key)
    commit(store, maker)
    store.truncate(keep_all(), T0_MS)
    assert work.finish().erased == 0
    work.release()
    assert store.erasures.left.unwritten == 1
    assert rewrite(store) == 1
    assert WORDS.encode() not in (store.path / "data.mdb").read_bytes()


def test_a_row_goes_when_it_is_rewritten_and_nothing_can_move_it(
    store: Store, maker: RealMaker
) -> None:
    key = maker.create("a")
    commit(store, maker)
    op = maker.erase(key)
    commit(store, maker)
    covered = {op.dot.actor: op.dot.seq}
    assert store.settle_erasures(covered) == 0
    store.truncate(keep_all(), T0_MS)
    rewrite(store)
    assert store.settle_erasures({op.dot.actor: op.dot.seq - 1}) == 0
    assert store.settle_erasures(covered, {op.dot}) == 0  # as long as it waits for approval
    assert store.settle_erasures(covered) == 1
    assert store.erasures.left.total == 0
    assert store.erasures.left.marks == {}
    # Members are asked about it all the same.
    assert store.erasures.seen == covered
    store.close()
    again = open_store(store.path)
    assert again.erasures.left.total == 0
    again.close()


def test_the_id_stays_in_the_feed_until_that_is_pruned(store: Store, maker: RealMaker) -> None:
    key = maker.create("client-chosen-id")
    commit(store, maker)
    store.flush_access({key: (3, T0_MS)})
    maker.erase(key)
    commit(store, maker)
    store.truncate(keep_all(), T0_MS)
    rewrite(store)
    assert key in (store.path / "data.mdb").read_bytes()
    store.prune_feed(T0_MS + 1)
    rewrite(store)
    assert b"client-chosen-id" not in (store.path / "data.mdb").read_bytes()


def test_a_record_erased_twice_waits_for_both_deletes(store: Store, maker: RealMaker) -> None:
    key = maker.create("a")
    commit(store, maker)
    first = maker.erase(key)
    commit(store, maker)
    maker.create("a")
    commit(store, maker)
    second = maker.erase(key)
    commit(store, maker)
    row = store.erasures.get(name_of(key))
    assert row is not None
    assert set(row.dots) == {first.dot, second.dot}
    assert second.kind is Kind.DELETE


def test_the_figures_are_those_of_all_rows() -> None:
    def row(n: int, *, rewritten: bool = False) -> Erasure:
        return Erasure(b"d", n, T0_MS + n, rewritten, (Dot(actor(), n),))

    held = Erasures({b"a": row(3)})
    held.put({b"b": row(7), b"c": row(5, rewritten=True)})
    assert held.left == Erasures(dict(held.rows)).left
    held.put({b"b": row(9)})
    assert held.left == Erasures(dict(held.rows)).left
    assert (held.left.total, held.left.unwritten, held.left.marks) == (3, 2, {b"d": 9})
    held.put({}, [b"b", b"nobody"])
    assert held.left == Erasures(dict(held.rows)).left
    assert held.left.marks == {b"d": 5}


def test_rows_are_read_back() -> None:
    made = Erasure(b"p", 2**40, T0_MS, True, (Dot(actor(), 3), Dot(actor(node=2), 9)))
    assert decode_erasure(encode_erasure(made)) == made
    assert isinstance(made.dots[0], Dot)
    assert not isinstance(made, Op)
