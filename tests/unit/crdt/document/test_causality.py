import random
from typing import Any

import pytest

from crdt.document.causality import Causality
from crdt.document.model import Change, ChangeError, MissingChangesError, OpId
from tests.unit.crdt.document.authors_rig import (
    ANN,
    BOB,
    made,
    past_of,
    shuffled,
    written,
    written_at_once,
)

FIRST = made(ANN, [written(None, "k", 1)])


def entered(changes: list[Change]) -> Causality:
    out = Causality()
    for one in changes:
        out.enter(one, out.past(one))
    return out


@pytest.mark.parametrize("seed", range(2))
def test_an_operation_is_covered_where_its_change_lies_in_the_past(seed: int) -> None:
    r = random.Random(seed)
    changes = shuffled(r, written_at_once(r, 40))
    late = changes[-12:]
    causality = entered(changes)
    for one in reversed(late):
        causality.leave(one)
    for one in late:
        past = causality.past(one)
        covered = {each.hash for each in past_of(changes, one.deps)}
        for other in changes:
            if other.ops:
                last = OpId(other.start_op + len(other.ops) - 1, other.actor)
                assert causality.covers(past, last) is (other.hash in covered)
        causality.enter(one, past)
    assert len(causality) == len(changes)
    assert causality.max_op() == max(one.start_op + len(one.ops) - 1 for one in changes)


def test_nobody_covers_what_no_change_holds() -> None:
    causality = entered([FIRST])
    past = causality.past(made(BOB, [], start_op=2, deps=[FIRST]))
    assert causality.covers(past, OpId(1, ANN))
    assert not causality.covers(past, OpId(2, ANN))
    assert not causality.covers(past, OpId(1, BOB))


def test_dependencies_numbers_and_counters_are_held_against_the_past() -> None:
    causality = entered([FIRST])
    other = made(BOB, [written(None, "z", 1)])
    with pytest.raises(MissingChangesError):
        causality.past(made(ANN, [], seq=2, start_op=2, deps=[FIRST, other]))
    with pytest.raises(ChangeError, match="does not follow"):
        causality.past(made(ANN, [], seq=2, start_op=2))
    with pytest.raises(ChangeError, match="begin at 1"):
        causality.past(made(ANN, [], seq=2, start_op=1, deps=[FIRST]))


def test_what_others_depend_on_does_not_leave() -> None:
    second = made(ANN, [], seq=2, start_op=2, deps=[FIRST])
    causality = entered([FIRST, second])
    with pytest.raises(ValueError, match="depend"):
        causality.leave(FIRST)
    causality.leave(second)
    assert causality.heads == {FIRST.hash}
    assert causality.seq(ANN) == 1
    assert second.hash not in causality


class _Counting(dict[bytes, Any]):
    """Counts how often something is looked up by its name."""

    times = 0

    def __getitem__(self, name: bytes) -> Any:
        self.times += 1
        return super().__getitem__(name)


def test_a_past_costs_what_is_depended_on_however_many_ways_lead_back() -> None:
    causality = Causality()
    looked = causality._entered = _Counting()
    layers, wide = 12, 12
    before: list[Change] = []
    for layer in range(layers):
        put = [written(None, "k", layer)]
        names = [b"%08d%08d" % (layer, place) for place in range(wide)]
        before = [made(one, put, start_op=layer + 1, deps=before) for one in names]
        for change in before:
            causality.enter(change, causality.past(change))
    assert looked.times <= 20 * layers * wide * wide
