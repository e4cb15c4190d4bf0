"""When an approval becomes final.

Law: the requester's node seals an approved operation once every member holds all its votes:
from then on nobody can say no without having seen the approval, and such a no is void. What
the operation hid may go then, and never before. The operations of one request are sealed
together.
"""

from typing import TYPE_CHECKING

from crdt.dot import Dot, node_of
from crdt.op import Kind

if TYPE_CHECKING:
    from crdt.exchange import Exchange


def seal_approved(exchange: "Exchange") -> int:
    """Mint the seals that are due; returns how many."""
    replica = exchange.replica
    made = 0
    for dot in replica.held.unsealed(replica.me.node_id):
        if dot in replica.pending and _is_due(exchange, dot):
            for member in replica.held.group(dot):
                if not replica.pending[member].sealed:
                    replica.mint_decision(Kind.SEAL, member, agent="", now_ms=exchange.now_ms)
                    made += 1
    return made


def _is_due(exchange: "Exchange", dot: Dot) -> bool:
    replica = exchange.replica
    if replica.pending[dot].sealed or not replica.shown(dot):
        return False
    votes = [vote for member in replica.held.group(dot) for vote in replica.pending[member].votes]
    mine = node_of(dot.actor) == replica.me.node_id
    return mine and exchange.tally.covered_by_all([dot, *votes])
