"""What a vote or a seal does to the pending operation that it is about.

Law: a pure function of the decision, the pending operation and the governance below the
decision's heads. What does not count (a vote for another content, a seal by somebody else or
without an approval in sight) leaves everything as it is.
"""

from dataclasses import replace

from crdt.dot import node_of
from crdt.governance_state import GovernanceState
from crdt.op import Kind, Op
from crdt.pending import REASON_CHARS_MAX, Pending, Vote


def decided(op: Op, held: Pending, state: GovernanceState) -> Pending | None:
    """The pending operation after a vote or a seal; None when that does not count.

    Args:
        op: a VOTE or a SEAL whose target is `held`.
        held: what it is about.
        state: governance below the heads of `op`.
    """
    if node_of(op.dot.actor) not in state.members or op.target is None:
        return None
    if op.kind is Kind.SEAL:
        requester = node_of(op.dot.actor) == node_of(op.target.actor)
        if not requester or not held.approved_by(op.supersedes):
            return None
        # Not the seal's own stamp: a vote from a fast clock would make it one from the future.
        votes = {dot: vote for dot, vote in held.votes.items() if dot in op.supersedes}
        stamp = replace(held, votes=votes, sealed=0).stamp()
        return replace(held, sealed=max(held.sealed, stamp))
    if op.set.get("hash") != held.hash:
        return None
    agent = state.agents.get(op.agent)
    vote = Vote(
        op.agent,
        op.hlc,
        op.set.get("yes") is True,
        agent is not None and agent.get("agent_type") == "human",
        agent is not None,
        op.supersedes,
        _reason(op.set.get("reason")),
    )
    return held.with_vote(op.dot, vote)


def _reason(given: object) -> str:
    """Cut to size here too: whoever cast the vote may have written anything into it."""
    return given[:REASON_CHARS_MAX] if isinstance(given, str) else ""
