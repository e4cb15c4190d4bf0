"""What governance would say of drafts, without minting them.

Law: the same rules on the same record as the funnel's; only the place of this node (its mode,
its quotas) is left out. For what must be known before anything is written.
"""

from collections.abc import Sequence
from typing import Final

from crdt.dot import ACTOR_BYTES, DATA, Dot
from crdt.governance_state import GovernanceState
from crdt.mint import Author, MissingRecordError, operation
from crdt.op import Draft
from crdt.policy import Answer
from node.foreign.sight import Sight

_NOBODY: Final = Dot(DATA + bytes(ACTOR_BYTES - 1), 1)
"""Names an operation that will never be."""


def preview(sight: Sight, state: GovernanceState, drafts: Sequence[Draft], agent: str) -> Answer:
    """The strictest answer to any of the drafts.

    Args:
        sight: the records they are about.
        state: what holds.
        drafts: what is wanted.
        agent: who wants it.
    """
    author = Author(agent=agent, heads=())
    answers = [Answer.ALLOW]
    for draft in drafts:
        record = sight.record(draft.collection, draft.id)
        try:
            op = operation(draft, record, sight.approvals, _NOBODY, 0, author)
        except MissingRecordError:
            return Answer.DENY
        answers.append(state.judged(op).answer)
    return max(answers)
