"""The one gate: every change of every lane passes `Gate.check` before anything is minted.

Law: the gate only narrows. It asks what the replicated verdict cannot know (the key a request
came with, whether it came over loopback, what the agent has used up here); the verdict itself
is judged by the core, alike on every node. A part of the gate that fails refuses the request
and nothing is written, unless the operator chose otherwise by name.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crdt.dot import Dot
from crdt.governance_state import ENFORCE, GovernanceState
from crdt.op import Draft, Kind, Op
from crdt.pending import Pending
from crdt.request import DeniedError
from crdt.roles import SYSTEM_ADMIN, TEAM_ADMIN, WRITER, Grant, within
from node import errors
from node.contracts import Caller, GovernanceDraft

Agreement = asyncio.Future[None]


class Agreeing(Protocol):
    """Hooks of this node, asked last: they may refuse what everybody else lets pass.

    Each answers None when nobody wants to know; else a future that raises
    `node.errors.HookRefused` or `HookFailed`.
    """

    def writes(self, ops: Sequence[Op], *, caller: Caller, action: str) -> Agreement | None:
        """Ask about the operations that a request would become."""
        ...

    def governs(self, drafts: Sequence[GovernanceDraft], *, caller: Caller) -> Agreement | None:
        """Ask about changes of governance."""
        ...

    def votes(
        self, pending: Dot, held: Pending, *, yes: bool, reason: str, caller: Caller
    ) -> Agreement | None:
        """Ask about a vote."""
        ...

    def member(self, event: str, subject: str, node_id: str, *, caller: Caller) -> Agreement | None:
        """Ask about a newcomer, or a member that leaves."""
        ...


class Quotas(Protocol):
    """What one agent may add at this node."""

    def check(self, agent: str, drafts: Sequence[Draft]) -> None:
        """Let the drafts pass.

        Raises:
            node.errors.QuotaExceeded: they would go beyond a limit.
        """
        ...

    def spent(self, agent: str, drafts: Sequence[Draft]) -> None:
        """The drafts were minted: count them."""
        ...


class Unlimited:
    """Quotas of a node that has none."""

    def check(self, agent: str, drafts: Sequence[Draft]) -> None:
        """Everything passes."""

    def spent(self, agent: str, drafts: Sequence[Draft]) -> None:
        """Nothing is counted."""


@dataclass(slots=True, kw_only=True)  # never changed; freezing costs a call a field
class Write:
    """Changes of records."""

    drafts: Sequence[Draft]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A vote about a pending operation."""

    pending: Pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Govern:
    """Changes of governance."""

    drafts: Sequence[GovernanceDraft]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A newcomer, or a member that leaves."""

    action: str
    subject: str


Wish = Write | Decision | Govern | Membership


class Gate:
    """Lets a wish pass or raises.

    Args:
        state: governance as this node has applied it.
        quotas: what agents may add here.
        fail_open: whether a failing gate lets pass.
        refused: told (code, caller, what) of every refusal.

    Attributes:
        hooks: asked last, once all else agreed; None while there are none.
        tell: told that something happened to a request that passed.
    """

    def __init__(
        self,
        *,
        state: Callable[[], GovernanceState],
        quotas: Quotas,
        fail_open: Callable[[], bool],
        refused: Callable[[str, Caller, str], None],
    ) -> None:
        self._state = state
        self.quotas = quotas
        self._fail_open = fail_open
        self.refused = refused
        self.hooks: Agreeing | None = None
        self.tell: Callable[[str, Mapping[str, Any]], None] = _unheard

    def check(self, caller: Caller, wish: Wish) -> None:
        """Let a wish pass.

        Raises:
            node.errors.Denied: the caller may not.
            node.errors.QuotaExceeded: the caller has used up what it may add.
            node.errors.GateFailed: the gate itself failed.
        """
        try:
            self._check(caller, wish)
        except errors.WriteError as error:
            self.refused(error.code, caller, _what(wish))
            raise
        except Exception as error:
            self.refused("gate_failed", caller, _what(wish))
            if not self._fail_open():
                raise errors.GateFailed(
                    "the gate of this node failed, so nothing was written",
                    why=type(error).__name__,
                    fix="See the log of the node",
                ) from error

    def _check(self, caller: Caller, wish: Wish) -> None:
        match wish:
            case Write():
                _check_role(caller, None, WRITER, TEAM_ADMIN, SYSTEM_ADMIN)
                self.quotas.check(caller.agent, wish.drafts)
            case Decision():
                _check_role(caller, None, WRITER, TEAM_ADMIN, SYSTEM_ADMIN)
                _check_decision(caller, wish.pending, self._state())
            case Govern():
                for draft in wish.drafts:
                    _check_governance(caller, draft, self._state())
            case Membership():
                _check_role(caller, None, SYSTEM_ADMIN)
                _check_membership(caller, self._state())

    def of_key(self, caller: Caller) -> Callable[[Op], None] | None:
        """What the key of a caller demands of each operation; None when it demands nothing."""
        if caller.role is None and caller.namespaces is None:
            return None
        spaces = caller.namespaces
        grant = Grant(role=caller.role or SYSTEM_ADMIN, namespaces=spaces or ("*",))

        def check(op: Op) -> None:
            code = ""
            if spaces is not None and not within(op.namespace, spaces):
                code = "namespace_not_of_key"
            elif not grant.allows(
                creates=op.kind is Kind.CREATE,
                own=op.owner == op.agent,
                namespace=op.namespace,
            ):
                code = "role_forbids"
            if code:
                self.refused(code, caller, op.namespace)
                raise DeniedError("the API key does not reach that far", code)

        return check


def _unheard(_event: str, _about: Mapping[str, Any]) -> None:
    """Nobody wants to know."""


def _what(wish: Wish) -> str:
    return type(wish).__name__.lower()


def _check_role(caller: Caller, *allowed: str | None) -> None:
    if caller.role not in allowed:
        raise errors.Denied(
            f"the role {caller.role} of the API key does not allow this",
            fix="Use a key with a stronger role",
            code="role_forbids",
        )


def _check_membership(caller: Caller, state: GovernanceState) -> None:
    """No key widens what the role of its agent allows; the node's own is no exception."""
    grant = state.roles.get(caller.agent)
    if grant is not None and grant.role != SYSTEM_ADMIN:
        raise errors.Denied(
            f"{caller.agent} has the role {grant.role}, which changes no membership",
            fix="Ask a system administrator",
            code="role_forbids",
        )


