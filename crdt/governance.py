"""The governance lane: membership, policies and agents as a history that every node shares.

Law: nothing here is ever truncated or forgotten. Every operation names the heads it saw;
what it means, and whether it counts at all, is a pure function of the history below those
heads. So every node gives the same verdict, in whatever order operations arrived.

Histories are kept as bit masks over the order of arrival: union and membership are single
integer operations, whatever the length of the history.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from crdt.dot import Dot, NodeId, node_of
from crdt.op import Kind, Op
from crdt.policy import ALLOWED, DENIED, Policy, Question, Verdict, actions_of, judge, well_formed
from crdt.roles import Grant

_STATES_KEPT: Final = 512
KEY_BYTES: Final = 32
TEXT_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """What makes two nodes founders of the same mesh.

    Attributes:
        cluster: its name.
        founders: the founding members, sorted: their URLs when founded by flags, or the one
            founder as `node:<hex id>`.
    """

    cluster: str
    founders: tuple[str, ...]

    @property
    def id(self) -> bytes:
        """32 bytes; equal exactly when cluster and founders are."""
        text = json.dumps([self.cluster, *self.founders])
        return hashlib.sha256(text.encode()).digest()


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
    """

    members: Mapping[NodeId, Member]
    unbound: frozenset[str]
    policies: Mapping[str, tuple[Policy, ...]]
    agents: Mapping[str, Mapping[str, Any]]
    ready: frozenset[NodeId]
    admins: frozenset[str] = frozenset()
    roles: Mapping[str, Grant] = field(default_factory=dict)
    modes: Mapping[NodeId, str] = field(default_factory=dict)
    bound_keys: Mapping[bytes, str] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """N: ready members and founding places not yet taken."""
        return len(self.ready) + len(self.unbound)

    def quorum(self, wanted: int | None = None) -> int:
        """W: a majority unless set; 0 and 1 both mean the local disk alone."""
        return self.n // 2 + 1 if wanted is None else max(wanted, 1)

    def verdict(self, op: Op) -> Verdict:
        """May this operation on a record have its effect?"""
        if node_of(op.dot.actor) not in self.members:
            return DENIED
        if not self.policies:
            return ALLOWED
        answers = [
            judge(
                self.policies,
                self.agents,
                op.namespace,
                Question(
                    action=action,
                    agent=op.agent,
                    owner=op.owner,
                    creates=op.kind is Kind.CREATE,
                ),
            )
            for action in actions_of(op)
        ]
        return max(answers, key=lambda verdict: (verdict.answer, repr(verdict.approver)))


@dataclass(slots=True)
class _Tally:
    """Plain sums over a history, from which a state is read off."""

    adds: dict[Dot, Op] = field(default_factory=dict)
    removed: set[Dot] = field(default_factory=set)
    ready: set[Dot] = field(default_factory=set)
    policies: dict[Dot, Op] = field(default_factory=dict)
    agents: dict[Dot, Op] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)

    def copy(self) -> "_Tally":
        return _Tally(
            dict(self.adds),
            set(self.removed),
            set(self.ready),
            dict(self.policies),
            dict(self.agents),
            set(self.claimed),
        )

    def take(self, op: Op) -> None:
        if op.kind in {Kind.FOUND, Kind.ADD}:
            self.adds[op.dot] = op
            if op.kind is Kind.FOUND:
                self.ready.add(op.dot)
                self.claimed.add(op.set["claim"])
        elif op.kind is Kind.REMOVE:
            self.removed |= op.supersedes
        elif op.kind is Kind.READY:
            self.ready |= op.births
        elif op.kind is Kind.POLICY:
            self.policies[op.dot] = op
        elif op.kind is Kind.AGENT:
            self.agents[op.dot] = op


