"""How a node comes to serve: founding, catching up, saying that it is ready.

Law: before its store has caught up once, a node serves nothing and counts for nothing. A
founder serves at once. A node that lost its disk is no founder any more: a peer that knows an
actor of its key tells it so.
"""

from typing import TYPE_CHECKING

from crdt.dot import Dot, node_of
from crdt.op import Kind, Op

if TYPE_CHECKING:
    from crdt.exchange import Exchange
    from crdt.replica import Replica


def may_found(replica: "Replica") -> bool:
    """Whether this node's founding place is still its to take."""
    me = replica.me
    state = replica.governance.now
    return not replica.must_join and me.node_id not in state.members and me.claim in state.unbound


def found(replica: "Replica", now_ms: int) -> bool:
    """Take this node's founding place unless it has it already; then serve.

    Returns:
        Whether the store serves now.
    """
    if not may_found(replica):
        return replica.joined
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
                **({"admins": list(me.admins)} if me.admins else {}),
            },
        )

    replica.mint_governance(make, now_ms)
    replica.set_joined()
    return True


def found_on_contact(exchange: "Exchange") -> None:
    """A founder that knows its peers founds, unless one of them remembers it from before."""
    replica = exchange.replica
    if not may_found(replica) or not exchange.heartbeat.trusted:
        return
    me = replica.me.node_id
    rows = [peer.row for peer in exchange.peers.values() if peer.known and peer.row is not None]
    if rows and not any(node_of(actor) == me for row in rows for actor in row):
        found(replica, exchange.now_ms)


def be_ready(exchange: "Exchange") -> None:
    """Caught up = the clock covers the row of a peer that is caught up; then say so, once."""
    found_on_contact(exchange)
    replica = exchange.replica
    clock = replica.clock
    # A founder serves by taking its place, which needs a clock that can be trusted.
    if not (replica.joined or may_found(replica)) and any(
        p.joined and p.known and not p.is_ahead(clock) for p in exchange.peers.values()
    ):
        replica.set_joined()
        exchange.drop_strangers()
    if not replica.joined:
        return
    me = replica.governance.now.members.get(replica.me.node_id)
    if me is None or me.ready or not exchange.tally.caught_up_with_all():
        return
    if not exchange.heartbeat.trusted:
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
