import random
import zlib

import pytest

from crdt.document.change import encode_change
from crdt.document.chunk import UNFOLDED_TIMES
from crdt.document.leb import uleb
from crdt.document.model import (
    Action,
    Change,
    ChangeError,
    ChangeOp,
    DocumentTooLargeError,
    OpId,
    Scalar,
    ScalarKind,
)
from crdt.document.pack import MARK, Kept, is_pack, pack, unpack
from tests.unit.crdt.document.changes_rig import ANN, LIMITS, kept, random_changes

_LINE = (
    "plan note that we meet on monday and decide about the budget for all teams before the end of"
    " march since nobody knows yet who takes part in it or where"
)
WORDS = _LINE.split(" ")


def typed(words: int, r: random.Random) -> list[Change]:
    """One author writes a word at a time, each somewhere else in the text."""
    home = OpId(1, ANN)
    made = [
        encode_change(
            actor=ANN,
            seq=1,
            start_op=1,
            time=1_700_000_000,
            message=None,
            deps=(),
            ops=[ChangeOp(None, "text", False, Action.MAKE_TEXT)],
        )
    ]
    counter = 2
    time = 1_700_000_000
    for _ in range(words):
        key = OpId(r.randrange(2, counter), ANN) if counter > 2 else None
        start, ops = counter, []
        for character in r.choice(WORDS) + " ":
            value = Scalar(ScalarKind.STRING, character)
            ops.append(ChangeOp(home, key, True, Action.SET, value))
            key = OpId(counter, ANN)
            counter += 1
        time += r.randrange(1, 90)
        made.append(
            encode_change(
                actor=ANN,
                seq=len(made) + 1,
                start_op=start,
                time=time,
                message=None,
                deps=(made[-1].hash,),
                ops=ops,
            )
        )
    return made


def test_what_is_packed_comes_out_again() -> None:
    r = random.Random(5)
    for count in (0, 1, 2, 40):
        one = kept(random_changes(r, count), r)
        assert unpack(pack(one), LIMITS) == one


def test_a_part_of_a_history_is_packed_too() -> None:
    r = random.Random(6)
    some = [one for one in kept(random_changes(r, 60), r) if r.random() < 0.5]
    r.shuffle(some)
    assert unpack(pack(some), LIMITS) == some


def test_the_same_changes_give_the_same_bytes() -> None:
    r = random.Random(8)
    some = kept(random_changes(r, 30), r)
    assert pack(some) == pack(unpack(pack(some), LIMITS))


def test_words_typed_take_a_tenth_of_their_chunks() -> None:
    r = random.Random(9)
    changes = typed(1_000, r)
    data = pack(kept(changes, r))
    raw = sum(len(change.data) for change in changes)
    print(f"{len(data) / len(changes):.1f} bytes for {raw / len(changes):.1f}")
    assert len(data) < 15 * len(changes)
    assert len(data) < raw / 8


def test_a_pack_is_told_from_a_change() -> None:
    r = random.Random(1)
    (change,) = random_changes(r, 1)
    assert is_pack(pack([Kept(change, "ann", 5)]))
    assert not is_pack(change.data)
    with pytest.raises(ChangeError, match="not a pack"):
        unpack(change.data, LIMITS)


def test_what_was_read_before_is_not_read_again() -> None:
    r = random.Random(4)
    some = kept(random_changes(r, 20), r)
    known = {one.change.hash: one for one in some[:10]}
    ops = sum(len(one.change.ops) for one in some)
    out = unpack(pack(some), LIMITS._replace(ops_max=ops), known=known)
    assert out == some
    assert all(one.change is known[one.change.hash].change for one in out[:10])
    with pytest.raises(DocumentTooLargeError):  # what becomes of a pack does not hang on them
        unpack(pack(some), LIMITS._replace(ops_max=ops - 1), known=known)


@pytest.mark.parametrize("bound", ["changes_max", "ops_max", "stored_bytes_max"])
def test_a_pack_holds_no_more_than_its_reader_allows(bound: str) -> None:
    r = random.Random(2)
    some = kept(typed(200, r), r)
    sizes = {
        "changes_max": len(some),
        "ops_max": sum(len(one.change.ops) for one in some),
        "stored_bytes_max": sum(len(one.change.data) for one in some) // UNFOLDED_TIMES + 1,
    }
    data = pack(some)
    assert len(unpack(data, LIMITS._replace(**{bound: sizes[bound]}))) == len(some)
    with pytest.raises(DocumentTooLargeError) as caught:
        unpack(data, LIMITS._replace(**{bound: sizes[bound] - 1}))
    assert caught.value.bound == bound


def test_what_is_spent_already_counts() -> None:
    r = random.Random(2)
    some = kept(typed(20, r), r)
    ops = sum(len(one.change.ops) for one in some)
    limits = LIMITS._replace(ops_max=ops + 5)
    assert unpack(pack(some), limits, spent=(5, 0)) == some
    with pytest.raises(DocumentTooLargeError):
        unpack(pack(some), limits, spent=(6, 0))


def packed(count: int, body: bytes, size: int | None = None) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    claimed = len(body) if size is None else size
    return MARK + uleb(count) + uleb(claimed) + deflater.compress(body) + deflater.flush()


def test_a_pack_does_not_blow_up() -> None:
    bomb = packed(1, bytes(50_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(DocumentTooLargeError):
        unpack(bomb, LIMITS)
    with pytest.raises(ChangeError):
        unpack(packed(1, bytes(50_000_000), size=1000), LIMITS)


@pytest.mark.parametrize(
    "data",
    [
        MARK,
        MARK + b"\x01",
        MARK + b"\x01\x05",
        MARK + b"\x01\x05\xff\xff",
        packed(0, bytes(19)) + b"x",
        packed(0, bytes(20)),
        packed(0, bytes(18)),
        packed(1, bytes(19)),
        packed(5, b"\x05" * 40),
        packed(0, b"\x01\x00" + bytes(17) + b""),
        packed(0, bytes(4) + b"\x01\x00" + bytes(14)),
    ],
    ids=repr,
)
def test_what_is_no_pack(data: bytes) -> None:
    with pytest.raises(ChangeError):
        unpack(data, LIMITS)


@pytest.mark.parametrize("table", range(4))
def test_tables_of_a_pack_are_bounded(table: int) -> None:
    """Nothing, many times over, is not made into as many things."""
    body = bytes(table) + uleb(100_000) + bytes(100_000) + bytes(18 - table)
    with pytest.raises(ChangeError, match="more than 70 things"):
        unpack(packed(1, body), LIMITS._replace(ops_max=50, changes_max=20))


def test_a_pack_holds_a_change_once() -> None:
    r = random.Random(3)
    (one,) = kept(random_changes(r, 1), r)
    with pytest.raises(ChangeError, match="twice"):
        unpack(pack([one, one]), LIMITS)


def test_a_pack_with_another_end_is_refused_or_says_something_else() -> None:
    r = random.Random(12)
    good = pack(kept(random_changes(r, 8), r))
    for cut in range(len(good)):
        with pytest.raises(ChangeError):
            unpack(good[:cut], LIMITS)
    with pytest.raises(ChangeError):
        unpack(good + b"\x00", LIMITS)
