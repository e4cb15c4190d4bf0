import base64
import json
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from crdt.document import showing
from crdt.document.change import read_change
from crdt.document.chunk import split_chunks
from crdt.document.model import (
    NULL,
    Action,
    ChangeError,
    ChangeOp,
    MissingChangesError,
    OpId,
    Scalar,
    ScalarKind,
)
from crdt.document.opset import DEPTH_MAX, OpSet
from tests.unit.crdt.document.authors_rig import (
    ANN,
    BOB,
    EVE,
    LIMITS,
    all_of,
    made,
    opset,
    typed,
    written,
)

SCRIPTS: Final = Path(__file__).parents[3] / "golden" / "document_scripts.json"
HOME: Final = OpId(1, ANN)
TEXT: Final = ChangeOp(None, "text", False, Action.MAKE_TEXT)
LIST: Final = ChangeOp(None, "list", False, Action.MAKE_LIST)


def counter(start: int) -> Scalar:
    return Scalar(ScalarKind.COUNTER, start)


def more(by: int, *pred: OpId, key: Any = "n", obj: OpId | None = None) -> ChangeOp:
    return ChangeOp(obj, key, False, Action.INCREMENT, Scalar(ScalarKind.INT, by), pred)


def gone(key: Any, *pred: OpId, obj: OpId | None = None) -> ChangeOp:
    return ChangeOp(obj, key, False, Action.DELETE, NULL, pred)


@cache
def scripts() -> list[dict[str, Any]]:
    """What three authors made with version 3.5 of the JavaScript library, and what it shows."""
    known: list[dict[str, Any]] = json.loads(SCRIPTS.read_text(encoding="utf-8"))
    return known


@pytest.mark.parametrize("place", range(8))
def test_it_shows_what_the_official_library_shows(place: int) -> None:
    script = scripts()[place]
    data = b"".join(base64.b64decode(one) for one in script["changes"])
    state = OpSet()
    for chunk in split_chunks(data, LIMITS):
        state.apply(read_change(chunk, LIMITS))
    assert showing.value(state) == script["value"]
    assert [one.hex() for one in state.heads] == script["heads"]
    texts = [at for at, kind in showing.types(state).items() if kind.startswith("text")]
    told = {
        at: rivals
        for at, rivals in showing.conflicts(state).items()
        if not any(at.startswith(f"{text}/") for text in texts)
    }
    assert told == script["conflicts"]


def test_of_two_values_written_at_once_the_greater_name_shows_and_both_are_told() -> None:
    one = made(ANN, [written(None, "k", "ann")])
    two = made(BOB, [written(None, "k", "bob")])
    state = opset([one, two])
    assert showing.value(state) == {"k": "bob"}
    rivals = {f"1@{BOB.hex()}": "bob", f"1@{ANN.hex()}": "ann"}
    assert showing.conflicts(state) == {"/k": rivals}
    assert list(showing.conflicts(state)["/k"]) == list(rivals)
    settled = made(
        ANN, [written(None, "k", "both", HOME, OpId(1, BOB))], seq=2, start_op=2, deps=[one, two]
    )
    state.apply(settled)
    assert showing.value(state) == {"k": "both"}
    assert showing.conflicts(state) == {}


def test_what_was_written_while_another_deleted_stays() -> None:
    one = made(ANN, [written(None, "k", "old")])
    deleted = made(ANN, [gone("k", HOME)], seq=2, start_op=2, deps=[one])
    kept = made(BOB, [written(None, "k", "new", HOME)], start_op=2, deps=[one])
    assert showing.value(opset([one, deleted])) == {}
    assert showing.value(opset([one, deleted, kept])) == {"k": "new"}
    assert showing.value(opset([one, kept, deleted])) == {"k": "new"}


def test_increments_add_up_and_a_deletion_wins_over_them() -> None:
    one = made(ANN, [written(None, "n", counter(5))])
    left = made(ANN, [more(2, HOME)], seq=2, start_op=2, deps=[one])
    right = made(BOB, [more(-1, HOME)], start_op=2, deps=[one])
    assert showing.value(opset([one, left, right])) == {"n": 6}
    deleted = made(EVE, [gone("n", HOME)], start_op=2, deps=[one])
    assert showing.value(opset([one, left, deleted, right])) == {}


