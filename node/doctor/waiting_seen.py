"""What waits for approval: how many actions, and since when the oldest.

Law: the same actions and the same status that agents are shown; for the doctor and the gauges
alike. What is final or out of time is left out before anything is put in order.
"""

from collections.abc import Mapping

from crdt.dot import Dot
from crdt.hlc import millis
from crdt.pending import Pending
from node.doctor.facts import PendingFacts
from node.governing.waiting import WAITING, actions_of


def waiting_of(pendings: Mapping[Dot, Pending], now_ms: int) -> PendingFacts:
    """The actions that nobody has decided and whose time is not over."""
    undecided = {
        dot: pending
        for dot, pending in pendings.items()
        if not pending.sealed and not (pending.expires and millis(pending.expires) < now_ms)
    }
    waiting = [action for action in actions_of(undecided) if action.status(now_ms) == WAITING]
    oldest = min((millis(action.first.asked) for action in waiting), default=None)
    return PendingFacts(count=len(waiting), oldest_ms=oldest)
