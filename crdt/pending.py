"""Operations held for approval, their votes, and the seal that ends them.

Law: whether a pending operation shows is a function of the votes applied, never of their
order or of the time: enough valid yes-votes and no valid no. A vote names the hash of what
it is about and the votes its caster saw. Void are the votes of the requester and of whoever
is no approver, a yes after the deadline, and a no whose caster had already seen a full
approval. Until a seal, what the operation hides is kept, because a concurrent no can still
arrive.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgpack

from crdt.dot import Dot
from crdt.hlc import millis, stamp_of
from crdt.op import Kind, Op, record_key
from crdt.policy import DEFAULT_APPROVER, Verdict, actions_of

_pack: Final = msgpack.Packer(use_bin_type=True, autoreset=True).pack
REASON_CHARS_MAX: Final = 512


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
        reason: why, in the caster's words; it counts for nothing.
    """

    agent: str
    hlc: int
    yes: bool
    human: bool
    registered: bool
    seen: frozenset[Dot]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """One operation held for approval.

    Attributes:
        key: the record it touches.
        hash: 32 bytes that name its content.
        requester: who asked; cannot vote.
        approver: `human`, `{"agent": id}`, `{"consensus": n}`, or `{"all": [...]}` of those.
        action: store, update, promote or delete.
        namespace: where the record lies.
        asked: the stamp of the operation.
        expires: stamp after which a yes is void; 0 for never.
        leader: the first operation of its request about the record, when that is another one:
            they are decided together and show together.
        votes: by dot.
        sealed: stamp of the seal; 0 while there is none.
    """

    key: bytes
    hash: bytes
    requester: str
    approver: Any
    action: str = "store"
    namespace: str = ""
    asked: int = 0
    expires: int = 0
    leader: Dot | None = None
    votes: Mapping[Dot, Vote] = field(default_factory=dict)
    sealed: int = 0

    def approved(self) -> bool:
        """Whether it shows now."""
        return bool(self.sealed) or (self._full(self._yes()) and not self.objections())

    def approved_by(self, seen: frozenset[Dot]) -> bool:
        """Whether exactly these votes make an approval; what a seal must show."""
        votes = {dot: vote for dot, vote in self.votes.items() if dot in seen}
        return replace(self, votes=votes, sealed=0).approved()

    def rejected(self) -> bool:
        """Whether a valid no stands against it."""
        return not self.sealed and bool(self.objections())

    def stamp(self) -> int:
        """What orders it among concurrent versions: its largest valid yes."""
        return self.sealed or max((v.hlc for v in self._yes().values()), default=0)

    def consents(self) -> list[Dot]:
        """The yes-votes that count."""
        return sorted(self._yes())

    def objections(self) -> list[Dot]:
        """The no-votes that count."""
        yes = self._yes()
        return [
            dot
            for dot, vote in sorted(self.votes.items())
            if not vote.yes
            and self.entitles(vote)
            and not self._full({d: yes[d] for d in vote.seen if d in yes})
        ]

    def entitles(self, vote: Vote) -> bool:
        """Whether the agent of a vote is one of those who decide, and not the requester."""
        return vote.agent != self.requester and any(
            _is_approver(part, vote) for part in parts_of(self.approver)
        )

    def _yes(self) -> dict[Dot, Vote]:
        return {
            dot: vote
            for dot, vote in self.votes.items()
            if vote.yes and self.entitles(vote) and not (self.expires and vote.hlc > self.expires)
        }

    def _full(self, yes: Mapping[Dot, Vote]) -> bool:
        """Whether the votes of entitled agents meet every part of the rule."""
        votes = list(yes.values())
        return bool(votes) and all(
            len({v.agent for v in votes if _is_approver(part, v)}) >= needed_of(part)
            for part in parts_of(self.approver)
        )

    def with_vote(self, dot: Dot, vote: Vote) -> "Pending":
        """The same with one more vote."""
        return replace(self, votes={**self.votes, dot: vote})

    def joined(self, other: "Pending") -> "Pending":
        """The union of what two nodes know of it."""
        return replace(
            self, votes={**self.votes, **other.votes}, sealed=max(self.sealed, other.sealed)
        )


