"""How a node comes to serve: founding, catching up, saying that it is ready.

Law: before its store has caught up once, a node serves nothing and counts for nothing. A
founder serves at once. A node that lost its disk is no founder any more: a peer that knows an
actor of its key tells it so.
"""

from typing import TYPE_CHECKING

from crdt.dot import Dot, node_of
from crdt.op import Kind, Op
from crdt.peer import Peer

if TYPE_CHECKING:
    from crdt.exchange import Exchange
    from crdt.replica import Replica


def found(replica: "Replica", now_ms: int) -> bool:
    """Mint this node's founding operation unless governance already knows it; then serve.

    Returns:
        Whether the store serves now.
    """
    if replica.joined:
        return True
    if replica.must_join or len(replica.governance):
        return False
    me = replica.me

    def make(dot: Dot, heads: tuple[Dot, ...], stamp: int) -> Op:
        return Op(
            dot=dot,
            kind=Kind.FOUND,
            id=me.node_id.hex(),
            hlc=stamp,
            heads=heads,
            set={
                "genesis": replica.genesis.id,
                "node": me.node_id,
                "key": me.key,
                "claim": me.claim,
                "name": me.name,
                "url": me.url,
            },
        )

    replica.mint_governance(make, now_ms)
    replica.set_joined()
    return True


def found_on_contact(exchange: "Exchange", peer: Peer) -> None:
    """A founder that meets a peer founds, unless the peer remembers it from before."""
    replica = exchange.replica
    me = replica.me.node_id
    if any(node_of(actor) == me for actor in peer.row or {}):
        return
    found(replica, exchange.now_ms)


def be_ready(exchange: "Exchange") -> None:
    """Caught up = the clock covers the row of a peer that is caught up; then say so, once."""
    replica = exchange.replica
    clock = replica.clock
    if not replica.joined and any(
        p.joined and p.known and not p.is_ahead(clock) for p in exchange.peers.values()
    ):
        replica.set_joined()
        exchange.drop_strangers()
    if not replica.joined:
        return
    me = replica.governance.now.members.get(replica.me.node_id)
    if me is None or me.ready or not exchange.tally.caught_up_with_all():
        return

    def make(dot: Dot, heads: tuple[Dot, ...], stamp: int) -> Op:
        return Op(
            dot=dot,
            kind=Kind.READY,
            id=replica.me.node_id.hex(),
            hlc=stamp,
            heads=heads,
            births=me.adds,
        )

    replica.mint_governance(make, exchange.now_ms)
