import random
from typing import Any

import pytest

from crdt.document import reading
from crdt.document.change import encode_change, read_change
from crdt.document.gathering import Aside, gather, seed_change
from crdt.document.model import (
    Action,
    Change,
    ChangeError,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
    Scalar,
    ScalarKind,
    Stored,
)
from crdt.document.pack import Kept, pack
from tests.unit.crdt.document.changes_rig import ANN, BOB, LIMITS, name_of, random_changes, stored


def a_change(**other: Any) -> Change:
    known = {"actor": ANN, "seq": 1, "start_op": 1, "time": 0, "message": None, "deps": ()}
    ops = [ChangeOp(None, "k", False, Action.SET, Scalar(ScalarKind.STRING, "x"))]
    return encode_change(**{**known, "ops": ops, **other})


def after(before: Change, **other: Any) -> Change:
    known = {
        "actor": before.actor,
        "seq": before.seq + 1,
        "start_op": before.start_op + len(before.ops),
        "deps": (before.hash,),
    }
    return a_change(**{**known, **other})


ROOT = a_change()
NEXT = after(ROOT)
THIRD = after(NEXT)
BESIDE = after(ROOT, actor=BOB, seq=1)


def told(
    *stored_versions: Stored, limits: DocumentLimits = LIMITS
) -> tuple[list[Change], list[str]]:
    found = gather(stored_versions, limits)
    return [one.change for one in found.kept.values()], [one.reason for one in found.aside]


def test_changes_come_after_what_they_depend_on() -> None:
    kept, aside = told(stored(THIRD, 1), stored(NEXT, 2), stored(ROOT, 3))
    assert kept == [ROOT, NEXT, THIRD]
    assert aside == []


def test_who_wrote_a_change_first_is_its_author() -> None:
    first, again = stored(ROOT, 5, "bob", hlc=7), stored(ROOT, 6, "ann", hlc=9)
    found = gather([again, first], LIMITS)
    assert found.kept[ROOT.hash] == Kept(ROOT, "bob", 7)
    assert found.stored_bytes == 2 * len(ROOT.data)
    late = gather([again], LIMITS).grown([again, first])
    assert dict(late.kept) == dict(found.kept)


def test_what_stands_under_another_name_is_set_aside() -> None:
    right = stored(ROOT, 1)
    wrong = right._replace(name=name_of(b"", NEXT.hash))
    assert told(wrong) == ([], ["misnamed"])
    assert told(wrong._replace(name=right.name.upper().replace("CHUNK", "chunk"))) == (
        [],
        ["misnamed"],
    )
    packed = stored(pack([Kept(ROOT, "ann", 1)]), 1)
    assert told(packed)[0] == [ROOT]
    assert told(packed._replace(name=right.name)) == ([], ["misnamed"])


def test_what_cannot_be_read_is_set_aside_and_hides_nothing() -> None:
    right = stored(ROOT, 2)
    for data in (b"", b"noise", ROOT.data[:-1], ROOT.data + b"x", b"mnpk\x01\xff"):
        wrong = Stored(right.name, data, "eve", 1, right.dot._replace(seq=1))
        kept, aside = told(wrong, right)
        assert kept == [ROOT]
        assert len(aside) == 1
    bad_pack = b"mnpk\x01\x00"
    assert told(stored(bad_pack), right) == ([ROOT], ["unreadable"])


def test_a_change_over_its_bound_is_set_aside_alone() -> None:
    long = after(ROOT, message="x" * 500)
    limits = LIMITS._replace(change_bytes_max=400)
    assert told(stored(long, 1), stored(ROOT, 2), limits=limits) == ([ROOT], ["too_large"])
    packed = stored(pack([Kept(long, "ann", 1)]), 3)
    assert told(packed, stored(ROOT, 2), limits=limits) == ([ROOT], ["too_large"])
    claims = stored(b"mnpk\x01\xff\xff\xff\x7f\x00", 4)
    assert told(claims, stored(ROOT, 2), limits=limits) == ([ROOT], ["too_large"])


def test_of_two_with_one_number_the_smaller_hash_stays() -> None:
    twins = sorted((after(ROOT), after(ROOT, message="other")), key=lambda one: one.hash)
    followers = [after(one, actor=by, seq=1) for one, by in zip(twins, (BOB, b"eve"), strict=True)]
    found = gather([stored(one, n) for n, one in enumerate([*followers, *twins, ROOT])], LIMITS)
    assert [one.change for one in found.kept.values()] == [ROOT, twins[0], followers[0]]
    assert sorted(found.aside) == sorted(
        [
            Aside("chunk/" + twins[1].hash.hex(), "rival"),
            Aside("chunk/" + followers[1].hash.hex(), "missing"),
        ]
    )


def test_a_rival_that_comes_later_may_take_the_place() -> None:
    small, large = sorted((after(ROOT), after(ROOT, message="other")), key=lambda one: one.hash)
    before = [stored(ROOT, 1), stored(large, 2), stored(after(large), 3)]
    now = [*before, stored(small, 4)]
    found = gather(before, LIMITS).grown(now)
    assert [one.change for one in found.kept.values()] == [ROOT, small]
    assert {one.reason for one in found.aside} == {"rival", "missing"}
    assert found.aside == gather(now, LIMITS).aside


