"""Who is let in to a private memory.

Law: its author lets in and takes back, or an administrator in its place; being let in is to
see, never to let in others. It holds from the next read on, wherever the memory is kept, and
stays with the memory when it moves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.contracts import Held, Receipt
from node.limits import Limits
from node.memory.drafts import grant, revoke
from node.memory.memories import Ask, Memories
from node.memory.problems import InvalidField, NotOwner
from node.memory.record import GRANTS
from node.memory.rules import agent_id

GRANTS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A memory after a grant or its end; no receipt when nothing had to be written."""

    id: str
    grants: tuple[str, ...]
    receipt: Receipt | None


def grantee(body: Mapping[str, Any], limits: Limits) -> str:
    """The agent that a request lets in or shuts out.

    Raises:
        InvalidField: it names none.
    """
    given = body.get("agent_id")
    if given is None:
        raise InvalidField("agent_id", "is required: who is let in")
    return agent_id("agent_id", given, limits)


async def share(
    memories: Memories, wanted: str, ask: Ask, agent: str, *, allowed: bool, administrator: bool
) -> Shared:
    """Let an agent see a memory while it is private, or take that back.

    Args:
        memories: where.
        wanted: id of the memory.
        ask: who asks.
        agent: who is let in or shut out.
        allowed: which of the two.
        administrator: whether the caller is one.

    Raises:
        NotFound, Ambiguous: nothing that the caller may see.
        NotOwner: the caller sees it and did not write it.
        InvalidField: nobody more can be let in.
        node.memory.problems.Shortfall: stored here, not on W members.
        node.errors.WriteError: nothing was minted.
    """
    if memories.known(ask.retry) is not None:
        again = await memories.again(wanted, ask)
        return Shared(id=again.id, grants=_granted(again.held), receipt=again.receipt)
    held = memories.find(wanted, ask.caller, everything=administrator)
    if not administrator and ask.agent != held.view.owner:
        raise NotOwner("only the author of a memory, or an administrator, says who is let in")
    present = _granted(held)
    if (agent in present) == allowed:
        return Shared(id=held.id, grants=present, receipt=None)
    if allowed and len(present) >= GRANTS_MAX:
        raise InvalidField("agent_id", f"{GRANTS_MAX} agents are let in, no more can be")
    draft = grant(held, agent) if allowed else revoke(held, agent)
    changed = await memories.change(held, [draft], ask, "store")
    return Shared(id=held.id, grants=_granted(changed.held), receipt=changed.receipt)


def _granted(held: Held | None) -> tuple[str, ...]:
    return () if held is None else tuple(sorted(held.view.values.get(GRANTS, ())))