class Governance:
    """The whole governance history that this node has applied."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.keys: dict[NodeId, bytes] = {}
        self.heads: tuple[Dot, ...] = ()
        self._ops: list[Op] = []
        self._valid: list[bool] = []
        self._below: dict[Dot, int] = {}
        self._bit: dict[Dot, int] = {}
        self._states: OrderedDict[tuple[Dot, ...], tuple[_Tally, GovernanceState]] = OrderedDict()
        nothing = _Tally()
        self._latest: tuple[tuple[Dot, ...] | None, tuple[_Tally, GovernanceState]] = (
            None,
            (nothing, self._read(nothing)),
        )

    def __contains__(self, dot: Dot) -> bool:
        return dot in self._bit

    def __len__(self) -> int:
        return len(self._ops)

    def history(self) -> Iterator[Op]:
        """Every operation applied here, in order of arrival, counting or not."""
        return iter(self._ops)

    def knows(self, dots: Iterable[Dot]) -> bool:
        """Whether every dot is a governance operation applied here."""
        bit = self._bit
        return all(dot in bit for dot in dots)

    def mask(self, heads: Iterable[Dot]) -> int:
        """The history at or below heads, as bits over the order of arrival."""
        out = 0
        for dot in heads:
            out |= self._below[dot]
        return out

    def dominates(self, newer: tuple[Dot, ...], older: tuple[Dot, ...]) -> bool:
        """Whether one set of heads has seen all that another has."""
        return newer == older or not self.mask(older) & ~self.mask(newer)

    def apply(self, op: Op) -> bool:
        """Take one operation whose heads are all known; returns whether it counts."""
        index = len(self._ops)
        self._bit[op.dot] = index
        below = self.mask(op.heads)
        self._below[op.dot] = below | 1 << index
        valid = self._counts(op)
        self._ops.append(op)
        self._valid.append(valid)
        kept = [dot for dot in self.heads if not below >> self._bit[dot] & 1]
        self.heads = tuple(sorted([*kept, op.dot]))
        if valid and op.kind in {Kind.FOUND, Kind.ADD}:
            self.keys[bytes(op.set["node"])] = bytes(op.set["key"])
        return valid

    @property
    def now(self) -> GovernanceState:
        """What holds given everything applied here."""
        return self.state(self.heads)

    def state(self, heads: tuple[Dot, ...]) -> GovernanceState:
        """What holds below heads; remembered for the heads in use."""
        return self._at(heads)[1]

    def _at(self, heads: tuple[Dot, ...]) -> tuple[_Tally, GovernanceState]:
        if heads is self._latest[0]:  # nearly every operation names the very same heads
            return self._latest[1]
        held = self._states.get(heads)
        if held is not None:
            self._states.move_to_end(heads)
            self._latest = (heads, held)
            return held
        tally = self._extended(heads)
        if tally is None:
            tally = _Tally()
            mask = self.mask(heads)
            for index, op in enumerate(self._ops):
                if mask >> index & 1 and self._valid[index]:
                    tally.take(op)
        made = (tally, self._read(tally))
        self._states[heads] = made
        if len(self._states) > _STATES_KEPT:
            self._states.popitem(last=False)
        return made

    def _extended(self, heads: tuple[Dot, ...]) -> _Tally | None:
        """One operation on top of a remembered state costs that operation alone."""
        if len(heads) != 1:
            return None
        index = self._bit[heads[0]]
        op = self._ops[index]
        held = self._states.get(op.heads)
        if held is None:
            return None
        tally = held[0].copy()
        if self._valid[index]:
            tally.take(op)
        return tally

    def _read(self, tally: _Tally) -> GovernanceState:
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
        policies: dict[str, tuple[Policy, ...]] = {}
        for op in _live(tally.policies):
            rules = op.set.get("governance") or {}
            policy = Policy(namespace=op.namespace, rules=rules, author=op.agent)
            policies[op.namespace] = (*policies.get(op.namespace, ()), policy)
        return GovernanceState(
            members=members,
            unbound=frozenset(self.genesis.founders) - tally.claimed,
            policies=policies,
            agents=_agents(tally.agents),
            ready=frozenset(m.node_id for m in members.values() if m.ready),
        )

    def _counts(self, op: Op) -> bool:
        """Whether an operation is in order, given the history below its heads alone."""
        author = node_of(op.dot.actor)
        if op.kind is Kind.FOUND:
            return (
                op.set.get("genesis") == self.genesis.id
                and op.set.get("node") == author
                and op.set.get("claim") in self.genesis.founders
                and _is_proper(op)
                and not self._claimed_by_another(op, author)
            )
        state = self.state(op.heads)
        if author not in state.members:
            return False
        if op.kind is Kind.READY:
            return bool(op.births) and op.births <= state.members[author].adds
        return _is_proper(op)

    def _claimed_by_another(self, op: Op, author: NodeId) -> bool:
        tally = self._at(op.heads)[0]
        claim = op.set.get("claim")
        return any(
            other.kind is Kind.FOUND
            and other.set["claim"] == claim
            and other.set["node"] != author
            and dot not in tally.removed
            for dot, other in tally.adds.items()
        )

    def live_policies(self, namespace: str) -> frozenset[Dot]:
        """The dots that a new policy for the namespace supersedes."""
        live = _live(self._at(self.heads)[0].policies)
        return frozenset(op.dot for op in live if op.namespace == namespace)

    def live_agents(self, agent: str) -> frozenset[Dot]:
        """The dots that a new registration of the agent supersedes."""
        live = _live(self._at(self.heads)[0].agents)
        return frozenset(op.dot for op in live if op.id == agent)


def _live(ops: Mapping[Dot, Op]) -> list[Op]:
    """The operations that none of the others supersedes, in an order all nodes share."""
    superseded = {dot for op in ops.values() for dot in op.supersedes}
    return [op for dot, op in sorted(ops.items()) if dot not in superseded]


def _agents(ops: Mapping[Dot, Op]) -> dict[str, Mapping[str, Any]]:
    """Registered agents; of concurrent registrations the latest shows.

    Being human opens approvals, so it takes all concurrent registrations to say so.
    """
    out: dict[str, Mapping[str, Any]] = {}
    for op in sorted(_live(ops), key=lambda op: (op.hlc, op.dot)):
        held = out.get(op.id)
        fields = dict(op.set)
        if held and "human" in {held.get("agent_type"), fields.get("agent_type")}:
            kinds = {held.get("agent_type"), fields.get("agent_type")}
            fields["agent_type"] = "human" if kinds == {"human"} else "system"
        out[op.id] = fields
    return out


def _is_proper(op: Op) -> bool:
    """Whether the body of an operation has the shape that others will rely on."""
    if op.kind in {Kind.FOUND, Kind.ADD}:
        return _names_a_member(op)
    if op.kind is Kind.POLICY:
        return well_formed(op.set.get("governance", {}))
    if op.kind is Kind.AGENT:
        return isinstance(op.set.get("agent_type", ""), str)
    return True


def _names_a_member(op: Op) -> bool:
    """A node id is the hash of its key, so who holds the id needs no other witness."""
    node, key = op.set.get("node"), op.set.get("key")
    texts = (op.set.get("name", ""), op.set.get("url", ""))
    if not all(isinstance(text, str) and len(text) <= TEXT_CHARS_MAX for text in texts):
        return False
    return (
        isinstance(node, bytes)
        and isinstance(key, bytes)
        and len(key) == KEY_BYTES
        and hashlib.sha256(key).digest() == node
    )
