"""Verdicts and votes against twins that try everything."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from crdt import policy
from crdt.dot import Dot
from crdt.pending import Pending, Vote, decode_pending, encode_pending, parts_of
from crdt.policy import Answer, Policy, Question, judge
from tests.property.governance_histories import is_as_strict
from tests.unit.crdt.rig import actor

# --- verdicts --------------------------------------------------------------------

LEVELS = ("any", "registered", "owner", "approve", "deny", "nonsense")
SPACES = ("a/b", "a", "c", "*")
HOPS = 5
approvers = st.sampled_from(["human", {"agent": "bob"}, {"consensus": 2}])
rules = st.fixed_dictionaries(
    {},
    optional={
        "write": st.sampled_from(LEVELS),
        "delete": st.sampled_from(LEVELS),
        "inherit": st.booleans(),
        "approver": approvers,
        "approval_timeout_secs": st.integers(1, 3),
    },
)
people = st.sampled_from(["ann", "bob"])
parents = st.sampled_from(["", "", "c", "a", "a/b"])
versions = st.lists(st.tuples(rules, people, parents, st.sampled_from(["", "bob"])), max_size=3)
meshes = st.fixed_dictionaries(dict.fromkeys(SPACES, versions))
questions = st.builds(
    Question,
    action=st.sampled_from(["write", "delete"]),
    agent=people,
    owner=people,
    creates=st.booleans(),
)
Walk = tuple[Answer, Any, int, Any, int]
"""(answer, approver and seconds of a pending answer, approver and seconds left to those below)."""


def policies_of(mesh: dict[str, Any]) -> dict[str, list[Policy]]:
    return {
        name: [
            Policy(
                namespace=name,
                rules=rule,
                author=author,
                parent="" if name == "*" else parent,
                owner=owner if rule else "",
            )
            for rule, author, parent, owner in held
        ]
        for name, held in mesh.items()
    }


def walks(mesh: dict[str, Any], known: set[str], q: Question, at: str, hops: int) -> Iterator[Walk]:
    """Every way up the chain that takes one version at each level."""
    path = [at, *(["a"] if at == "a/b" else []), "*"]
    level = "*" if hops == 0 else next((p for p in path if mesh[p]), "*")
    if not mesh[level]:
        yield Answer.ALLOW, None, 0, "human", 0
    for rule, author, parent, owner in mesh[level]:
        asks = not rule or rule.get("inherit") is True
        up = parent or {"a/b": "a"}.get(level, "*")
        plain = [(Answer.ALLOW, None, 0, "human", 0)]
        for above in walks(mesh, known, q, up, hops - 1) if asks and level != "*" else plain:
            who = rule.get("approver", above[3])
            seconds = rule.get("approval_timeout_secs", above[4])
            if q.action not in rule and asks:
                own = (rule.get("approver", above[1]), rule.get("approval_timeout_secs", above[2]))
                yield (above[0], *(own if above[0] is Answer.PENDING else (None, 0)), who, seconds)
                continue
            word = rule.get(q.action, "owner" if q.action == "delete" else "any")
            owners = {author, owner} if q.creates else {q.owner}
            good = {"any": True, "registered": q.agent in known, "owner": q.agent in owners}
            if word == "approve":
                yield Answer.PENDING, who, seconds, who, seconds
            else:
                yield Answer.ALLOW if good.get(word, False) else Answer.DENY, None, 0, who, seconds


@given(
    meshes, st.sampled_from(["a/b/x", "a/b", "a", "c"]), st.sets(people), questions, st.randoms()
)
def test_the_strictest_of_concurrent_versions_counts(
    mesh: dict[str, Any], namespace: str, known: set[str], q: Question, r: Any
) -> None:
    policies = policies_of(mesh)
    agents: dict[str, Any] = {agent: {} for agent in known}
    start = namespace.removesuffix("/x")
    with patch.object(policy, "_HOPS_MAX", HOPS):
        got = judge(policies, agents, namespace, q)
        for held in policies.values():
            r.shuffle(held)
        assert judge(policies, agents, namespace, q) == got
    found = list(walks(mesh, known, q, start, HOPS))
    assert got.answer is max(walk[0] for walk in found)
    if got.answer is not Answer.PENDING:
        return
    pending = [walk for walk in found if walk[0] is Answer.PENDING]
    assert {repr(part) for part in parts_of(got.approver)} == {repr(walk[1]) for walk in pending}
    assert got.timeout_seconds == min((walk[2] for walk in pending if walk[2]), default=0)


@given(meshes, st.sampled_from(SPACES), versions, st.sets(people), questions)
def test_one_version_more_never_makes_it_laxer(
    mesh: dict[str, Any], namespace: str, more: Any, known: set[str], q: Question
) -> None:
    """Wherever the version stands, whatever parents tie: as strict as without it, or stricter."""
    agents: dict[str, Any] = {agent: {} for agent in known}
    for place in SPACES:
        both = {**mesh, place: [*mesh[place], *more]}
        if not mesh[place]:
            continue  # the first policy of a namespace takes the place of those above it
        for name in ("a/b/x", namespace):
            before = judge(policies_of(mesh), agents, name, q)
            after = judge(policies_of(both), agents, name, q)
            assert is_as_strict(after, before), (place, name)


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


def is_entitled(vote: Vote, approver: Any) -> bool:
    if approver == "human":
        return vote.human
    return vote.agent == "bob" if "agent" in approver else vote.registered


@given(st.lists(votes, max_size=5), approvers, st.integers(0, 9), st.randoms())
def test_whether_it_shows_is_a_function_of_the_votes(
    cast: list[Vote], approver: Any, expires: int, r: Any
) -> None:
    start = Pending(b"k", b"h" * 32, "ann", approver, expires=expires)
    known = dict(zip(DOTS, cast, strict=False))

    def enough(some: list[Vote]) -> bool:
        good = [v for v in some if v.yes and v.agent != "ann"]
        good = [v for v in good if not expires or v.hlc <= expires]
        needed = 2 if "consensus" in approver else 1
        return len({v.agent for v in good if is_entitled(v, approver)}) >= needed

    def seen(no: Vote) -> list[Vote]:
        return [known[d] for d in no.seen if d in known]

    noes = [v for v in cast if not v.yes and v.agent != "ann" and is_entitled(v, approver)]
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
