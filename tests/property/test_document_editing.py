"""Edits do what their author sees: against plain JSON, and exactly."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.document import showing
from crdt.document.editing import edit_ops
from crdt.document.edits import EditError
from crdt.document.model import Action, ChangeOp, OpId
from crdt.document.text_difference import difference
from tests.unit.crdt.document.authors_rig import (
    ANN,
    BOB,
    Author,
    all_of,
    document,
    edit,
    made,
    modelled,
    random_edits,
    typed,
    written_at_once,
)

seeds = st.integers(0, 2**32)
plain_texts = st.text(st.sampled_from("ab \n\u00e9\U0001f600"), max_size=40)
any_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=25)
@given(seeds)
def test_one_author_gets_what_plain_json_gives(seed: int) -> None:
    r = random.Random(seed)
    one = Author(ANN, [])
    value: dict[str, Any] = {}
    types: dict[str, str] = {}
    for _ in range(8):
        edits = random_edits(r, value, types, r.randint(1, 4))
        for each in edits:
            value, types = modelled(value, types, each)
        one.edit(edits)
        assert one.doc.value() == value, edits
        assert one.doc.conflicts() == {}
        told = {at: kind for at, kind in one.doc.types().items() if kind in {"text", "counter"}}
        assert told == {at: kind for at, kind in types.items() if kind in {"text", "counter"}}


@settings(max_examples=20)
@given(seeds)
def test_edits_do_on_a_document_of_many_authors_what_they_do_on_plain_json(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 12)
    doc = document(changes)
    value, types = doc.value(), doc.types()
    edits = random_edits(r, value, types, 4)
    for each in edits:
        value, types = modelled(value, types, each)
    before = all_of(doc)
    change = edit(doc, ANN if doc.next_seq(ANN) else BOB, edits)
    assert all_of(doc) == before
    assert document([*changes, change]).value() == value, edits


@settings(max_examples=20)
@given(seeds, st.integers(0, 3))
def test_a_bad_edit_among_good_ones_leaves_no_trace(seed: int, where: int) -> None:
    r = random.Random(seed)
    doc = document(written_at_once(r, 10))
    before = all_of(doc)
    edits: list[Any] = random_edits(r, doc.value(), doc.types(), 3)
    edits.insert(where, {"op": "put", "path": ["no", "such", "place"], "value": 1})
    with pytest.raises(EditError) as caught:
        edit(doc, BOB, edits)
    assert caught.value.index == where
    assert all_of(doc) == before


@given(plain_texts, plain_texts)
def test_a_difference_applied_is_the_new_text(old: str, new: str) -> None:
    parts = difference(old, new)
    made_of = old
    for at, length, words in reversed(parts):
        assert old[at : at + length] != words
        made_of = made_of[:at] + words + made_of[at + length :]
    assert made_of == new
    ends = [at + length for at, length, _ in parts]
    assert all(end < part.at for end, part in zip(ends, parts[1:], strict=False))


@settings(max_examples=25)
@given(any_texts, any_texts, seeds)
def test_replacing_the_text_gives_that_text(old: str, new: str, seed: int) -> None:
    r = random.Random(seed)
    one = Author(ANN, [])
    one.edit(one.doc.text_edits(old))
    if r.random() < 0.5:
        one.edit([{"op": "splice", "path": ["text"], "index": 0, "insert": "more"}])
    edits = one.doc.text_edits(new)
    if edits:
        one.edit(edits)
    assert one.doc.text() == new
    assert one.doc.text_edits(new) == []


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["abc", "x", "", "\U0001f600y", 7]), max_size=6), seeds)
def test_elements_of_several_code_points_are_edited_by_code_points(
    elements: list[Any], seed: int
) -> None:
    r = random.Random(seed)
    home = OpId(1, ANN)
    ops = [
        ChangeOp(None, "text", False, Action.MAKE_TEXT),
        *typed(home, None, *elements, at=OpId(2, ANN)),
    ]
    doc = document([made(ANN, ops)])
    text = doc.value()["text"]
    assert text == "".join(one if isinstance(one, str) else "\ufffc" for one in elements)
    state = doc._opset
    for _ in range(3):
        at = r.randrange(len(text) + 1)
        gone = r.randrange(len(text) - at + 1)
        words = r.choice(["", "NEW", "\u00e9"])
        each = {"op": "splice", "path": ["text"], "index": at, "delete": gone, "insert": words}
        ops = list(edit_ops(state, [each], actor=BOB, start_op=state.max_op + 1))
        seq = doc.next_seq(BOB)
        assert seq is not None
        change = made(BOB, ops, seq=seq, start_op=state.max_op + 1, deps=state.heads)
        state.apply(change)
        text = text[:at] + words + text[at + gone :]
        assert showing.value(state)["text"] == text
