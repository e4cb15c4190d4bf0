"""Erasures travel with snapshots, and what vanishes in a join goes as if it had been erased."""

from pathlib import Path

from crdt.dot import PRIVATE
from node.store import Store
from node.store.incoming import Incoming
from node.store.joining import build_join
from node.store.schema import name_of
from node.store.snapshot import ERASURES, START, decode_rows, freeze
from tests.unit.erasing.rig import RealMaker
from tests.unit.store.rig import MAP_BYTES, T0_MS, entropy, open_store


def taken(folder: Path, own: Store, source: Store) -> Store:
    """The join of one's own store with a snapshot of another."""
    frozen = freeze(source, folder / "frozen")
    incoming = Incoming(folder / "incoming", frozen.id, map_bytes=MAP_BYTES)
    while not incoming.complete:
        incoming.put(*frozen.chunk(incoming.position, 500))
    built = build_join(
        own, incoming, folder / "next", entropy=entropy, now_ms=T0_MS + 9, map_bytes=MAP_BYTES
    )
    frozen.close()
    incoming.remove()
    return open_store(built.path)


def two(folder: Path) -> tuple[Store, RealMaker, Store, RealMaker, bytes]:
    """A source and a member that hold one record; the member wrote it, and one more since."""
    member, theirs = open_store(folder / "member"), RealMaker(2)
    source, ours = open_store(folder / "source"), RealMaker(1)
    key = theirs.create("a", content="words")
    member.commit(theirs.take())
    ours.relay(theirs)
    source.commit(ours.take())
    return source, ours, member, theirs, key


def test_erasures_of_the_source_are_those_of_the_receiver(tmp_path: Path) -> None:
    source, ours, member, _, key = two(tmp_path)
    private = ours.create("p", PRIVATE)
    source.commit(ours.take())
    op = ours.erase(key)
    ours.erase(private)
    source.commit(ours.take())
    assert source.erasures.left.total == 2
    frozen = freeze(source, tmp_path / "looked-at")
    rows = decode_rows(frozen.chunk(START, 10**6)[0])
    frozen.close()
    assert [row.key for row in rows if row.kind == ERASURES] == [name_of(key)]
    joined = taken(tmp_path, member, source)
    row = joined.erasures.get(name_of(key))
    assert row is not None
    assert (row.dots, row.rewritten) == ((op.dot,), False)
    # The own line of the member is not overtaken, so its log still holds the record.
    assert joined.log_begins()[b"d"] <= row.arrival
    for store in (source, member, joined):
        store.close()


def test_what_vanishes_in_a_join_is_marked(tmp_path: Path) -> None:
    """The erasing delete was settled long ago: no row tells of it any more."""
    source, ours, member, _, key = two(tmp_path)
    ours.delete(key)
    source.commit(ours.take())
    joined = taken(tmp_path, member, source)
    row = joined.erasures.get(name_of(key))
    assert row is not None
    assert (row.dots, row.rewritten, row.arrival > 0) == ((), False, True)
    for store in (source, member, joined):
        store.close()


def test_a_new_member_has_nothing_to_erase(tmp_path: Path) -> None:
    source, ours, member, _, key = two(tmp_path)
    ours.erase(key)
    ours.create("kept")
    source.commit(ours.take())
    fresh = open_store(tmp_path / "fresh")
    joined = taken(tmp_path, fresh, source)
    # The row is there, for edits that come late; there is no file to rewrite for it.
    assert (joined.erasures.left.total, joined.erasures.left.unwritten) == (1, 0)
    for store in (source, member, fresh, joined):
        store.close()
