"""Whether a snapshot that has arrived may become this node's store.

Law: rows carry no signatures, so no member is believed about them alone while another one could
be asked. A *witness* is a ready member besides the source, linked and caught up, whose disk
covers the snapshot's clock. What no witness claims is not adopted; one that claims it is asked
what it has in place of the rows. When it has something else, a further one decides; when none
decides for the source, the snapshot is refused, and so is every other one of that source until
an operator has looked.

Nobody is there to be asked: the source is believed, and the operator is told. A node that is
cut off with one member would otherwise stay useless to it for as long as the cut lasts, and a
mesh of two could never heal. Members are there and claim nothing of the kind: the snapshot is
thrown away when its time is over, for that is what an invented one looks like; only an operator
may decide otherwise (`Trial.trusted`). Members that cannot be asked because they run
an older release count as claimants and are not waited for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from crdt.clock import Clock, ahead
from crdt.dot import Actor, NodeId
from crdt.effects import Confirm
from crdt.governance_state import GovernanceState

if TYPE_CHECKING:
    from crdt.exchange import Exchange
    from crdt.peer import Peer


class Word(Enum):
    """What came of asking a witness."""

    SAME = "same"
    OTHER = "other"
    UNABLE = "unable"
    SILENT = "silent"


class Outcome(Enum):
    """What is to be done with a snapshot."""

    ADOPT = "adopt"
    WAIT = "wait"
    REFUSE = "refuse"
    DROP = "drop"
    NEEDLESS = "needless"


@dataclass(slots=True)
class Weighing:
    """One snapshot that is complete, and what is known for and against it.

    Attributes:
        link: the source's.
        source: who that is.
        number: of the Want that it answers.
        snapshot: its name.
        clock: what it covers.
        state: what governance says, its own and what came with it, all of it verified.
        since_ms: when it was complete.
        asking: the witness that is being asked.
        words: what witnesses said.
        alone_ms: since when nobody else is there; 0 while somebody is.
        again_ms: when those that were unable may be asked once more.
        told: an alarm that goes with the outcome: its name and detail.
    """

    link: int
    source: NodeId
    number: int
    snapshot: bytes
    clock: Clock
    state: GovernanceState
    since_ms: int
    asking: NodeId | None = None
    words: dict[NodeId, Word] = field(default_factory=dict)
    alone_ms: int = 0
    again_ms: int = 0
    told: tuple[str, str] | None = None
    _lacks: dict[int, Clock] = field(default_factory=dict)

    # --- who is there ------------------------------------------------------------

    def heard(self, witness: NodeId, word: Word, now_ms: int, pause_ms: int) -> None:
        """A witness was asked."""
        if self.asking == witness:
            self.asking = None
            self.words[witness] = word
            if word is Word.UNABLE:
                self.again_ms = now_ms + pause_ms

    def witnesses(self, exchange: "Exchange") -> Iterator[tuple[int, "Peer"]]:
        """Ready members besides the source that are linked and say that they are caught up."""
        ready, unbound = self.state.ready, self.state.unbound
        for link, peer in exchange.peers.items():
            if (
                peer.node_id != self.source
                and (peer.node_id in ready or peer.claim in unbound)
                and peer.known
                and peer.joined
                and not peer.stopped
                and not peer.leaving_ms
            ):
                yield link, peer

    def claims(self, link: int, peer: "Peer") -> bool:
        """Whether a witness says that its disk covers the snapshot's clock."""
        lacks = self._lacks.get(link)
        entries = self.clock if lacks is None else lacks
        row = peer.row or {}
        left = {actor: seq for actor, seq in entries.items() if row.get(actor, 0) < seq}
        self._lacks[link] = left
        return not left

    def unclaimed(self, exchange: "Exchange") -> set[Actor]:
        """The actors of which no witness claims as much as the snapshot does."""
        out: set[Actor] | None = None
        for link, peer in self.witnesses(exchange):
            self.claims(link, peer)
            lacks = self._lacks[link].keys()
            out = set(lacks) if out is None else out & lacks
        held = exchange.replica.clock
        return {actor for actor in out or () if held.get(actor, 0) < self.clock[actor]}

    # --- what follows ------------------------------------------------------------

    def weigh(self, exchange: "Exchange") -> Outcome:
        """What to do now; asks a witness when there is one to ask."""
        if not ahead(self.clock, exchange.replica.clock):
            return Outcome.NEEDLESS
        if self.asking is not None and self.asking not in exchange.by_node:
            self.heard(self.asking, Word.UNABLE, exchange.now_ms, exchange.limits.relay_ms)
        if self.asking is not None:
            return Outcome.WAIT
        present = list(self.witnesses(exchange))
        return self._decided(present) or self._asked(exchange, present)

    def _asked(self, exchange: "Exchange", present: list[tuple[int, "Peer"]]) -> Outcome:
        """Ask somebody; else what the time says that has passed."""
        now = exchange.now_ms
        for link, peer in present:
            if self._may_ask(peer.node_id, now) and self.claims(link, peer):
                self.asking = peer.node_id
                exchange.effects.append(Confirm(self.link, self.number, self.snapshot, link))
                return Outcome.WAIT
        if not present:
            return self._alone(exchange)
        self.alone_ms = 0
        if all(self.words.get(peer.node_id) is Word.SILENT for _, peer in present):
            return self._uncompared()
        overdue = now - self.since_ms > 2 * exchange.limits.session_deadline_ms
        return self._overdue(exchange) if overdue else Outcome.WAIT

    def _decided(self, present: list[tuple[int, "Peer"]]) -> Outcome | None:
        """The words weighed: one for the source is enough, unless more are against both."""
        said = list(self.words.values())
        same, other = said.count(Word.SAME), said.count(Word.OTHER)
        if same and same >= other:  # the source says so as well
            if other:
                self.told = ("snapshot_disputed", self._named(Word.OTHER, "alone holds others"))
            return Outcome.ADOPT
        asked = all(peer.node_id in self.words for _, peer in present)
        if other > same + 1 or (other and asked):
            return self._against()
        return None

    def _against(self) -> Outcome:
        self.told = ("snapshot_refused", self._named(Word.OTHER, "holds other rows"))
        return Outcome.REFUSE

    def _may_ask(self, node: NodeId, now_ms: int) -> bool:
        word = self.words.get(node)
        return word is None or (word is Word.UNABLE and now_ms >= self.again_ms)

    def _alone(self, exchange: "Exchange") -> Outcome:
        state, me = self.state, exchange.replica.me.node_id
        now = exchange.now_ms
        if state.members.keys() <= {me, self.source} and not state.unbound - {
            exchange.replica.me.claim
        }:
            return Outcome.ADOPT  # nobody else exists
        self.alone_ms = self.alone_ms or now
        if now - self.alone_ms <= exchange.limits.second_ms:
            return Outcome.WAIT
        self.told = ("snapshot_unconfirmed", "no other member is in reach; its word was taken")
        return Outcome.ADOPT

    def _overdue(self, exchange: "Exchange") -> Outcome:
        words = self.words.values()
        if Word.OTHER in words:
            return self._against()
        if self.source in exchange.catchup.trial.trusted:
            self.told = ("snapshot_unconfirmed", "an operator said that its word is to be taken")
            return Outcome.ADOPT
        if Word.SILENT in words:
            return self._uncompared()
        lacking = len(self.unclaimed(exchange))
        detail = f"of {lacking} actors nobody else claims as much; it was thrown away"
        if not lacking:
            detail = "no other member could compare its rows; it was thrown away"
        self.told = ("snapshot_unclaimed", detail)
        return Outcome.DROP

    def _uncompared(self) -> Outcome:
        detail = self._named(Word.SILENT, "claims as much, but compares no rows")
        self.told = ("snapshot_unconfirmed", detail)
        return Outcome.ADOPT

    def _named(self, word: Word, what: str) -> str:
        who = [self._name(node) for node, said in self.words.items() if said is word]
        return f"{', '.join(sorted(who))} {what}"

    def _name(self, node: NodeId) -> str:
        member = self.state.members.get(node)
        return member.name if member is not None and member.name else node.hex()[:16]
