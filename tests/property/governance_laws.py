"""The laws of governance as checks over one drawn history: kept by tests, broken by controls.

Each takes what was drawn and a source of chance, and raises AssertionError where a law fails.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crdt.dot import GOVERNANCE, Dot
from crdt.governance import Governance
from crdt.governance_state import GovernanceState
from crdt.op import Kind, Op
from crdt.roles import Grant
from tests.property.governance_histories import (
    PEOPLE,
    ROLES,
    SPACES,
    Realm,
    Step,
    agent_of,
    cuts,
    is_as_strict,
    policy_of,
    probes,
    replayed,
)
from tests.unit.crdt.rig import actor

Drawn = tuple[int, Sequence[Step]]


# --- one verdict everywhere --------------------------------------------------------


def one_verdict(drawn: Drawn, choose: Any) -> None:
    """I11: in whatever order it arrived, by operations, snapshots or from the disk."""
    realm = Realm(drawn)
    ops = realm.ops()
    orders = [node.replica.governance for node in realm.nodes]
    orders += [node.started().governance for node in realm.nodes]
    orders += [replayed(ops, realm.genesis(), choose) for _ in range(3)]
    first, *rest = orders
    for heads in [first.heads, *cuts(ops, choose, most=6)]:
        for other in rest:
            same_state(first.state(heads), other.state(heads))
        for probe in probes(heads):
            wanted = first.state(heads).verdict(probe)
            assert all(other.state(heads).verdict(probe) == wanted for other in rest)
    assert all(other.heads == first.heads for other in rest)
    counted = [dict(zip(_dots(g), g._valid, strict=True)) for g in orders]
    assert all(each == counted[0] for each in counted)


def same_state(one: GovernanceState, other: GovernanceState) -> None:
    for name in GovernanceState.__slots__:
        assert getattr(one, name) == getattr(other, name), name
    assert one.bound_keys == other.bound_keys


def _dots(governance: Governance) -> list[Dot]:
    return [op.dot for op in governance.history()]


# --- no relaxation -----------------------------------------------------------------


def standing(governance: Governance, heads: tuple[Dot, ...]) -> dict[Any, Any]:
    """{(what it is about, the operation): what it says} of all that stands below heads."""
    tally = governance._at(heads)[0]
    out: dict[Any, Any] = {
        **{(Kind.POLICY, n, op.dot): op for n, ops in tally.policies.items() for op in ops},
        **{(Kind.AGENT, agent, op.dot): op for agent, ops in tally.agents.items() for op in ops},
        **{(Kind.MODE, dot.actor[13:], dot): op for dot, op in tally.modes.items()},
        **{(Kind.ROLE, *place): grant for place, grant in tally.roles.items()},
    }
    return out


def nothing_unseen_goes(drawn: Drawn, choose: Any) -> None:
    """What stands on one side of a cut, and the other has not seen, stands on both."""
    realm = Realm(drawn)
    governance = realm.pulled().nodes[0].replica.governance
    all_heads = list(cuts(realm.ops(), choose))
    for _ in range(12):
        left, right = choose.choice(all_heads), choose.choice(all_heads)
        both = standing(governance, tuple(sorted({*left, *right})))
        unseen = {
            place: said
            for place, said in standing(governance, left).items()
            if not governance.mask(right) >> governance._bit[place[-1]] & 1
        }
        assert unseen.items() <= both.items()


def own_subject_only(drawn: Drawn, _: Any) -> None:
    """An operation changes what is said about its own subject, and nothing else."""
    realm = Realm(drawn)
    governance = realm.pulled().nodes[0].replica.governance
    for op in realm.ops():
        if op.kind not in {Kind.POLICY, Kind.AGENT, Kind.ROLE, Kind.MODE}:
            continue
        subject: Any = op.namespace if op.kind is Kind.POLICY else op.id
        subject = op.dot.actor[13:] if op.kind is Kind.MODE else subject
        before, after = standing(governance, op.heads), standing(governance, (op.dot,))
        changed = {place[:2] for place in before.keys() ^ after.keys()}
        assert all(after[place] == before[place] for place in before.keys() & after.keys())
        assert changed <= {(op.kind, subject)}, op
        assert len(after.keys() - before.keys()) <= 1


def stricter_together(drawn: Drawn, choose: Any) -> None:
    """Concurrent versions of one policy: as strict as each alone, on every question."""
    ground = Ground(drawn, choose)
    namespace = choose.choice(SPACES)
    versions = []
    for _ in range(choose.randint(2, 4)):
        parts = policy_of(*(choose.randrange(20) for _ in range(4)))
        if namespace == "*":
            parts["set"].pop("parent", None)
        versions += ground.say(Kind.POLICY, **{**parts, "namespace": namespace})
    together = tuple(sorted(op.dot for op in versions))
    for op in versions:
        ground.no_laxer(together, (op.dot,))


def late_is_never_laxer(drawn: Drawn, choose: Any) -> None:
    """What a cut held back, against what has been said since about the same subject."""
    ground = Ground(drawn, choose)
    kind = choose.choice([Kind.POLICY, Kind.POLICY, Kind.ROLE, Kind.AGENT])
    subject = choose.choice(SPACES if kind is Kind.POLICY else PEOPLE)
    fresh = ground.say(kind, **ground.draw(kind, subject))
    for op in fresh:  # said once more, having seen it
        fresh += ground.say(kind, heads=(op.dot,), **ground.draw(kind, subject))
        break
    old = ground.say(kind, **ground.draw(kind, subject))
    if not (fresh and old):
        return
    now = (fresh[-1].dot,)
    after = tuple(sorted([*now, old[0].dot]))
    ground.no_laxer(after, now)
    replaced = {dot for op in (*fresh, *old) for dot in op.supersedes}
    held = ground.governance.state(after).policies.values()
    assert not replaced & {policy.dot for versions in held for policy in versions}


class Ground:
    """A history that all have seen, and what several say next without hearing each other."""

    def __init__(self, drawn: Drawn, choose: Any) -> None:
        realm = Realm(drawn)
        realm.pulled()
        self.choose = choose
        self.governance = realm.nodes[0].replica.governance
        self.heads = self.governance.heads
        self.births = 0

    def say(
        self, kind: Kind, *, heads: tuple[Dot, ...] = (), agent: str = "", **parts: Any
    ) -> list[Op]:
        """A new actor of a member says it, an administrator or keeper asking; [] if void."""
        self.births += 1
        seen = heads or self.heads
        about = parts.get("namespace") or parts.get("id")
        live = [p[-1] for p in standing(self.governance, seen) if p[:2] == (kind, about)]
        state = self.governance.state(seen)
        # Of two keys for one agent the one bound first stays: what comes late is stamped later.
        stamp = self.births if kind is Kind.AGENT else self.choose.randrange(2**20)
        wanted = Op(
            dot=Dot(actor("abc"[self.births % 3], GOVERNANCE, 900 + self.births), 1),
            kind=kind,
            heads=seen,
            agent=agent,
            hlc=stamp + (1_760_000_000_000 << 16),
            supersedes=frozenset(live),
            **parts,
        )
        able = [*sorted(state.admins), agent, *PEOPLE]
        for who in able:
            if self.governance.apply(op := wanted._replace(agent=who)):
                return [op]
            self.births += 1
            wanted = wanted._replace(dot=Dot(actor("a", GOVERNANCE, 900 + self.births), 1))
        return []

    def draw(self, kind: Kind, subject: str) -> dict[str, Any]:
        x, y, z, w = (self.choose.randrange(20) for _ in range(4))
        if kind is Kind.POLICY:
            parts = policy_of(x, y, z, w)
            if subject == "*":
                parts["set"].pop("parent", None)
            return {**parts, "namespace": subject}
        if kind is Kind.ROLE:
            return {"id": subject, "set": {"role": ROLES[x % 5], "namespaces": [SPACES[y % 5]]}}
        return {**agent_of(x, y, z, w), "id": subject, "agent": subject}

    def no_laxer(self, after: tuple[Dot, ...], before: tuple[Dot, ...]) -> None:
        """No verdict, no power over governance, no key and no humanity is gained."""
        then, now = self.governance.state(before), self.governance.state(after)
        for old, new in zip(probes(before), probes(after), strict=True):
            assert is_as_strict(now.verdict(new), then.verdict(old)), old
        gained = set(_powers(now)) - set(_powers(then))
        assert not gained, gained
        for key, agent in then.bound_keys.items():
            assert now.agents[agent].get("public_key") == key
        assert _humans(now.agents) <= _humans(then.agents) | (now.agents.keys() - then.agents)


def _powers(state: GovernanceState) -> Iterator[tuple[str, str]]:
    for agent in PEOPLE:
        if state.may_administer(agent):
            yield agent, "administers"
        grant: Grant | None = state.roles.get(agent)
        if grant is not None and any(grant.governs(space) for space in SPACES):
            yield agent, "has a role that governs"


def _humans(agents: Mapping[str, Mapping[str, Any]]) -> set[str]:
    return {agent for agent, fields in agents.items() if fields.get("agent_type") == "human"}
