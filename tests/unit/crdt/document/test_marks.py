"""Marks stand in a text the way the official library can save and open again."""

import pytest

from crdt.document.change import encode_change
from crdt.document.model import (
    NULL,
    Action,
    Change,
    ChangeError,
    ChangeOp,
    OpId,
    Scalar,
    ScalarKind,
)
from crdt.document.opset import OpSet
from crdt.document.showing import text
from tests.unit.crdt.document.changes_rig import ANN, BOB

HOME = OpId(1, ANN)
ONE, TWO, BEGIN = OpId(2, ANN), OpId(3, ANN), OpId(4, BOB)
YES = Scalar(ScalarKind.TRUE, True)


def written() -> Change:
    ops = [ChangeOp(None, "text", False, Action.MAKE_TEXT)]
    for character, key in (("a", None), ("b", ONE)):
        value = Scalar(ScalarKind.STRING, character)
        ops.append(ChangeOp(HOME, key, True, Action.SET, value))
    return encode_change(actor=ANN, seq=1, start_op=1, time=0, message=None, deps=(), ops=ops)


def marked(begin: OpId | None, end: OpId | None) -> Change:
    ops = [
        ChangeOp(HOME, begin, True, Action.MARK, YES, (), True, "bold"),
        ChangeOp(HOME, end, True, Action.MARK, NULL, (), True),
    ]
    deps = (written().hash,)
    return encode_change(actor=BOB, seq=1, start_op=4, time=0, message=None, deps=deps, ops=ops)


@pytest.mark.parametrize(("begin", "end"), [(None, ONE), (None, TWO), (ONE, TWO), (TWO, BEGIN)])
def test_a_mark_ends_behind_its_beginning(begin: OpId | None, end: OpId) -> None:
    state = OpSet()
    state.apply(written())
    state.apply(marked(begin, end))
    assert state.marks == 2
    assert text(state) == "ab"


@pytest.mark.parametrize(("begin", "end"), [(ONE, None), (TWO, ONE), (TWO, None)])
def test_a_mark_that_ends_before_it_begins_is_refused(begin: OpId, end: OpId | None) -> None:
    state = OpSet()
    state.apply(written())
    with pytest.raises(ChangeError, match="before it begins"):
        state.apply(marked(begin, end))
    assert state.marks == 0
    assert text(state) == "ab"
