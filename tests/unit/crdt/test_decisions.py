from typing import Any

from crdt.decisions import decided
from crdt.op import Kind, Op
from crdt.pending import Pending
from tests.unit.crdt.rig import Node, dot, mesh


def scene() -> tuple[Node, Any, Pending, Op]:
    """A member, what it may know, something pending of its own, and a vote for it."""
    a, _ = mesh("a", "b")
    a.agent("bob")
    state = a.replica.governance.now
    held = Pending(b"dmemory/r", b"h" * 32, "ann", "human")
    fields = {"hash": held.hash, "yes": True}
    vote = Op(dot=dot("b", 2), kind=Kind.VOTE, agent="bob", hlc=7, set=fields, target=dot("a"))
    return a, state, held, vote


def test_a_vote_is_kept_with_what_its_caster_was() -> None:
    _, state, held, vote = scene()
    after = decided(vote, held, state)
    assert after is not None
    kept = after.votes[vote.dot]
    assert (kept.agent, kept.hlc, kept.yes, kept.human, kept.registered) == (
        "bob",
        7,
        True,
        True,
        True,
    )
    stranger = decided(vote._replace(agent="cat"), held, state)
    assert stranger is not None
    assert not stranger.votes[vote.dot].registered
    assert not stranger.approved()


def test_only_a_plain_yes_is_a_yes() -> None:
    _, state, held, vote = scene()
    for answer in (1, "yes", None):
        after = decided(vote._replace(set={"hash": held.hash, "yes": answer}), held, state)
        assert after is not None
        assert not after.votes[vote.dot].yes


def test_a_reason_is_kept_cut_to_size_and_counts_for_nothing() -> None:
    _, state, held, vote = scene()
    for given, kept in (("no room", "no room"), ("x" * 9000, "x" * 512), (7, ""), (None, "")):
        after = decided(vote._replace(set={**vote.set, "reason": given}), held, state)
        assert after is not None
        assert after.votes[vote.dot].reason == kept
        assert after.approved()


def test_what_does_not_count_leaves_everything_as_it_is() -> None:
    _, state, held, vote = scene()
    seal = vote._replace(kind=Kind.SEAL, dot=dot("a", 9))
    for op in (
        vote._replace(set={"hash": b"x" * 32, "yes": True}),
        vote._replace(dot=dot("z")),
        vote._replace(target=None),
        seal,
    ):
        assert decided(op, held, state) is None


def test_a_seal_is_the_requesting_nodes_and_shows_the_approval() -> None:
    _, state, held, vote = scene()
    voted = decided(vote, held, state)
    assert voted is not None
    seal = Op(
        dot=dot("a", 9),
        kind=Kind.SEAL,
        hlc=11,
        target=dot("a"),
        supersedes=frozenset([vote.dot]),
    )
    sealed = decided(seal, voted, state)
    assert sealed is not None
    assert sealed.sealed == vote.hlc, "ordered by the approval, not by the seal"
    assert decided(seal._replace(dot=dot("b", 9)), voted, state) is None
    assert decided(seal._replace(supersedes=frozenset()), voted, state) is None
    assert decided(seal._replace(hlc=3), sealed, state) == sealed
