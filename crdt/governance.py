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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from crdt.dot import Dot, NodeId, node_of
from crdt.governance_shape import is_authorised, is_proper
from crdt.governance_state import GovernanceState
from crdt.governance_tally import Tally, extended, read
from crdt.op import Kind, Op

NODE_CLAIM: Final = "node:"
_STATES_KEPT: Final = 512
_STATES_KEPT_MIN: Final = 16
_ENTRIES_KEPT: Final = 200_000
"""Registrations, policies and the like in all remembered states together."""


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


class Governance:
    """The whole governance history that this node has applied."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self._founders = frozenset(genesis.founders)
        self.keys: dict[NodeId, bytes] = {}
        self.heads: tuple[Dot, ...] = ()
        self._ops: list[Op] = []
        self._valid: list[bool] = []
        self._below: dict[Dot, int] = {}
        self._bit: dict[Dot, int] = {}
        self._states: OrderedDict[tuple[Dot, ...], tuple[Tally, GovernanceState]] = OrderedDict()
        nothing = Tally()
        self._latest: tuple[tuple[Dot, ...] | None, tuple[Tally, GovernanceState]] = (
            None,
            (nothing, read(nothing, self._founders)),
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

    def _at(self, heads: tuple[Dot, ...]) -> tuple[Tally, GovernanceState]:
        if heads is self._latest[0]:  # nearly every operation names the very same heads
            return self._latest[1]
        held = self._states.get(heads)
        if held is not None:
            self._states.move_to_end(heads)
            self._latest = (heads, held)
            return held
        made = self._extended(heads)
        if made is None:
            tally = Tally()
            mask = self.mask(heads)
            for index, op in enumerate(self._ops):
                if mask >> index & 1 and self._valid[index]:
                    tally.take(op)
            made = (tally, read(tally, self._founders))
        self._states[heads] = made
        # Every state holds all there is to hold: the more there is, the fewer are remembered.
        most = max(_STATES_KEPT_MIN, _ENTRIES_KEPT // (1 + made[0].size))
        while len(self._states) > min(most, _STATES_KEPT):
            self._states.popitem(last=False)
        return made

    def _extended(self, heads: tuple[Dot, ...]) -> tuple[Tally, GovernanceState] | None:
        """One operation on top of a remembered state costs that operation alone."""
        if len(heads) != 1:
            return None
        index = self._bit[heads[0]]
        op = self._ops[index]
        held = self._states.get(op.heads)
        if held is None:
            return None
        if not self._valid[index]:
            return held
        tally, state = held[0].copy(), held[1]
        tally.take(op)
        return tally, extended(state, op, tally, self._founders)

    def _counts(self, op: Op) -> bool:
        """Whether an operation is in order, given the history below its heads alone."""
        author = node_of(op.dot.actor)
        if op.kind is Kind.FOUND:
            return (
                op.set.get("genesis") == self.genesis.id
                and op.set.get("node") == author
                and op.set.get("claim") in self.genesis.founders
                and _may_claim(op.set["claim"], author)
                and is_proper(op)
                and not self._claimed_by_another(op, author)
            )
        state = self.state(op.heads)
        if author not in state.members or not self._has_seen(op.heads, op.supersedes):
            return False
        if op.kind is Kind.READY:
            return bool(op.births) and op.births <= state.members[author].adds
        return is_proper(op) and is_authorised(op, state)

    def _has_seen(self, heads: tuple[Dot, ...], dots: Iterable[Dot]) -> bool:
        """Whether all these lie below heads: nothing takes the place of what it did not see."""
        below = self.mask(heads)
        return all(dot in self._bit and below >> self._bit[dot] & 1 for dot in dots)

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

    def live(self, kind: Kind, *, namespace: str = "", subject: str = "") -> frozenset[Dot]:
        """The dots that a new operation about the same thing supersedes.

        Args:
            kind: POLICY, AGENT, ROLE or MODE.
            namespace: of a policy.
            subject: the agent that is registered or given a role; for a mode, the hex node id.
        """
        tally = self._at(self.heads)[0]
        if kind is Kind.POLICY:
            return frozenset(op.dot for op in tally.policies.get(namespace, ()))
        if kind is Kind.AGENT:
            return frozenset(op.dot for op in tally.agents.get(subject, ()))
        if kind is Kind.ROLE:
            return frozenset(dot for agent, dot in tally.roles if agent == subject)
        return frozenset(
            d for d, op in tally.modes.items() if node_of(op.dot.actor).hex() == subject
        )


def _may_claim(claim: str, author: NodeId) -> bool:
    """A founding place that names a node is that node's alone; one that is a URL is anybody's."""
    return claim == f"{NODE_CLAIM}{author.hex()}" or not claim.startswith(NODE_CLAIM)
