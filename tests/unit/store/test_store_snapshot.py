"""A frozen state travels by key, is received in pieces, joined, and swapped in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crdt.digest import weight
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Dot
from crdt.overlay import pending_key
from crdt.pending import Pending, Vote, decode_pending, encode_pending
from crdt.record import Record
from crdt.record_codec import encode
from crdt.state import ActorRow, Batch, IdempotencyRow
from node.store import JoinRefused, Store
from node.store.folder import (
    current_path,
    incoming_folders,
    new_folder,
    open_current,
    set_aside,
    swap,
    sweep,
)
from node.store.incoming import Incoming
from node.store.joining import build_join
from node.store.snapshot import (
    END,
    LAST_PIECE,
    PIECE,
    RECORDS,
    START,
    FrozenStore,
    Row,
    decode_rows,
    encode_rows,
    freeze,
)
from tests.unit.store.rig import MAP_BYTES, T0_MS, Maker, actor, entropy, memory, open_store


def filled(path: Path, node: int, names: range) -> tuple[Store, Maker]:
    store, maker = open_store(path), Maker(node)
    for n in names:
        maker.create(f"{n}", content="x" * 300)
        maker.create(f"secret{n}", PRIVATE)
        maker.govern()
        store.commit(maker.take(genesis=b"mesh"))
    return store, maker


def everything(frozen: FrozenStore, limit: int = 500) -> list[Row]:
    rows, at = [], START
    while True:
        data, at = frozen.chunk(at, limit)
        rows += decode_rows(data)
        if at == END:
            return rows


def receive(frozen: FrozenStore, path: Path, limit: int = 500) -> Incoming:
    incoming = Incoming(path, frozen.id, map_bytes=MAP_BYTES)
    while not incoming.complete:
        incoming.put(*frozen.chunk(incoming.position, limit))
    return incoming


def joined(own: Store, incoming: Incoming, path: Path) -> Store:
    built = build_join(own, incoming, path, entropy=entropy, now_ms=T0_MS, map_bytes=MAP_BYTES)
    store = open_store(built.path)
    assert store.head.digest == built.digest
    return store


def test_a_snapshot_stays_as_it_was_and_holds_nothing_private(tmp_path: Path) -> None:
    store, maker = filled(tmp_path / "s", 1, range(20))
    digest, clock = maker.digest, {a: n for a, n in maker.clock.items() if a[:1] != PRIVATE}
    frozen = freeze(store, tmp_path / "frozen-1")
    maker.create("later")
    store.commit(maker.take())
    rows = everything(frozen)
    assert rows == everything(frozen, 10**9)
    assert len(rows) == len(set(rows))
    assert [r.key for r in rows if r.kind == RECORDS] == [memory(f"{n}") for n in range(20)]
    assert not any(b"secret" in part for row in rows for part in row)
    assert (frozen.digest, frozen.clock) == (digest, clock)
    assert (tmp_path / "frozen-1").stat().st_mode & 0o077 == 0
    frozen.close()
    assert not (tmp_path / "frozen-1").exists()
    store.close()


def test_a_row_that_fits_no_message_comes_in_pieces(tmp_path: Path) -> None:
    store, maker = filled(tmp_path / "s", 1, range(3))
    maker.create("huge", content="y" * 5_000)
    maker.create("small")
    store.commit(maker.take())
    frozen, limit = freeze(store, tmp_path / "f"), 400
    incoming = Incoming(tmp_path / "incoming-1", frozen.id, map_bytes=MAP_BYTES)
    while not incoming.complete:
        data, following = frozen.chunk(incoming.position, limit)
        assert len(data) < limit + 200
        incoming.put(data, following)
        incoming.put(data, following)  # asked for twice
        incoming.close()  # and the process died
        incoming = Incoming(tmp_path / "incoming-1", frozen.id, map_bytes=MAP_BYTES)
    assert incoming.verify() == frozen.digest
    assert memory("huge") in dict(incoming.records())
    assert memory("small") in dict(incoming.records())
    frozen.close()
    incoming.close()
    store.close()


def test_pieces_of_two_rows_are_no_row(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path / "incoming-1", b"one", map_bytes=MAP_BYTES)
    incoming.put(encode_rows([Row(PIECE, RECORDS + b"da", b"abc")]), b"x1")
    with pytest.raises(JoinRefused, match="do not fit together"):
        incoming.put(encode_rows([Row(LAST_PIECE, RECORDS + b"db", b"abc")]), b"x2")
    with pytest.raises(JoinRefused, match="arrived damaged"):
        incoming.put(encode_rows([Row(LAST_PIECE, RECORDS + b"da", b"abc")]), b"x2")
    with pytest.raises(JoinRefused, match="too large"):
        incoming.put(encode_rows([Row(PIECE, RECORDS + b"da", b"abc")] * 2), b"x2")
    incoming.close()


def test_two_states_have_two_names(tmp_path: Path) -> None:
    store, maker = filled(tmp_path / "s", 1, range(1))
    one = freeze(store, tmp_path / "f1")
    same = freeze(store, tmp_path / "f2")
    maker.create("more")
    store.commit(maker.take())
    other = freeze(store, tmp_path / "f3")
    assert one.id == same.id != other.id
    for frozen in (one, same, other):
        frozen.close()
    store.close()


def test_reception_goes_on_after_a_restart_and_starts_over_for_another(tmp_path: Path) -> None:
    store, maker = filled(tmp_path / "s", 1, range(20))
    frozen = freeze(store, tmp_path / "f")
    incoming = Incoming(tmp_path / "incoming-1", frozen.id, map_bytes=MAP_BYTES)
    incoming.put(*frozen.chunk(START, 2000))
    position = incoming.position
    assert position != START
    incoming.close()
    incoming = Incoming(tmp_path / "incoming-1", frozen.id, map_bytes=MAP_BYTES)
    assert incoming.position == position
    with pytest.raises(JoinRefused, match="not complete"):
        incoming.verify()
    incoming.close()
    incoming = receive(frozen, tmp_path / "incoming-1")
    assert incoming.verify() == maker.digest
    assert incoming.clock() == frozen.clock
    assert incoming.genesis == b"mesh"
    incoming.close()
    again = Incoming(tmp_path / "incoming-1", b"another", map_bytes=MAP_BYTES)
    assert (again.position, again.complete) == (START, False)
    again.remove()
    assert not (tmp_path / "incoming-1").exists()
    frozen.close()
    store.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda row: Row(row.kind, row.key, row.value[:-1] + b"?"),
        lambda row: Row(row.kind, row.key + b"?", row.value),
        lambda row: Row(b"?", row.key, row.value),
        lambda row: Row(row.kind, b"p" + row.key[1:], row.value),
    ],
    ids=["value", "key", "kind", "lane"],
)
def test_spoiled_rows_are_refused_and_not_kept(tmp_path: Path, spoil: Callable[[Row], Row]) -> None:
    store, _ = filled(tmp_path / "s", 1, range(3))
    frozen = freeze(store, tmp_path / "f")
    incoming = Incoming(tmp_path / "i", frozen.id, map_bytes=MAP_BYTES)
    rows = everything(frozen)
    rows[-1] = spoil(rows[-1])
    with pytest.raises(JoinRefused):
        incoming.put(encode_rows(rows), END)
    assert not incoming.complete
    assert incoming.actors() == {}
    incoming.close()
    frozen.close()
    store.close()


def test_a_missing_row_does_not_add_up(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "s", 1, range(3))
    frozen = freeze(store, tmp_path / "f")
    incoming = Incoming(tmp_path / "i", frozen.id, map_bytes=MAP_BYTES)
    incoming.put(encode_rows(everything(frozen)[:-1]), END)
    with pytest.raises(JoinRefused, match="add up"):
        incoming.verify()
    incoming.close()
    frozen.close()
    store.close()


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x80", b"\x91\x01", b"\x92\xc4\x00\xc4\x00"])
def test_any_bytes_give_rows_or_a_typed_error(data: bytes) -> None:
    with pytest.raises(JoinRefused):
        decode_rows(data)


def test_an_empty_store_joins_the_whole_state(tmp_path: Path) -> None:
    source, maker = filled(tmp_path / "s", 1, range(20))
    own = open_store(tmp_path / "own")
    frozen = freeze(source, tmp_path / "f")
    incoming = receive(frozen, tmp_path / "i")
    store = joined(own, incoming, tmp_path / "next-1")
    assert store.store_id not in {own.store_id, source.store_id}
    assert store.load().digest == maker.digest
    assert store.load().genesis == b"mesh"
    assert store.load().governance == source.load().governance
    data, governance = actor(DATA), actor(GOVERNANCE)
    assert {a: (r.seq, r.floor) for a, r in store.load().actors.items()} == {
        data: (20, 20),
        governance: (20, 0),
    }
    assert list(store.lists.recent()) == [
        row for row in source.lists.recent() if row[1][:1] == DATA
    ]
    assert store.lists.counts() == {("global", "mid"): 20}
    assert len(store.feed.after(0, 99)) == 20
    assert store.record(memory("3")) == source.record(memory("3"))
    assert list(store.page({data: 20}, 10**6).bundles) == source.load().governance
    for held in (store, own, source):
        held.close()
    incoming.close()
    frozen.close()


def test_a_join_keeps_what_the_other_never_saw_and_drops_what_it_deleted(tmp_path: Path) -> None:
    theirs, they = filled(tmp_path / "s", 1, range(10))
    mine, me = open_store(tmp_path / "own"), Maker(2)
    me.relay(they)
    mine.commit(me.take())
    me.create("mine")
    me.create("hidden", PRIVATE)
    me.govern()
    mine.commit(me.take())
    mine.flush_access({memory("mine"): (4, T0_MS)})
    they.delete(memory("3"))
    they.edit(memory("4"), title="edited there")
    they.create("theirs")
    they.govern()
    theirs.commit(they.take())
    frozen = freeze(theirs, tmp_path / "f")
    incoming = receive(frozen, tmp_path / "i")
    store = joined(mine, incoming, tmp_path / "next-1")

    expected = set(they.records) - {k for k in they.records if k[:1] == PRIVATE}
    expected |= {memory("mine"), memory("hidden", PRIVATE)}
    assert {e.key for e in store.feed.after(0, 99)} - {memory("3")} == expected
    assert store.record(memory("3")) is None
    assert store.record(memory("4")) == encode(they.records[memory("4")])
    assert store.record(memory("mine")) == encode(me.records[memory("mine")])
    assert store.lists.access(memory("mine")) == (4, T0_MS)
    digest = sum(weight(k, store.record(k)) for k in expected if k[:1] == DATA) % 2**128
    assert store.load().digest == digest
    rows = store.load().actors
    assert rows[actor(DATA, 1)].floor == rows[actor(DATA, 1)].seq == 13
    assert rows[actor(DATA, 2)].floor == 0
    assert len(store.load().governance) == 12
    # What was only here is still in the log, for those who lack it.
    clock = {a: r.seq for a, r in rows.items()} | {actor(DATA, 2): 0}
    assert [b[:45] for b in store.page(clock, 10**6).bundles] == [actor(DATA, 2)]
    assert [h.actor for h in store.feed.history(memory("mine"), 9)] == [actor(DATA, 2)]
    assert store.feed.history(memory("4"), 9) == []
    # Writing goes on where the join ended.
    me.create("after")
    batch = me.take()
    store.commit(batch)
    assert store.record(memory("after")) == encode(me.records[memory("after")])
    for held in (store, mine, theirs):
        held.close()
    incoming.close()
    frozen.close()


def test_pending_operations_and_requests_are_united(tmp_path: Path) -> None:
    def votes(*seqs: int) -> bytes:
        cast = {
            Dot(actor(node=9), n): Vote(f"h{n}", n, True, True, True, frozenset()) for n in seqs
        }
        return encode_pending(Pending(b"dmemory/a", bytes(32), "ai:a", "human", votes=cast))

    shared, only_mine, only_theirs = (Dot(actor(node=9), n) for n in (50, 51, 52))
    row = IdempotencyRow(b"b" * 16, (Dot(actor(), 1),))
    mine, me = filled(tmp_path / "own", 2, range(1))
    theirs, they = filled(tmp_path / "s", 1, range(1))
    me.hold(shared, votes(1))
    me.hold(only_mine, votes(1))
    me.request(b"both", row)
    they.hold(shared, votes(2))
    they.hold(only_theirs, votes())
    they.request(b"both", IdempotencyRow(b"c" * 16, row.dots))
    they.request(b"theirs", row)
    they.request(b"hidden", IdempotencyRow(b"c" * 16, (Dot(actor(PRIVATE), 1),)))
    mine.commit(me.take())
    theirs.commit(they.take())
    frozen = freeze(theirs, tmp_path / "f")
    incoming = receive(frozen, tmp_path / "i")
    store = joined(mine, incoming, tmp_path / "next")
    pending = store.load().pending
    assert pending == {shared: votes(1, 2), only_mine: votes(1), only_theirs: votes()}
    assert set(decode_pending(pending[shared]).votes) == {Dot(actor(node=9), n) for n in (1, 2)}
    assert store.idempotent(b"both") == row
    assert store.idempotent(b"theirs") == row
    assert store.idempotent(b"hidden") is None
    records = [k for maker in (me, they) for k in maker.records if k[:1] == DATA]
    total = sum(weight(k, store.record(k)) for k in set(records))
    total += sum(weight(pending_key(dot), data) for dot, data in pending.items())
    assert store.head.digest == total % 2**128
    for held in (store, mine, theirs):
        held.close()
    incoming.close()
    frozen.close()


def test_nothing_new_is_never_joined(tmp_path: Path) -> None:
    store, _ = filled(tmp_path / "s", 1, range(2))
    frozen = freeze(store, tmp_path / "f")
    incoming = receive(frozen, tmp_path / "i")
    with pytest.raises(JoinRefused, match="nothing that is not here"):
        joined(store, incoming, tmp_path / "next")
    assert not (tmp_path / "next").exists()
    incoming.close()
    frozen.close()
    store.close()


def test_a_fork_is_never_joined(tmp_path: Path) -> None:
    theirs, they = filled(tmp_path / "s", 1, range(2))
    mine = open_store(tmp_path / "own")
    row = they.actors[actor(DATA)]
    fork = ActorRow(row.seq, bytes(32), row.heads)
    mine.commit(
        Batch(
            number=0,
            bundles=(),
            actors={actor(DATA): fork},
            records={},
            pending={},
            idempotency={},
            digest=0,
            now_ms=T0_MS,
        )
    )
    frozen = freeze(theirs, tmp_path / "f")
    incoming = receive(frozen, tmp_path / "i")
    with pytest.raises(JoinRefused, match="fork"):
        joined(mine, incoming, tmp_path / "next")
    incoming.close()
    frozen.close()
    mine.close()
    theirs.close()


def test_a_join_that_loses_a_record_is_refused(tmp_path: Path) -> None:
    class Forgetful:
        def record(self, *_: Record | None) -> Record | None:
            return None

        def pending(self, _: bytes | None, theirs: bytes | None) -> bytes | None:
            return theirs

    theirs, they = filled(tmp_path / "s", 1, range(3))
    own, me = open_store(tmp_path / "own"), Maker(2)
    me.relay(they)
    own.commit(me.take())
    they.edit(memory("1"), title="2")
    theirs.commit(they.take())
    frozen = freeze(theirs, tmp_path / "f")
    incoming = receive(frozen, tmp_path / "i")
    with pytest.raises(JoinRefused, match="digest"):
        build_join(
            own,
            incoming,
            tmp_path / "next",
            entropy=entropy,
            now_ms=T0_MS,
            joiner=Forgetful(),
            map_bytes=MAP_BYTES,
        )
    assert not (tmp_path / "next").exists()
    incoming.close()
    frozen.close()
    own.close()
    theirs.close()


def test_the_swap_keeps_the_last_store_aside_and_only_that(tmp_path: Path) -> None:
    store = open_current(tmp_path, entropy=entropy, map_bytes=MAP_BYTES)
    old = store.path
    store.close()
    for turn in range(3):
        built = new_folder(tmp_path, "next", entropy)
        open_store(built).close()
        live = swap(tmp_path, built, T0_MS + turn)
        assert current_path(tmp_path) == live
        assert not old.exists()
        (aside,) = tmp_path.glob("aside-*")
        assert aside.name == f"aside-{old.name.removeprefix('store-')}-{T0_MS + turn}"
        old = live
    again = open_current(tmp_path, entropy=entropy, map_bytes=MAP_BYTES)
    assert again.path == live
    again.close()


def test_a_damaged_store_set_aside_is_never_deleted(tmp_path: Path) -> None:
    open_current(tmp_path, entropy=entropy, map_bytes=MAP_BYTES).close()
    damaged = set_aside(tmp_path, T0_MS)
    assert damaged is not None
    assert current_path(tmp_path) is None
    assert set_aside(tmp_path, T0_MS) is None
    open_current(tmp_path, entropy=entropy, map_bytes=MAP_BYTES).close()
    for turn in range(2):
        built = new_folder(tmp_path, "next", entropy)
        open_store(built).close()
        swap(tmp_path, built, T0_MS + turn)
    assert damaged.exists()
    assert len(list(tmp_path.glob("aside-*"))) == 2


def test_a_sweep_tidies_what_a_death_left(tmp_path: Path) -> None:
    open_current(tmp_path, entropy=entropy, map_bytes=MAP_BYTES).close()
    for name in ("next-1", "frozen-1", "incoming-1", "store-1"):
        (tmp_path / name).mkdir()
    asides = sweep(tmp_path, T0_MS)
    assert [path.name for path in asides] == [f"aside-1-{T0_MS}"]
    assert [path.name for path in incoming_folders(tmp_path)] == ["incoming-1"]
    assert not (tmp_path / "next-1").exists()
    assert not (tmp_path / "frozen-1").exists()
    assert current_path(tmp_path) is not None
