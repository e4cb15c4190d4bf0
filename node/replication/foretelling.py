"""What the gate and governance would say of a change, before anybody asks for it.

Law: nothing is minted and nothing counted but what the gate itself tells of.
"""

from crdt.dot import DATA, PRIVATE, Dot
from crdt.op import Draft, Op
from crdt.policy import Answer
from crdt.replica import Replica
from crdt.request import DeniedError
from node.contracts import Caller
from node.gate import Gate


def foretold(replica: Replica, gate: Gate, draft: Draft, caller: Caller) -> str | None:
    """Why a draft would be refused now, as `code: words`; None when it would not."""
    state, check = replica.governance.now, gate.of_key(caller)
    if check is None and not state.policies and not state.roles:
        return None
    lane = PRIVATE if draft.private else DATA
    actor = replica.own.get(lane) or replica.me.draw_actor(lane)
    op = Op(
        dot=Dot(actor, 1),
        kind=draft.kind,
        id=draft.id,
        owner=draft.owner or caller.agent,
        namespace=draft.namespace,
        agent=caller.agent,
        set=draft.set,
        heads=replica.governance.heads,
    )
    try:
        if check is not None:
            check(op)
        if replica.joined and replica.verdict(op).answer is Answer.DENY:
            return f"denied: governance of {draft.namespace!r} refuses this"
    except DeniedError as error:
        return f"{error.code}: {error}"
    return None