def parts_of(approver: Any) -> list[Any]:
    """The single rules that an approver stands for."""
    if isinstance(approver, Mapping) and isinstance(approver.get("all"), list):
        return list(approver["all"])
    return [approver]


def needed_of(part: Any) -> int:
    """How many distinct agents must say yes to meet one rule."""
    wanted = part.get("consensus", 1) if isinstance(part, Mapping) else 1
    return max(wanted, 1) if isinstance(wanted, int) else 2**31


def _is_approver(part: Any, vote: Vote) -> bool:
    if part == DEFAULT_APPROVER:
        return vote.human
    if isinstance(part, Mapping) and "agent" in part:
        return bool(vote.agent == part["agent"])
    return isinstance(part, Mapping) and "consensus" in part and vote.registered


def action_of(op: Op) -> str:
    """What people call the wish that an operation carries."""
    if op.kind is Kind.CREATE:
        return "store"
    if op.kind is Kind.DELETE:
        return "delete"
    wanted = actions_of(op)
    return wanted[0] if wanted in {("promote",), ("delete",)} else "update"


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
        list(op.target) if op.target else None,
    ]
    return hashlib.sha256(_pack(body)).digest()


def pending_of(op: Op, verdict: Verdict, leader: Dot | None) -> Pending:
    """The wait that a held operation begins.

    Args:
        op: on a record.
        verdict: that holds it.
        leader: the operation that it is decided with; None for itself.
    """
    seconds = verdict.timeout_seconds
    return Pending(
        key=record_key(op.dot.actor[:1], op.collection, op.id),
        hash=op_hash(op),
        requester=op.agent,
        approver=verdict.approver,
        action=action_of(op),
        namespace=op.namespace,
        asked=op.hlc,
        expires=stamp_of(millis(op.hlc) + 1000 * seconds) if seconds else 0,
        leader=leader,
    )


def encode_pending(pending: Pending) -> bytes:
    """Canonical bytes, for the store and the digest."""
    votes = [
        # Without a reason the row is as it was before there were any.
        [*dot, v.agent, v.hlc, v.yes, v.human, v.registered, _flat(v.seen), *_nonempty(v.reason)]
        for dot, v in sorted(pending.votes.items())
    ]
    packed: bytes = _pack(
        [
            pending.key,
            pending.hash,
            pending.requester,
            pending.approver,
            pending.action,
            pending.namespace,
            pending.asked,
            pending.expires,
            list(pending.leader) if pending.leader else None,
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
        key, digest, requester, approver, *when, votes, sealed = msgpack.unpackb(data, raw=False)
        action, namespace, asked, expires, leader = when
        read = {
            Dot(actor, seq): Vote(agent, hlc, yes, human, registered, _dots(seen), *reason)
            for actor, seq, agent, hlc, yes, human, registered, seen, *reason in votes
        }
        first = Dot(*leader) if leader is not None else None
    except MemoryError:  # says nothing about the bytes
        raise
    except Exception as error:
        raise ValueError(f"stored bytes are not a pending operation: {error}") from error
    return Pending(
        key=key,
        hash=digest,
        requester=requester,
        approver=approver,
        action=action,
        namespace=namespace,
        asked=asked,
        expires=expires,
        leader=first,
        votes=read,
        sealed=sealed,
    )


def _nonempty(text: str) -> list[str]:
    return [text] if text else []


def _flat(dots: Iterable[Dot]) -> list[Any]:
    return [list(dot) for dot in sorted(dots)]


def _dots(rows: Iterable[Any]) -> frozenset[Dot]:
    return frozenset(Dot(actor, seq) for actor, seq in rows)
