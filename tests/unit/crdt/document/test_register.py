from crdt.document.model import OpId, Scalar, ScalarKind
from crdt.document.register import Register, Value, wrapped
from tests.unit.crdt.document.authors_rig import ANN, BOB


def value(counter: int, actor: bytes = ANN) -> Value:
    return Value(OpId(counter, actor), Scalar(ScalarKind.COUNTER, counter), None)


def test_the_greatest_name_wins_and_the_others_follow() -> None:
    register = Register()
    values = [value(2, ANN), value(3, ANN), value(2, BOB)]
    for one in values:
        register.add(one)
    assert register.winner() is values[1]
    assert register.ranked() == [values[1], values[2], values[0]]
    assert register.find(OpId(2, BOB)) is values[2]
    assert register.find(OpId(4, BOB)) is None


def test_what_is_overwritten_twice_comes_back_when_both_are_taken_back() -> None:
    register = Register()
    one = value(2)
    register.add(one)
    for _ in range(2):
        register.overwrite(one)
    assert register.winner() is None
    assert register.find(one.id) is one
    assert not register.is_empty()
    register.uncover(one)
    assert register.winner() is None
    register.uncover(one)
    assert register.winner() is one
    register.remove(one.id)
    assert register.is_empty()


def test_a_hidden_value_can_be_removed() -> None:
    register = Register()
    one = value(2)
    register.add(one)
    register.overwrite(one)
    register.remove(one.id)
    assert register.is_empty()


def test_a_counter_shows_its_sum_and_wraps() -> None:
    one = value(2)
    one.added = 40
    assert one.shown() == Scalar(ScalarKind.COUNTER, 42)
    assert wrapped(2**63) == -(2**63)
    assert wrapped(-(2**63) - 1) == 2**63 - 1
