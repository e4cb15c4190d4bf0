"""One node's side of all its links: hello, claims, the live stream, and who counts.

Law: every claim (Hello, Ack, page, snapshot) is about the durable clock; the state in memory
may be ahead of it and is never claimed. A node pushes only bundles that its own process
minted, only to peers that said they are level; all else moves by catch-up, from one source at
a time. No message carries a number that another message could make stale: what a node last
said on a link counts.

A machine without I/O. `advance` tells the time, `receive` takes a message, `committed` says
that a batch is on disk; outboxes and `effects` hold what is to be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crdt import messages as m
from crdt.admission import Fit
from crdt.bundle import Bundle, BundleError
from crdt.catchup import CatchUp
from crdt.clock import Clock, beyond, group_hash, grouped, shared
from crdt.dot import DATA, GOVERNANCE, PRIVATE, Actor, NodeId, lane_of, node_of
from crdt.effects import Alarm, Close, Effect, Heard
from crdt.heartbeat import Heartbeat
from crdt.hlc import millis
from crdt.messages import Message, decode, encode
from crdt.peer import Outbox, Peer
from crdt.replica import Replica
from crdt.standing import be_ready, found_on_contact
from crdt.state import Batch
from crdt.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeLimits:
    """Bounds of the exchange; every one has its unit in its name."""

    page_bytes_max: int = 4 * 2**20
    peer_queue_bytes_max: int = 32 * 2**20
    relay_ms: int = 1_000
    session_deadline_ms: int = 15_000
    skew_ms_max: int = 5_000
    bad_actor_ms: int = 30_000
    leaving_ms: int = 500


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
        self.effects: list[Effect] = []
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
        groups = grouped(shared(self.durable))
        newest = max(groups, default=0)
        hashes = {g: group_hash(entries) for g, entries in groups.items() if g != newest}
        hello = m.Hello(groups.get(newest, {}), hashes, self.replica.joined, self.now_ms)
        self.send(peer, hello)
        return peer

    def link_down(self, link: int) -> None:
        """A link ended; everything said on it is void."""
        self.peers.pop(link, None)
        self.heartbeat.forget(link)
        self.catchup.lost(link)

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
            if peer.node_id not in state.members and peer.claim not in state.unbound:
                peer.leaving_ms = peer.leaving_ms or self.now_ms
            else:
                peer.leaving_ms = 0

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
        elif isinstance(message, m.Push):
            self._pushed(link, peer, message.bundle)
        elif isinstance(message, m.Ack):
            self._acknowledged(peer, message)
        else:
            self._receive_other(link, peer, message)

    def _receive_other(self, link: int, peer: Peer, message: Message) -> None:
        match message:
            case m.Ask(groups):
                wanted = set(groups)
                entries = {
                    g: held for g, held in grouped(shared(self.durable)).items() if g in wanted
                }
                clock = {a: n for held in entries.values() for a, n in held.items()}
                self.claim(peer)
                self.send(peer, m.Full(sorted(wanted), clock))
            case m.Full(groups, clock):
                peer.row = {**(peer.row or {}), **clock}
                peer.lacks.difference_update(groups)
                self._assess(link, peer)
            case m.Level(clock):
                self._level(peer, clock)
            case m.Behind():
                peer.pushing = False
            case m.Gap():
                self.behind(link, peer)
            case m.Skewed(actor, until_ms):
                peer.muted.add(actor)
                self.alarm("skewed", link, f"refused until {until_ms}")
            case m.Beat():
                self.heartbeat.heard(link, peer, message)
            case m.Echo(number):
                self.heartbeat.echoed(link, peer, number)
            case m.Aside(topic, data):
                self.effects.append(Heard(link, peer.node_id, topic, data))
            case _:
                self.catchup.receive(link, peer, message)

    def _hello(self, link: int, peer: Peer, hello: m.Hello) -> None:
        mine = grouped(shared(self.durable))
        peer.row, peer.joined = dict(hello.newest), hello.joined
        peer.skew_ms = hello.now_ms - self.now_ms
        peer.lacks = set()
        for group, digest in hello.groups.items():
            entries = mine.get(group, {})
            if group_hash(entries) == digest:
                peer.row.update(entries)
            else:
                peer.lacks.add(group)
        if peer.lacks:
            self.send(peer, m.Ask(sorted(peer.lacks)))
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

    def _acknowledged(self, peer: Peer, ack: m.Ack) -> None:
        if peer.row is not None:
            peer.row.update(ack.clock)
            peer.digest = ack.digest

    # --- the live stream ---------------------------------------------------------

    def level(self) -> None:
        """Tell every known peer that is not pushing to us that it may."""
        if self.catchup.joining:
            return
        clock = shared(self.replica.clock)
        for peer in self.peers.values():
            if peer.known and not peer.pulling and not peer.stopped:
                peer.pulling = True
                self.send(peer, m.Level(peer.without_shunned(clock)))

    def _level(self, peer: Peer, clock: Clock) -> None:
        """The peer is level: it gets what its clock lacks of ours, then all new bundles."""
        peer.outbox.drop_pushes()
        peer.pushing = True
        peer.muted.clear()
        replica, limit = self.replica, self.limits.peer_queue_bytes_max
        tail: list[tuple[Actor, bytes]] = []
        for lane in (GOVERNANCE, DATA):
            actor = replica.own.get(lane)
            row = replica.actors.get(actor) if actor else None
            after = clock.get(actor, 0) if actor else 0
            if actor is None or row is None or after >= row.seq:
                continue
            bundles = None if row.floor > after else replica.own_tail(actor, after, limit)
            if bundles is None:
                self.send(peer, m.Gap())
                peer.pushing = False
                return
            tail += ((actor, encode(m.Push(data))) for data in bundles)
        self.push(peer, tail)

    def minted(self, bundles: Sequence[Bundle]) -> None:
        """Fresh own bundles: to every level peer at once, encoded once."""
        pushes = [(b.actor, encode(m.Push(b.data))) for b in bundles if b.actor[:1] != PRIVATE]
        if pushes:
            for peer in self.peers.values():
                if peer.pushing and not peer.stopped:
                    self.push(peer, pushes)
        self.drop_strangers()

    def _pushed(self, link: int, peer: Peer, data: bytes) -> None:
        if self.catchup.joining:
            peer.pulling = False
            return
        if not peer.pulling:
            return
        bundle = self.read_from(link, peer, data)
        if bundle is None or bundle.actor in peer.shunned:
            return
        if node_of(bundle.actor) != peer.node_id:
            self.shun(link, peer, bundle.actor, "pushed_for_another")
            return
        fit = self.try_take(link, peer, bundle)
        if fit is Fit.BEHIND:
            self.behind(link, peer)

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
        until = max(millis(op.hlc) for op in bundle.ops) - self.limits.skew_ms_max
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
        """A batch is on disk: claim it at once to whoever minted of it, to the rest soon."""
        self.replica.committed(batch)
        changed = {a: row.seq for a, row in batch.actors.items()}
        self.durable.update(changed)
        self.durable_digest = batch.digest
        self._owe(shared(changed))

    def _owe(self, entries: Clock) -> None:
        authors = {node_of(actor) for actor in entries}
        for peer in self.peers.values():
            peer.owed.update(entries)
            if peer.node_id in authors:
                self.claim(peer)

    def claim(self, peer: Peer) -> None:
        """Tell a peer what changed in the durable clock since it was last told."""
        if peer.owed:
            self.send(peer, m.Ack(peer.owed, self.durable_digest.to_bytes(16, "big")))
            peer.owed = {}

    def swapped(self, replica: Replica, durable: Clock, link: int) -> None:
        """The joined store is in place: claim it, and ask its source for the rest."""
        before, self.durable = self.durable, durable
        self.replica = replica
        self.durable_digest = replica.digest
        for peer in self.peers.values():
            peer.pulling = False
        self._owe(shared(beyond(durable, before)))
        self.drop_strangers()
        self.catchup.swapped(link)

    def advance(self, now_ms: int) -> None:
        """Tell the time; call before every other input."""
        self.now_ms = now_ms

    def tick(self) -> None:
        """Deadlines, relays, readiness. Call every few tens of milliseconds."""
        forgiven = False
        for link, peer in self.peers.items():
            self.claim(peer)
            if peer.leaving_ms and self.now_ms - peer.leaving_ms > self.limits.leaving_ms:
                peer.leaving_ms = self.now_ms  # said once a while; the link ends by it
                self.effects.append(Close(link, "not_a_member"))
            if peer.shunned:
                forgiven |= peer.forgive(self.now_ms)
        self.catchup.tick()
        if not self.catchup.running and not self.catchup.joining:
            if forgiven:
                self.level()
            be_ready(self)
