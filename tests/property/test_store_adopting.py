"""A snapshot that becomes a store where it was received is the store that a join would build."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.digest import checksum
from crdt.dot import DATA, PRIVATE, Dot
from crdt.pending import Pending, encode_pending
from crdt.record_codec import RecordError
from crdt.state import IdempotencyRow
from node.store import JoinRefused, Store
from node.store import incoming as staging
from node.store.environment import Environment
from node.store.feed import walk_records
from node.store.folder import new_folder
from node.store.incoming import Incoming
from node.store.joining import DottedJoin, build_join
from node.store.schema import TABLE_NAMES
from node.store.scrub import START as FIRST
from node.store.snapshot import DIGEST_KEY, END, META, RECORDS, START, Row, encode_rows, freeze
from node.store.snapshot import decode_rows as rows_of
from tests.unit.store.rig import MAP_BYTES, T0_MS, Maker, actor, entropy, open_store

pytestmark = pytest.mark.thorough

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "edit", "delete", "archive", "hold", "govern", "commit"]),
        st.sampled_from([f"id{n}" for n in range(8)]),
        st.sampled_from([DATA, PRIVATE]),
        st.sampled_from(["n1", "n2/deep", ""]),
        st.sampled_from([None, T0_MS + 5, -1, "never"]),
    ),
    max_size=40,
)


def filled(path: Path, steps: list[tuple[Any, ...]]) -> Store:
    store, maker = open_store(path), Maker()
    for what, name, lane, namespace, expires in steps:
        key = lane + b"memory/" + name.encode()
        if what == "create":
            maker.create(name, lane, namespace, expires_at=expires)
            maker.request(name.encode(), IdempotencyRow(b"b", (Dot(maker.actor(lane), 1),)))
        elif what == "edit" and key in maker.records:
            maker.edit(key, expires_at=expires, title=name)
        elif what == "archive" and key in maker.records:
            maker.edit(key, archived_at=T0_MS)
        elif what == "delete" and key in maker.records:
            maker.delete(key)
        elif what == "hold":
            held = Pending(key, b"h" * 32, "ann", {}, action="delete", namespace="n", asked=3)
            maker.hold(Dot(actor(), len(maker.held) + 1), encode_pending(held))
        elif what == "govern":
            maker.govern()
        else:
            store.commit(maker.take(genesis=b"mesh"))
    maker.govern()
    store.commit(maker.take(genesis=b"mesh"))
    return store


def received(source: Store, folder: Path, limit: int) -> Incoming:
    frozen = freeze(source, new_folder(folder, "frozen", entropy))
    incoming = Incoming(new_folder(folder, "incoming", entropy), frozen.id, map_bytes=MAP_BYTES)
    while not incoming.complete:
        incoming.put(*frozen.chunk(incoming.position, limit), T0_MS)
    frozen.close()
    return incoming


def contents(store: Store) -> dict[str, Any]:
    """All that does not depend on the order in which the records were put."""
    assert store.scrub(FIRST, 10**6).bad == []
    names = set(TABLE_NAMES) - {"meta", "feed", "records"}
    rows: dict[str, Any] = {name: list(store.environment.walk(name)) for name in names}
    rows["records"] = list(walk_records(store.environment))
    entries = store.feed.after(0, 10**6)
    rows["feed"] = sorted((entry.key, entry.ms) for entry in entries)
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    rows["head"] = store.head
    rows["loaded"] = store.load()
    return rows


@given(STEPS, st.sampled_from([1, 500, 10**6]))
@settings(max_examples=25, deadline=None)
def test_both_ways_build_one_store(steps: list[tuple[Any, ...]], limit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, own = filled(folder / "s", steps), open_store(folder / "own")
        found = []
        for way in ("adopted", "joined"):
            incoming = received(source, folder, limit)
            built = build_join(
                own,
                incoming,
                folder / way,
                entropy=entropy,
                now_ms=T0_MS,
                joiner=DottedJoin({}, incoming.clock()) if way == "joined" else None,
                map_bytes=MAP_BYTES,
            )
            incoming.remove()
            assert not incoming.path.exists()
            store = open_store(built.path)
            assert (built.digest, built.clock) == (
                store.head.digest,
                {one: row.seq for one, row in store.load().actors.items()},
            )
            found.append(contents(store))
            store.close()
        adopted, joined = found
        for what in joined:
            assert adopted[what] == joined[what], what
        assert adopted["loaded"].digest == source.head.digest
        source.close()
        own.close()


def _take(own: Store, incoming: Incoming, data: bytes, path: Path) -> None:
    incoming.put(data, END)
    build_join(own, incoming, path, entropy=entropy, now_ms=T0_MS, map_bytes=MAP_BYTES)


def record_row(key: bytes, data: bytes) -> Row:
    return Row(RECORDS, key, checksum(key, data) + data)


SPOILS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "a record less": lambda rows: rows[:-1],
    "a record twice": lambda rows: [*rows, rows[-1]],
    "a record more": lambda rows: [*rows, record_row(b"dmemory/x", b"x")],
    "no content": lambda rows: [*rows[:-1], Row(RECORDS, rows[-1].key, bytes(16))],
    "no digest": lambda rows: [row for row in rows if (row.kind, row.key) != (META, DIGEST_KEY)],
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_what_does_not_add_up_never_becomes_a_store(
    tmp_path: Path, spoil: Callable[[list[Row]], list[Row]]
) -> None:
    source = filled(tmp_path / "s", [("create", f"id{n}", DATA, "n1", None) for n in range(4)])
    own = open_store(tmp_path / "own")
    frozen = freeze(source, tmp_path / "f")
    rows = rows_of(frozen.chunk(START, 10**9)[0])
    assert {row.kind for row in rows} >= {RECORDS, META}
    incoming = Incoming(tmp_path / "incoming-1", frozen.id, map_bytes=MAP_BYTES)
    with pytest.raises((JoinRefused, RecordError)):
        _take(own, incoming, encode_rows(spoil(rows)), tmp_path / "next")
    assert not (tmp_path / "next").exists()
    incoming.close()
    for one in (source, own):
        one.close()
    frozen.close()


@pytest.mark.parametrize("limit", [1, 500, 10**6])
def test_a_chunk_that_is_stored_twice_is_there_once(tmp_path: Path, limit: int) -> None:
    """A new session may ask for what an earlier one was still storing."""
    source = filled(tmp_path / "s", [("create", f"id{n}", DATA, "n1", None) for n in range(9)])
    own = open_store(tmp_path / "own")
    frozen = freeze(source, tmp_path / "f")
    incoming = Incoming(tmp_path / "incoming-1", frozen.id, map_bytes=MAP_BYTES)
    while not incoming.complete:
        chunk = frozen.chunk(incoming.position, limit)
        incoming.put(*chunk, T0_MS)
        incoming.put(*chunk, T0_MS)
    assert incoming.verify() == source.head.digest
    built = build_join(
        own, incoming, tmp_path / "next-1", entropy=entropy, now_ms=T0_MS, map_bytes=MAP_BYTES
    )
    assert (built.records, built.digest) == (9, source.head.digest)
    for one in (source, own):
        one.close()
    frozen.close()


class Died(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("written", [False, True])
def test_a_death_at_any_moment_of_an_adoption_costs_nothing_but_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: bool,  # noqa: FBT001 - a parameter
) -> None:
    monkeypatch.setattr(staging, "_WINDOW", 3)
    steps = [
        *(("create", f"id{n}", DATA, "n1", T0_MS + 5 if n % 2 else None) for n in range(8)),
        *(("hold", "id1", DATA, "n1", None), ("archive", "id2", DATA, "n1", None)),
        ("delete", "id3", DATA, "n1", None),
    ]
    source, own = filled(tmp_path / "s", steps), open_store(tmp_path / "own")
    whole, deaths = None, 0
    plain = Environment.write

    def adopted(incoming: Incoming, name: str) -> dict[str, Any]:
        built = build_join(
            own, incoming, tmp_path / name, entropy=entropy, now_ms=T0_MS, map_bytes=MAP_BYTES
        )
        store = open_store(built.path)
        found = contents(store)
        store.close()
        return found

    while True:
        incoming = received(source, tmp_path, 10**6)
        left = deaths

        def write(self: Environment, *args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0 and not written:
                raise Died
            done = plain(self, *args, **options)
            if left < 0:
                raise Died
            return done

        monkeypatch.setattr(Environment, "write", write)
        try:
            found = adopted(incoming, f"next-{deaths}")
        except Died:
            found = None
        monkeypatch.setattr(Environment, "write", plain)
        if found is not None:
            break
        incoming.close()
        assert not (tmp_path / f"next-{deaths}").exists(), "nothing is a store yet"
        again = Incoming.left_behind(incoming.path, map_bytes=MAP_BYTES)
        if again is not None:
            assert again.complete
            told = adopted(again, f"again-{deaths}")
            whole = whole or told
            assert told == whole, deaths
        deaths += 1
    assert deaths >= 4, "three windows and the end"
    assert whole == found
    source.close()
    own.close()
