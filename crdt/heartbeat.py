"""The beat of a link: wall clocks, round trips, and the self-check of states.

Law: equal clocks must mean equal digests. A mismatch alarms and stops that pair; it never
joins, because a join at equal clocks would delete what differs on one side from both.

In a mesh that is too large to push to all, a beat goes to a few peers, the next ones each
time, so what it costs does not grow with the mesh. Nothing waits for a beat: a dead link is
found by the transport, what is missing by acknowledgements.
"""

from collections.abc import Iterable
from statistics import median_high, median_low
from typing import TYPE_CHECKING

from crdt import messages as m
from crdt.messages import encode
from crdt.peer import Peer

if TYPE_CHECKING:
    from crdt.exchange import Exchange


class Heartbeat:
    """Sends beats to all peers and judges theirs."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self._number = 0
        self._cursor = 0

    def beat(self) -> None:
        """Tell the peers whose turn it is the time, and what this node's state adds up to."""
        exchange = self._exchange
        if not exchange.relay.on:
            self._tell(exchange.peers.values())
            return
        ring = exchange.relay.ring()
        width = min(max(exchange.limits.full_fanout_max, 1), len(ring))
        first, self._cursor = self._cursor, self._cursor + width
        self._tell([ring[place % len(ring)] for place in range(first, first + width)])

    def probe(self, link: int) -> None:
        """Ask one peer for a sign of life now."""
        peer = self._exchange.peers.get(link)
        if peer is not None:
            self._tell([peer])

    def _tell(self, peers: Iterable[Peer]) -> None:
        exchange = self._exchange
        self._number += 1
        beat = m.Beat(
            self._number,
            exchange.now_ms,
            exchange.replica.joined,
            exchange.claims.clock_hash(),
            exchange.durable_digest.to_bytes(16, "big"),
        )
        data = encode(beat)
        for peer in peers:
            if peer.row is not None:
                exchange.claims.tell(peer)
                peer.beat_ms = exchange.now_ms
                peer.beat = self._number
                peer.outbox.put(data)

    def heard(self, link: int, peer: Peer, beat: m.Beat) -> None:
        """A peer told its time and its digest."""
        exchange = self._exchange
        peer.joined = beat.joined
        peer.skew_ms = beat.now_ms - exchange.now_ms
        exchange.send(peer, m.Echo(beat.number))
        if peer.known and beat.clock_hash == exchange.claims.clock_hash():
            peer.digest = beat.digest
            if beat.digest != exchange.durable_digest.to_bytes(16, "big"):
                peer.stopped = True
                exchange.alarm("digest_mismatch", link, "equal clocks, unequal states")

    def echoed(self, peer: Peer, number: int) -> None:
        """A peer answered a beat: the round trip is known."""
        if number and peer.beat == number:
            peer.round_trip_ms = self._exchange.now_ms - peer.beat_ms

    def skew_ms(self) -> int:
        """How far this clock is ahead of the median of all in sight, its own among them.

        Of two clocks nobody can tell which is right: the one that is ahead stops, since its
        stamps are the ones that do harm. An even split stops nobody.
        """
        others = [peer.skew_ms for peer in self._exchange.peers.values() if peer.row is not None]
        if len(others) <= 1:
            return max((-offset for offset in others), default=0)
        clocks = [*others, 0]
        return -min(median_low(clocks), median_high(clocks), key=abs)

    def agrees(self, jump_ms: int) -> bool:
        """Whether the peers say that a clock which jumped by so much is nearer to the truth now.

        Without a peer in sight nobody can say so, and only a mesh of one need not ask.
        """
        peers = self._exchange.peers.values()
        others = sorted(peer.skew_ms for peer in peers if peer.row is not None)
        if not others:
            return len(self._exchange.replica.governance.now.members) <= 1
        middle = others[(len(others) - 1) // 2]
        return abs(middle - jump_ms) < abs(middle)

    def jumped(self, jump_ms: int) -> None:
        """The clock jumped by so much: what was measured against it moves with it."""
        for peer in self._exchange.peers.values():
            peer.skew_ms -= jump_ms

    @property
    def trusted(self) -> bool:
        """Whether this node's clock may stamp anything."""
        limit = self._exchange.limits.skew_ms_max
        if all(abs(peer.skew_ms) <= limit for peer in self._exchange.peers.values()):
            return True  # then so is their median
        return abs(self.skew_ms()) <= limit
