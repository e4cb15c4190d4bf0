"""One rule of governance broken at a time: each law must notice, on histories fixed by seeds."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from crdt import applying, governance_tally, policy
from crdt.decisions import decided as by_the_rules
from crdt.governance import Governance
from crdt.governance_state import GovernanceState
from crdt.pending import Pending
from crdt.pending_table import PendingTable
from crdt.policy import _Inquiry
from crdt.roles import ROLES
from tests.planting import Patch, planted
from tests.property import governance_laws as laws
from tests.property.ballots import decided, drawn_by
from tests.property.governance_histories import KINDS
from tests.simulation.controls import replaced_anywhere

SEEDS = 400
Check = Callable[[Any, Random], None]


def realm_by(chance: Random) -> Any:
    steps = [
        (chance.choice(KINDS), chance.randrange(3), *(chance.randrange(20) for _ in range(4)))
        for _ in range(25)
    ]
    return chance.randrange(3), steps


def governed(law: Check) -> Check:
    def check(_: Any, chance: Random) -> None:
        law(realm_by(chance), chance)

    return check


def voted(_: Any, chance: Random) -> None:
    decided(drawn_by(chance))


# --- the bugs --------------------------------------------------------------------


def newest() -> Patch:
    return Governance, "state", lambda self, _heads: self._at(self.heads)[1]


def arrival() -> Patch:
    """Of concurrent versions the one that arrived last counts alone."""
    plain = governance_tally._versions
    return governance_tally, "_versions", lambda ops: plain(ops[-1:])


def valid_now() -> Patch:
    """Whether an operation counts is asked of what has arrived, not of what it saw."""
    plain = Governance._counts

    def counts(self: Governance, op: Any) -> bool:
        return plain(self, op._replace(heads=self.heads))

    return Governance, "_counts", counts


def laxest() -> Patch:
    return policy, "strictest", lambda verdicts: min(verdicts, key=lambda v: v.answer)


def unseen() -> Patch:
    """The place of what it never saw is taken all the same."""
    return Governance, "_has_seen", lambda _self, _heads, _dots: True


def anything() -> Patch:
    """What an operation names goes, whatever it is about."""
    return governance_tally, "_replaced", replaced_anywhere(governance_tally._replaced)


def one_budget() -> Patch:
    """The versions of a level share one way up: what the first one asks, the next may not."""
    plain = _Inquiry.at

    def at(self: _Inquiry, namespace: str, hops: int) -> Any:
        left = hops if not self.found else min(hops, 2 - len(self.found))
        return plain(self, namespace, max(left, 0))

    return _Inquiry, "at", at


def strongest() -> Patch:
    def most(grants: Any) -> Any:
        held = [grant for grant in grants if grant is not None]
        return max(held, key=lambda grant: ROLES.index(grant.role)) if held else None

    return governance_tally, "weakest", most


def unbinding() -> Patch:
    """Of concurrent registrations the latest shows, with its key or without."""

    def latest(ops: Any) -> Any:
        return dict(max(ops, key=lambda op: op.hlc).set)

    return governance_tally, "_agent", latest


def reopened() -> Patch:
    """Without an administrator it is the first day again."""
    return (
        GovernanceState,
        "may_administer",
        lambda self, agent: not self.admins or agent in self.admins,
    )


def own_vote() -> Patch:
    return Pending, "entitles", lambda _self, _vote: True


def late_yes() -> Patch:
    plain = Pending._yes
    return Pending, "_yes", lambda self: plain(replace(self, expires=0))


def no_ignored() -> Patch:
    return Pending, "objections", lambda _self: []


def half() -> Patch:
    return PendingTable, "group", lambda _self, dot: [dot]


def last_vote() -> Patch:
    """The vote that arrives last decides."""
    return Pending, "with_vote", lambda self, dot, vote: replace(self, votes={dot: vote})


def reopening() -> Patch:
    """A no after the seal makes it pending again."""

    def decide(op: Any, held: Pending, state: Any) -> Any:
        after = by_the_rules(op, held, state)
        late_no = after is not None and held.sealed and op.set.get("yes") is False
        return replace(after, sealed=0) if after is not None and late_no else after

    return applying, "decided", decide


BUGS: dict[str, tuple[Callable[[], Patch], Check]] = {
    "I11: the verdict goes by what has arrived": (newest, governed(laws.one_verdict)),
    "I11: of concurrent versions the last to arrive": (arrival, governed(laws.one_verdict)),
    "I11: what counts goes by what has arrived": (valid_now, governed(laws.one_verdict)),
    "no relaxation: the laxest version": (laxest, governed(laws.stricter_together)),
    "no relaxation: versions share a budget": (one_budget, governed(laws.stricter_together)),
    "no relaxation: the strongest role": (strongest, governed(laws.late_is_never_laxer)),
    "no relaxation: a late registration unbinds": (unbinding, governed(laws.late_is_never_laxer)),
    "no relaxation: the first days come back": (reopened, governed(laws.late_is_never_laxer)),
    "no relaxation: the place of what it never saw": (unseen, governed(laws.nothing_unseen_goes)),
    "no relaxation: the place of another subject": (anything, governed(laws.own_subject_only)),
    "once: the requester decides": (own_vote, voted),
    "once: a yes after the deadline": (late_yes, voted),
    "once: a concurrent no is ignored": (no_ignored, voted),
    "once: half of a request shows": (half, voted),
    "once: the last vote to arrive decides": (last_vote, voted),
    "once: what was sealed is pending again": (reopening, voted),
}


def first_caught(check: Check) -> int | None:
    for seed in range(SEEDS):
        try:
            check(None, Random(seed))
        except AssertionError:
            return seed
    return None


@pytest.mark.thorough
@pytest.mark.parametrize("bug", BUGS)
def test_the_law_notices(bug: str) -> None:
    plant, check = BUGS[bug]
    with planted(plant()):
        seed = first_caught(check)
    print(f"{bug}: caught by seed {seed}")
    assert seed is not None, "the law sleeps"
    check(None, Random(seed))  # and the same history is clean without the bug
