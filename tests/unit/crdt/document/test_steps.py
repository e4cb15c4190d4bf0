from crdt.document.model import NULL, Action, ChangeOp, OpId, Scalar, ScalarKind
from crdt.document.steps import steps_of
from tests.unit.crdt.document.authors_rig import ANN, BOB, typed, written

HOME = OpId(1, ANN)


def gone(counter: int, actor: bytes = BOB) -> ChangeOp:
    named = OpId(counter, actor)
    return ChangeOp(HOME, named, False, Action.DELETE, NULL, (named,))


def lengths(*ops: ChangeOp) -> list[int]:
    return [step.length for step in steps_of(ops, ANN, 10)]


def test_characters_typed_in_a_row_are_one_step() -> None:
    ops = typed(HOME, None, *"abc", at=OpId(10, ANN))
    (step,) = steps_of(ops, ANN, 10)
    assert (step.id, step.length, step.op, step.run) == (OpId(10, ANN), 3, ops[0], "abc")


def test_plain_values_in_a_row_are_one_step_and_characters_are_kept_apart() -> None:
    steps = steps_of(typed(HOME, None, 1, 2, "ab", "c", 3, at=OpId(10, ANN)), ANN, 10)
    assert [step.length for step in steps] == [3, 1, 1]
    assert steps[1].run == "c"


def test_what_is_inserted_elsewhere_begins_a_step() -> None:
    first = typed(HOME, None, *"ab", at=OpId(10, ANN))
    assert lengths(*first, *typed(HOME, None, "c", at=OpId(12, ANN))) == [2, 1]
    assert lengths(*first, *typed(OpId(2, BOB), OpId(11, ANN), "c", at=OpId(12, ANN))) == [2, 1]


def test_a_counter_and_an_object_are_steps_of_their_own() -> None:
    counter = Scalar(ScalarKind.COUNTER, 1)
    assert lengths(*typed(HOME, None, 1, counter, 2, at=OpId(10, ANN))) == [1, 1, 1]
    make = ChangeOp(HOME, None, True, Action.MAKE_MAP)
    assert lengths(make, written(OpId(10, ANN), "k", 1)) == [1, 1]


def test_elements_deleted_in_a_row_are_one_step() -> None:
    assert lengths(gone(4), gone(5), gone(6), gone(8), gone(7)) == [3, 1, 1]
    assert lengths(gone(4), gone(5, ANN)) == [1, 1]
    assert lengths(gone(4), gone(5)._replace(pred=(OpId(5, BOB), OpId(6, BOB)))) == [1, 1]
    assert lengths(gone(4), gone(5)._replace(obj=OpId(2, ANN))) == [1, 1]
