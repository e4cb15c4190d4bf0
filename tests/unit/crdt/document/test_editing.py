from typing import Any

import pytest

from crdt.document.editing import edit_ops, replace_text
from crdt.document.edits import EditError
from crdt.document.model import (
    NULL,
    Action,
    ChangeOp,
    DocumentLimits,
    DocumentTooLargeError,
    OpId,
    Scalar,
    ScalarKind,
)
from crdt.document.planting import VALUE_DEPTH_MAX
from tests.unit.crdt.document.authors_rig import ANN, BOB, EVE, document, edit, made, opset, typed

HOME = OpId(1, ANN)
TEXT = ChangeOp(None, "text", False, Action.MAKE_TEXT)
BASE = edit(
    document([]),
    ANN,
    [
        {"op": "put", "path": ["text"], "value": "hello"},
        {"op": "put", "path": ["list"], "value": [1, "two", {"three": 3}]},
        {"op": "put", "path": ["n"], "value": 5, "type": "counter"},
        {"op": "put", "path": ["s"], "value": "raw", "type": "string"},
    ],
)


def after(*edits: dict[str, Any]) -> dict[str, Any]:
    doc = document([BASE])
    return document([BASE, edit(doc, BOB, list(edits))]).value()


def refused(*edits: Any) -> str:
    with pytest.raises(EditError) as caught:
        edit(document([BASE]), BOB, list(edits))
    assert caught.value.index == len(edits) - 1
    assert str(caught.value) == f"edit {len(edits) - 1}: {caught.value.words}"
    return caught.value.words


def test_later_edits_see_earlier_ones() -> None:
    value = after(
        {"op": "put", "path": ["new"], "value": {"deep": []}},
        {"op": "insert", "path": ["new", "deep", 0], "values": ["a", "c"]},
        {"op": "insert", "path": ["new", "deep", 1], "value": "b"},
        {"op": "splice", "path": ["new", "deep", 1], "insert": "!"},
        {"op": "put", "path": ["k"], "value": 1, "type": "counter"},
        {"op": "increment", "path": ["k"], "by": 41},
        {"op": "delete", "path": ["list"]},
    )
    assert value["new"] == {"deep": ["a", "b!", "c"]}
    assert value["k"] == 42
    assert "list" not in value


def test_a_splice_goes_to_the_end_unless_it_says_where() -> None:
    assert after({"op": "splice", "path": ["text"], "insert": "!"})["text"] == "hello!"
    assert after({"op": "splice", "path": ["list"], "insert": [4]})["list"][-1] == 4
    middle = {"op": "splice", "path": ["text"], "index": 1, "delete": 3, "insert": "ipp"}
    assert after(middle)["text"] == "hippo"


def test_strings_are_texts_unless_they_say_otherwise() -> None:
    doc = document([BASE])
    assert doc.types() == {
        "/text": "text",
        "/list/1": "text",
        "/n": "counter",
    }
    assert "a single value" in refused({"op": "splice", "path": ["s"], "insert": "x"})


def test_an_edit_overwrites_all_rivals_and_an_increment_reaches_every_counter() -> None:
    ann = edit(document([BASE]), ANN, [{"op": "put", "path": ["n"], "value": 1, "type": "counter"}])
    bob = edit(document([BASE]), BOB, [{"op": "put", "path": ["n"], "value": 2, "type": "counter"}])
    eve = edit(
        document([BASE]), EVE, [{"op": "put", "path": ["n"], "value": "x", "type": "string"}]
    )
    both = document([BASE, ann, bob])
    up = edit(both, EVE, [{"op": "increment", "path": ["n"]}])
    rivals = document([BASE, ann, bob, up]).conflicts()["/n"]
    assert sorted(rivals.values()) == [2, 3]
    put = edit(both, EVE, [{"op": "put", "path": ["n"], "value": 0}])
    assert document([BASE, ann, bob, put]).conflicts() == {}
    gone = edit(document([BASE, ann, bob, eve]), b"\x01", [{"op": "delete", "path": ["n"]}])
    assert "n" not in document([BASE, ann, bob, eve, gone]).value()


