"""What this node's disk holds, and which peer has been told of it.

Law: an acknowledgement speaks of the durable clock and of nothing else. Every peer is told of
every change: an author that pushed to us at once, for it may be counting; in a mesh that
pushes to all, the rest at the next tick; in a larger one in turn, so many a second, because
N nodes that tell N others of every write are what a mesh cannot bear. What changed governance
waits for no turn.

Peers are told from one list of changes in the order in which they came, so a commit costs what
it changed, however many peers there are, and one message serves all who were told as much.
"""

from typing import TYPE_CHECKING, Final

from crdt import messages as m
from crdt.clock import Clock, group_hash, grouped, shared
from crdt.dot import GOVERNANCE, PRIVATE, Actor, NodeId, node_of
from crdt.messages import encode
from crdt.peer import Peer

if TYPE_CHECKING:
    from crdt.exchange import Exchange

_BURSTS_PER_S: Final = 10


class Claims:
    """The claims of one node after its Hello.

    Attributes:
        version: grows with every change of the durable clock that others may know.
    """

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        self.version = 0
        self._changed: dict[Actor, int] = {}
        self._acks: dict[int, bytes] = {}
        self._prompt: Clock = {}
        self._urgent = 0
        self._hash: tuple[int, bytes] | None = None
        self._groups: tuple[int, dict[int, Clock]] | None = None
        self._paced_ms = exchange.now_ms
        self._turns = 0.0
        self._cursor = 0

    # --- what there is to claim --------------------------------------------------

    def moved(self, entries: Clock) -> None:
        """The durable clock moved; tell at once who waits for it."""
        self._acks.clear()
        version, changed = self.version + 1, self._changed
        on = self._exchange.relay.on
        authors: set[NodeId] = set()
        for actor, seq in entries.items():
            lane = actor[:1]
            if lane == PRIVATE:
                continue
            self.version = version
            changed.pop(actor, None)
            changed[actor] = version
            if lane == GOVERNANCE:
                self._urgent = version
            if not on or self._is_prompt(actor, seq):
                authors.add(node_of(actor))
        for author in authors:
            peer = self._exchange.by_node.get(author)
            if peer is not None:
                self.tell(peer)

    def prompt(self, actor: Actor, seq: int) -> None:
        """An author pushed to us itself: it hears of this one as soon as it is on disk."""
        self._prompt[actor] = seq

    def _is_prompt(self, actor: Actor, seq: int) -> bool:
        waited = self._prompt.get(actor, 0)
        if waited and waited <= seq:
            del self._prompt[actor]
        return waited > 0

    def clock_hash(self) -> bytes:
        """Of the durable clock, for beats."""
        if self._hash is None or self._hash[0] != self.version:
            self._hash = (self.version, group_hash(shared(self._exchange.durable)))
        return self._hash[1]

    def groups(self) -> dict[int, Clock]:
        """The durable clock by month of birth, for Hello; not to be changed."""
        if self._groups is None or self._groups[0] != self.version:
            self._groups = (self.version, grouped(shared(self._exchange.durable)))
        return self._groups[1]

    # --- who is told -------------------------------------------------------------

    def tell(self, peer: Peer) -> None:
        """Tell a peer what changed in the durable clock since it was last told."""
        told = peer.told
        if told == self.version:
            return
        ack = self._acks.get(told)
        if ack is None:
            digest = self._exchange.durable_digest.to_bytes(16, "big")
            ack = self._acks[told] = encode(m.Ack(self._since(told), digest))
        peer.outbox.put(ack)
        peer.told = self.version

    def _since(self, version: int) -> Clock:
        durable, out = self._exchange.durable, {}
        for actor in reversed(self._changed):
            if self._changed[actor] <= version:
                break
            out[actor] = durable[actor]
        return out

    def tick(self) -> None:
        """Tell those whose turn it is."""
        exchange = self._exchange
        if not exchange.relay.on:
            for peer in exchange.peers.values():
                self.tell(peer)
            return
        self._take_turns(exchange.relay.ring())
        if self._urgent:
            for peer in exchange.peers.values():
                if peer.told < self._urgent:
                    self.tell(peer)
            self._urgent = 0

    def _take_turns(self, ring: list[Peer]) -> None:
        """As many as the time since the last tick allows, going round the ring."""
        exchange = self._exchange
        rate = exchange.limits.claims_per_s_max
        passed_ms = max(exchange.now_ms - self._paced_ms, 0)
        self._paced_ms = exchange.now_ms
        # Who was silent may say a little more at once, not all that it left unsaid.
        self._turns = min(self._turns + passed_ms * rate / 1000, max(rate / _BURSTS_PER_S, 1.0))
        for _ in range(len(ring)):
            if self._turns < 1:
                return
            self._cursor += 1
            peer = ring[self._cursor % len(ring)]
            if peer.told != self.version:
                self.tell(peer)
                self._turns -= 1
