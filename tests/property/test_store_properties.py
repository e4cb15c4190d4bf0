"""Whatever is done to a store: its indexes are those of its records, and no bit flips unseen."""

import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.dot import DATA, PRIVATE, Dot
from crdt.hlc import millis
from crdt.log_rule import LogRule
from crdt.record import Birth, Origin, Record, Version
from crdt.record_codec import decode, encode
from crdt.state import ActorRow, IdempotencyRow, LoggedBundle
from crdt.view import NothingPending, shown, view
from node.errors import NodeError
from node.store import CorruptRecord, JoinRefused, Store
from node.store.projection import Facts, facts, stored_facts
from node.store.rows import (
    Head,
    decode_actor,
    decode_entry,
    decode_head,
    decode_idempotency,
    earlier_arrival,
    encode_actor,
    encode_entry,
    encode_idempotency,
    link,
)
from node.store.schema import TABLE_NAMES, name_of, number, sealed
from node.store.scrub import START
from node.store.snapshot import Row, decode_rows, encode_rows
from tests.unit.store.rig import T0_MS, Maker, actor, open_store

NAMES = [f"id{n}" for n in range(6)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["create", "edit", "delete", "commit", "commit2", "reopen", "truncate"]),
        st.sampled_from(NAMES),
        st.sampled_from([DATA, PRIVATE]),
        st.sampled_from(["n1", "n2/deep", ""]),
        st.sampled_from(["short", "mid", "long"]),
        st.sampled_from([None, T0_MS + 5, T0_MS + 9]),
    ),
    max_size=40,
)


class Twin:
    """The deliberately dumb twin: everything recomputed from the maker's records."""

    def __init__(self, maker: Maker) -> None:
        self.views = {k: view(r, NothingPending()) for k, r in maker.records.items()}

    def recent(self, namespace: str | None) -> list[bytes]:
        rows = [
            (v.created, k)
            for k, v in self.views.items()
            if v is not None and namespace in {None, v.namespace}
        ]
        return [k for _, k in sorted(rows, reverse=True)]

    def counts(self) -> dict[tuple[str, str], int]:
        return dict(Counter((v.namespace, v.values["tier"]) for v in self.views.values() if v))

    def expired(self, ms: int) -> list[bytes]:
        rows = [
            (v.values["expires_at"], k)
            for k, v in self.views.items()
            if v and v.values.get("expires_at") is not None and v.values["expires_at"] < ms
        ]
        return sorted(k for _, k in rows)


def check(store: Store, maker: Maker) -> None:
    twin = Twin(maker)
    for namespace in (None, "n1", "n2/deep", "", "never"):
        assert [k for _, k in store.lists.recent(namespace)] == twin.recent(namespace)
    assert store.lists.counts() == twin.counts()
    assert sorted(store.lists.expired_before(T0_MS + 7)) == twin.expired(T0_MS + 7)
    assert {k: store.record(k) for k in maker.records} == {
        k: encode(r) for k, r in maker.records.items()
    }
    assert store.load().digest == maker.digest
    entries = store.feed.after(0, 10**6)
    assert len({e.key for e in entries}) == len(entries)
    assert {e.key for e in entries} >= set(maker.records)
    assert store.scrub(START, 10**6).bad == []
    log = [b for b in maker.bundles if b.actor[:1] == DATA]
    floor = store.load().actors[actor()].floor if log else 0
    assert store.tail(actor(), floor, 10**9) == [b.data for b in log if b.last > floor]