@pytest.mark.parametrize(
    ("words", "bad"),
    [
        ("an edit is an object", 5),
        ("`op` is one of put, insert", {"op": "move", "path": []}),
        ("`put` takes path, type, value", {"op": "put", "path": ["a"], "values": 1}),
        ("`path` is a list", {"op": "put", "path": "a", "value": 1}),
        ("keys and indexes, not True", {"op": "put", "path": [True], "value": 1}),
        ("indexes count from 0", {"op": "delete", "path": ["list", -1]}),
        ("`put` needs `value`", {"op": "put", "path": ["a"]}),
        ("`type` is one of text", {"op": "put", "path": ["a"], "value": 1, "type": "date"}),
        ("either `value` or", {"op": "insert", "path": ["list", 0]}),
        ("`values` is a list", {"op": "insert", "path": ["list", 0], "values": "ab"}),
        ("`insert` is a string", {"op": "splice", "path": ["text"], "insert": 5}),
        ("`count` is a whole number from 1", {"op": "delete", "path": ["list", 0], "count": 0}),
        ("`by` is a whole number", {"op": "increment", "path": ["n"], "by": 0.5}),
        ("`delete` is a whole number", {"op": "splice", "path": ["text"], "delete": True}),
        ("the root itself", {"op": "put", "path": [], "value": {}}),
        ("nothing at /gone", {"op": "put", "path": ["gone", "k"], "value": 1}),
        ("nothing at /list/9", {"op": "put", "path": ["list", 9, "k"], "value": 1}),
        ("/n is a single value", {"op": "put", "path": ["n", "k"], "value": 1}),
        ("/list, a list, has indexes", {"op": "put", "path": ["list", "k"], "value": 1}),
        ("/list, a list, has indexes", {"op": "put", "path": ["list", "k", "z"], "value": 1}),
        ("the root is a map", {"op": "put", "path": [0], "value": 1}),
        ("the root is a map", {"op": "put", "path": [0, 1], "value": 1}),
        ("`put` writes a key", {"op": "insert", "path": ["k"], "value": 1}),
        ("index 3 is beyond /list", {"op": "put", "path": ["list", 3], "value": 1}),
        ("which has 5 code points", {"op": "splice", "path": ["text"], "index": 6}),
        ("ends at 5", {"op": "splice", "path": ["text"], "index": 3, "delete": 3}),
        ("`splice` replaces", {"op": "put", "path": ["text", 0], "value": "j"}),
        ("/text is a text: insert strings", {"op": "insert", "path": ["text", 0], "value": 1}),
        ("/text is a text: `insert`", {"op": "splice", "path": ["text"], "insert": ["a"]}),
        ("/list is a list: `insert`", {"op": "splice", "path": ["list"], "insert": "a"}),
        ("holds no counter", {"op": "splice", "path": ["text"], "insert": "a", "type": "counter"}),
        ("the root is a map: `splice`", {"op": "splice", "path": [], "insert": "a"}),
        ("nothing at /gone to delete", {"op": "delete", "path": ["gone"]}),
        ("a key is one", {"op": "delete", "path": ["n"], "count": 2}),
        ("/s is no counter", {"op": "increment", "path": ["s"]}),
        ("/list/0 is no counter", {"op": "increment", "path": ["list", 0]}),
        ("of type counter", {"op": "put", "path": ["k"], "value": "1", "type": "counter"}),
        ("of type counter", {"op": "put", "path": ["k"], "value": 2**63, "type": "counter"}),
        ("of type uint", {"op": "put", "path": ["k"], "value": -1, "type": "uint"}),
        ("of type int", {"op": "put", "path": ["k"], "value": True, "type": "int"}),
        ("of type float", {"op": "put", "path": ["k"], "value": 10**400, "type": "float"}),
        ("of type text", {"op": "put", "path": ["k"], "value": 5, "type": "text"}),
        ("as base64", {"op": "put", "path": ["k"], "value": "a", "type": "bytes"}),
        ("a timestamp", {"op": "put", "path": ["k"], "value": "today", "type": "timestamp"}),
        ("a timestamp", {"op": "put", "path": ["k"], "value": "2026-01-31", "type": "timestamp"}),
        ("beyond 64 bits", {"op": "put", "path": ["k"], "value": 2**64}),
        ("no value of JSON", {"op": "put", "path": ["k"], "value": float("nan")}),
        ("a key is a string", {"op": "put", "path": ["k"], "value": {5: 1}}),
        ("surrogate", {"op": "put", "path": ["k"], "value": "\ud800"}),
        ("surrogate", {"op": "put", "path": ["k"], "value": {"\ud800": 1}}),
        ("surrogate", {"op": "splice", "path": ["text"], "insert": "\ud800"}),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(words: str, bad: Any) -> None:
    assert words in refused({"op": "put", "path": ["fine"], "value": 1}, bad)


def test_a_key_with_half_a_character_is_refused_before_it_is_written() -> None:
    assert "surrogate" in refused({"op": "put", "path": ["\ud800"], "value": 1})


def test_values_lie_only_so_deep() -> None:
    value: Any = 1
    for _ in range(VALUE_DEPTH_MAX):
        value = [value]
    assert after({"op": "put", "path": ["k"], "value": value})["k"] == value
    assert "deeper" in refused({"op": "put", "path": ["k"], "value": [value]})


def test_one_request_comes_to_only_so_many_operations() -> None:
    limits = DocumentLimits(change_ops_max=10)
    state = opset([BASE])
    for value in ("x" * 10, list(range(10)), {str(n): n for n in range(10)}):
        put = {"op": "put", "path": ["k"], "value": value}
        with pytest.raises(DocumentTooLargeError, match="change_ops_max"):
            edit_ops(state, [put], actor=BOB, start_op=state.max_op + 1, limits=limits)
        assert edit_ops(state, [put], actor=BOB, start_op=state.max_op + 1)


def test_types_are_written_as_they_say() -> None:
    moment = "2026-01-31T12:00:00.250+02:00"
    puts = [("timestamp", moment), ("timestamp", 7), ("float", 1), ("uint", 2**64 - 1), ("int", -1)]
    state = opset([BASE])
    ops = edit_ops(
        state,
        [{"op": "put", "path": [str(n)], "value": v, "type": t} for n, (t, v) in enumerate(puts)],
        actor=BOB,
        start_op=state.max_op + 1,
    )
    assert [op.value for op in ops] == [
        Scalar(ScalarKind.TIMESTAMP, 1_769_853_600_250),
        Scalar(ScalarKind.TIMESTAMP, 7),
        Scalar(ScalarKind.FLOAT, 1.0),
        Scalar(ScalarKind.UINT, 2**64 - 1),
        Scalar(ScalarKind.INT, -1),
    ]


# Seen in version 3.5 of the JavaScript library: behind which element it writes at each edge of
# a mark on "bc" in "abcd", by where the mark grows.
@pytest.mark.parametrize(
    ("before", "after_", "start", "end"),
    [(False, False, 2, 7), (True, False, 6, 7), (False, True, 2, 4), (True, True, 6, 4)],
)
def test_what_is_written_at_the_edge_of_a_mark_belongs_to_it_if_the_mark_says_so(
    *, before: bool, after_: bool, start: int, end: int
) -> None:
    yes = Scalar(ScalarKind.TRUE, True)
    ops = [
        TEXT,
        *typed(HOME, None, *"abcd", at=OpId(2, ANN)),
        ChangeOp(HOME, OpId(2, ANN), True, Action.MARK, yes, (), before, "b"),
        ChangeOp(HOME, OpId(4, ANN), True, Action.MARK, NULL, (), after_),
    ]
    state = opset([made(ANN, ops)])
    for index, behind in ((1, start), (3, end)):
        splice = {"op": "splice", "path": ["text"], "index": index, "insert": "X"}
        (op,) = edit_ops(state, [splice], actor=BOB, start_op=8)
        assert op.key == OpId(behind, ANN)


def test_replacing_the_text_changes_as_little_as_can_be() -> None:
    state = opset([BASE])
    assert replace_text(state, "hello") == []
    splice = {"op": "splice", "path": ["text"], "index": 4, "delete": 1, "insert": "p!"}
    assert replace_text(state, "hellp!") == [splice]
    put = {"op": "put", "path": ["text"], "value": "new", "type": "text"}
    assert replace_text(opset([]), "new") == [put]
