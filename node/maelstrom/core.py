"""One run of the replication core for one Maelstrom node.

Law: this does what the node's engine does around the core, and decides nothing about
replication: closes what is open, commits it, claims it, carries messages. Founding is told by
the network itself: every node is a founder under the id it was given, with a key derived from
that id, so N processes that never met make one mesh. Such keys protect nothing, and nothing
here is meant to: whoever plays the network may say anything anyway.

The state is kept in memory (`crdt.memory_state`), whose log is never cut; so no peer is ever
below its floor and no snapshot is ever asked for.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from crdt.dot import Dot, NodeId, new_actor
from crdt.effects import Alarm, Close, Heard
from crdt.exchange import Exchange, ExchangeLimits
from crdt.governance import Genesis
from crdt.identity import Self
from crdt.memory_state import MemoryState
from crdt.op import Draft
from crdt.peer import Outbox
from crdt.record import Record
from crdt.replica import Replica
from crdt.standing import found
from crdt.state import Batch
from crdt.view import View, view
from transport.identity import NodeKey, verify

AGENT: Final = "maelstrom"
"""Who asks, in every operation: the protocol's clients have no names that last."""

_CLUSTER: Final = "maelstrom"
_KEY_TAG: Final = b"mnemesh maelstrom node "
_BUNDLE_BYTES_MAX: Final = 256 * 1024
_BEAT_MS: Final = 1_000

Entropy = Callable[[int], bytes]


def key_of(name: str) -> NodeKey:
    """The signing key of the node that the network calls by a name: anybody can derive it."""
    return NodeKey(hashlib.sha256(_KEY_TAG + name.encode()).digest())


class Core:
    """Replica, exchange and state of one process.

    Args:
        name: what the network calls this node.
        names: all nodes of the network, in its order.
        wanted_w: how many disks must hold an add; None for a majority.
        entropy: random bytes, for the names of actors.
        now_ms: wall clock.
        close: ends a link of the network.
        say: tells the operator.
    """

    def __init__(
        self,
        *,
        name: str,
        names: Sequence[str],
        wanted_w: int | None,
        entropy: Entropy,
        now_ms: int,
        close: Callable[[int], None],
        say: Callable[[str], None],
    ) -> None:
        self.name, self._entropy, self._close, self._say = name, entropy, close, say
        self._now_ms, self._beaten_ms = now_ms, now_ms
        self._nodes: dict[str, NodeId] = {peer: key_of(peer).node_id for peer in names}
        key = key_of(name)
        self._me = Self(
            node_id=key.node_id,
            key=key.public,
            claim=name,
            name=name,
            url=name,
            draw_actor=self.draw_actor,
            sign=key.sign,
            verify=verify,
            bundle_bytes_max=_BUNDLE_BYTES_MAX,
        )
        self.state = MemoryState()
        limits = ExchangeLimits(page_bytes_max=2**20, page_slice_bytes_max=2**20)
        self.replica = Replica(
            me=self._me,
            genesis=Genesis(cluster=_CLUSTER, founders=tuple(names)),
            state=self.state,
            loaded=self.state.load(),
            skew_max_ms=limits.skew_ms_max,
        )
        self.exchange = Exchange(
            self.replica, durable={}, limits=limits, wanted_w=wanted_w, now_ms=now_ms
        )

    def draw_actor(self, lane: bytes) -> bytes:
        """An actor that no other process has, nor had."""
        return new_actor(lane, self._now_ms // 1000, self._entropy(8), self._me.node_id)

    def advance(self, now_ms: int) -> None:
        """Tell the time; before every other input."""
        self._now_ms = now_ms
        self.exchange.advance(now_ms)

    # --- links -------------------------------------------------------------------

    def link_up(self, link: int, peer: str, outbox: Outbox) -> None:
        """A link to a node of the network is open."""
        self.exchange.link_up(link, self._nodes[peer], peer, outbox)

    def link_down(self, link: int) -> None:
        """It ended."""
        self.exchange.link_down(link)

    def arrived(self, link: int, data: bytes) -> None:
        """The peer at the other end said something to the core."""
        self.exchange.receive(link, data)
        while self.exchange.catchup.at_hand(link):
            self.exchange.catchup.go_on(link)

    # --- operations --------------------------------------------------------------

    def mint(self, draft: Draft) -> Dot:
        """Turn a wanted change into an operation.

        The first one takes this node's founding place, if nothing was heard from a peer yet
        that would speak against it: as the node does it.

        Raises:
            LookupError: this node does not serve yet.
            crdt.op_codec.OpError: it is beyond what the format can say.
        """
        if not found(self.replica, self._now_ms):
            raise LookupError("this node joins a mesh that others know better, and serves soon")
        ops, _ = self.replica.mint([draft], agent=AGENT, now_ms=self._now_ms)
        return ops[0].dot

    def held(self, dot: Dot) -> bool:
        """Whether W ready members, this one among them, hold an operation for sure."""
        mine = self.exchange.durable.get(dot.actor, 0) >= dot.seq
        return mine and self.exchange.tally.held_by_quorum(dot)

    def read(self, key: bytes) -> View | None:
        """What shows of the record under a key."""
        return self.shown(self.replica.read(key))

    def shown(self, record: Record | None) -> View | None:
        """What shows of a record."""
        return view(record, self.replica)

    # --- the pump ----------------------------------------------------------------

    def tick(self) -> None:
        """Deadlines of the exchange; and once a second a sign of life, to every peer."""
        self.exchange.tick()
        if self._now_ms - self._beaten_ms >= _BEAT_MS:
            self._beaten_ms = self._now_ms
            self.exchange.heartbeat.beat()

    def pump(self) -> list[Batch]:
        """Keep and claim everything that is open; returns what was committed."""
        batches = []
        exchange = self.exchange
        while self.replica.dirty:
            batch, sealed = self.replica.take_batch(self._now_ms)
            exchange.minted(sealed)
            self.state.commit(batch)
            exchange.committed(batch)
            batches.append(batch)
        effects, exchange.effects[:] = list(exchange.effects), []
        for effect in effects:
            if isinstance(effect, Close):
                self._say(f"link closed: {effect.reason}")
                self._close(effect.link)
            elif isinstance(effect, Alarm):
                self._say(f"alarm {effect.name}: {effect.detail}")
            elif not isinstance(effect, Heard):
                self._say(f"a snapshot was asked for, which a whole log makes needless: {effect}")
        return batches
