"""One action that was held for approval, as agents see it.

Law: a request is decided as a whole, so the operations it became are shown as one action
under the name of the first. Its status is read off the votes, as every node reads it, and off
the time only where nothing else was decided. An action about a private memory is shown to
those alone who may see the memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from crdt.dot import PRIVATE, Dot, dot_text
from crdt.fields import ELEMENT_MARK, REVISION
from crdt.hlc import millis
from crdt.op import Value
from crdt.pending import Pending, Vote, needed_of, parts_of
from crdt.roles import within
from node.contracts import Caller, Governing, Held
from node.memory.record import ALIASES, GRANTS, PRIVATE_SCOPE, is_party, shown_value, visible_to
from node.memory.times import format_ms

WAITING: Final = "pending"
APPROVED: Final = "approved"
REJECTED: Final = "rejected"
EXPIRED: Final = "expired"
STATUSES: Final = (WAITING, APPROVED, REJECTED, EXPIRED)
_SETS: Final = ("tags", GRANTS, ALIASES)


_UNSHOWN: Final = frozenset(("secret",))
"""Fields that sign something: those who approve need not know them, nor does anybody else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """The operations of one request about one record, held together.

    Attributes:
        dots: of all of them; the first one names the action.
        parts: all of them, in the same order.
    """

    dots: tuple[Dot, ...]
    parts: tuple[Pending, ...]

    @property
    def dot(self) -> Dot:
        """What names the action."""
        return self.dots[0]

    @property
    def first(self) -> Pending:
        """The operation that names the action."""
        return self.parts[0]

    @property
    def id(self) -> str:
        """The id of the action."""
        return dot_text(self.dot)

    @property
    def record(self) -> tuple[str, str]:
        """Collection and id of the record it is about."""
        collection, _, ident = self.first.key[1:].decode().partition("/")
        return collection, ident

    @property
    def kind(self) -> str:
        """store, update, promote or delete."""
        # A move is a birth elsewhere and the end of the old one, in either order.
        moves = {"store", "delete"} <= {part.action for part in self.parts}
        return "update" if moves else self.first.action

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Where it takes place, the place it leads to first; several for a move."""
        found = [part.namespace for part in self.parts if part.action != "delete"]
        return tuple(dict.fromkeys([*found, *(part.namespace for part in self.parts)]))

    @property
    def approver(self) -> Any:
        """The rule that its approval has to meet."""
        rules = self.rules()
        return rules[0] if len(rules) == 1 else {"all": rules}

    def rules(self) -> list[Any]:
        """The single rules that must all be met, each once."""
        found = {repr(one): one for part in self.parts for one in parts_of(part.approver)}
        return list(found.values())

    @property
    def expires_ms(self) -> int:
        """When the time for an approval is over, milliseconds; 0 for never."""
        return min((millis(part.expires) for part in self.parts if part.expires), default=0)

    def status(self, now_ms: int) -> str:
        """One of `STATUSES`."""
        if all(part.approved() for part in self.parts):
            return APPROVED
        if any(part.rejected() for part in self.parts):
            return REJECTED
        return EXPIRED if self.expires_ms and now_ms > self.expires_ms else WAITING

    def votes(self) -> dict[Dot, Vote]:
        """What was said about it, in the order of the stamps; one vote per agent and word."""
        every = [item for part in self.parts for item in part.votes.items()]
        once: dict[tuple[str, bool], tuple[Dot, Vote]] = {}
        for dot, vote in sorted(every, key=lambda item: (item[1].hlc, item[0])):
            once.setdefault((vote.agent, vote.yes), (dot, vote))
        return dict(once.values())

    def voted(self, agent: str) -> bool:
        """Whether an agent has said all it can say about it."""
        open_parts = [part for part in self.parts if not part.sealed]
        return all(any(v.agent == agent for v in part.votes.values()) for part in open_parts)

    def entitles(self, agent: str, registered: Mapping[str, Any]) -> bool:
        """Whether an agent, registered so, is one of those who decide."""
        human = registered.get("agent_type") == "human"
        vote = Vote(agent, 0, yes=True, human=human, registered=True, seen=frozenset())
        return any(part.entitles(vote) for part in self.parts)

    def progress(self) -> tuple[int, int]:
        """(consents that count, consents needed), over all rules."""
        have = needed = 0
        for rule in self.rules():
            wanted = needed_of(rule)
            asked = [part for part in self.parts if rule in parts_of(part.approver)]
            said = [self._consents(replace(part, approver=rule)) for part in asked]
            have += min([wanted, *(len(agents) for agents in said)])
            needed += wanted
        return have, needed

    def _consents(self, part: Pending) -> set[str]:
        return {part.votes[dot].agent for dot in part.consents()}

    def decisive(self) -> Vote | None:
        """The vote that decided it; None while it is open."""
        for part in self.parts:
            objections = [part.votes[dot] for dot in part.objections()]
            if objections and not part.sealed:
                return min(objections, key=lambda vote: vote.hlc)
        last = [vote for part in self.parts if (vote := _completing(part)) is not None]
        return max(last, key=lambda vote: vote.hlc) if len(last) == len(self.parts) else None


def _completing(part: Pending) -> Vote | None:
    """The consent with which an operation's approval was full."""
    said: dict[Dot, Vote] = {}
    for dot in sorted(part.consents(), key=lambda dot: (part.votes[dot].hlc, dot)):
        said[dot] = part.votes[dot]
        if replace(part, votes=said, sealed=0).approved():
            return said[dot]
    return None


