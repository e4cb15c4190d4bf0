"""What governance says at one point of its history.

Law: a value; everything here is a pure function of it. A role and a policy both must allow:
neither widens the other. A member that does not enforce says so in the history itself, so
that the verdict on what it mints is the same on every node.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crdt.dot import Dot, NodeId, node_of
from crdt.layered import Layered
from crdt.op import Kind, Op
from crdt.policy import (
    ALLOWED,
    DENIED,
    Policy,
    Question,
    Verdict,
    actions_of,
    chain,
    judge,
    strictest,
)
from crdt.roles import READER, WRITER, Grant

NAMELESS: Final = "anonymous:"
ENFORCE: Final = "enforce"
ADVISORY: Final = "advisory"
MODES: Final = (ENFORCE, ADVISORY, "off")
"""From the strictest to the laxest."""

_JUDGED_MAX: Final = 1024
Asked = tuple[str, tuple[str, ...], str, str, bool]
"""All that a verdict of policies depends on, besides the state: namespace, actions, agent,
owner, and whether a record is created."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member as governance knows it."""

    node_id: NodeId
    name: str
    url: str
    key: bytes
    adds: frozenset[Dot]
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernanceState:
    """What holds below a set of heads.

    Attributes:
        members: by node id.
        unbound: founding URLs that no node has claimed yet; they count in N.
        policies: per namespace its live versions.
        agents: registered agents by id.
        ready: the members that count: caught up once, serving.
        roles: what an agent may do at most, by id.
        modes: members that do not enforce verdicts, with `advisory` or `off`.
        admins: the system administrators among the roles.
        named: whether anybody was ever named one; from then on nobody else governs, also when
            concurrent withdrawals leave none.
        bound: how many of the agents have bound each public key, when that was counted.
    """

    members: Mapping[NodeId, Member]
    unbound: frozenset[str]
    policies: Mapping[str, tuple[Policy, ...]]
    agents: Mapping[str, Mapping[str, Any]]
    ready: frozenset[NodeId]
    roles: Mapping[str, Grant] = field(default_factory=dict)
    modes: Mapping[NodeId, str] = field(default_factory=dict)
    admins: frozenset[str] = frozenset()
    named: bool = False
    bound: Layered[bytes, int] | None = None
    _judged: dict[Asked, Verdict] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def n(self) -> int:
        """N: ready members and founding places not yet taken."""
        return len(self.ready) + len(self.unbound)

    def quorum(self, wanted: int | None = None) -> int:
        """W: a majority unless set; 0 and 1 both mean the local disk alone."""
        return self.n // 2 + 1 if wanted is None else max(wanted, 1)

    @property
    def bound_keys(self) -> Mapping[bytes, str]:
        """Public key -> the agent that has bound it; of several behind a cut the first by id."""
        held = sorted(self.agents.items(), reverse=True)
        return {key: agent for agent, fields in held if (key := fields.get("public_key"))}

    def binds(self, key: bytes) -> bool:
        """Whether an agent has bound a public key."""
        return key in (self.bound_keys if self.bound is None else self.bound)

    @property
    def first_days(self) -> bool:
        """Whether nobody was ever named an administrator."""
        return not (self.named or self.admins)

    def may_administer(self, agent: str) -> bool:
        """Whether an agent may give roles; anybody until an administrator was named."""
        return self.first_days or agent in self.admins

    def may_govern(self, agent: str, namespace: str) -> bool:
        """Whether an agent may set the policy of a namespace.

        The keepers (author, owner) of a live policy of the namespace or of one above it may,
        and administrators. Until one was named, anybody may where nobody keeps a policy yet.
        """
        grant = self.roles.get(agent)
        if grant is not None and grant.role in {READER, WRITER}:
            return False
        if grant is not None and grant.governs(namespace):
            return True
        if self.keeps(agent, namespace):
            return True
        if not self.first_days:
            return False
        kept = any(
            not is_nameless(name) for p in self.policies.get(namespace, ()) for name in p.keepers
        )
        return not kept or is_nameless(agent)

    def keeps(self, agent: str, namespace: str) -> bool:
        """Whether an agent is author or owner of a live policy of a namespace or above it."""
        return bool(agent) and any(
            agent in policy.keepers
            for level in chain(namespace)
            for policy in self.policies.get(level, ())
        )

    def verdict(self, op: Op) -> Verdict:
        """May this operation on a record have its effect?"""
        author = node_of(op.dot.actor)
        if author not in self.members:
            return DENIED
        if author in self.modes:
            return ALLOWED
        return self.judged(op)

    def judged(self, op: Op) -> Verdict:
        """The verdict of roles and policies, whatever mode the author's node is in."""
        grant = self.roles.get(op.agent) if self.roles else None
        creates = op.kind is Kind.CREATE
        if grant is not None and not grant.allows(
            creates=creates, own=op.owner == op.agent, namespace=op.namespace
        ):
            return DENIED
        if not self.policies:
            return ALLOWED
        actions = actions_of(op)
        asked = (op.namespace, actions, op.agent, op.owner, creates)
        known = self._judged.get(asked)
        if known is None:
            known = strictest(
                [
                    judge(
                        self.policies,
                        self.agents,
                        op.namespace,
                        Question(action=action, agent=op.agent, owner=op.owner, creates=creates),
                    )
                    for action in actions
                ]
            )
            if len(self._judged) >= _JUDGED_MAX:
                self._judged.clear()
            self._judged[asked] = known
        return known


def is_nameless(agent: str) -> bool:
    """Whether a name stands for nobody in particular."""
    return not agent or agent.startswith(NAMELESS)
