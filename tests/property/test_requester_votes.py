"""Whoever asked for something decides nothing about it, whatever else was cast and when."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.dot import Dot
from crdt.pending import Pending, Vote
from tests.unit.crdt.rig import actor

ASKED_BY = "ann"
APPROVERS: list[Any] = [
    "human",
    {"agent": ASKED_BY},
    {"agent": "bob"},
    {"consensus": 1},
    {"consensus": 2},
    {"all": ["human", {"consensus": 1}]},
]
OTHERS = [Dot(actor("b"), n) for n in range(1, 5)]
OWN = [Dot(actor("a"), n) for n in range(1, 4)]


def votes(agents: list[str]) -> st.SearchStrategy[Vote]:
    return st.builds(
        Vote,
        agent=st.sampled_from(agents),
        hlc=st.integers(1, 9),
        yes=st.booleans(),
        human=st.booleans(),
        registered=st.booleans(),
        seen=st.frozensets(st.sampled_from(OTHERS), max_size=2),
    )


@given(
    st.lists(votes(["bob", "cat"]), max_size=4),
    st.lists(votes([ASKED_BY]), min_size=1, max_size=3),
    st.sampled_from(APPROVERS),
    st.sampled_from([0, 5]),
)
@settings(max_examples=200, deadline=None)
def test_no_vote_of_the_requester_changes_anything(
    cast: list[Vote], own: list[Vote], approver: Any, expires: int
) -> None:
    pending = Pending(b"k", b"h" * 32, ASKED_BY, approver, expires=expires)
    for dot, vote in zip(OTHERS, cast, strict=False):
        pending = pending.with_vote(dot, vote)
    after = pending
    for dot, vote in zip(OWN, own, strict=False):
        after = after.with_vote(dot, vote)
    for look in ("approved", "rejected", "stamp", "consents", "objections"):
        assert getattr(after, look)() == getattr(pending, look)(), look
