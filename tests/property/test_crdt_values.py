"""The small laws: clocks, quorum, the hybrid clock, codecs, digest, verdicts, votes, tokens."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdt import clock as c
from crdt import messages as m
from crdt.bundle import NO_PREV, cluster_hash, read_bundle, seal_bundle
from crdt.digest import checksum, move, weight
from crdt.dot import (
    DATA,
    GOVERNANCE,
    LANES,
    PRIVATE,
    SEQ_MAX,
    Dot,
    actor_text,
    dot_text,
    parse_actor,
    parse_dot,
)
from crdt.hlc import STAMP_MAX, HybridClock, millis, stamp_of
from crdt.op import DECISION_KINDS, GOVERNANCE_KINDS, RECORD_KINDS, Idempotency, Op
from crdt.op_codec import decode_ops, encode_ops
from crdt.quorum import covered
from crdt.record import Birth, Origin, Record, Version
from crdt.record_codec import decode, encode
from node.replication.tokens import decode_token, encode_token, unsettled
from tests.unit.crdt.rig import actor, signed

ACTORS = [actor(name, lane, birth) for name in "ab" for lane in LANES for birth in (1, 2)]
seqs = st.integers(1, SEQ_MAX)
actors = st.sampled_from(ACTORS)
dots = st.builds(Dot, actors, seqs)
some_dots = st.frozensets(dots, max_size=4)
clocks = st.dictionaries(actors, st.integers(1, 5))
stamps = st.integers(0, STAMP_MAX)
texts = st.text(max_size=20)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts | st.binary(max_size=9)
)
values = st.recursive(
    leaves | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)

# --- clocks, against sets of dots ------------------------------------------------


def everything(clock: Mapping[bytes, int]) -> set[Dot]:
    """The dumb twin of a clock: every dot below it, one by one."""
    return {Dot(a, n) for a, last in clock.items() for n in range(1, last + 1)}


@given(clocks, clocks, clocks)
def test_merging_clocks_is_uniting_sets(x: c.Clock, y: c.Clock, z: c.Clock) -> None:
    assert everything(c.merge(x, y)) == everything(x) | everything(y)
    assert c.merge(x, y) == c.merge(y, x)
    assert c.merge(c.merge(x, y), z) == c.merge(x, c.merge(y, z))
    assert c.merge(x, x) == x == c.merge(x, {})


@given(clocks, clocks, st.frozensets(st.builds(Dot, actors, st.integers(1, 6))))
def test_covering_is_being_in_the_set(x: c.Clock, y: c.Clock, some: frozenset[Dot]) -> None:
    assert c.covers_all(x, some) == (some <= everything(x))
    assert all(c.covers(x, dot) == (dot in everything(x)) for dot in some)
    assert c.ahead(x, y) == bool(everything(x) - everything(y))
    assert {**y, **c.beyond(x, y)} == {**y, **x}
    assert not set(c.beyond(x, y).items()) & set(y.items())


@given(clocks, clocks)
def test_lanes_and_groups_part_a_clock_without_loss(x: c.Clock, y: c.Clock) -> None:
    assert c.shared(x) == {a: n for a, n in x.items() if a[:1] != PRIVATE}
    assert c.governance(x) == {a: n for a, n in x.items() if a[:1] == GOVERNANCE}
    groups = c.grouped(x).values()
    assert sum(map(len, groups)) == len(x)
    assert {a: n for group in groups for a, n in group.items()} == x
    assert (c.group_hash(x) == c.group_hash(y)) == (x == y)
    assert c.group_hash(dict(reversed(x.items()))) == c.group_hash(x)


@given(actors, seqs)
def test_texts_of_actors_and_dots_read_back(one: bytes, seq: int) -> None:
    assert parse_actor(actor_text(one)) == one
    assert parse_dot(dot_text(Dot(one, seq))) == Dot(one, seq)


# --- quorum ----------------------------------------------------------------------


@given(st.integers(0, 9), st.lists(st.integers(0, 12), max_size=6), st.integers(0, 8))
def test_covered_is_what_a_count_by_hand_gives(own: int, others: list[int], needed: int) -> None:
    reached = 0
    for seq in range(own + 1):
        holding = 1 + sum(held >= seq for held in others)
        if holding >= max(needed, 1):
            reached = seq
    assert covered(own, iter(others), needed) == reached


# --- the hybrid logical clock ----------------------------------------------------

SKEW_MS = 50


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(-500, 500), st.integers(0, 9)), max_size=60)
)
def test_i16_the_clock_is_monotone_and_at_most_the_skew_ahead(
    steps: list[tuple[int, int, int]],
) -> None:
    clock, now, given_out = HybridClock(skew_max_ms=SKEW_MS), 1_750_000_000_000, [0]
    for pause, off, counter in steps:
        now += pause
        seen = stamp_of(now + off, counter)
        before = clock.last
        clock.observe(seen, now)
        assert clock.last in {before, seen}
        given_out.append(clock.tick(now))
        assert given_out[-1] > max(given_out[-2], before)
        assert now <= millis(given_out[-1]) <= now + SKEW_MS
        within = seen <= stamp_of(now + SKEW_MS)
        assert not within or given_out[-1] > seen, "what was taken happened before"


@given(st.lists(st.integers(-100_000, 100_000), min_size=1, max_size=60))
def test_i16_a_wall_clock_that_jumps_never_repeats_a_stamp(jumps: list[int]) -> None:
    clock, most = HybridClock(skew_max_ms=SKEW_MS), 0
    out = []
    for jump in jumps:
        now = 1_750_000_000_000 + jump
        most = max(most, now)
        out.append(clock.tick(now))
        assert now <= millis(out[-1]) <= most
    assert out == sorted(set(out))


# --- codecs ----------------------------------------------------------------------

names = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), max_size=5)
heads = st.lists(dots.filter(lambda d: d.actor[:1] == GOVERNANCE), max_size=2).map(tuple)
retries = st.none() | st.builds(
    Idempotency, scope=st.binary(min_size=16, max_size=16), body=st.binary(min_size=16, max_size=16)
)


@st.composite
def lines(draw: st.DrawFn) -> list[Op]:
    """Consecutive operations of one actor, as strange as the format allows."""
    line, first = draw(actors), draw(st.integers(1, 2**40))
    governs = line[:1] == GOVERNANCE
    kinds = GOVERNANCE_KINDS if governs else RECORD_KINDS | DECISION_KINDS
    own = dots.filter(lambda d: not governs or d.actor[:1] == GOVERNANCE)
    op = st.builds(
        Op,
        dot=st.just(Dot(line, 1)),
        kind=st.sampled_from(sorted(kinds)),
        collection=names,
        id=texts,
        owner=texts,
        namespace=texts,
        agent=texts,
        hlc=stamps,
        births=st.frozensets(own, max_size=3),
        set=st.dictionaries(texts, values, max_size=3),
        removed=st.frozensets(texts, max_size=2),
        supersedes=st.frozensets(own, max_size=3),
        heads=heads,
        target=own,
        idempotency=retries,
    )
    ops = draw(st.lists(op, min_size=1, max_size=4))
    return [one._replace(dot=Dot(line, first + n)) for n, one in enumerate(ops)]


@given(lines())
def test_operations_and_bundles_read_back(ops: list[Op]) -> None:
    line, first = ops[0].dot
    assert list(decode_ops(encode_ops(ops), line, first)) == ops
    cluster = cluster_hash("test")
    bundle = seal_bundle(
        cluster=cluster,
        actor=line,
        first=first,
        prev=NO_PREV,
        ops=tuple(ops),
        sign=lambda message: signed("a", message),
    )
    assert read_bundle(bundle.data, cluster=cluster, ops_max=9) == bundle
    assert encode_ops(read_bundle(bundle.data, cluster=cluster, ops_max=9).ops) == encode_ops(ops)


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Records as strange as the types allow."""
    births = draw(
        st.dictionaries(
            dots, st.builds(Birth, texts, texts, stamps, st.booleans(), some_dots), max_size=3
        )
    )
    fields: dict[str, dict[Dot, Version]] = {}
    places = draw(st.lists(dots, unique=True, max_size=4))
    for place in places:
        origin = draw(
            st.builds(Origin, st.just(place), texts, texts, texts, stamps, some_dots, st.booleans())
        )
        for name in draw(st.sets(texts, min_size=1, max_size=3)):
            version = Version(origin, draw(values), draw(some_dots))
            fields.setdefault(name, {})[place] = version
    return Record(births, fields)


