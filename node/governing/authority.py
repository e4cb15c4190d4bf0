"""Who may say what about governance, and how a change of it reaches the funnel.

Law: the rule is the core's; this only asks it before anything is minted, so that the answer
has words. While nobody is named system administrator, only who sits at the node itself may
govern; from the first one on it is the administrators, and those whose own policy it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from crdt.governance_state import GovernanceState
from node.contracts import Caller, Funnel, GovernanceDraft, Receipt
from node.errors import QuorumNotMet
from node.governing.problems import GovernanceDenied
from node.memories import Ask
from node.memory_problems import Shortfall


def is_administrator(caller: Caller, state: GovernanceState) -> bool:
    """Whether a caller acts as a system administrator of the mesh."""
    return caller.agent in state.admins


def check_governs(caller: Caller, state: GovernanceState, namespace: str) -> None:
    """Let those pass who may set the policy of a namespace.

    Raises:
        GovernanceDenied: the caller is none of them.
    """
    _check_place(caller, state)
    if not state.may_govern(caller.agent, namespace):
        raise GovernanceDenied(
            f"{caller.agent} has no say over the policy of {namespace!r}",
            why="it is neither its author nor its owner, and no administrator of it",
            fix="Ask one of them",
        )


def check_administers(caller: Caller, state: GovernanceState) -> None:
    """Let those pass who may give roles.

    Raises:
        GovernanceDenied: the caller is none of them.
    """
    _check_place(caller, state)
    if not state.may_administer(caller.agent):
        raise GovernanceDenied(
            f"{caller.agent} is no system administrator",
            fix=f"Ask one: {', '.join(sorted(state.admins))}",
        )


def _check_place(caller: Caller, state: GovernanceState) -> None:
    if not state.admins and not caller.local:
        raise GovernanceDenied(
            "no system administrator is named yet",
            why="until one is, only callers on the machine of the node itself may govern",
            fix="Name one there: mnemesh agent role AGENT system-admin",
        )


async def govern(
    funnel: Funnel, drafts: Sequence[GovernanceDraft], ask: Ask, facts: Mapping[str, Any]
) -> Receipt:
    """Give changes of governance to the funnel; a shortfall is told with the answer's facts.

    Raises:
        Shortfall: stored here, not on W members.
        node.errors.WriteError: nothing was minted.
    """
    try:
        return await funnel.govern(drafts, caller=ask.caller, retry=ask.retry)
    except QuorumNotMet as error:
        raise Shortfall(error, facts) from error
