"""Of any number of members, two quorums always meet in one of them."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt.governance_state import GovernanceState


def state_of(ready: int, unbound: int = 0) -> GovernanceState:
    """Nobody is known but by number."""
    return GovernanceState(
        members={},
        unbound=frozenset(f"place {n}" for n in range(unbound)),
        policies={},
        agents={},
        ready=frozenset(hashlib.sha256(b"%d" % n).digest() for n in range(ready)),
    )


@pytest.mark.parametrize("n", range(1, 101))
def test_two_majorities_meet_and_one_member_fewer_is_none(n: int) -> None:
    w = state_of(n).quorum()
    assert 2 * w > n, "two halves of a mesh would both say yes"
    assert 2 * (w - 1) <= n, "more are asked for than a majority needs"


@given(st.integers(0, 100), st.integers(0, 100))
def test_founding_places_that_nobody_took_count_as_members(ready: int, unbound: int) -> None:
    assert state_of(ready, unbound).quorum() == state_of(ready + unbound).quorum()


@given(st.integers(0, 100), st.integers(0, 100))
def test_what_the_operator_wants_is_never_less_than_this_disk(ready: int, wanted: int) -> None:
    assert state_of(ready).quorum(wanted) == max(wanted, 1)