def _check_decision(caller: Caller, pending: Pending, state: GovernanceState) -> None:
    if caller.namespaces is not None and not within(pending.namespace, caller.namespaces):
        raise errors.Denied(
            f"the API key does not reach {pending.namespace!r}", code="namespace_not_of_key"
        )
    if caller.agent == pending.requester:
        raise errors.Denied(
            "nobody decides about their own request",
            fix="Ask one of the approvers",
            code="self_approval",
        )
    if caller.agent not in state.agents:
        raise errors.Denied(
            f"{caller.agent or 'a nameless caller'} is not registered, so its vote counts nowhere",
            fix="Register it: mnemesh agent register",
            code="agent_not_registered",
        )


def _check_governance(caller: Caller, draft: GovernanceDraft, state: GovernanceState) -> None:
    if draft.kind is Kind.AGENT:
        _check_registration(caller, draft, state)
        return
    if draft.kind is Kind.POLICY:
        _check_role(caller, None, TEAM_ADMIN, SYSTEM_ADMIN)
        _check_policy(caller, draft, state)
        return
    _check_role(caller, None, SYSTEM_ADMIN)
    harmless = draft.kind is Kind.MODE and draft.set.get("mode") == ENFORCE
    if not harmless and not state.may_administer(caller.agent):
        raise _not_governing("only a system administrator may do this", state)
    if not harmless:
        _check_first_days(caller, state)
    if draft.kind is Kind.ROLE and draft.set.get("role") != SYSTEM_ADMIN:
        last = state.admins == {draft.id}
        if last:
            raise errors.Denied(
                f"{draft.id} is the last system administrator",
                fix="Name another one first",
                code="last_administrator",
            )


def _check_policy(caller: Caller, draft: GovernanceDraft, state: GovernanceState) -> None:
    spaces = caller.namespaces
    if spaces is not None and not within(draft.namespace, spaces):
        raise errors.Denied(
            f"the API key does not reach {draft.namespace!r}", code="namespace_not_of_key"
        )
    if not state.may_govern(caller.agent, draft.namespace):
        raise _not_governing(
            f"only the keepers of the policy of {draft.namespace!r} or of one above it, or an "
            "administrator, may change it",
            state,
        )
    if not state.keeps(caller.agent, draft.namespace):
        _check_first_days(caller, state)


def _check_first_days(caller: Caller, state: GovernanceState) -> None:
    """Until somebody is named, the machine itself is the proof; never again after that."""
    if state.first_days and not caller.local:
        raise _not_governing(
            "no system administrator is named yet, so this is for callers on the machine itself",
            state,
        )


def _check_registration(caller: Caller, draft: GovernanceDraft, state: GovernanceState) -> None:
    own = caller.agent == draft.id
    # Being human opens approvals: whoever may only write does not give itself that.
    modest = own and draft.set.get("agent_type") != "human"
    _check_role(caller, None, TEAM_ADMIN, SYSTEM_ADMIN, *((WRITER,) if modest else ()))
    held = state.agents.get(draft.id, {}).get("public_key")
    by_itself = own and caller.attested
    if held is not None and not by_itself and caller.agent not in state.admins:
        raise errors.Denied(
            f"{draft.id} has bound a key, so only it, signing with that key, may register anew",
            fix="Sign the request with the bound key, or ask a system administrator",
            code="attestation_required",
        )


def _not_governing(what: str, state: GovernanceState) -> errors.Denied:
    why, fix = "", "Ask an administrator"
    if state.first_days:
        fix = "Do it on the machine of a node, or have an administrator named there"
    elif not state.admins:
        why = "one was named once, and none is left"
        fix = "See mnemesh doctor"
    return errors.Denied(what, why=why, fix=fix, code="governance_denied")
