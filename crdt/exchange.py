"""One node's side of all its links: hello, claims, the live stream, and who counts.

Law: every claim (Hello, Ack, page, snapshot) is about the durable clock; the state in memory
may be ahead of it and is never claimed. Fresh bundles are pushed to peers that said they are
level (see `crdt.stream`, `crdt.relay`); all else moves by catch-up, from one source at a
time. No message carries a number that another message could make stale: what a node last
said on a link counts.

A machine without I/O. `advance` tells the time, `receive` takes a message, `committed` says
that a batch is on disk; outboxes and `effects` hold what is to be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from crdt import messages as m
from crdt.admission import Fit
from crdt.bundle import Bundle, BundleError
from crdt.catchup import CatchUp
from crdt.claims import Claims
from crdt.clock import Clock, beyond, group_hash, shared
from crdt.dot import GOVERNANCE, PRIVATE, Actor, NodeId, lane_of, node_of
from crdt.effects import Alarm, Close, Effect, Heard
from crdt.heartbeat import Heartbeat
from crdt.hlc import millis
from crdt.messages import Message, decode, encode
from crdt.peer import Outbox, Peer
from crdt.relay import Relay
from crdt.replica import Replica
from crdt.standing import be_ready, found_on_contact
from crdt.state import Batch
from crdt.stream import Stream
from crdt.tally import Tally

_stamp: Final = attrgetter("hlc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeLimits:
    """Bounds of the exchange; every one has its unit in its name."""

    page_bytes_max: int = 4 * 2**20
    page_slice_bytes_max: int = 4 * 2**20
    peer_queue_bytes_max: int = 32 * 2**20
    relay_ms: int = 1_000
    session_deadline_ms: int = 15_000
    skew_ms_max: int = 5_000
    bad_actor_ms: int = 30_000
    leaving_ms: int = 500
    full_fanout_max: int = 12
    relay_extra: int = 2
    relay_fanout: int = 4
    claims_per_s_max: int = 100
    patience_ms: int = 250
    held_bytes_max: int = 8 * 2**20
    second_ms: int = 3_000


class Exchange:
    """All links of one replica."""

    def __init__(
        self,
        replica: Replica,
        *,
        durable: Clock,
        limits: ExchangeLimits,
        wanted_w: int | None = None,
        now_ms: int = 0,
    ) -> None:
        self.replica = replica
        self.limits = limits
        self.wanted_w = wanted_w
        self.now_ms = now_ms
        self.durable = durable
        self.durable_digest = replica.digest
        self.peers: dict[int, Peer] = {}
        self.by_node: dict[NodeId, Peer] = {}
        self.ahead: dict[int, Peer] = {}
        self.effects: list[Effect] = []
        self.claims = Claims(self)
        self.relay = Relay(self)
        self.stream = Stream(self)
        self.catchup = CatchUp(self)
        self.tally = Tally(self)
        self.heartbeat = Heartbeat(self)
        self._heads = replica.governance.heads

    # --- sending -----------------------------------------------------------------

    def send(self, peer: Peer, message: Message) -> None:
        """Queue a message for one peer."""
        peer.outbox.put(encode(message))

    def alarm(self, name: str, link: int, detail: str) -> None:
        """Tell the operator."""
        self.effects.append(Alarm(name, link, detail))

    def push(self, peer: Peer, bundles: Sequence[tuple[Actor, bytes]]) -> None:
        """Queue own bundles (encoded Push messages); on overflow drop them and say so."""
        for actor, message in bundles:
            if actor not in peer.muted:
                peer.outbox.put(message, push=True)
        if peer.outbox.size_bytes > self.limits.peer_queue_bytes_max:
            peer.outbox.drop_pushes()
            self.send(peer, m.Gap())
            peer.pushing = False

    # --- the life of a link ------------------------------------------------------

    def link_up(self, link: int, node_id: NodeId, claim: str, outbox: Outbox) -> Peer:
        """A link to a proven node is open: say where this disk stands."""
        peer = self.peers[link] = Peer(node_id, outbox, claim, heard_ms=self.now_ms)
        self.by_node[node_id] = peer
        self._links_changed()
        peer.told = self.claims.version
        groups = self.claims.groups()
        newest = max(groups, default=0)
        hashes = {g: group_hash(entries) for g, entries in groups.items() if g != newest}
        hello = m.Hello(groups.get(newest, {}), hashes, self.replica.joined, self.now_ms)
        self.send(peer, hello)
        return peer

    def link_down(self, link: int) -> None:
        """A link ended; everything said on it is void."""
        gone = self.peers.pop(link, None)
        self.ahead.pop(link, None)
        if gone is not None and self.by_node.get(gone.node_id) is gone:
            del self.by_node[gone.node_id]
            left = {p.node_id: p for p in self.peers.values() if p.node_id == gone.node_id}
            self.by_node.update(left)
        self._links_changed()
        self.stream.holding.forget(link)
        self.catchup.lost(link)

    def learn(self, link: int, peer: Peer, entries: Clock) -> None:
        """A peer said where its disk stands."""
        if peer.learn(entries, self.replica.clock):
            self.ahead[link] = peer

    def _links_changed(self) -> None:
        self.relay.changed()
        self.tally.forget()

    def refuses(self, node_id: NodeId, claim: str, *, settled: bool) -> str | None:
        """Why a link to a proven node must not open; None when it may.

        Args:
            node_id: who it proved to be.
            claim: the founding place it claims, empty for none.
            settled: whether its store belongs to the mesh already.
        """
        replica = self.replica
        if node_id == replica.me.node_id:
            return "self"
        unknowing = replica.must_join or (settled and not len(replica.governance))
        if not replica.joined and unknowing:
            return None  # who belongs to the mesh is for the other side to say
        state = replica.governance.now
        member = state.members.get(node_id)
        if member is None:
            return None if claim and claim in state.unbound else "not_a_member"
        if member.ready or any(self.tally.held_by_quorum(dot) for dot in member.adds):
            return None
        return "membership_not_durable"

    def drop_strangers(self) -> None:
        """After governance moved: part with nodes that are members no more.

        Their links end a moment later, so that they learn why, and can confirm it.
        """
        heads = self.replica.governance.heads
        if heads == self._heads or not self.replica.joined:
            return
        self._heads = heads
        state = self.replica.governance.now
        for peer in self.peers.values():
            strange = peer.node_id not in state.members and peer.claim not in state.unbound
            peer.leaving_ms = (peer.leaving_ms or self.now_ms) if strange else 0

    # --- incoming ----------------------------------------------------------------

    def receive(self, link: int, data: bytes) -> None:
        """Take one message.

        Raises:
            crdt.messages.MessageError: the bytes are no message; the caller counts it and
                ends the link.
        """
        peer = self.peers.get(link)
        if peer is None:
            return
        message = decode(data)
        peer.heard_ms = self.now_ms
        if isinstance(message, m.Hello):
            self._hello(link, peer, message)
        elif peer.row is None or peer.stopped:
            return
        elif isinstance(message, m.Ack):
            peer.digest = message.digest
            self.learn(link, peer, message.clock)
            self.tally.acknowledged(peer.node_id, message.clock)
        elif isinstance(message, m.Push):
            self.stream.pushed(link, peer, message.bundle, None)
        elif isinstance(message, m.Spread):
            self.stream.pushed(link, peer, message.bundle, message.until)
        else:
            self._receive_other(link, peer, message)

    def _receive_other(self, link: int, peer: Peer, message: Message) -> None:
        match message:
            case m.Ask(groups):
                wanted = sorted(set(groups))
                mine = self.claims.groups()
                clock = {a: n for g in wanted for a, n in mine.get(g, {}).items()}
                self.claims.tell(peer)
                self.send(peer, m.Full(wanted, clock))
            case m.Full(groups, clock):
                self.learn(link, peer, clock)
                peer.lacks = peer.lacks - set(groups)
                self.tally.forget()
                self._assess(link, peer)
            case m.Level(clock):
                self.stream.opened(peer, clock)
            case m.Behind():
                peer.pushing = False
            case m.Gap():
                self.behind(link, peer)
            case m.Skewed(actor, until_ms):
                peer.muted = peer.muted | {actor}
                self.alarm("skewed", link, f"refused until {until_ms}")
            case m.Beat():
                self.heartbeat.heard(link, peer, message)
            case m.Echo(number):
                self.heartbeat.echoed(peer, number)
            case m.Aside(topic, data):
                self.effects.append(Heard(link, peer.node_id, topic, data))
            case _:
                self.catchup.receive(link, peer, message)

    def _hello(self, link: int, peer: Peer, hello: m.Hello) -> None:
        mine = self.claims.groups()
        row, lacks = dict(hello.newest), set()
        for group, digest in hello.groups.items():
            entries = mine.get(group, {})
            if group_hash(entries) == digest:
                row.update(entries)
            else:
                lacks.add(group)
        peer.row, peer.unseen, peer.lacks = {}, {}, lacks
        self.learn(link, peer, row)
        self.tally.forget()
        peer.joined, peer.skew_ms = hello.joined, hello.now_ms - self.now_ms
        if lacks:
            self.send(peer, m.Ask(sorted(lacks)))
        else:
            self._assess(link, peer)

    def _assess(self, link: int, peer: Peer) -> None:
        """The peer's whole clock is known: is this node behind it?"""
        if not peer.known or self.catchup.joining:
            return
        found_on_contact(self)
        if peer.is_ahead(self.replica.clock):
            if not self.catchup.running:
                self.catchup.start(link)
            return
        if not self.catchup.running:
            self.level()
        be_ready(self)

    # --- the live stream ---------------------------------------------------------

    def level(self) -> None:
        """Tell every known peer that is not pushing to us that it may."""
        if self.catchup.joining:
            return
        told = [p for p in self.peers.values() if p.known and not p.pulling and not p.stopped]
        if not told:
            return
        clock = shared(self.replica.clock)
        for peer in told:
            peer.pulling = True
            self.send(peer, m.Level(peer.without_shunned(clock)))

    def minted(self, bundles: Sequence[Bundle]) -> None:
        """Fresh own bundles go to the disk: send them on their way in the same step."""
        self.stream.minted(bundles)
        self.drop_strangers()

    def read_from(self, link: int, peer: Peer, data: bytes) -> Bundle | None:
        """Decode a bundle a peer sent; a bad one is reported and passed over."""
        try:
            bundle = self.replica.read_bundle(data)
        except BundleError as error:
            self.alarm(f"bundle_{error.reason}", link, str(error))
            return None
        if lane_of(bundle.actor) == PRIVATE:
            self.shun(link, peer, bundle.actor, "private_lane")
            return None
        return bundle

    def try_take(self, link: int, peer: Peer, bundle: Bundle) -> Fit:
        """Apply a bundle if it is the next of its actor; else say why not."""
        fit = self.replica.fit(bundle)
        if fit is not Fit.NEXT:
            if fit in {Fit.BAD, Fit.FORK}:
                self.shun(link, peer, bundle.actor, fit.value)
            return fit
        if node_of(bundle.actor) == peer.node_id and self._too_early(link, peer, bundle):
            return Fit.BAD
        self.replica.take(bundle, self.now_ms)
        if lane_of(bundle.actor) == GOVERNANCE:
            self.drop_strangers()
        return Fit.NEXT

    def _too_early(self, link: int, peer: Peer, bundle: Bundle) -> bool:
        """Checked at one door, the author's own link; a relayed bundle is not."""
        until = millis(max(map(_stamp, bundle.ops))) - self.limits.skew_ms_max
        if until <= self.now_ms:
            return False
        peer.shunned[bundle.actor] = until
        self.send(peer, m.Skewed(bundle.actor, until))
        self.alarm("future_stamp", link, f"stamp is {until - self.now_ms} ms too far ahead")
        return True

    def shun(self, link: int, peer: Peer, actor: Actor, reason: str) -> None:
        """A bad bundle stops its actor on this link for a while, not the link."""
        peer.shunned[actor] = self.now_ms + self.limits.bad_actor_ms
        self.alarm(reason, link, f"actor of {node_of(actor).hex()[:16]}")

    def behind(self, link: int, peer: Peer) -> None:
        """What the peer pushes does not fit, or it dropped what it had."""
        peer.pulling = False
        if self.catchup.joining:
            return
        if self.catchup.running:
            self.send(peer, m.Behind())
        else:
            self.catchup.start(link)

    # --- the disk and the clock on the wall --------------------------------------

    def committed(self, batch: Batch) -> None:
        """A batch is on disk: claim it, and pass on what was to be passed on."""
        self.replica.committed(batch)
        changed = {a: row.seq for a, row in batch.actors.items()}
        self.durable.update(changed)
        self.durable_digest = batch.digest
        self.claims.moved(changed)
        self.relay.committed(batch)

    def swapped(self, replica: Replica, durable: Clock, link: int) -> None:
        """The joined store is in place: claim it, and ask its source for the rest."""
        before, self.durable = self.durable, durable
        self.replica = replica
        self.durable_digest = replica.digest
        for peer in self.peers.values():
            peer.pulling = False
        self.stream.holding.clear()
        self.relay.clear()
        self.claims.moved(beyond(durable, before))
        self.drop_strangers()
        self.catchup.swapped(link)

    def advance(self, now_ms: int) -> None:
        """Tell the time; call before every other input."""
        self.now_ms = now_ms

    @property
    def waits(self) -> bool:
        """Whether anything waits for a tick; else they may be some tenths of a second apart."""
        catchup, me = self.catchup, self.replica.me.node_id
        if catchup.running or catchup.joining or me not in self.replica.governance.now.ready:
            return True
        if self.ahead or self.stream.holding:
            return True
        version = self.claims.version
        return any(p.told != version or p.shunned or p.leaving_ms for p in self.peers.values())

    def tick(self) -> None:
        """Deadlines, relays, readiness. Call every few tens of milliseconds while it waits."""
        self.claims.tick()
        forgiven = False
        for link, peer in self.peers.items():
            if peer.leaving_ms and self.now_ms - peer.leaving_ms > self.limits.leaving_ms:
                peer.leaving_ms = self.now_ms  # said once a while; the link ends by it
                self.effects.append(Close(link, "not_a_member"))
            if peer.shunned:
                forgiven |= peer.forgive(self.now_ms)
        self.stream.holding.tick()
        self.catchup.tick()
        self.relay.tick()
        if not self.catchup.running and not self.catchup.joining:
            if forgiven:
                self.level()
            be_ready(self)
