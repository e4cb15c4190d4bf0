"""Catch-up: one session, one source, page by page or by snapshot.

Law: the answer to a Want is a page from the source's disk, governance first, then in its own
order of arrival, which is a causal order, so any prefix is a valid state. One session at a
time, so each missing bundle comes once. A session has a deadline; a source that is lost or
silent is replaced by another that is ahead. While a joined store is built, nothing is applied.
A page may be taken in slices, with other work between them: what is taken is a prefix of it.

A log is believed on signatures, a snapshot on the word of others (`crdt.weighing`). So a log is
sought first: who has a store already and is offered a snapshot asks one more member that is ahead
before it takes one.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from crdt import messages as m
from crdt.admission import Fit
from crdt.clock import shared
from crdt.dot import DATA, Actor, NodeId
from crdt.effects import BuildJoin, Discard, Examine, Freeze, Serve, Stage
from crdt.messages import Message
from crdt.peer import Peer
from crdt.standing import be_ready
from crdt.state import BelowFloorError
from crdt.trial import Trial
from crdt.weighing import Weighing

if TYPE_CHECKING:
    from crdt.exchange import Exchange


_ASKED_MAX = 2
"""Members that are asked for their log before a snapshot is taken."""


@dataclass(slots=True)
class _AtHand:
    """The page that is being taken: what is left of it, and what there was before it."""

    bundles: deque[bytes]
    last: bool
    before: tuple[int, int]


@dataclass(slots=True)
class Session:
    """What this node is fetching, and from whom.

    Attributes:
        link: the source.
        number: of the Want that is open; answers to others are stale.
        heard_ms: when the source last moved it on.
        before: how many bundles had been taken in all when it began.
        skip: actors that did not fit on this session's pages; asked for no more.
        snapshot: the snapshot being fetched, when the log no longer reaches.
        page: the page of which a part has been taken.
        whole: whether that snapshot is complete: nothing more is expected from the source.
        weighing: what is known for and against it.
    """

    link: int
    number: int
    heard_ms: int
    before: int = 0
    skip: set[Actor] = field(default_factory=set)
    snapshot: bytes = b""
    page: _AtHand | None = None
    whole: bool = False
    weighing: Weighing | None = None


class CatchUp:
    """Both sides of catching up: asking, and answering from the disk.

    Attributes:
        session: what is being fetched.
        joining: whether a joined store is being built.
        trial: whether what was fetched is believed.
    """

    def __init__(self, exchange: "Exchange") -> None:
        self.exchange = exchange
        self.session: Session | None = None
        self.joining = False
        self.sessions = 0
        self.bundles_taken = 0
        self._number = 0
        self.trial = Trial(self)
        self._partial: dict[bytes, bytes] = {}
        self._offered_by: set[NodeId] = set()

    @property
    def running(self) -> bool:
        """Whether a session is open."""
        return self.session is not None

    # --- asking ------------------------------------------------------------------

    def start(self, link: int) -> None:
        """Begin a session with one peer, which from now on does not push to us."""
        if self.joining:
            return
        peer = self.exchange.peers[link]
        peer.pulling = False
        self.sessions += 1
        self.session = Session(link, 0, self.exchange.now_ms, self.bundles_taken)
        self._want(peer, self.session)

    def _want(self, peer: Peer, session: Session) -> None:
        self._number += 1
        session.number = self._number
        session.heard_ms = self.exchange.now_ms
        clock = shared(self.exchange.replica.clock)
        wanted = peer.without_shunned(clock, session.skip)
        self.exchange.send(peer, m.Want(session.number, wanted))

    def lost(self, link: int) -> None:
        """A link ended; if it was the source, take another."""
        if self.session is not None and self.session.link == link:
            self._resume()

    def _resume(self) -> None:
        """The source is gone or silent: another one that is ahead, else level."""
        old, session = None, self.session
        if session is not None:
            old = session.link
            if session.whole:
                self.exchange.effects.append(Discard(session.link, session.snapshot))
        self.session = None
        clock = self.exchange.replica.clock
        for link, peer in self.exchange.peers.items():
            if link != old and peer.known and not peer.stopped and peer.is_ahead(clock):
                self.start(link)
                return
        self.exchange.level()

    def _done(self) -> None:
        session, self.session = self.session, None
        if session is None or self.bundles_taken > session.before:
            self._offered_by.clear()
        elif session.link in self.exchange.peers:
            # Nothing of its log fits here: it need not be asked for it once more.
            self._offered_by.add(self.exchange.peers[session.link].node_id)
        self.exchange.stream.holding.retry()
        self.exchange.drop_strangers()
        self.exchange.level()
        be_ready(self.exchange)

    def tick(self) -> None:
        """Give up a silent source; fetch what a row has shown for too long."""
        now = self.exchange.now_ms
        limits = self.exchange.limits
        session = self.session
        if session is not None and session.whole:
            self.trial.weigh(session)
        elif session is not None and now - session.heard_ms > limits.session_deadline_ms:
            self.exchange.alarm("source_silent", session.link, "catch-up goes on elsewhere")
            self._resume()
        if self.session is not None or self.joining:
            return
        clock, ahead = self.exchange.replica.clock, self.exchange.ahead
        for link, peer in list(ahead.items()):
            if peer.stopped or not peer.shows(clock):
                peer.watch = None
                if not peer.unseen:
                    del ahead[link]
                continue
            if not peer.known:
                continue
            since, seen = peer.watch or (0, None)
            if seen is None or not any(clock.get(a, 0) < n for a, n in seen.items()):
                peer.watch = (now, dict(peer.unseen))
            elif now - since > limits.relay_ms:
                peer.watch = None
                self.start(link)
                return

    # --- messages ----------------------------------------------------------------

    def receive(self, link: int, peer: Peer, message: Message) -> None:
        """Take a message that belongs to catching up."""
        match message:
            case m.Want(number, clock):
                self._answer(link, peer, number, clock)
            case m.Page(number, bundles, last) if self._is_open(link, number):
                self._page(link, peer, bundles, last=last)
            case m.Offer(number, snapshot) if self._is_open(link, number):
                self._offered(link, peer, snapshot)
            case m.Fetch(number, snapshot, after):
                self.exchange.effects.append(Serve(link, number, snapshot, after))
            case m.Chunk(number, snapshot, rows, following) if self._is_open(link, number):
                self._chunk(link, snapshot, rows, following)
            case _:
                pass

    def _is_open(self, link: int, number: int) -> bool:
        session = self.session
        return (
            session is not None
            and session.link == link
            and session.number == number
            and not self.joining
        )

    def _answer(self, link: int, peer: Peer, number: int, clock: dict[Actor, int]) -> None:
        """Serve a page from the disk, or offer a snapshot when the log is too short."""
        peer.pushing = False
        exchange = self.exchange
        rows = exchange.replica.actors
        get = clock.get
        if any(row.floor > get(actor, 0) for actor, row in rows.items() if actor[:1] != b"p"):
            exchange.effects.append(Freeze(link, number))
            return
        try:
            page = exchange.replica.state.page(clock, exchange.limits.page_bytes_max)
        except BelowFloorError:  # the log was cut a moment ago
            exchange.effects.append(Freeze(link, number))
            return
        exchange.send(peer, m.Page(number, list(page.bundles), page.complete))

    def _page(self, link: int, peer: Peer, bundles: list[bytes], *, last: bool) -> None:
        session = self.session
        if session is None or session.page is not None or session.whole:
            return
        before = (self.bundles_taken, len(session.skip))
        session.page = _AtHand(deque(bundles), last, before)
        self._take(link, peer, session, session.page)

    def at_hand(self, link: int) -> bool:
        """Whether a part of a page from this link is still to be taken."""
        session, peer = self.session, self.exchange.peers.get(link)
        if session is None or session.link != link or session.page is None:
            return False
        return peer is not None and not peer.stopped

    def go_on(self, link: int) -> None:
        """Take more of the page at hand, if there is one."""
        session = self.session
        if session is not None and session.page is not None and self.at_hand(link):
            self._take(link, self.exchange.peers[link], session, session.page)

    def _take(self, link: int, peer: Peer, session: Session, page: _AtHand) -> None:
        """Take a slice, at least a bundle; after the last of them ask for more, or be done."""
        size = 0
        while page.bundles and size < self.exchange.limits.page_slice_bytes_max:
            data = page.bundles.popleft()
            size += len(data)
            bundle = self.exchange.read_from(link, peer, data)
            if bundle is None or bundle.actor in session.skip:
                continue
            fit = self.exchange.try_take(link, peer, bundle)
            if fit is Fit.NEXT:
                self.bundles_taken += 1
            elif fit is not Fit.KNOWN:
                session.skip.add(bundle.actor)
        if self.session is not session:
            return
        session.heard_ms = self.exchange.now_ms
        if page.bundles:
            return
        session.page = None
        if page.last or page.before == (self.bundles_taken, len(session.skip)):
            self._done()
        else:
            self._want(peer, session)

    # --- snapshots ---------------------------------------------------------------

    def frozen(self, link: int, number: int, snapshot: bytes) -> None:
        """A copy of this disk is frozen: offer it."""
        peer = self.exchange.peers.get(link)
        if peer is not None:
            self.exchange.send(peer, m.Offer(number, snapshot))

    def served(
        self, link: int, number: int, snapshot: bytes, rows: bytes, following: bytes
    ) -> None:
        """Rows of a frozen copy were read: send them."""
        peer = self.exchange.peers.get(link)
        if peer is not None:
            self.exchange.send(peer, m.Chunk(number, snapshot, rows, following))

    def _offered(self, link: int, peer: Peer, snapshot: bytes) -> None:
        session = self.session
        if session is None or session.whole:
            return
        self._offered_by.add(peer.node_id)
        if self.trial.passes_over(link, peer):
            return
        other = self._with_a_log()
        if other is not None:
            self.session = None
            self.start(other)
            return
        session.heard_ms = self.exchange.now_ms
        session.snapshot = snapshot
        after = self._partial.get(snapshot, b"")
        self.exchange.send(peer, m.Fetch(session.number, snapshot, after))

    def _with_a_log(self) -> int | None:
        """Another member that may have in its log what this node lacks.

        A node without a store need not ask: no log reaches back to the beginning once one was cut.
        """
        clock = shared(self.exchange.replica.clock)
        if len(self._offered_by) >= _ASKED_MAX or not any(a[:1] == DATA for a in clock):
            return None
        for link, peer in self.exchange.peers.items():
            fresh = peer.node_id not in self._offered_by | self.trial.passed_over
            if fresh and peer.known and not peer.stopped and peer.is_ahead(clock):
                return link
        return None

    def resume_at(self, snapshot: bytes, following: bytes) -> None:
        """An earlier process kept rows of this snapshot up to here: go on there if offered."""
        self._partial = {snapshot: following}

    def _chunk(self, link: int, snapshot: bytes, rows: bytes, following: bytes) -> None:
        session = self.session
        if session is not None and session.snapshot == snapshot and not session.whole:
            session.heard_ms = self.exchange.now_ms
            self.exchange.effects.append(Stage(link, session.number, snapshot, rows, following))

    def staged(self, link: int, number: int, snapshot: bytes, following: bytes) -> None:
        """Rows are kept on disk: fetch the next, or join when they were the last."""
        self._partial = {snapshot: following} if following else {}
        peer = self.exchange.peers.get(link)
        if peer is None or not self._is_open(link, number) or self.session is None:
            return
        self.session.heard_ms = self.exchange.now_ms
        if following:
            self.exchange.send(peer, m.Fetch(number, snapshot, following))
        else:
            self.session.whole = True
            self.exchange.effects.append(Examine(link, number, snapshot))

    def build(self, session: Session) -> None:
        """What was fetched is believed: join it."""
        self.session = None
        self.joining = True
        self.exchange.effects.append(BuildJoin(session.link, session.snapshot))

    def begin_anew(self, peer: Peer, session: Session) -> None:
        """What was fetched has nothing new any more: ask the same source for what has."""
        self.exchange.effects.append(Discard(session.link, session.snapshot))
        self.session = Session(session.link, 0, self.exchange.now_ms, self.bundles_taken)
        self._want(peer, self.session)

    def leave(self, peer: Peer, actors: set[Actor]) -> None:
        """Seek elsewhere; of these actors nothing is taken from this peer for a while."""
        until = self.exchange.now_ms + self.exchange.limits.bad_actor_ms
        peer.shunned.update(dict.fromkeys(actors, until))
        self._resume()

    def swapped(self, link: int) -> None:
        """The joined store is in place: go on with the same source, or with another."""
        self.joining = False
        if link in self.exchange.peers:
            self.start(link)
        else:
            self._resume()

    def join_failed(self, link: int) -> None:
        """The join could not be built: nothing changed; try again from the start."""
        self._partial = {}
        self.swapped(link)
