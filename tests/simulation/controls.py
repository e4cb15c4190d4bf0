"""Negative controls: one rule broken each, to show that the checks are awake.

Some need the world's help (a disk that lies, a restored identity) and are named in the world;
the others replace one function of the core for the length of a run.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from crdt import catchup, exchange, governance, governance_tally, mint, peer, policy, replica
from crdt.admission import Fit
from crdt.applying import Applying
from crdt.bundle import Bundle
from crdt.clock import Clock
from crdt.dot import Actor, Dot, NodeId, node_of
from crdt.exchange import Exchange
from crdt.governance import Governance
from crdt.governance_state import GovernanceState
from crdt.op import Kind, Op
from crdt.pending import Pending
from crdt.pending_table import PendingTable
from crdt.proving import Proof
from crdt.record import seal
from crdt.relay import Relay
from crdt.replica import Replica
from crdt.roles import ROLES
from crdt.stream import Stream
from crdt.tally import Tally
from crdt.weighing import Outcome, Weighing
from tests import planting
from tests.simulation import document_controls

IN_WORLD = {
    "reuse": "a restored node goes on under its old actor",
    "floor": "a cut log is served as if it were whole",
    "claim": "a bundle is acknowledged before it is on disk",
    "halfjoin": "a half-loaded snapshot is read",
    "joinwrong": "a snapshot is joined with clocks taken for equal",
    "rashadd": "a member links a joiner before its admission is durable",
}


def _holes() -> list[planting.Patch]:
    original = Replica.fit

    def fit(self: Replica, bundle: Bundle) -> Fit:
        found = original(self, bundle)
        ahead = bundle.first > self.clock.get(bundle.actor, 0) + 1
        return Fit.NEXT if found is Fit.BEHIND and ahead else found

    return [(Replica, "fit", fit)]


def _one_birth() -> list[planting.Patch]:
    original = mint.operation

    def operation(*args: Any) -> Op:
        op = original(*args)
        return op._replace(births=frozenset([min(op.births)])) if op.kind is Kind.EDIT else op

    return [(replica, "operation", operation)]


def _eager() -> list[planting.Patch]:
    original = Applying._hold

    def put(self: Applying, dot: Dot, pending: Pending) -> None:
        original(self, dot, pending)
        if pending.approved() and not pending.sealed:
            before = self.overlay.read(pending.key)
            self.overlay.put(pending.key, before, seal(before, dot, pending.stamp()))

    return [(Applying, "_hold", put)]


def _skew_on_relay() -> list[planting.Patch]:
    def try_take(self: Exchange, link: int, peer: peer.Peer, bundle: Bundle) -> Fit:
        fit = self.replica.fit(bundle)
        if fit is not Fit.NEXT:
            return fit
        if self._too_early(link, peer, bundle):
            return Fit.BAD
        self.replica.take(bundle, self.now_ms)
        return Fit.NEXT

    return [(Exchange, "try_take", try_take)]


def _rows_from_level() -> list[planting.Patch]:
    original = Stream.opened

    def opened(self: Stream, peer: peer.Peer, clock: Clock) -> None:
        if peer.row is not None:
            peer.row.update(clock)
        original(self, peer, clock)

    return [(Stream, "opened", opened)]


def _early_relay() -> list[planting.Patch]:
    original = Relay.owe

    def owe(self: Relay, bundle: Bundle, until: NodeId) -> None:
        original(self, bundle, until)
        if self._duties.pop((bundle.actor, bundle.last), None) is not None:
            self._pass_on(bundle.actor, bundle.last, bundle.data, until)

    return [(Relay, "owe", owe)]


def _idle_relay() -> list[planting.Patch]:
    return [(Relay, "committed", lambda _self, _batch: None)]


def _relay_counts() -> list[planting.Patch]:
    original = Relay.spread

    def spread(self: Relay, actor: Actor, data: bytes) -> None:
        original(self, actor, data)
        for held in self._exchange.peers.values():
            if held.row is not None:
                held.row[actor] = self._exchange.replica.clock[actor]

    return [(Relay, "spread", spread)]


def _newest_policy() -> list[planting.Patch]:
    def state(self: Governance, heads: tuple[Dot, ...]) -> GovernanceState:
        del heads
        return self._at(self.heads)[1]

    return [(Governance, "state", state)]


def _no_relay() -> list[planting.Patch]:
    original = catchup.CatchUp.tick

    def tick(self: catchup.CatchUp) -> None:
        for held in self.exchange.peers.values():
            held.watch = None
        original(self)

    return [(catchup.CatchUp, "tick", tick)]


def _no_deadline() -> list[planting.Patch]:
    def lost(self: catchup.CatchUp, link: int) -> None:
        del self, link

    original = catchup.CatchUp.tick

    def tick(self: catchup.CatchUp) -> None:
        if self.session is not None:
            self.session.heard_ms = self.exchange.now_ms
        original(self)

    return [(catchup.CatchUp, "lost", lost), (catchup.CatchUp, "tick", tick)]


def _hello_hash() -> list[planting.Patch]:
    return [(exchange, "group_hash", lambda entries: bytes(16) if entries is not None else b"")]


def _level_once() -> list[planting.Patch]:
    original = Exchange.behind

    def behind(self: Exchange, link: int, peer: peer.Peer) -> None:
        original(self, link, peer)
        peer.pulling = True

    return [(Exchange, "behind", behind)]


def _requester_votes() -> list[planting.Patch]:
    original = Pending.with_vote

    def with_vote(self: Pending, dot: Dot, vote: Any) -> Pending:
        agent = "someone-else" if vote.agent == self.requester else vote.agent
        return original(self, dot, replace(vote, agent=agent))

    return [(Pending, "with_vote", with_vote)]


def _laxest_policy() -> list[planting.Patch]:
    def laxest(verdicts: list[Any]) -> Any:
        return min(verdicts, key=lambda verdict: verdict.answer)

    return [(policy, "strictest", laxest)]


def _anybody_governs() -> list[planting.Patch]:
    return [(governance, "is_authorised", lambda _op, _state: True)]


def _anybody_objects() -> list[planting.Patch]:
    return [(Pending, "entitles", lambda self, vote: vote.agent != self.requester)]


def _late_yes() -> list[planting.Patch]:
    original = Pending._yes

    def yes(self: Pending) -> dict[Dot, Any]:
        return original(replace(self, expires=0))

    return [(Pending, "_yes", yes)]


def _half_shown() -> list[planting.Patch]:
    return [(PendingTable, "group", lambda _self, dot: [dot])]


def _strongest_role() -> list[planting.Patch]:
    def strongest(roles: list[Any]) -> Any:
        grants = [grant for grant in roles if grant is not None]
        return max(grants, key=lambda grant: ROLES.index(grant.role), default=None)

    return [(governance_tally, "weakest", strongest)]


def replaced_anywhere(plain: Any) -> Any:
    """What an operation names goes, whatever it is about."""

    def replaced(held: Any, about: str, op: Op) -> Any:
        for other, ops in list(held.items()):
            left = tuple(one for one in ops if one.dot not in op.supersedes)
            held = held if left == ops else held.put(other, left or None)
        return plain(held, about, op)

    return replaced


def _takes_any_place() -> list[planting.Patch]:
    return [(governance_tally, "_replaced", replaced_anywhere(governance_tally._replaced))]


def _early_seal() -> list[planting.Patch]:
    return [(Tally, "covered_by_all", lambda _self, _dots: True)]


def _late_push() -> list[planting.Patch]:
    """Bundles of others are pushed on: a catch-up gets them twice."""
    original = Replica.take

    def take(self: Replica, bundle: Bundle, now_ms: int) -> None:
        if node_of(bundle.actor) != self.me.node_id and bundle.first > 1:
            bundle = bundle._replace(ops=tuple(bundle.ops[:1]))
        original(self, bundle, now_ms)

    return [(Replica, "take", take)]


def _believed() -> list[planting.Patch]:
    def weigh(self: Weighing, exchange: Exchange) -> Outcome:
        del self, exchange
        return Outcome.ADOPT

    return [(Weighing, "weigh", weigh)]


def _unproven() -> list[planting.Patch]:
    return [(Proof, "covers", lambda _self, _rows: None)]


PATCHES = {
    "holes": (_holes, "a clock with holes"),
    "onebirth": (_one_birth, "an edit names one birth instead of all"),
    "eager": (_eager, "bodies are dropped on approval, before the seal"),
    "skewrelay": (_skew_on_relay, "a future stamp is refused on relay too"),
    "rowlevel": (_rows_from_level, "a Level is counted as a claim"),
    "earlyrelay": (_early_relay, "a bundle is passed on before it is on disk"),
    "idlerelay": (_idle_relay, "a node keeps what it was to pass on"),
    "relaycounts": (_relay_counts, "whoever is to get a bundle counts as holding it"),
    "newest": (_newest_policy, "the verdict goes by the newest policy"),
    "norelay": (_no_relay, "nothing is fetched that was not pushed"),
    "nodeadline": (_no_deadline, "a session with a lost source waits"),
    "hash": (_hello_hash, "unequal groups of a clock are taken for equal"),
    "requester": (_requester_votes, "the requester's own vote counts"),
    "laxest": (_laxest_policy, "the laxest of concurrent policies counts"),
    "anyone": (_anybody_governs, "whoever likes may change policies and roles"),
    "veto": (_anybody_objects, "the no of somebody who is no approver counts"),
    "lateyes": (_late_yes, "an approval after the deadline counts"),
    "half": (_half_shown, "the parts of a held request show on their own"),
    "strongest": (_strongest_role, "the strongest of concurrent roles counts"),
    "usurp": (_takes_any_place, "a policy takes the place of another namespace's"),
    "earlyseal": (_early_seal, "an approval is sealed before all members hold its votes"),
    "believed": (_believed, "a snapshot is adopted on the word of who serves it"),
    "unproven": (_unproven, "what a snapshot claims of governance is taken for shown"),
    "cutbundle": (_late_push, "a bundle is applied in part"),
    **document_controls.PATCHES,
}

NAMES = (*IN_WORLD, *PATCHES)

SLEEPERS = {"floor": "c", **dict.fromkeys(("believed", "unproven"), "c")}
"""Controls that show where somebody was away for long, and who: a short absence hardly ever
meets a log that was cut meanwhile."""

DOCUMENTS = frozenset(document_controls.PATCHES)
"""Controls that show where agents edit documents."""

ROGUES = dict.fromkeys(("believed", "unproven"), "a")
"""Controls that show where somebody forges snapshots, and who."""


def meaning(name: str) -> str:
    """What the control breaks."""
    return IN_WORLD[name] if name in IN_WORLD else PATCHES[name][1]


def planted(name: str) -> AbstractContextManager[None]:
    """Run with one rule broken; those that the world breaks itself need no patch."""
    return planting.planted(*(PATCHES[name][0]() if name in PATCHES else ()))