def test_an_increment_adds_to_every_counter_it_names_and_overwrites_the_rest() -> None:
    one = made(ANN, [written(None, "n", counter(5))])
    two = made(BOB, [written(None, "n", counter(50))])
    three = made(EVE, [written(None, "n", "words")])
    ids = [OpId(1, actor) for actor in (ANN, EVE, BOB)]
    both = made(ANN, [more(1, *ids)], seq=2, start_op=2, deps=[one, two, three])
    state = opset([one, two, three, both])
    assert showing.value(state) == {"n": 51}
    assert list(showing.conflicts(state)["/n"].values()) == [51, 6]


def test_counters_wrap_at_64_bits() -> None:
    one = made(ANN, [written(None, "n", counter(2**63 - 1)), more(1, HOME)])
    assert showing.value(opset([one])) == {"n": -(2**63)}


def test_a_counter_in_a_list_and_its_place_taken_at_once() -> None:
    ops = [LIST, *typed(HOME, None, counter(1), "b", at=OpId(2, ANN))]
    one = made(ANN, ops)
    element = OpId(2, ANN)
    up = made(BOB, [more(4, element, key=element, obj=HOME)], start_op=4, deps=[one])
    assert showing.value(opset([one, up])) == {"list": [5, "b"]}
    put = ChangeOp(HOME, element, False, Action.SET, Scalar(ScalarKind.STRING, "x"), (element,))
    other = made(EVE, [put], start_op=4, deps=[one])
    state = opset([one, up, other])
    assert showing.value(state) == {"list": ["x", "b"]}
    state.undo(other)
    assert showing.value(state) == {"list": [5, "b"]}


def test_the_object_that_lost_can_be_edited_and_comes_back() -> None:
    one = made(ANN, [ChangeOp(None, "m", False, Action.MAKE_MAP)])
    two = made(BOB, [ChangeOp(None, "m", False, Action.MAKE_MAP), written(OpId(1, BOB), "b", 2)])
    inside = made(ANN, [written(HOME, "a", 1)], seq=2, start_op=2, deps=[one])
    state = opset([one, two, inside])
    assert showing.value(state) == {"m": {"b": 2}}
    removed = made(EVE, [gone("m", OpId(1, BOB))], start_op=3, deps=[one, two])
    state.apply(removed)
    assert showing.value(state) == {"m": {"a": 1}}


def test_elements_inserted_at_one_place_stand_together_by_author() -> None:
    one = made(ANN, [TEXT, *typed(HOME, None, *"ad", at=OpId(2, ANN))])
    left = made(
        ANN, typed(HOME, OpId(2, ANN), *"xy", at=OpId(4, ANN)), seq=2, start_op=4, deps=[one]
    )
    right = made(BOB, typed(HOME, OpId(2, ANN), *"12", at=OpId(4, BOB)), start_op=4, deps=[one])
    for order in ([one, left, right], [one, right, left]):
        assert showing.value(opset(order)) == {"text": "a12xyd"}


def test_a_deleted_element_goes_on_as_an_anchor() -> None:
    one = made(ANN, [TEXT, *typed(HOME, None, *"abc", at=OpId(2, ANN))])
    two = OpId(3, ANN)
    cut = made(ANN, [gone(two, two, obj=HOME)], seq=2, start_op=5, deps=[one])
    late = made(BOB, typed(HOME, two, "!", at=OpId(5, BOB)), start_op=5, deps=[one])
    state = opset([one, cut, late])
    assert showing.value(state) == {"text": "a!c"}
    state.apply(made(EVE, typed(HOME, two, "?", at=OpId(6, EVE)), start_op=6, deps=[cut, late]))
    assert showing.value(state) == {"text": "a?!c"}