@given(records(), st.randoms(use_true_random=False))
def test_equal_records_have_equal_bytes_and_read_back(record: Record, r: Any) -> None:
    data = encode(record)
    back = decode(b"dmemory/r", data)
    assert back == record
    assert back.weight == weight(b"dmemory/r", data)

    def shuffled(held: dict[Any, Any]) -> dict[Any, Any]:
        return dict(r.sample(list(held.items()), len(held)))

    turned = Record(
        shuffled(record.births), shuffled({n: shuffled(f) for n, f in record.fields.items()})
    )
    assert encode(turned) == data


counts = st.integers(0, SEQ_MAX)
hashes = st.binary(max_size=20)
messages = st.one_of(
    st.builds(m.Hello, clocks, st.dictionaries(counts, hashes, max_size=3), st.booleans(), counts),
    st.builds(m.Ask, st.lists(counts, max_size=4)),
    st.builds(m.Full, st.lists(counts, max_size=4), clocks),
    st.builds(m.Ack, clocks, hashes),
    st.builds(m.Want, counts, clocks),
    st.builds(m.Page, counts, st.lists(hashes, max_size=4), st.booleans()),
    st.builds(m.Offer, counts, hashes),
    st.builds(m.Fetch, counts, hashes, hashes),
    st.builds(m.Chunk, counts, hashes, hashes, hashes),
    st.builds(m.Level, clocks),
    st.just(m.Behind()),
    st.just(m.Gap()),
    st.builds(m.Push, hashes),
    st.builds(m.Spread, hashes, st.binary(min_size=32, max_size=32)),
    st.builds(m.Skewed, actors, counts),
    st.builds(m.Beat, counts, counts, st.booleans(), hashes, hashes),
    st.builds(m.Echo, counts),
)


