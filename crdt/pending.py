"""Operations held for approval, their votes, and the seal that ends them.

Law: whether a pending operation shows is a function of the votes applied, never of their
order or of the time: enough valid yes-votes and no valid no. A vote names the hash of what
it is about and the votes its caster saw. Void are the requester's own vote, a yes after the
deadline, and a no whose caster had already seen a full approval. Until a seal, what the
operation hides is kept, because a concurrent no can still arrive.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgpack

from crdt.dot import Dot
from crdt.op import Op

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack


@dataclass(frozen=True, slots=True)
class Vote:
    """One decision by one agent.

    Attributes:
        agent: who decided.
        hlc: when, by the author's stamp.
        yes: approve or reject.
        human: whether the agent was registered as human below the vote's heads.
        registered: whether it was registered at all.
        seen: the votes its caster saw.
    """

    agent: str
    hlc: int
    yes: bool
    human: bool
    registered: bool
    seen: frozenset[Dot]


@dataclass(frozen=True, slots=True)
class Pending:
    """One operation held for approval.

    Attributes:
        key: the record it touches.
        hash: 32 bytes that name its content.
        requester: who asked; cannot vote.
        approver: `human`, `{"agent": id}` or `{"consensus": n}`.
        expires: stamp after which a yes is void; 0 for never.
        votes: by dot.
        sealed: stamp of the seal; 0 while there is none.
    """

    key: bytes
    hash: bytes
    requester: str
    approver: Any
    expires: int = 0
    votes: Mapping[Dot, Vote] = field(default_factory=dict)
    sealed: int = 0

    def approved(self) -> bool:
        """Whether it shows now."""
        return bool(self.sealed) or (self._full(self._yes()) and not self._valid_no())

    def approved_by(self, seen: frozenset[Dot]) -> bool:
        """Whether exactly these votes make an approval; what a seal must show."""
        votes = {dot: vote for dot, vote in self.votes.items() if dot in seen}
        return replace(self, votes=votes, sealed=0).approved()

    def rejected(self) -> bool:
        """Whether a valid no stands against it."""
        return not self.sealed and bool(self._valid_no())

    def stamp(self) -> int:
        """What orders it among concurrent versions: its largest valid yes."""
        return self.sealed or max((v.hlc for v in self._yes().values()), default=0)

    def _yes(self) -> dict[Dot, Vote]:
        return {
            dot: vote
            for dot, vote in self.votes.items()
            if vote.yes
            and vote.agent != self.requester
            and not (self.expires and vote.hlc > self.expires)
        }

    def _valid_no(self) -> list[Dot]:
        yes = self._yes()
        return [
            dot
            for dot, vote in self.votes.items()
            if not vote.yes
            and vote.agent != self.requester
            and not self._full({d: yes[d] for d in vote.seen if d in yes})
        ]

    def _full(self, yes: Mapping[Dot, Vote]) -> bool:
        if self.approver == "human":
            return any(vote.human for vote in yes.values())
        if isinstance(self.approver, dict) and "agent" in self.approver:
            return any(vote.agent == self.approver["agent"] for vote in yes.values())
        if isinstance(self.approver, dict) and "consensus" in self.approver:
            return len({v.agent for v in yes.values() if v.registered}) >= self._quorum()
        return False

    def _quorum(self) -> int:
        wanted = self.approver["consensus"]
        return max(wanted, 1) if isinstance(wanted, int) else 2**31

    def with_vote(self, dot: Dot, vote: Vote) -> "Pending":
        """The same with one more vote."""
        return replace(self, votes={**self.votes, dot: vote})

    def joined(self, other: "Pending") -> "Pending":
        """The union of what two nodes know of it."""
        return replace(
            self, votes={**self.votes, **other.votes}, sealed=max(self.sealed, other.sealed)
        )


def op_hash(op: Op) -> bytes:
    """32 bytes over all that a vote is about; changing any of it makes votes void."""
    body = [
        op.dot.actor,
        op.dot.seq,
        int(op.kind),
        op.collection,
        op.id,
        op.owner,
        op.namespace,
        op.agent,
        [list(dot) for dot in sorted(op.births)],
        {name: op.set[name] for name in sorted(op.set)},
        sorted(op.removed),
        [list(dot) for dot in sorted(op.supersedes)],
    ]
    return hashlib.sha256(_pack(body)).digest()


def encode_pending(pending: Pending) -> bytes:
    """Canonical bytes, for the store and the digest."""
    votes = [
        [*dot, v.agent, v.hlc, v.yes, v.human, v.registered, _flat(v.seen)]
        for dot, v in sorted(pending.votes.items())
    ]
    packed: bytes = _pack(
        [
            pending.key,
            pending.hash,
            pending.requester,
            pending.approver,
            pending.expires,
            votes,
            pending.sealed,
        ]
    )
    return packed


def decode_pending(data: bytes) -> Pending:
    """Read what `encode_pending` wrote.

    Raises:
        ValueError: the bytes are no pending row.
    """
    try:
        key, digest, requester, approver, expires, votes, sealed = msgpack.unpackb(data, raw=False)
        read = {
            Dot(actor, seq): Vote(agent, hlc, yes, human, registered, _dots(seen))
            for actor, seq, agent, hlc, yes, human, registered, seen in votes
        }
    except Exception as error:
        raise ValueError(f"stored bytes are not a pending operation: {error}") from error
    return Pending(key, digest, requester, approver, expires, read, sealed)


def _flat(dots: Iterable[Dot]) -> list[Any]:
    return [list(dot) for dot in sorted(dots)]


def _dots(rows: Iterable[Any]) -> frozenset[Dot]:
    return frozenset(Dot(actor, seq) for actor, seq in rows)