def test_a_change_that_was_taken_changes_nothing() -> None:
    one = made(ANN, [written(None, "n", counter(0)), more(1, HOME)])
    state = opset([one])
    state.apply(one)
    assert showing.value(state) == {"n": 1}
    assert state.ops == 2


def test_a_change_waits_for_what_it_depends_on() -> None:
    one = made(ANN, [written(None, "k", 1)])
    two = made(ANN, [written(None, "k", 2, HOME)], seq=2, start_op=2, deps=[one])
    state = OpSet()
    with pytest.raises(MissingChangesError) as caught:
        state.apply(two)
    assert caught.value.missing == (one.hash,)
    assert not state.seen(two.hash)


FIRST = made(ANN, [written(None, "k", 1), LIST, *typed(OpId(2, ANN), None, "a", at=OpId(3, ANN))])
ROW = OpId(2, ANN)


@pytest.mark.parametrize(
    ("words", "op"),
    [
        ("object 9@", written(OpId(9, ANN), "k", 1)),
        ("predecessor 3@", written(None, "k", 1, OpId(3, ANN))),
        ("predecessor 2@", written(None, "k", 1, ROW)),
        ("a map has keys", ChangeOp(None, ROW, False, Action.SET)),
        ("a sequence has elements", written(ROW, "k", 1)),
        ("element 9@", ChangeOp(ROW, OpId(9, ANN), True, Action.SET)),
        ("element 1@", ChangeOp(ROW, HOME, True, Action.SET)),
        ("elements that are not there", gone(HOME, HOME, obj=ROW)),
        ("does not say what", gone("k")),
        ("no whole number", more(1, HOME, key="k")._replace(value=Scalar(ScalarKind.FLOAT, 0.5))),
        ("a mark is inserted", ChangeOp(None, "k", False, Action.MARK)),
        ("makes a table", ChangeOp(None, "t", False, Action.MAKE_TABLE)),
        ("a predecessor twice", written(None, "k", 1)._replace(pred=(HOME, HOME))),
        ("inserted is a new value", ChangeOp(ROW, None, True, Action.DELETE)),
        ("a mark overwrites nothing", ChangeOp(ROW, None, True, Action.MARK, NULL, (HOME,))),
    ],
)
def test_what_does_not_fit_is_refused_in_words(words: str, op: ChangeOp) -> None:
    state = opset([FIRST])
    before = all_of(state)
    bad = FIRST._replace(
        hash=b"\x02" * 32,
        actor=BOB,
        start_op=4,
        deps=(FIRST.hash,),
        ops=(written(None, "z", 1), op),
    )
    with pytest.raises(ChangeError, match=words):
        state.apply(bad)
    assert all_of(state) == before


def test_numbers_follow_from_the_past() -> None:
    state = opset([FIRST])
    for actor, seq, start_op, deps in (
        (ANN, 3, 4, [FIRST]),
        (ANN, 1, 4, [FIRST]),
        (ANN, 2, 4, []),
        (BOB, 2, 4, [FIRST]),
        (BOB, 1, 3, [FIRST]),
    ):
        with pytest.raises(ChangeError):
            state.apply(made(actor, [], seq=seq, start_op=start_op, deps=deps))
    state.apply(made(ANN, [], seq=2, start_op=4, deps=[FIRST]))


def test_objects_lie_only_so_deep() -> None:
    ops = []
    home: OpId | None = None
    for depth in range(DEPTH_MAX + 1):
        ops.append(ChangeOp(home, "in", False, Action.MAKE_MAP))
        home = OpId(depth + 1, ANN)
    opset([made(ANN, ops[:-1])])
    with pytest.raises(ChangeError, match="deeper"):
        opset([made(ANN, ops)])


def test_only_what_nothing_depends_on_is_taken_back() -> None:
    two = made(ANN, [], seq=2, start_op=4, deps=[FIRST])
    state = opset([FIRST, two])
    with pytest.raises(ValueError, match="depend"):
        state.undo(FIRST)
    state.undo(two)
    state.undo(FIRST)
    assert all_of(state) == all_of(OpSet())
