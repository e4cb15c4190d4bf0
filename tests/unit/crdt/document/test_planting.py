import pytest

from crdt.document.edits import BadEditError
from crdt.document.model import Action, ChangeOp, DocumentTooLargeError, OpId, Scalar, ScalarKind
from crdt.document.planting import Plan, scalar_of
from tests.unit.crdt.document.authors_rig import ANN, opset
from tests.unit.crdt.document.authors_rig import made as changed

PLACE = ChangeOp(None, "k", False, Action.SET)


def test_an_object_is_made_before_what_is_in_it() -> None:
    plan = Plan(ANN, 1, 100)
    value = {"list": [1, "ab", {"deep": True}], "none": None}
    assert plan.value(PLACE, value) == OpId(1, ANN)
    assert plan.next() == OpId(len(plan.ops) + 1, ANN)
    made = [op.action for op in plan.ops]
    assert made[:4] == [Action.MAKE_MAP, Action.MAKE_LIST, Action.SET, Action.MAKE_TEXT]
    state = opset([changed(ANN, plan.ops)])
    assert state.ops == len(plan.ops) == 9


def test_a_text_has_an_element_for_each_code_point() -> None:
    plan = Plan(ANN, 5, 100)
    last = plan.characters(OpId(1, ANN), None, "a\U0001f469\u200d")
    assert last == OpId(7, ANN)
    assert [op.key for op in plan.ops] == [None, OpId(5, ANN), OpId(6, ANN)]


def test_a_plan_has_only_so_many_operations() -> None:
    plan = Plan(ANN, 1, 3)
    with pytest.raises(DocumentTooLargeError):
        plan.characters(None, None, "abcd")
    assert plan.ops == []
    plan.characters(None, None, "abc")
    with pytest.raises(DocumentTooLargeError):
        plan.add(PLACE)


def test_numbers_without_a_type_are_int_as_long_as_they_fit() -> None:
    assert scalar_of(2**63 - 1, None) == Scalar(ScalarKind.INT, 2**63 - 1)
    assert scalar_of(2**63, None) == Scalar(ScalarKind.UINT, 2**63)
    assert scalar_of(1.0, None) == Scalar(ScalarKind.FLOAT, 1.0)
    assert scalar_of(True, None) == Scalar(ScalarKind.TRUE, True)
    with pytest.raises(BadEditError):
        scalar_of(2**64, None)
