"""Verdicts and votes against twins that try everything."""

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdt.dot import Dot
from crdt.pending import Pending, Vote, decode_pending, encode_pending
from crdt.policy import Answer, Policy, Question, judge
from tests.unit.crdt.rig import actor

# --- verdicts --------------------------------------------------------------------

LEVELS = ("any", "registered", "owner", "approve", "deny", "nonsense")
approvers = st.sampled_from(["human", {"agent": "bob"}, {"consensus": 2}])
rules = st.fixed_dictionaries(
    {},
    optional={
        "write": st.sampled_from(LEVELS),
        "delete": st.sampled_from(LEVELS),
        "inherit": st.booleans(),
        "approver": approvers,
    },
)
people = st.sampled_from(["ann", "bob"])
versions = st.lists(st.tuples(rules, people), max_size=3)
questions = st.builds(
    Question,
    action=st.sampled_from(["write", "delete"]),
    agent=people,
    owner=people,
    creates=st.booleans(),
)


def dumb(
    levels: list[list[tuple[dict[str, Any], str]]], known: set[str], q: Question
) -> set[tuple[Answer, str]]:
    """All answers, one for each way of taking one version a level."""
    standing = [level for level in levels if level]
    out = set()
    for chosen in itertools.product(*standing):
        answer, approver = Answer.ALLOW, None
        for given_rules, author in chosen:
            if q.action not in given_rules and (
                not given_rules or given_rules.get("inherit") is True
            ):
                continue
            level = given_rules.get(q.action, "owner" if q.action == "delete" else "any")
            owner = author if q.creates else q.owner
            good = {"any": True, "registered": q.agent in known, "owner": q.agent == owner}
            if level == "approve":
                answer, approver = Answer.PENDING, given_rules.get("approver", "human")
            else:
                answer = Answer.ALLOW if good.get(level, False) else Answer.DENY
            break
        out.add((answer, repr(approver)))
    return out


@given(versions, versions, versions, st.sets(people), questions, st.randoms())
def test_the_strictest_of_concurrent_versions_counts(
    near: Any, above: Any, root: Any, known: set[str], q: Question, r: Any
) -> None:
    levels = [near, above, root]
    policies = {
        name: [Policy(namespace=name, rules=rule, author=author) for rule, author in level]
        for name, level in zip(("a/b", "a", "*"), levels, strict=True)
    }
    got = judge(policies, {agent: {} for agent in known}, "a/b", q)
    assert (got.answer, repr(got.approver)) == max(dumb(levels, known, q))
    for held in policies.values():
        r.shuffle(held)
    assert judge(policies, {agent: {} for agent in known}, "a/b", q) == got


# --- votes -----------------------------------------------------------------------

voters = st.sampled_from(["ann", "bob", "cat", "dan"])
DOTS = [Dot(actor(), n) for n in range(1, 6)]
votes = st.builds(
    Vote,
    voters,
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.frozensets(st.sampled_from(DOTS), max_size=3),
)


@given(st.lists(votes, max_size=5), approvers, st.integers(0, 9), st.randoms())
def test_whether_it_shows_is_a_function_of_the_votes(
    cast: list[Vote], approver: Any, expires: int, r: Any
) -> None:
    start = Pending(b"k", b"h" * 32, "ann", approver, expires)
    known = dict(zip(DOTS, cast, strict=False))

    def enough(some: list[Vote]) -> bool:
        good = [v for v in some if v.yes and v.agent != "ann"]
        good = [v for v in good if not expires or v.hlc <= expires]
        if approver == "human":
            return any(v.human for v in good)
        if "agent" in approver:
            return "bob" in {v.agent for v in good}
        return len({v.agent for v in good if v.registered}) >= 2

    def seen(no: Vote) -> list[Vote]:
        return [known[d] for d in no.seen if d in known]

    noes = [v for v in cast if not v.yes and v.agent != "ann"]
    wanted = enough(cast) and all(enough(seen(no)) for no in noes)
    results = set()
    for _ in range(3):
        pending = start
        for dot, vote in r.sample(list(known.items()), len(known)):
            pending = pending.with_vote(dot, vote)
        results.add((pending.approved(), pending.rejected(), pending.stamp()))
        assert decode_pending(encode_pending(pending)) == pending
        results_bytes = encode_pending(pending)
    assert len(results) == 1
    assert pending.approved() is wanted
    assert pending.approved_by(frozenset(known)) is wanted
    half = r.sample(list(known.items()), len(known) // 2)
    left, right = start, start
    for dot, vote in known.items():
        left = left.with_vote(dot, vote) if (dot, vote) in half else left
        right = right if (dot, vote) in half else right.with_vote(dot, vote)
    for both in (left.joined(right), right.joined(left), left.joined(right).joined(left)):
        assert encode_pending(both) == results_bytes


@given(st.integers(0, 9), st.integers(0, 9))
def test_a_seal_stays_and_the_largest_counts(x: int, y: int) -> None:
    left, right = (Pending(b"k", b"h" * 32, "ann", "human", sealed=n) for n in (x, y))
    assert left.joined(right) == right.joined(left)
    assert left.joined(right).sealed == max(x, y)
    assert left.joined(right).approved() is (max(x, y) > 0)
