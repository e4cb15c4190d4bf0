import random

import pytest

from crdt.document.model import OpId, Scalar, ScalarKind
from crdt.document.sequence import Sequence
from crdt.document.span import Mark
from tests.unit.crdt.document.authors_rig import ANN, BOB

HOME = OpId(1, ANN)
ONE = Scalar(ScalarKind.INT, 1)


def text(*runs: tuple[OpId | None, int, bytes, str]) -> Sequence:
    out = Sequence(HOME, is_text=True, depth=1)
    for behind, counter, actor, characters in runs:
        out.insert(behind, OpId(counter, actor), characters, len(characters))
    return out


def spans(one: Sequence) -> int:
    return sum(1 for _ in one.spans())


def test_what_one_author_types_on_is_one_span() -> None:
    one = text((None, 2, ANN, "ab"), (OpId(3, ANN), 4, ANN, "cd"), (OpId(5, ANN), 6, ANN, "e"))
    assert (one.text(), one.width(), spans(one)) == ("abcde", 5, 1)


def test_a_long_text_of_one_author_is_few_spans() -> None:
    one = Sequence(HOME, is_text=True, depth=1)
    behind = None
    for counter in range(2, 5_002):
        one.insert(behind, OpId(counter, ANN), "x", 1)
        behind = OpId(counter, ANN)
    assert one.width() == 5_000
    assert spans(one) == 5


def test_inserting_inside_parts_a_span_and_taking_it_back_leaves_the_text() -> None:
    one = text((None, 2, ANN, "abcd"), (OpId(3, ANN), 6, BOB, "XY"))
    assert (one.text(), spans(one)) == ("abXYcd", 3)
    one.remove(OpId(6, BOB), 2)
    assert (one.text(), one.width()) == ("abcd", 4)
    assert one.find(OpId(6, BOB)) is None


def test_a_part_of_a_span_is_hidden_twice_and_shown_again() -> None:
    one = text((None, 2, ANN, "abcdef"))
    one.delete(OpId(3, ANN), 3)
    one.delete(OpId(4, ANN), 3)
    assert one.text() == "af"
    one.undelete(OpId(3, ANN), 3)
    assert one.text() == "abf"
    one.undelete(OpId(4, ANN), 3)
    assert (one.text(), one.width()) == ("abcdef", 6)


def test_only_elements_that_are_all_there_can_be_deleted() -> None:
    one = text((None, 2, ANN, "ab"), (OpId(3, ANN), 4, BOB, "c"))
    one.insert(None, OpId(9, ANN), Mark("b", ONE, expand=False), 1)
    assert one.deletable(OpId(2, ANN), 2)
    assert not one.deletable(OpId(2, ANN), 3)
    assert not one.deletable(OpId(1, ANN), 1)
    assert not one.deletable(OpId(9, ANN), 1)
    assert one.opened(OpId(9, ANN)) is None
    assert one.opened(OpId(7, ANN)) is None


def test_positions_of_a_list_count_elements_and_of_a_text_code_points() -> None:
    long = Scalar(ScalarKind.STRING, "long")
    for is_text, width in ((True, 6), (False, 3)):
        one = Sequence(HOME, is_text=is_text, depth=1)
        one.insert(None, OpId(2, ANN), [ONE, long], 2)
        one.insert(OpId(3, ANN), OpId(4, ANN), "c", 1)
        assert one.width() == width
        last = one.place(width - 1)
        assert last.span is not None
        assert (last.span.content, last.inside) == ("c", 0)
        assert one.place(width).span is None
    inside = text()
    inside.insert(None, OpId(2, ANN), [ONE, long], 2)
    place = inside.place(3)
    assert (place.element, place.inside) == (1, 2)
    assert inside.before(0) is None
    before = inside.before(3)
    assert before is not None
    assert before[1] == 1


@pytest.mark.parametrize("seed", range(2))
def test_thousands_of_spans_are_found_by_name_and_by_position(seed: int) -> None:
    r = random.Random(seed)
    one = Sequence(HOME, is_text=True, depth=1)
    model: list[tuple[OpId, str]] = []
    for counter in range(2, 1_502):
        named = OpId(counter, r.choice([ANN, BOB]))
        at = r.randrange(len(model) + 1)
        one.insert(model[at - 1][0] if at else None, named, letter := r.choice("abc"), 1)
        model.insert(at, (named, letter))
        if r.random() < 0.3:
            gone = r.randrange(len(model))
            found = one.find(model[gone][0])
            assert found is not None
            assert found[0].content
    assert one.text() == "".join(letter for _, letter in model)
    assert one.width() == len(model)
    for position in r.sample(range(len(model)), 200):
        place = one.place(position)
        assert place.span is not None
        named = OpId(place.span.counter + place.element, place.span.actor)
        assert named == model[position][0]
    for named, _ in r.sample(model, 300):
        one.remove(named, 1)
        model = [each for each in model if each[0] != named]
    assert one.text() == "".join(letter for _, letter in model)
