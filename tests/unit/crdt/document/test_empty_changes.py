"""A change without operations begins right behind what it depends on.

The official library writes no other, and cannot open again what it saved with another.
"""

import pytest

from crdt.document.change import encode_change
from crdt.document.model import Action, Change, ChangeError, ChangeOp, Scalar, ScalarKind
from crdt.document.opset import OpSet
from tests.unit.crdt.document.changes_rig import ANN, BOB

WRITES = [
    ChangeOp(None, key, False, Action.SET, Scalar(ScalarKind.STRING, key)) for key in ("a", "b")
]
ROOT = encode_change(actor=ANN, seq=1, start_op=1, time=0, message=None, deps=(), ops=WRITES)
BESIDE = encode_change(
    actor=BOB, seq=1, start_op=3, time=0, message=None, deps=(ROOT.hash,), ops=WRITES[:0]
)


def empty(start_op: int, *deps: bytes) -> Change:
    return encode_change(
        actor=ANN, seq=2, start_op=start_op, time=0, message="merged", deps=deps, ops=()
    )


def test_it_is_taken_where_it_belongs() -> None:
    state = OpSet()
    for change in (ROOT, BESIDE, empty(3, ROOT.hash, BESIDE.hash)):
        state.apply(change)
    assert len(state.heads) == 1
    assert state.max_op == 2


@pytest.mark.parametrize("start_op", [1, 2, 4, 1000])
def test_it_is_refused_anywhere_else(start_op: int) -> None:
    state = OpSet()
    state.apply(ROOT)
    with pytest.raises(ChangeError, match="begin"):
        state.apply(empty(start_op, ROOT.hash))
    assert state.heads == (ROOT.hash,)
