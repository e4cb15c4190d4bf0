"""Deciding about what is held: list, approve, reject.

Law: a decision is a vote, and what it comes to is read off the votes by every node alike.
Who may not vote, and what can no longer be decided, is told so before a vote is minted, in
the same step in which the vote is made; between the two nothing can change on this node.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from crdt.dot import Dot, parse_dot
from crdt.hlc import millis
from crdt.pending import REASON_CHARS_MAX
from node.contracts import Caller, Governing, Receipt
from node.errors import QuorumNotMet
from node.governing.problems import (
    AlreadyDecided,
    AlreadyVoted,
    ApprovalExpired,
    NotAnApprover,
    PayloadMismatch,
    SeveralActions,
)
from node.governing.waiting import (
    APPROVED,
    EXPIRED,
    STATUSES,
    WAITING,
    Action,
    action_at,
    actions_of,
    may_see,
    shown,
)
from node.memory.finding import PREFIX_CHARS_MIN
from node.memory.memories import Ask, Memories
from node.memory.problems import Ambiguous, InvalidField, NotFound, Shortfall
from node.memory.query import number
from node.memory.rules import namespace

LIMIT_DEFAULT: Final = 100
_SHOWN_CANDIDATES_MAX: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which actions a list shows; empty means any."""

    statuses: frozenset[str] = frozenset()
    namespace: str | None = None
    limit: int = LIMIT_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """An action after a vote.

    Attributes:
        action: as it stands now.
        status: whether it is decided by now.
        receipt: what is known of the durability of the vote.
    """

    action: Action
    status: str
    receipt: Receipt


