"""What becomes of a snapshot that has arrived: believed, waited with, thrown away, or refused.

Law: nothing of a snapshot is joined that was not weighed (`crdt.weighing`), and nothing is weighed
whose governance is not proven (`crdt.proving`). A source whose snapshot was refused is passed
over for snapshots; what it has in its log is still taken, for that is signed.
"""

from typing import TYPE_CHECKING

from crdt.clock import Clock, shared
from crdt.dot import NodeId
from crdt.governance_state import GovernanceState
from crdt.peer import Peer
from crdt.weighing import Outcome, Weighing, Word

if TYPE_CHECKING:
    from crdt.catchup import CatchUp, Session


class Trial:
    """Judges the snapshots of one node's catch-up.

    Attributes:
        passed_over: nodes whose snapshots are not taken until an operator has looked.
        trusted: nodes whose word an operator takes where members are there that do not claim
            the same.
    """

    def __init__(self, catchup: "CatchUp") -> None:
        self._catchup = catchup
        self.passed_over: set[NodeId] = set()
        self.trusted: set[NodeId] = set()

    def passes_over(self, link: int, peer: Peer) -> bool:
        """Whether an offer is declined because of who makes it."""
        if peer.node_id not in self.passed_over:
            return False
        exchange = self._catchup.exchange
        exchange.alarm("snapshot_passed_over", link, "one of its snapshots was refused before")
        self._catchup.leave(peer, set(peer.unseen))
        return True

    def examined(self, link: int, number: int, clock: Clock, state: GovernanceState) -> None:
        """Its governance is proven: weigh the rest of it.

        Args:
            link: the source.
            number: of the Want that the snapshot answers.
            clock: what it covers.
            state: what governance says, this node's and what came together.
        """
        session, peer = self._open(link, number)
        if session is None or peer is None:
            return
        now = self._catchup.exchange.now_ms
        node, name = peer.node_id, session.snapshot
        session.weighing = Weighing(link, node, number, name, shared(clock), state, now)
        self.weigh(session)

    def unproven(self, link: int, number: int, detail: str) -> None:
        """It holds governance that nobody signed: it is refused, whatever else it holds."""
        session, peer = self._open(link, number)
        if session is not None and peer is not None:
            self._refuse(session, peer, detail)

    def confirmed(self, snapshot: bytes, witness: NodeId, word: Word) -> None:
        """What came of asking a witness."""
        session, exchange = self._catchup.session, self._catchup.exchange
        if session is None or session.weighing is None or session.snapshot != snapshot:
            return
        session.weighing.heard(witness, word, exchange.now_ms, exchange.limits.relay_ms)
        self.weigh(session)

    def weigh(self, session: "Session") -> None:
        """Decide if it can be decided now; call it again while time passes."""
        catchup, weighing = self._catchup, session.weighing
        peer = catchup.exchange.peers.get(session.link)
        if weighing is None or peer is None:
            return
        outcome = weighing.weigh(catchup.exchange)
        name, detail = weighing.told or ("", "")
        if outcome is Outcome.REFUSE:
            self._refuse(session, peer, detail)
        elif outcome is not Outcome.WAIT:
            if name:
                catchup.exchange.alarm(name, session.link, detail)
            if outcome is Outcome.ADOPT:
                catchup.build(session)
            elif outcome is Outcome.DROP:
                catchup.leave(peer, weighing.unclaimed(catchup.exchange) or set(peer.unseen))
            else:
                catchup.begin_anew(peer, session)

    def _refuse(self, session: "Session", peer: Peer, detail: str) -> None:
        self.passed_over.add(peer.node_id)
        self._catchup.exchange.alarm("snapshot_refused", session.link, detail)
        self._catchup.leave(peer, set(peer.unseen))

    def _open(self, link: int, number: int) -> "tuple[Session | None, Peer | None]":
        session = self._catchup.session
        if session is None or (session.link, session.number) != (link, number):
            return None, None
        return session, self._catchup.exchange.peers.get(link)