def test_what_cannot_be_kept_is_no_rival() -> None:
    """Otherwise a number could be taken by whoever names it first in a change that is none."""
    for fake in (after(ROOT, deps=(b"\x00" * 32,)), after(ROOT, start_op=77)):
        assert told(stored(ROOT, 1), stored(NEXT, 2), stored(fake, 3))[0] == [ROOT, NEXT]


def test_what_depends_on_something_unknown_waits_for_it() -> None:
    some = [stored(ROOT, 1), stored(THIRD, 2)]
    waiting = gather(some, LIMITS)
    assert [one.reason for one in waiting.aside] == ["missing"]
    whole = waiting.grown([*some, stored(NEXT, 3)])
    assert [one.change for one in whole.kept.values()] == [ROOT, NEXT, THIRD]
    assert whole.aside == []


def test_an_actor_counts_without_gaps() -> None:
    """The official library ends in a panic over a number that is left out."""
    gap = after(ROOT, seq=3)
    assert told(stored(ROOT, 1), stored(gap, 2)) == ([ROOT], ["missing"])
    assert told(stored(a_change(seq=2))) == ([], ["missing"])
    aside_line = after(BESIDE, actor=ANN, seq=2, deps=(BESIDE.hash,))
    assert told(*[stored(one, n) for n, one in enumerate([aside_line, BESIDE, ROOT])])[1] == []


def test_counters_follow_those_before_and_do_not_leap() -> None:
    back = after(ROOT, start_op=1)
    leap = after(ROOT, start_op=3)
    assert told(stored(ROOT, 1), stored(back, 2)) == ([ROOT], ["leap"])
    assert told(stored(ROOT, 1), stored(leap, 2)) == ([ROOT], ["leap"])
    assert told(stored(ROOT, 1), stored(leap, 2), stored(BESIDE, 3)) == ([ROOT, BESIDE, leap], [])


def test_changes_without_operations_have_a_place() -> None:
    chain = [ROOT]
    for _ in range(20):
        chain.append(after(chain[-1], ops=()))
    chain.append(after(chain[-1]))
    order = list(range(len(chain)))
    random.Random(1).shuffle(order)
    kept, aside = told(*[stored(chain[n], n) for n in order])
    assert kept == chain
    assert aside == []


def test_what_is_folded_is_the_same_document() -> None:
    r = random.Random(21)
    singles = [
        stored(one, n, r.choice(["ann", "bob"])) for n, one in enumerate(random_changes(r, 30))
    ]
    found = gather(singles, LIMITS)
    data = pack(list(found.kept.values())[:20])
    names = {name_of(b"", one) for one in list(found.kept)[:20]}
    folded = [stored(data, 99), *(one for one in singles if one.name not in names)]
    after_fold = found.grown(folded)
    assert list(after_fold.kept.items()) == list(found.kept.items())
    assert list(gather(folded, LIMITS).kept.items()) == list(found.kept.items())
    assert after_fold.stored_bytes < found.stored_bytes
    twice = after_fold.grown([*folded, *singles])
    assert list(twice.kept.items()) == list(found.kept.items())
    assert twice.aside == []


def test_to_grow_reads_what_is_new_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[bytes] = []

    def counted(chunk: bytes, limits: DocumentLimits) -> Change:
        read.append(chunk)
        return read_change(chunk, limits)

    monkeypatch.setattr(reading, "read_change", counted)
    versions = [stored(ROOT, 1), stored(NEXT, 2)]
    found = gather(versions, LIMITS)
    assert len(read) == 2
    found = found.grown([*versions, stored(THIRD, 3)])
    found = found.grown([*versions, stored(THIRD, 3), stored(BESIDE, 4)])
    assert read[2:] == [THIRD.data, BESIDE.data]
    assert found.grown(versions).kept == {one.hash: found.kept[one.hash] for one in (ROOT, NEXT)}
    assert len(read) == 4


def test_a_seed_is_a_function_of_memory_and_content() -> None:
    seed = seed_change("m1", "hé 𝄞", LIMITS)
    assert seed == seed_change("m1", "hé 𝄞", LIMITS)
    assert read_change(seed.data, LIMITS) == seed
    assert (seed.seq, seed.start_op, seed.time, seed.deps, len(seed.actor)) == (1, 1, 0, (), 16)
    assert "".join(str(op.value.value) for op in seed.ops[1:]) == "hé 𝄞"
    others = [seed_change("m2", "hé 𝄞", LIMITS), seed_change("m1", "hé", LIMITS)]
    assert len({one.actor for one in [seed, *others]}) == 3
    assert len(seed_change("m1", "", LIMITS).ops) == 1
    assert gather([stored(seed)], LIMITS).aside == []


def test_the_bytes_of_a_seed_do_not_change_between_versions() -> None:
    seed = seed_change("01JB", "plan", LIMITS)
    assert seed.actor.hex() == "97c9de0c28265fc0340d2ead5aa2b6c1"
    assert seed.hash.hex() == ("e097d5cd2fa8b61cdc203964eb4c72a25f3792cc044d1d2a8ce2fc94d1e3403b")


def test_a_content_that_is_no_change_gives_no_seed() -> None:
    with pytest.raises(DocumentTooLargeError):
        seed_change("m1", "x" * 100, LIMITS._replace(change_ops_max=100))
    with pytest.raises(DocumentTooLargeError):
        seed_change("m1", "x" * 400, LIMITS._replace(change_bytes_max=400))
    with pytest.raises(ChangeError):
        seed_change("m1", "\ud800", LIMITS)
