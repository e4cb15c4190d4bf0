"""Plain sums over a governance history, from which a state is read off.

Law: a sum is a function of the set of operations that count, not of their order, as long as
what an operation supersedes comes before it. An operation supersedes only what is about the
very same thing: a policy none of another namespace, a registration none of another agent.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from crdt.dot import Dot, NodeId, node_of
from crdt.governance_state import ENFORCE, MODES, GovernanceState, Member
from crdt.hlc import millis
from crdt.layered import Layered
from crdt.op import Kind, Op
from crdt.policy import Policy
from crdt.roles import SYSTEM_ADMIN, Grant, read_grant, weakest

Held = TypeVar("Held")


@dataclass(slots=True)
class Tally:
    """Plain sums over a history, from which a state is read off."""

    adds: dict[Dot, Op] = field(default_factory=dict)
    removed: set[Dot] = field(default_factory=set)
    ready: set[Dot] = field(default_factory=set)
    policies: Layered[str, tuple[Op, ...]] = field(default_factory=Layered)
    agents: Layered[str, tuple[Op, ...]] = field(default_factory=Layered)
    roles: dict[tuple[str, Dot], Grant | None] = field(default_factory=dict)
    modes: dict[Dot, Op] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)
    named: bool = False

    @property
    def size(self) -> int:
        """How much there is to hold."""
        return len(self.adds) + len(self.policies) + len(self.agents) + len(self.roles)

    def copy(self) -> "Tally":
        """The same sums, to go on from."""
        return Tally(
            dict(self.adds),
            set(self.removed),
            set(self.ready),
            self.policies,
            self.agents,
            dict(self.roles),
            dict(self.modes),
            set(self.claimed),
            self.named,
        )

    def take(self, op: Op) -> None:
        """Add one operation that counts."""
        match op.kind:
            case Kind.FOUND | Kind.ADD:
                self._add(op)
            case Kind.REMOVE:
                self.removed |= op.supersedes
            case Kind.READY:
                self.ready |= op.births
            case Kind.POLICY:
                self.policies = _replaced(self.policies, op.namespace, op)
            case Kind.AGENT:
                self.agents = _replaced(self.agents, op.id, op)
            case Kind.MODE:
                self._tell_mode(op)
            case Kind.ROLE:
                for dot in op.supersedes:
                    self.roles.pop((op.id, dot), None)
                self._grant(op.id, op.dot, read_grant(op.set))

    def _add(self, op: Op) -> None:
        self.adds[op.dot] = op
        if op.kind is Kind.FOUND:
            self.ready.add(op.dot)
            self.claimed.add(op.set["claim"])
            for agent in op.set.get("admins", ()):
                self._grant(agent, op.dot, Grant(role=SYSTEM_ADMIN))

    def _tell_mode(self, op: Op) -> None:
        for dot in op.supersedes:
            if dot in self.modes and _author(self.modes[dot]) == _author(op):
                del self.modes[dot]
        self.modes[op.dot] = op

    def _grant(self, agent: str, dot: Dot, grant: Grant | None) -> None:
        self.roles[agent, dot] = grant
        self.named = self.named or (grant is not None and grant.role == SYSTEM_ADMIN)


def _author(op: Op) -> NodeId:
    return node_of(op.dot.actor)


def _replaced(
    held: Layered[str, tuple[Op, ...]], about: str, op: Op
) -> Layered[str, tuple[Op, ...]]:
    """With an operation in the place of those it saw about the very same thing."""
    kept = [other for other in held.get(about, ()) if other.dot not in op.supersedes]
    return held.put(about, (*kept, op))


def read(
    tally: Tally, founders: frozenset[str], below: GovernanceState | None = None
) -> GovernanceState:
    """The state that a history of these sums has led to.

    Args:
        tally: the sums.
        founders: the founding places.
        below: a state with the very same policies and registrations, if one is known.
    """
    members: dict[NodeId, Member] = {}
    for dot, op in sorted(tally.adds.items()):
        if dot in tally.removed:
            continue
        node = bytes(op.set["node"])
        held = members.get(node)
        ready = dot in tally.ready
        if held is None:
            members[node] = Member(
                node_id=node,
                name=op.set.get("name", ""),
                url=op.set.get("url", ""),
                key=bytes(op.set["key"]),
                adds=frozenset((dot,)),
                ready=ready,
            )
        else:
            members[node] = replace(held, adds=held.adds | {dot}, ready=held.ready or ready)
    roles = _roles(tally.roles)
    agents = _agents(tally.agents) if below is None else below.agents
    return GovernanceState(
        members=members,
        unbound=founders - tally.claimed,
        policies=_policies(tally.policies) if below is None else below.policies,
        agents=agents,
        bound=_bound(agents) if below is None else below.bound,
        ready=frozenset(m.node_id for m in members.values() if m.ready),
        roles=roles,
        modes=_modes(tally.modes),
        admins=frozenset(a for a, grant in roles.items() if grant.role == SYSTEM_ADMIN),
        named=tally.named,
    )


def _policies(ops: Mapping[str, tuple[Op, ...]]) -> Layered[str, tuple[Policy, ...]]:
    """The live versions of every namespace's policy."""
    return Layered({namespace: _versions(held) for namespace, held in ops.items()})