@given(STEPS)
@settings(max_examples=60, deadline=None)
def test_indexes_are_a_function_of_the_records(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, maker, held = open_store(Path(folder)), Maker(), []
        for what, name, lane, namespace, tier, expires in steps:
            key = lane + b"memory/" + name.encode()
            if what == "create":
                maker.create(name, lane, namespace, tier=tier, expires_at=expires)
            elif what == "edit" and key in maker.records:
                maker.edit(key, tier=tier, expires_at=expires)
            elif what == "delete" and key in maker.records:
                maker.delete(key)
            elif what == "commit":
                store.commit(*held, maker.take())
                held = []
            elif what == "commit2":
                held.append(maker.take())
            elif what == "truncate":
                store.truncate(
                    LogRule(rows=[], log_bytes_max=0, log_bytes_min=0, log_ms_max=1), T0_MS
                )
            elif what == "reopen":
                store.close()
                store = open_store(Path(folder))
        store.commit(*held, maker.take())
        check(store, maker)
        store.close()


DOTS = st.builds(Dot, st.sampled_from([actor(), actor(node=2)]), st.integers(1, 5))


@st.composite
def records(draw: st.DrawFn) -> Record:
    births = draw(
        st.dictionaries(
            DOTS,
            st.builds(
                Birth,
                st.just("o"),
                st.sampled_from(["n", "m"]),
                st.integers(1, 9),
                st.booleans(),
                st.frozensets(DOTS, max_size=1),
            ),
            min_size=1,
            max_size=3,
        )
    )
    fields: dict[str, dict[Dot, Version]] = {}
    for name in ("tier", "expires_at"):
        values = ["short", "mid", "long"] if name == "tier" else [None, 5, 7, "x", True, -1]
        for dot in draw(st.lists(DOTS, max_size=3, unique=True)):
            birth = draw(st.sampled_from(sorted(births)))
            origin = Origin(
                dot,
                "o",
                births[birth].namespace,
                "a",
                draw(st.integers(1, 9)),
                frozenset({birth}),
                draw(st.booleans()),
            )
            version = Version(origin, draw(st.sampled_from(values)))
            fields.setdefault(name, {})[dot] = version
    return Record(births, fields)


@given(records())
@settings(max_examples=400, deadline=None)
def test_the_short_way_to_the_facts_is_the_long_way(record: Record) -> None:
    part = shown(record, NothingPending())
    found = facts(b"dmemory/a", record)
    data = encode(record)
    assert stored_facts(b"dmemory/a", data) == facts(b"dmemory/a", decode(b"dmemory/a", data))
    if part is None:
        assert found is None
        return
    whole = view(record, NothingPending())
    assert whole is not None
    expires = whole.values.get("expires_at")
    valid = type(expires) is int and expires >= 0
    assert found == Facts(
        whole.created, whole.namespace, whole.values.get("tier", ""), expires if valid else None
    )


@given(
    st.integers(0, 2**53),
    st.binary(min_size=32, max_size=32),
    st.lists(DOTS, max_size=4),
    st.integers(0, 2**53),
)
def test_rows_come_back(seq: int, chain: bytes, dots: list[Dot], ms: int) -> None:
    row = ActorRow(seq, chain, tuple(dots), 0)
    assert decode_actor(encode_actor(row, ms)) == ActorRow(seq, chain, tuple(dots), ms)
    retry = IdempotencyRow(chain, tuple(dots))
    assert decode_idempotency(encode_idempotency(retry, ms)) == (retry, ms)
    head = Head(number=seq, arrivals=ms, feed=seq, ms=ms, log_bytes=1, private_bytes=2, digest=seq)
    assert decode_head(head.encode()) == head


@given(st.binary(max_size=300), st.lists(st.integers(0, 2**40), max_size=5))
def test_log_entries_come_back_with_their_links(data: bytes, arrivals: list[int]) -> None:
    names = [name_of(b"%d" % n) for n in range(len(arrivals))]
    links = b"".join(link(n, a) for n, a in zip(names, arrivals, strict=True))
    bundle = LoggedBundle(actor(), 3, 9, data, ())
    at = number(7)
    entry = decode_entry("log_data", at, sealed(at, encode_entry(bundle, T0_MS, links)))
    assert (entry.actor, entry.first, entry.last, entry.ms, entry.data) == (
        actor(),
        3,
        9,
        T0_MS,
        data,
    )
    assert [earlier_arrival(entry, n) for n in names] == arrivals
    assert earlier_arrival(entry, name_of(b"other")) is None


@given(st.lists(st.tuples(st.binary(max_size=9), st.binary(max_size=9), st.binary(max_size=99))))
def test_snapshot_rows_come_back(parts: list[tuple[bytes, bytes, bytes]]) -> None:
    rows = [Row(*part) for part in parts]
    assert decode_rows(encode_rows(rows)) == rows


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_are_rows_or_a_typed_error(data: bytes) -> None:
    with suppress(JoinRefused):
        assert all(len(row) == 3 for row in decode_rows(data))


def test_no_flipped_bit_goes_unseen(tmp_path: Path) -> None:
    """Every bit of every stored value, one at a time, in a store that uses all tables."""
    maker, store = Maker(), open_store(tmp_path / "s")
    key = maker.create("a", content="secret", expires_at=T0_MS)
    gone = maker.create("b")
    maker.create("p", PRIVATE)
    maker.govern()
    maker.hold(Dot(actor(), 9), b"held")
    maker.request(b"s" * 16, IdempotencyRow(b"b" * 16, (Dot(actor(), 1),)))
    store.commit(maker.take(genesis=b"mesh"))
    maker.delete(gone)
    maker.edit(key, title="2")
    store.commit(maker.take())
    store.flush_access({key: (1, 1)})
    before = _everything(store)
    silent: list[object] = []
    told: list[object] = []
    store.environment.on_damage = told.append
    for name in TABLE_NAMES:
        table = getattr(store.tables, name)
        rows = store.environment.read(lambda txn, t=table: list(txn.cursor(db=t)))
        for row_key, value in rows:
            for bit in range(0, len(value) * 8, 7):
                spoilt = bytearray(value)
                spoilt[bit // 8] ^= 1 << bit % 8
                _put(store, table, row_key, bytes(spoilt))
                told.clear()
                try:
                    # What is left out, so that the rest may be read, is told to who mends it.
                    if _everything(store) != before and not told:
                        silent.append((name, row_key, bit))
                except NodeError:
                    pass
            _put(store, table, row_key, value)
    assert silent == []
    assert _everything(store) == before
    store.close()


def _put(store: Store, table: Any, key: bytes, value: bytes) -> None:
    store.environment.write(lambda txn: txn.put(key, value, db=table))


def _page(store: Store) -> Any:
    page = store.page({}, 10**6)
    if not page.complete:  # cut before what is damaged: the next one would say so
        raise CorruptRecord("log", b"", "a page ends early")
    return page


def _everything(store: Store) -> Any:
    lists, feed = store.lists, store.feed
    keys = [k for _, k in lists.recent()]
    return (
        store._meta(b"store_id"),
        store._meta(b"head"),
        store._meta(b"schema"),
        store.load(),
        [store.record(k) for k in keys],
        list(lists.recent("global")),
        list(lists.expired_before(T0_MS + 99)),
        lists.counts(),
        [lists.access(k) for k in keys],
        feed.after(0, 99),
        [feed.history(k, 9) for k in (*keys, b"dmemory/b")],
        _page(store),
        store.tail(actor(PRIVATE), 0, 10**6),
        store.idempotent(b"s" * 16),
    )


@pytest.mark.parametrize("stamp", [0, 1, T0_MS << 16, 2**63 - 1])
def test_stamps_sort_in_keys(stamp: int) -> None:
    assert int.from_bytes(number(stamp), "big") == stamp
    assert millis(stamp) == stamp >> 16
    assert decode(b"k", encode(Record({}, {}))) == Record({}, {})