def actions_of(pendings: Mapping[Dot, Pending]) -> Iterator[Action]:
    """Every action known, the latest asked first."""
    followers: dict[Dot, list[Dot]] = {}
    for dot, pending in pendings.items():
        if pending.leader is not None:
            followers.setdefault(pending.leader, []).append(dot)
    first = [dot for dot, pending in pendings.items() if pending.leader is None]
    for dot in sorted(first, key=lambda dot: (pendings[dot].asked, dot), reverse=True):
        yield _action(pendings, [dot, *sorted(followers.get(dot, ()))])


def action_at(governing: Governing, dot: Dot) -> Action | None:
    """The action that a pending operation belongs to."""
    pendings = governing.pendings()
    if dot not in pendings:
        return None
    leader, *others = (one for one in governing.together(dot) if one in pendings)
    return _action(pendings, [leader, *sorted(others)])


def _action(pendings: Mapping[Dot, Pending], dots: list[Dot]) -> Action:
    return Action(dots=tuple(dots), parts=tuple(pendings[dot] for dot in dots))


def may_see(
    action: Action, payload: Mapping[str, Value], held: Held | None, viewer: Caller
) -> bool:
    """Whether a caller may know of an action.

    Args:
        action: what was held.
        payload: what it writes, as far as that is known.
        held: the record it is about, as it stands now.
        viewer: who looks.
    """
    spaces = viewer.namespaces
    if spaces is not None and not all(within(name, spaces) for name in action.namespaces):
        return False
    if held is not None and not visible_to(held, viewer):
        return False
    if payload.get("scope") != PRIVATE_SCOPE and action.first.key[:1] != PRIVATE:
        return True
    if viewer.agent == action.first.requester:
        return True
    granted = f"{GRANTS}{ELEMENT_MARK}{viewer.agent}" in payload
    return not viewer.nameless and (granted or (held is not None and is_party(held, viewer.agent)))


def shown(action: Action, payload: Mapping[str, Value], now_ms: int) -> dict[str, Any]:
    """An action in API words."""
    first, (collection, ident) = action.first, action.record
    status = action.status(now_ms)
    decided = action.decisive() if status in (APPROVED, REJECTED) else None
    have, needed = action.progress()
    out: dict[str, Any] = {
        "id": action.id,
        "action_type": action.kind,
        "memory_id": ident,
        "namespace": action.namespaces[0],
        "payload": _payload(payload),
        "requested_by": first.requester,
        "requested_at": format_ms(millis(first.asked)),
        "status": status,
        "decided_by": None if decided is None else decided.agent,
        "decided_at": None if decided is None else format_ms(millis(decided.hlc)),
        "approvals": [_vote(vote) for vote in action.votes().values()],
        "approver": action.approver,
        "needed": needed,
        "collected": have,
        "hash": first.hash.hex(),
        "sealed": all(part.sealed > 0 for part in action.parts),
    }
    if collection != "memory":
        out["collection"] = collection
    if action.expires_ms:
        out["expires_at"] = format_ms(action.expires_ms)
    return out


def _vote(vote: Vote) -> dict[str, Any]:
    out = {
        "agent_id": vote.agent,
        "decision": "approve" if vote.yes else "reject",
        "at": format_ms(millis(vote.hlc)),
    }
    return {**out, "reason": vote.reason} if vote.reason else out


def _payload(fields: Mapping[str, Value]) -> dict[str, Any]:
    """The fields of an operation; the elements of a set are a list again."""
    out: dict[str, Any] = {}
    sets: dict[str, list[tuple[int, str]]] = {}
    for name, value in fields.items():
        family, mark, element = name.partition(ELEMENT_MARK)
        if mark and family in _SETS:
            place = value if isinstance(value, int) else 0
            sets.setdefault(family, []).append((place, element))
        elif name != REVISION and name not in _UNSHOWN:
            out[name] = shown_value(name, value)
    for family, elements in sets.items():
        out[family] = [element for _, element in sorted(elements)]
    return out