def _versions(ops: tuple[Op, ...]) -> tuple[Policy, ...]:
    return tuple(
        Policy(
            namespace=op.namespace,
            rules=op.set.get("governance") or {},
            author=op.agent,
            dot=op.dot,
            parent=op.set.get("parent", ""),
            owner=op.set.get("owner", ""),
            standard_id=op.set.get("standard_id", ""),
            hlc=op.hlc,
        )
        for op in sorted(ops, key=lambda op: op.dot)
    )


def _roles(grants: Mapping[tuple[str, Dot], Grant | None]) -> dict[str, Grant]:
    """Of concurrent grants the weakest counts, so that none undoes a withdrawal unseen."""
    by_agent: dict[str, list[Grant | None]] = {}
    for (agent, _), grant in sorted(grants.items(), key=lambda item: item[0]):
        by_agent.setdefault(agent, []).append(grant)
    found = {agent: weakest(held) for agent, held in by_agent.items()}
    return {agent: grant for agent, grant in found.items() if grant is not None}


def _modes(ops: Mapping[Dot, Op]) -> dict[NodeId, str]:
    """Members in another mode than enforcing; of concurrent words of one the strictest."""
    said: dict[NodeId, set[str]] = {}
    for op in ops.values():
        said.setdefault(_author(op), set()).add(op.set["mode"])
    strictest_of = {node: min(words, key=MODES.index) for node, words in said.items()}
    return {node: mode for node, mode in strictest_of.items() if mode != ENFORCE}


def _agents(ops: Mapping[str, tuple[Op, ...]]) -> Layered[str, Mapping[str, Any]]:
    """Registered agents."""
    return Layered({agent: _agent(held) for agent, held in ops.items()})


def _agent(ops: tuple[Op, ...]) -> Mapping[str, Any]:
    """What is known of one agent; of concurrent registrations the latest shows.

    Being human opens approvals, so it takes all concurrent registrations to say so. The key
    that the first of them binds stays bound, whatever the others say or leave out.
    """
    out: Mapping[str, Any] | None = None
    for op in sorted(ops, key=lambda op: (op.hlc, op.dot)):
        if out is None and "registered_at" in op.set:
            out = op.set  # as it was said: every state shares the one copy
            continue
        fields = {"registered_at": millis(op.hlc), **op.set}
        if out is not None:
            fields["registered_at"] = min(out["registered_at"], fields["registered_at"])
            kinds = {out.get("agent_type"), fields.get("agent_type")}
            if "human" in kinds:
                fields["agent_type"] = "human" if kinds == {"human"} else "system"
            if out.get("public_key") is not None:
                fields["public_key"] = out["public_key"]
        out = fields
    return {} if out is None else out


def _bound(agents: Mapping[str, Mapping[str, Any]]) -> Layered[bytes, int]:
    """How many agents have bound each public key."""
    return Layered(Counter([key for held in agents.values() if (key := held.get("public_key"))]))


def extended(
    state: GovernanceState, op: Op, tally: Tally, founders: frozenset[str]
) -> GovernanceState:
    """The state after one operation more, of which the sums know: only what it is about changes."""
    if op.kind is Kind.POLICY:
        return _ruled(state, op.namespace, tally)
    if op.kind is Kind.AGENT:
        return _registered(state, op.id, tally)
    return read(tally, founders, state)


def _ruled(state: GovernanceState, namespace: str, tally: Tally) -> GovernanceState:
    policies = _layered(state.policies).put(namespace, _versions(tally.policies[namespace]))
    return replace(state, policies=policies)


def _registered(state: GovernanceState, agent: str, tally: Tally) -> GovernanceState:
    agents = _layered(state.agents)
    old, new = agents.get(agent, {}), _agent(tally.agents[agent])
    bound = _bound(agents) if state.bound is None else state.bound
    for key, count in ((old.get("public_key"), -1), (new.get("public_key"), 1)):
        if key:
            bound = bound.put(key, bound.get(key, 0) + count or None)
    return replace(state, agents=agents.put(agent, new), bound=bound)


def _layered(held: Mapping[str, Held]) -> Layered[str, Held]:
    return held if isinstance(held, Layered) else Layered(held)
