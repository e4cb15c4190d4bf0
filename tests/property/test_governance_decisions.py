"""A decision has its effect once, under cuts, crashes and replays: the votes alone decide."""

import random
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from crdt.pending import Vote
from tests.property.ballots import VOTERS, Ballot, ballots, decided, drawn_by
from tests.unit.store.rig import open_store


@given(ballots())
def test_what_shows_is_a_function_of_the_votes(drawn: Any) -> None:
    decided(drawn)


@settings(max_examples=20)
@given(ballots())
def test_lists_and_counts_follow_on_a_real_disk(drawn: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "s")
        try:
            Ballot(drawn, store=store).finish()
        finally:
            store.close()


@given(ballots(), st.lists(st.tuples(st.sampled_from(VOTERS), st.booleans()), max_size=6))
def test_who_does_not_decide_changes_nothing(drawn: Any, more: list[Any]) -> None:
    """The votes of the requester and of outsiders, and a yes after the deadline."""
    ballot = Ballot(drawn).level()
    for dot in ballot.held:
        pending = before = ballot.nodes[0].replica.pending[dot]
        late = (pending.expires or 0) + 1
        for place, (agent, yes) in enumerate(more):
            human, registered = agent in {"bob", "cat"}, agent in {"bob", "cat", "dan"}
            if agent in ballot.entitled() and not (yes and pending.expires):
                continue
            stamp = late if agent in ballot.entitled() else pending.asked
            vote = Vote(agent, stamp, yes, human, registered, frozenset(pending.votes))
            pending = pending.with_vote(dot._replace(seq=1000 + place), vote)
        assert pending.approved() is before.approved()
        assert pending.rejected() is before.rejected()
        assert pending.stamp() == before.stamp()


def test_a_yes_and_a_no_that_had_not_heard_of_each_other_are_a_no() -> None:
    for request in range(4):
        for approver in range(3):
            ballot = Ballot((approver, 0, request, []))
            ballot.take(("clash", 0, 0, 0, 0))
            assert ballot.nodes[0].replica.shown(ballot.held[0]), "shown until the no is heard"
            ballot.take(("pull", 0, 1, 0, 0))
            assert not ballot.nodes[0].replica.shown(ballot.held[0])
            ballot.take(("seal", 0, 0, 0, 0))
            ballot.finish()
            assert not ballot.sealed
            assert all(ballot.nodes[2].replica.pending[dot].rejected() for dot in ballot.held)


def test_a_no_after_the_seal_was_heard_is_void() -> None:
    ballot = Ballot((0, 0, 3, [("both", 1, 0, 1, 0), ("seal", 0, 0, 0, 0)]))
    assert ballot.sealed
    ballot.take(("both", 2, 1, 0, 9))
    ballot.finish()
    assert all(node.replica.shown(ballot.held[0]) for node in ballot.nodes)


def test_ballots_reach_every_outcome() -> None:
    """Drawn at random they are approved, rejected, sealed and left undecided."""
    chance = random.Random(1)
    met = {"sealed": 0, "shown": 0, "rejected": 0, "open": 0}
    for _ in range(60):
        ballot = Ballot(drawn_by(chance)).level()
        pending = ballot.nodes[0].replica.pending[ballot.held[0]]
        met["sealed"] += bool(pending.sealed)
        met["shown"] += pending.approved()
        met["rejected"] += pending.rejected()
        met["open"] += not pending.approved() and not pending.rejected()
    assert min(met.values()) >= 3, met