class PendingActions:
    """Lists what is held, and decides about it.

    Args:
        governing: what is held now.
        memories: the records behind it, and the funnel.
        now_ms: wall clock, milliseconds since the epoch.
    """

    def __init__(
        self, *, governing: Governing, memories: Memories, now_ms: Callable[[], int]
    ) -> None:
        self._governing = governing
        self._memories = memories
        self._now_ms = now_ms

    # Showing.

    def filters(self, params: Mapping[str, str]) -> Filters:
        """The filters of a request.

        Raises:
            InvalidField: one of them cannot mean what it must.
        """
        limits = self._memories.rules.limits
        statuses = frozenset(part for part in params.get("status", "").split(",") if part)
        if statuses - set(STATUSES):
            raise InvalidField("status", f"expected one of {', '.join(STATUSES)}")
        space = params.get("namespace")
        return Filters(
            statuses=statuses,
            namespace=namespace("namespace", space, limits) if space else None,
            limit=min(number("limit", params.get("limit"), LIMIT_DEFAULT), limits.page_items_max),
        )

    def page(self, filters: Filters, viewer: Caller) -> list[dict[str, Any]]:
        """The actions that a list shows, the latest asked first."""
        out: list[dict[str, Any]] = []
        now_ms = self._now_ms()
        for action in actions_of(self._governing.pendings()):
            if len(out) >= filters.limit:
                break
            if filters.namespace not in (None, *action.namespaces):
                continue
            if filters.statuses and action.status(now_ms) not in filters.statuses:
                continue
            told = self.told(action, viewer)
            if told is not None:
                out.append(told)
        return out

    def at(self, dot: Dot) -> Action | None:
        """The action that a pending operation belongs to."""
        return action_at(self._governing, dot)

    def told(self, action: Action, viewer: Caller) -> dict[str, Any] | None:
        """An action as a caller may see it; None when it may not know of it."""
        payload: dict[str, Any] = {}
        for dot in action.dots:
            payload |= self._governing.payload(dot)
        reader = self._memories.funnel.reader()
        held = reader.get(*action.record) or reader.archived(*action.record)
        if not may_see(action, payload, held, viewer):
            return None
        if held is None and all(part.action != "store" for part in action.parts):
            payload = {}  # what would be changed has ended; nothing tells any more who might see it
        return shown(action, payload, self._now_ms())

    def find(self, wanted: str, viewer: Caller) -> Action:
        """The action with an id, about a memory, or with the only id that begins so.

        Raises:
            NotFound: there is none that the caller may know of.
            SeveralActions: several are about that memory.
            Ambiguous: several begin so.
        """
        try:
            named = self.at(parse_dot(wanted))
        except ValueError:
            named = None
        if named is not None and self.told(named, viewer) is not None:
            return named
        found = [] if named is not None else self._like(wanted, viewer)
        waiting = [action for action in found if action.status(self._now_ms()) == WAITING]
        for candidates in (waiting, found):
            if len(candidates) == 1:
                return candidates[0]
        if found:
            names = [one.id for one in (waiting or found)[:_SHOWN_CANDIDATES_MAX]]
            if found[0].record[1] == wanted:
                raise SeveralActions(wanted, names, waiting=bool(waiting))
            raise Ambiguous(wanted, names)
        raise NotFound("no action that waits or waited for approval has this id")

    def _like(self, wanted: str, viewer: Caller) -> list[Action]:
        """The actions about a memory of exactly that id; without any, those that begin so."""
        about: list[Action] = []
        begin: list[Action] = []
        for action in actions_of(self._governing.pendings()):
            if action.record[1] == wanted:
                about.append(action)
            elif len(wanted) >= PREFIX_CHARS_MIN and action.id.startswith(wanted):
                begin.append(action)
        return [a for a in about or begin if self.told(a, viewer) is not None]

    # Deciding.

    async def decide(self, wanted: str, ask: Ask, *, yes: bool) -> Decided:
        """Vote about an action.

        Raises:
            NotFound, SeveralActions, Ambiguous, InvalidField: nothing was minted.
            NotAnApprover, node.errors.Denied: the caller has no vote.
            AlreadyDecided, AlreadyVoted, ApprovalExpired, PayloadMismatch: it is too late, or
                about something else.
            Shortfall: stored here, not on W members.
        """
        reason = _reason(ask.body.get("reason"))
        action = self.find(wanted, ask.caller)
        if self._memories.known(ask.retry) is None:
            self._check(action, ask)
        try:
            receipt = await self._memories.funnel.decide(
                action.dot, yes=yes, reason=reason, caller=ask.caller, retry=ask.retry
            )
        except QuorumNotMet as error:
            facts = {"id": action.id, "memory_id": action.record[1]}
            raise Shortfall(error, facts) from error
        now = self.at(action.dot) or action
        self._check_in_time(now, ask.agent, yes=yes)
        return Decided(action=now, status=now.status(self._now_ms()), receipt=receipt)

    def _check(self, action: Action, ask: Ask) -> None:
        agent, agents = ask.agent, self._governing.state().agents
        if agent == action.first.requester or agent not in agents:
            return  # the gate refuses this, and puts it on record
        status = action.status(self._now_ms())
        if status == EXPIRED:
            raise ApprovalExpired("the time for an approval is over", fix="Make the request again")
        if status != WAITING:
            decisive = action.decisive()
            raise AlreadyDecided(status, None if decisive is None else decisive.agent)
        if not action.entitles(agent, agents[agent]):
            raise NotAnApprover(
                f"{agent} is not one of those who decide about this",
                why=f"the rule is {action.approver}",
            )
        if action.voted(agent):
            raise AlreadyVoted(f"{agent} has voted about this before")
        self._check_hash(action, ask.body.get("hash"))

    def _check_hash(self, action: Action, given: object) -> None:
        if given is None:
            return
        if not isinstance(given, str):
            raise InvalidField("hash", "expected the hash of the action, in hex")
        if given.lower() != action.first.hash.hex():
            raise PayloadMismatch(action.first.hash.hex())

    def _check_in_time(self, action: Action, agent: str, *, yes: bool) -> None:
        """A stamp may run ahead of the wall clock, so a vote may turn out to be late."""
        end = action.expires_ms
        if yes and end and action.status(self._now_ms()) != APPROVED:
            late = [v for v in action.votes().values() if v.agent == agent and v.yes]
            if late and millis(late[-1].hlc) > end:
                raise ApprovalExpired("the vote came after the time for an approval was over")


def _reason(given: object) -> str:
    """Why somebody decides so; empty when it is not said.

    Raises:
        InvalidField: it is no text, or too long.
    """
    if given is None:
        return ""
    if not isinstance(given, str):
        raise InvalidField("reason", "expected text")
    if len(given) > REASON_CHARS_MAX:
        raise InvalidField("reason", f"has {len(given)} characters, at most {REASON_CHARS_MAX}")
    return given