@given(messages)
def test_messages_read_back(message: m.Message) -> None:
    assert m.decode(m.encode(message)) == message


@given(clocks, st.lists(clocks, max_size=3))
def test_tokens_read_back_and_leave_out_what_all_hold(held: c.Clock, rows: list[c.Clock]) -> None:
    assert decode_token(encode_token(held)) == held
    assert encode_token(dict(reversed(held.items()))) == encode_token(held)
    left = unsettled(held, rows)
    assert left == {
        a: n for a, n in held.items() if not rows or min(row.get(a, 0) for row in rows) < n
    }


# --- digest ----------------------------------------------------------------------

rows = st.dictionaries(st.binary(max_size=6), st.binary(max_size=6), max_size=6)


@given(rows, rows, st.randoms(use_true_random=False))
def test_the_digest_knows_no_order_and_no_past(
    first: dict[bytes, bytes], last: dict[bytes, bytes], r: Any
) -> None:
    digest, held = 0, dict(first)
    for key, value in r.sample(list(first.items()), len(first)):
        digest = move(digest, 0, weight(key, value))
    changes: list[tuple[bytes, bytes | None]] = [
        (k, v) for k, v in last.items() if r.random() < 0.8
    ]
    changes += [(k, None) for k in first if r.random() < 0.3]
    r.shuffle(changes)
    for key, value in changes:
        digest = move(digest, weight(key, held.get(key)), weight(key, value))
        held.pop(key, None)
        if value is not None:
            held[key] = value
    assert digest == sum(int.from_bytes(checksum(k, v), "big") for k, v in held.items()) % 2**128


def test_every_lane_was_drawn() -> None:
    assert {a[:1] for a in ACTORS} == {DATA, GOVERNANCE, PRIVATE}
