"""The state of a document: a function of its changes, whatever the order; whole changes only."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from crdt.document.sequence import Sequence as Elements
from tests.unit.crdt.document.authors_rig import (
    ACTORS,
    ANN,
    all_of,
    made,
    opset,
    past_of,
    shuffled,
    typed,
    written_at_once,
)

seeds = st.integers(0, 2**32)
HOME = OpId(1, ANN)
TEXT = ChangeOp(None, "text", False, Action.MAKE_TEXT)
NOWHERE = OpId(1, b"\xee")


@settings(max_examples=25)
@given(seeds)
def test_any_causal_order_gives_one_state(seed: int) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 20)
    first = all_of(opset(changes))
    for _ in range(3):
        assert all_of(opset(shuffled(r, changes))) == first


@settings(max_examples=25)
@given(seeds)
def test_what_is_taken_back_was_never_there(seed: int) -> None:
    r = random.Random(seed)
    changes = shuffled(r, written_at_once(r, 20))
    state = opset(changes)
    whole = all_of(state)
    heads = r.sample([one.hash for one in changes], r.randint(1, 2))
    past = past_of(changes, heads)
    beyond = [one for one in changes if one not in past]
    for one in reversed(beyond):
        state.undo(one)
    assert all_of(state) == all_of(opset(past))
    for one in shuffled_beyond(r, beyond, past):
        state.apply(one)
    assert all_of(state) == whole


def shuffled_beyond(r: random.Random, beyond: list[Change], past: list[Change]) -> list[Change]:
    order = shuffled(r, [*past, *beyond])
    return [one for one in order if one in beyond]


BAD_OPS = (
    ChangeOp(NOWHERE, "key", False, Action.SET),
    ChangeOp(None, "text", False, Action.SET, NULL, (NOWHERE,)),
    ChangeOp(None, "key", False, Action.DELETE, NULL, (HOME,)),
    ChangeOp(None, HOME, False, Action.SET),
    ChangeOp(None, None, True, Action.SET),
    ChangeOp(None, "t", False, Action.MAKE_TABLE),
    ChangeOp(None, "text", False, Action.INCREMENT, Scalar(ScalarKind.INT, 1)),
    ChangeOp(None, "text", False, Action.DELETE),
    ChangeOp(HOME, "key", False, Action.SET),
    ChangeOp(HOME, NOWHERE, True, Action.SET),
    ChangeOp(HOME, NOWHERE, False, Action.DELETE, NULL, (NOWHERE,)),
    ChangeOp(HOME, NOWHERE, False, Action.SET, NULL, ()),
    ChangeOp(HOME, OpId(10**6, ANN), True, Action.SET),
)


@settings(max_examples=30)
@given(seeds, st.sampled_from(BAD_OPS))
def test_a_change_is_taken_whole_or_not_at_all(seed: int, bad: ChangeOp) -> None:
    r = random.Random(seed)
    changes = written_at_once(r, 12)
    last = changes[-1]
    past = past_of(changes, last.deps)
    state = opset(past)
    before = all_of(state)
    worse = last._replace(hash=b"\x01" * 32, ops=(*last.ops, bad))
    with pytest.raises(ChangeError):
        state.apply(worse)
    assert all_of(state) == before
    state.apply(last)
    assert all_of(state) == all_of(opset([*past, last]))


@settings(max_examples=25)
@given(seeds)
def test_nothing_is_taken_that_refers_to_what_its_author_had_not_seen(seed: int) -> None:
    r = random.Random(seed)
    first = made(ANN, [TEXT, *typed(HOME, None, *"abc", at=OpId(2, ANN))])
    other = made(
        ACTORS[1],
        typed(HOME, OpId(3, ANN), *"xyz", at=OpId(5, ACTORS[1])),
        start_op=5,
        deps=[first],
    )
    unseen = OpId(r.randint(5, 7), ACTORS[1])
    ways = (
        typed(HOME, unseen, "!", at=OpId(9, ACTORS[2])),
        [ChangeOp(HOME, unseen, False, Action.DELETE, NULL, (unseen,))],
        [ChangeOp(HOME, unseen, False, Action.SET, Scalar(ScalarKind.STRING, "!"))],
    )
    third = made(ACTORS[2], r.choice(ways), start_op=9, deps=[first])
    for order in ([first, other], [first]):
        state = opset(order)
        before = all_of(state)
        with pytest.raises(ChangeError):
            state.apply(third)
        assert all_of(state) == before
    state = opset([first, other])
    state.apply(made(ACTORS[2], r.choice(ways), start_op=9, deps=[other]))


# --- the order of elements, against a tree walked the plain way --------------------------


def plain_order(inserted: Sequence[tuple[OpId, OpId | None]]) -> list[OpId]:
    """Every element after its parent, siblings with the greatest name first."""
    children: dict[OpId | None, list[OpId]] = {}
    for named, behind in inserted:
        children.setdefault(behind, []).append(named)
    out: list[OpId] = []

    def walk(parent: OpId | None) -> None:
        for one in sorted(children.get(parent, ()), reverse=True):
            out.append(one)
            walk(one)

    walk(None)
    return out


@settings(max_examples=100)
@given(seeds)
def test_elements_stand_in_the_order_of_the_tree(seed: int) -> None:
    r = random.Random(seed)
    elements = Elements(HOME, is_text=True, depth=1)
    inserted: list[tuple[OpId, OpId | None]] = []
    counters = dict.fromkeys(ACTORS, 1)
    for _ in range(r.randint(1, 60)):
        actor = r.choice(ACTORS)
        behind = r.choice([None, *(named for named, _ in inserted)]) if inserted else None
        least = max(counters[actor], behind.counter if behind else 0) + r.choice([1, 1, 3])
        length = r.choice([1, 1, 2, 5])
        elements.insert(behind, OpId(least, actor), "x" * length, length)
        for place in range(length):
            inserted.append((OpId(least + place, actor), behind))
            behind = OpId(least + place, actor)
        counters[actor] = least + length - 1
    told = [
        OpId(span.counter + place, span.actor)
        for span in elements.spans()
        for place in range(span.length)
    ]
    assert told == plain_order(inserted)
    assert elements.width() == len(inserted)
    doomed = r.sample(inserted, len(inserted) // 2)
    for named, _ in doomed:
        elements.delete(named, 1)
    gone = {named for named, _ in doomed}
    left = [named for named in told if named not in gone]
    assert elements.width() == len(left)
    for position, named in enumerate(left):
        place = elements.place(position)
        assert place.span is not None
        assert OpId(place.span.counter + place.element, place.span.actor) == named
