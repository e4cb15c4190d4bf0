import math
from typing import Any

import pytest

from crdt.document import showing
from crdt.document.model import NULL, Action, ChangeOp, OpId, Scalar, ScalarKind
from tests.unit.crdt.document.authors_rig import (
    ANN,
    BOB,
    document,
    edit,
    made,
    opset,
    typed,
    written,
)

HOME = OpId(1, ANN)
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999
TEXT = ChangeOp(None, "text", False, Action.MAKE_TEXT)


def shown(held: Scalar) -> tuple[Any, str | None]:
    state = opset([made(ANN, [written(None, "k", held)])])
    return showing.value(state)["k"], showing.types(state).get("/k")


@pytest.mark.parametrize(
    ("held", "value", "kind"),
    [
        (NULL, None, None),
        (Scalar(ScalarKind.TRUE, True), True, None),
        (Scalar(ScalarKind.INT, -5), -5, None),
        (Scalar(ScalarKind.UINT, 5), 5, "uint"),
        (Scalar(ScalarKind.FLOAT, 0.5), 0.5, None),
        (Scalar(ScalarKind.FLOAT, 2.0), 2.0, "float"),
        (Scalar(ScalarKind.FLOAT, math.inf), None, "float"),
        (Scalar(ScalarKind.FLOAT, math.nan), None, "float"),
        (Scalar(ScalarKind.STRING, "s"), "s", None),
        (Scalar(ScalarKind.BYTES, b"\x01\x02"), "AQI=", "bytes"),
        (Scalar(ScalarKind.COUNTER, 7), 7, "counter"),
        (Scalar(ScalarKind.TIMESTAMP, 5), "1970-01-01T00:00:00.005Z", "timestamp"),
        (Scalar(ScalarKind.TIMESTAMP, -1), "1969-12-31T23:59:59.999Z", "timestamp"),
        (
            Scalar(ScalarKind.TIMESTAMP, 253_402_300_799_999),
            "9999-12-31T23:59:59.999Z",
            "timestamp",
        ),
        (Scalar(ScalarKind.TIMESTAMP, 253_402_300_800_000), 253_402_300_800_000, "timestamp"),
        (
            Scalar(ScalarKind.TIMESTAMP, -62_135_596_800_000),
            "0001-01-01T00:00:00.000Z",
            "timestamp",
        ),
        (Scalar(ScalarKind.TIMESTAMP, -62_135_596_800_001), -62_135_596_800_001, "timestamp"),
        (Scalar(12, b"?"), "Pw==", "kind 12"),
    ],
)
def test_every_type_has_its_json(held: Scalar, value: Any, kind: str | None) -> None:
    assert shown(held) == (value, kind)


def test_a_text_shows_strings_and_has_a_character_for_all_else() -> None:
    one = Scalar(ScalarKind.INT, 42)
    ops = [TEXT, *typed(HOME, None, "abc", one, "", "z", at=OpId(2, ANN))]
    block = ChangeOp(HOME, OpId(5, ANN), True, Action.MAKE_MAP)
    ops += [block, written(OpId(6, ANN), "type", "p")]
    state = opset([made(ANN, ops)])
    assert showing.value(state) == {"text": "abc\ufffcz\ufffc"}
    assert showing.types(state) == {"/text": "text, objects"}
    assert showing.package_shape(state) == {"text": ["abc", 42, "", "z", {"type": "p"}]}
    assert not showing.is_plain(state)
    assert showing.text(state) == "abc\ufffcz\ufffc\np"


def test_marks_are_kept_and_told_and_take_no_room() -> None:
    begin = ChangeOp(HOME, None, True, Action.MARK, Scalar(ScalarKind.TRUE, True), (), True, "bold")
    end = ChangeOp(HOME, OpId(3, ANN), True, Action.MARK)
    state = opset([made(ANN, [TEXT, *typed(HOME, None, *"ab", at=OpId(2, ANN)), begin, end])])
    assert showing.value(state) == {"text": "ab"}
    assert showing.types(state) == {"/text": "text, marks"}
    assert state.marks == 2


def test_the_text_of_a_document_begins_with_its_text_and_has_every_other_string() -> None:
    doc = document([])
    put = {"op": "put", "path": ["text"], "value": "one\ntwo"}
    first = edit(doc, ANN, [put])
    doc = document([first])
    assert (doc.text(), doc.is_plain()) == ("one\ntwo", True)
    more = [
        {"op": "put", "path": ["a"], "value": {"z": "last", "b": ["first", 1, ""]}},
        {"op": "put", "path": ["n"], "value": 5},
        {"op": "put", "path": ["zz"], "value": "raw", "type": "string"},
    ]
    doc = document([first, edit(doc, ANN, more)])
    assert doc.text() == "one\ntwo\nfirst\nlast\nraw"
    assert not doc.is_plain()


@pytest.mark.parametrize(
    ("value", "kind", "plain"),
    [
        ("words", None, True),
        ("words", "string", True),
        (5, None, False),
        (["a"], None, False),
    ],
)
def test_a_document_is_plain_when_its_text_is_all_there_is_to_replace(
    *, value: Any, kind: str | None, plain: bool
) -> None:
    put = {"op": "put", "path": ["text"], "value": value, "type": kind}
    assert document([edit(document([]), ANN, [put])]).is_plain() is plain


def test_places_are_told_as_json_pointers() -> None:
    put = {"op": "put", "path": ["a/b~c"], "value": [{"": "x"}]}
    assert document([edit(document([]), ANN, [put])]).types() == {"/a~1b~0c/0/": "text"}


def test_conflicts_inside_of_what_shows_are_told_and_of_what_lost_are_not() -> None:
    ann = made(ANN, [ChangeOp(None, "m", False, Action.MAKE_MAP), written(HOME, "k", "a")])
    home = OpId(1, BOB)
    bob = made(BOB, [ChangeOp(None, "m", False, Action.MAKE_MAP), written(home, "k", "b")])
    one = made(ANN, [written(HOME, "x", 1)], seq=2, start_op=3, deps=[ann])
    two = made(b"\x01", [written(HOME, "x", 2)], start_op=3, deps=[ann])
    three = made(BOB, [written(home, "x", 1)], seq=2, start_op=3, deps=[bob])
    four = made(b"\x01", [written(home, "x", 2)], seq=2, start_op=4, deps=[bob, two])
    state = opset([ann, bob, one, two, three, four])
    told = showing.conflicts(state)
    assert list(told) == ["/m", "/m/x"]
    assert list(told["/m"].values()) == [{"k": "b", "x": 2}, {"k": "a", "x": 1}]
    assert list(told["/m/x"].values()) == [2, 1]


def test_what_is_told_of_places_does_not_grow_with_the_keys_around_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(showing, "TOLD_CHARS_MAX", 5_000)
    key = "k" * 1_000
    puts = [
        {"op": "put", "path": [key], "value": []},
        {"op": "insert", "path": [key, 0], "values": list(range(20)), "type": "uint"},
    ]
    first = edit(document([]), ANN, puts)
    put = {"op": "put", "path": [key, 0], "value": "s" * 3_000, "type": "string"}
    both = [edit(document([first]), actor, [put]) for actor in (ANN, BOB)]
    doc = document([first, *both])
    assert doc.types() == {"": "cut", **{f"/{key}/{n}": "uint" for n in range(1, 5)}}
    assert doc.conflicts() == {"": {}}
    monkeypatch.setattr(showing, "TOLD_CHARS_MAX", 50_000)
    assert len(doc.types()) == 19
    assert doc.conflicts().keys() == {f"/{key}/0"}
