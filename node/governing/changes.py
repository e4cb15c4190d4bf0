"""How a change of governance reaches the funnel.

Law: who may make it is for the gate alone to say, so that every refusal is on record; what is
checked before is only whether the change means anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from node.contracts import Funnel, GovernanceDraft, Receipt
from node.errors import QuorumNotMet
from node.memory.memories import Ask
from node.memory.problems import Shortfall


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
