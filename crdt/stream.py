"""The live stream: fresh bundles out, pushed bundles in.

Law: a node sends bundles only to peers that said they are level: its own process's as they
close, those of others when it was asked to pass them on. What a peer pushes is its own unless
it says that it passes it on. A bundle that does not fit means that this node is behind; where
bundles come by way of others it is kept for a moment first.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdt import messages as m
from crdt.admission import Fit
from crdt.bundle import Bundle
from crdt.clock import Clock
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Actor, NodeId, node_of
from crdt.header import peek
from crdt.holding import Held, Holding
from crdt.messages import encode
from crdt.peer import Peer

if TYPE_CHECKING:
    from crdt.exchange import Exchange


class Stream:
    """Both directions of pushing."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self.holding = Holding(exchange, self._came)

    # --- out ---------------------------------------------------------------------

    def opened(self, peer: Peer, clock: Clock) -> None:
        """A peer is level: it gets what its clock lacks of ours, then all new bundles."""
        exchange = self._exchange
        peer.outbox.drop_pushes()
        if not peer.pushing:
            exchange.relay.changed()
        peer.pushing = True
        peer.muted = frozenset()
        replica, limit = exchange.replica, exchange.limits.peer_queue_bytes_max
        tail: list[tuple[Actor, bytes]] = []
        for lane in (GOVERNANCE, DATA):
            actor = replica.own.get(lane)
            row = replica.actors.get(actor) if actor else None
            after = clock.get(actor, 0) if actor else 0
            if actor is None or row is None or after >= row.seq:
                continue
            bundles = None if row.floor > after else replica.own_tail(actor, after, limit)
            if bundles is None:
                exchange.send(peer, m.Gap())
                peer.pushing = False
                return
            tail += ((actor, encode(m.Push(data))) for data in bundles)
        exchange.push(peer, tail)

    def minted(self, bundles: Sequence[Bundle]) -> None:
        """Fresh own bundles, as they go to the disk."""
        relay = self._exchange.relay
        for bundle in bundles:
            lane = bundle.actor[:1]
            if lane == DATA and relay.on:
                relay.spread(bundle.actor, bundle.data)
            elif lane != PRIVATE:
                relay.push_to_all(bundle.actor, bundle.data)

    # --- in ----------------------------------------------------------------------

    def pushed(self, link: int, peer: Peer, data: bytes, until: NodeId | None) -> None:
        """A peer sent a bundle; `until` when it says that others are to get it from here."""
        exchange = self._exchange
        if exchange.catchup.joining:
            peer.pulling = False
            return
        if not peer.pulling:
            return
        header = peek(data)
        if header is not None and header.last < exchange.replica.clock.get(header.actor, 0):
            self._known(peer, header.actor, header.last)
            return
        bundle = exchange.read_from(link, peer, data)
        if bundle is None or bundle.actor in peer.shunned:
            return
        if until is None and node_of(bundle.actor) != peer.node_id:
            exchange.shun(link, peer, bundle.actor, "pushed_for_another")
            return
        fit = exchange.try_take(link, peer, bundle)
        if fit is Fit.NEXT:
            self._came(Held(link, peer, bundle, until, exchange.now_ms))
            self.holding.retry()
        elif fit is Fit.KNOWN:
            self._known(peer, bundle.actor, bundle.last)
            if until is not None:
                exchange.relay.owe(bundle, until)
        elif fit is Fit.BEHIND and not self._hold(link, peer, bundle, until):
            exchange.behind(link, peer)

    def _hold(self, link: int, peer: Peer, bundle: Bundle, until: NodeId | None) -> bool:
        if until is None and not self._exchange.relay.on:
            return False  # where all push to all, it has been lost
        return self.holding.put(link, peer, bundle, until)

    def _came(self, held: Held) -> None:
        """A pushed bundle was applied."""
        actor, last = held.bundle.actor, held.bundle.last
        if node_of(actor) == held.peer.node_id:
            self._exchange.claims.prompt(actor, last)
        if held.until is not None:
            self._exchange.relay.owe(held.bundle, held.until)

    def _known(self, peer: Peer, actor: Actor, last: int) -> None:
        """It came twice. An author that sends it again is counting."""
        exchange = self._exchange
        if node_of(actor) != peer.node_id:
            return
        if exchange.durable.get(actor, 0) >= last:
            exchange.claims.tell(peer)
        else:
            exchange.claims.prompt(actor, last)
