"""What a record holds is one document, however it came together and however it is folded."""

import random

from hypothesis import given
from hypothesis import strategies as st

from crdt.document.change import encode_change
from crdt.document.gathering import Gathered, gather
from crdt.document.model import Change, DocumentLimits, Stored
from crdt.document.pack import pack
from crdt.dot import Dot
from tests.unit.crdt.document.changes_rig import LIMITS, name_of, random_changes, stored


def meddled(r: random.Random, changes: list[Change]) -> list[Change]:
    """A history with some of it lost, rivals, leaps and gaps, as a faulty member would write it."""
    some = [change for change in changes if r.random() < 0.95]
    for change in r.sample(changes, min(len(changes), r.randrange(4))):
        known = change._asdict()
        del known["hash"], known["data"]
        other = r.choice(
            [
                {"message": "rival"},
                {"seq": change.seq + 50},
                {"start_op": change.start_op + r.choice([1, 500])},
                {"deps": (*change.deps, b"?" * 32)},
                {"deps": ()},
            ]
        )
        some.append(encode_change(**{**known, **other}))
    return some


def versions_of(r: random.Random, changes: list[Change]) -> list[Stored]:
    """Each as somebody wrote it, some by two; some of it under wrong names, or noise."""
    out = [stored(one, n + 1, r.choice(["ann", "bob"])) for n, one in enumerate(changes)]
    out += [stored(one, 500 + n, "eve") for n, one in enumerate(changes) if r.random() < 0.1]
    for n in range(r.randrange(4)):
        data = r.choice([b"noise", b"mnpk\x01", *(one.data for one in out[:3])])
        name = r.choice([name_of(data), *(one.name for one in out[:3])])
        out.append(Stored(name, data, "eve", r.randrange(1 << 20), Dot(b"e" * 45, n + 1)))
    return out


def folded(r: random.Random, held: list[Stored], found: Gathered) -> list[Stored]:
    """Some of what was read becomes a pack, and some of the single ones go."""
    odd = {one.name for one in found.aside}
    names = {"chunk/" + digest.hex(): one for digest, one in found.kept.items()}
    chosen = [name for name in names if name not in odd and r.random() < 0.5]
    if not chosen:
        return held
    data = pack([names[name] for name in chosen])
    gone = {name for name in chosen if r.random() < 0.9}
    return [stored(data, r.randrange(1000, 10**6)), *(one for one in held if one.name not in gone)]


def same(one: Gathered, other: Gathered) -> bool:
    return list(one.kept.items()) == list(other.kept.items()) and (
        (one.aside, one.ops, one.stored_bytes) == (other.aside, other.ops, other.stored_bytes)
    )


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_the_order_in_which_it_came_makes_no_difference(seed: int, count: int) -> None:
    r = random.Random(seed)
    held = versions_of(r, meddled(r, random_changes(r, count)))
    found = gather(held, LIMITS)
    r.shuffle(held)
    assert same(gather(held, LIMITS), found)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30), narrow=st.booleans())
def test_to_grow_is_to_gather_everything(seed: int, count: int, *, narrow: bool) -> None:
    r = random.Random(seed)
    limits = DocumentLimits(changes_max=8, ops_max=40, stored_bytes_max=4_000) if narrow else LIMITS
    left = versions_of(r, meddled(r, random_changes(r, count)))
    r.shuffle(left)
    held: list[Stored] = []
    found = gather(held, limits)
    while left:
        size = r.choice([1, 1, 1, 2, 5])
        held, left = held + left[:size], left[size:]
        if r.random() < 0.2:
            held = folded(r, held, found)
        if r.random() < 0.1:
            held = r.sample(held, len(held) - 1)
        before, told = found, list(found.kept.items())
        found = found.grown(held)
        assert same(found, gather(held, limits))
        assert list(before.kept.items()) == told, "what was given away was changed"


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_folding_makes_no_difference(seed: int, count: int) -> None:
    r = random.Random(seed)
    held = versions_of(r, meddled(r, random_changes(r, count)))
    found = gather(held, LIMITS)
    after = gather(folded(r, folded(r, held, found), found), LIMITS)
    assert list(after.kept.items()) == list(found.kept.items())
    assert set(after.aside) == set(found.aside)


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_what_is_kept_obeys_the_rules(seed: int, count: int) -> None:
    r = random.Random(seed)
    found = gather(versions_of(r, meddled(r, random_changes(r, count))), LIMITS)
    seen: set[bytes] = set()
    numbers: set[tuple[bytes, int]] = set()
    ops = 0
    for digest, (change, _, _) in found.kept.items():
        assert digest == change.hash
        assert seen.issuperset(change.deps)
        assert change.seq == 1 or (change.actor, change.seq - 1) in numbers
        assert (change.actor, change.seq) not in numbers
        assert change.start_op <= ops + 1
        seen.add(digest)
        numbers.add((change.actor, change.seq))
        ops += len(change.ops)
    assert found.ops == ops


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_an_honest_history_is_kept_as_a_whole(seed: int, count: int) -> None:
    r = random.Random(seed)
    changes = random_changes(r, count)
    found = gather([stored(one, n) for n, one in enumerate(changes)], LIMITS)
    assert {one.change.hash for one in found.kept.values()} == {one.hash for one in changes}
    assert found.aside == []
