import random

import pytest

from crdt.document.model import Action, ChangeError, ChangeOp, OpId, Scalar, ScalarKind
from crdt.document.operations import KEY_STRING, VALUE, actors_of, write_ops
from crdt.document.shapes import (
    Cursor,
    Rest,
    blob,
    fold,
    read_shape,
    signed,
    unfold,
)
from tests.unit.crdt.document.changes_rig import ANN, BOB, random_ops

MOST = 1000


def columns_of(ops: list[ChangeOp]) -> dict[int, bytes]:
    table = [ANN, *sorted(actors_of(ops) - {ANN})]
    return dict(write_ops(ops, {actor: place for place, actor in enumerate(table)}))


def typed(word: str, start: int, after: int) -> list[ChangeOp]:
    keys = [after, *range(start, start + len(word) - 1)]
    return [
        ChangeOp(OpId(1, ANN), OpId(key, ANN), True, Action.SET, Scalar(ScalarKind.STRING, char))
        for key, char in zip(keys, word, strict=True)
    ]


def deleted(start: int, count: int) -> list[ChangeOp]:
    ids = [OpId(start + n, ANN) for n in range(count)]
    return [ChangeOp(OpId(1, ANN), one, False, Action.DELETE, pred=(one,)) for one in ids]


def test_columns_come_back_from_shape_and_rest() -> None:
    r = random.Random(51)
    for _ in range(200):
        start = r.randint(1, 100)
        columns = columns_of(random_ops(r, [ANN, BOB], start))
        shape, places = fold(columns, start)
        rest = Rest(
            Cursor(b"".join(signed(one) for one in places)),
            Cursor(blob(columns.get(KEY_STRING, b""))),
            Cursor(columns.get(VALUE, b"")),
        )
        assert dict(unfold(read_shape(shape), start, rest, MOST)) == columns
        assert rest.places.over
        assert rest.values.over


def test_words_of_one_length_have_one_shape_wherever_they_stand() -> None:
    here, there = typed("plan", 10, 3), typed("note", 500, 77)
    (one, first), (other, second) = fold(columns_of(here), 10), fold(columns_of(there), 500)
    assert one == other
    assert (len(first), len(second)) == (1, 1)
    assert fold(columns_of(typed("more", 20, 19)), 20)[1] == []


def test_deletions_from_left_to_right_say_only_where_they_begin() -> None:
    (one, first), (other, second) = (
        fold(columns_of(deleted(30, 9)), 60),
        fold(columns_of(deleted(5, 9)), 100),
    )
    assert one == other
    assert (first, second) == ([-29], [-94])


def test_a_signed_number_of_a_stream_comes_back() -> None:
    for number in (0, 1, -1, 63, -64, 64, 2**53, -(2**53)):
        assert Cursor(signed(number)).signed() == number


@pytest.mark.parametrize(
    "shape", [b"\x05\x00", b"\x01\x05ab", b"\x01\x00\x01\x00", b"\x01", b"\x80"]
)
def test_what_is_no_shape_of_a_change(shape: bytes) -> None:
    with pytest.raises(ChangeError):
        read_shape(shape)


def test_a_shape_makes_no_more_rows_than_allowed() -> None:
    columns = columns_of(deleted(5, 50))
    shape, places = fold(columns, 60)
    for most in (49, 1):
        rest = Rest(Cursor(b"".join(map(signed, places))), Cursor(b""), Cursor(b""))
        with pytest.raises(ChangeError, match="rows"):
            unfold(read_shape(shape), 60, rest, most)


def test_a_cursor_does_not_read_past_its_end() -> None:
    for read in (Cursor(b"").unsigned, Cursor(b"\x05ab").blob, Cursor(b"\x80").signed):
        with pytest.raises(ChangeError):
            read()
