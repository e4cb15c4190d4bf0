"""Negative controls: one rule broken each, to show that the checks are awake.

Some need the world's help (a disk that lies, a restored identity) and are named in the world;
the others replace one function of the core for the length of a run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from crdt import catchup, exchange, mint, peer, replica
from crdt.admission import Fit
from crdt.bundle import Bundle
from crdt.clock import Clock
from crdt.dot import Dot, node_of
from crdt.exchange import Exchange
from crdt.governance import Governance, GovernanceState
from crdt.op import Kind, Op
from crdt.pending import Pending
from crdt.record import seal
from crdt.replica import Replica

IN_WORLD = {
    "reuse": "a restored node goes on under its old actor",
    "floor": "a cut log is served as if it were whole",
    "claim": "a bundle is acknowledged before it is on disk",
    "halfjoin": "a half-loaded snapshot is read",
    "joinwrong": "a snapshot is joined with clocks taken for equal",
    "rashadd": "a member links a joiner before its admission is durable",
}


def _holes() -> list[tuple[Any, str, Any]]:
    original = Replica.fit

    def fit(self: Replica, bundle: Bundle) -> Fit:
        found = original(self, bundle)
        ahead = bundle.first > self.clock.get(bundle.actor, 0) + 1
        return Fit.NEXT if found is Fit.BEHIND and ahead else found

    return [(Replica, "fit", fit)]


def _one_birth() -> list[tuple[Any, str, Any]]:
    original = mint.operation

    def operation(*args: Any) -> Op:
        op = original(*args)
        return replace(op, births=frozenset([min(op.births)])) if op.kind is Kind.EDIT else op

    return [(replica, "operation", operation)]


def _eager() -> list[tuple[Any, str, Any]]:
    original = Replica._put_pending

    def put(self: Replica, dot: Dot, pending: Pending) -> None:
        original(self, dot, pending)
        if pending.approved() and not pending.sealed:
            before = self.read(pending.key)
            self.overlay.put(pending.key, before, seal(before, dot, pending.stamp()))

    return [(Replica, "_put_pending", put)]


def _skew_on_relay() -> list[tuple[Any, str, Any]]:
    def try_take(self: Exchange, link: int, peer: peer.Peer, bundle: Bundle) -> Fit:
        fit = self.replica.fit(bundle)
        if fit is not Fit.NEXT:
            return fit
        if self._too_early(link, peer, bundle):
            return Fit.BAD
        self.replica.take(bundle, self.now_ms)
        return Fit.NEXT

    return [(Exchange, "try_take", try_take)]


def _rows_from_level() -> list[tuple[Any, str, Any]]:
    original = Exchange._level

    def level(self: Exchange, peer: peer.Peer, clock: Clock) -> None:
        if peer.row is not None:
            peer.row.update(clock)
        original(self, peer, clock)

    return [(Exchange, "_level", level)]


def _newest_policy() -> list[tuple[Any, str, Any]]:
    def state(self: Governance, heads: tuple[Dot, ...]) -> GovernanceState:
        del heads
        return self._at(self.heads)[1]

    return [(Governance, "state", state)]


def _no_relay() -> list[tuple[Any, str, Any]]:
    original = catchup.CatchUp.tick

    def tick(self: catchup.CatchUp) -> None:
        for held in self.exchange.peers.values():
            held.watch = None
        original(self)

    return [(catchup.CatchUp, "tick", tick)]


def _no_deadline() -> list[tuple[Any, str, Any]]:
    def lost(self: catchup.CatchUp, link: int) -> None:
        del self, link

    original = catchup.CatchUp.tick

    def tick(self: catchup.CatchUp) -> None:
        if self.session is not None:
            self.session.heard_ms = self.exchange.now_ms
        original(self)

    return [(catchup.CatchUp, "lost", lost), (catchup.CatchUp, "tick", tick)]


def _hello_hash() -> list[tuple[Any, str, Any]]:
    return [(exchange, "group_hash", lambda entries: bytes(16) if entries is not None else b"")]


def _level_once() -> list[tuple[Any, str, Any]]:
    original = Exchange.behind

    def behind(self: Exchange, link: int, peer: peer.Peer) -> None:
        original(self, link, peer)
        peer.pulling = True

    return [(Exchange, "behind", behind)]


def _requester_votes() -> list[tuple[Any, str, Any]]:
    original = Pending.with_vote

    def with_vote(self: Pending, dot: Dot, vote: Any) -> Pending:
        agent = "someone-else" if vote.agent == self.requester else vote.agent
        return original(self, dot, replace(vote, agent=agent))

    return [(Pending, "with_vote", with_vote)]


def _laxest_policy() -> list[tuple[Any, str, Any]]:
    from crdt import policy  # noqa: PLC0415 - patched by name

    return [(policy, "_strictness", lambda verdict: (-verdict.answer, ""))]


def _late_push() -> list[tuple[Any, str, Any]]:
    """Bundles of others are pushed on: a catch-up gets them twice."""
    original = Replica.take

    def take(self: Replica, bundle: Bundle, now_ms: int) -> None:
        if node_of(bundle.actor) != self.me.node_id and bundle.first > 1:
            bundle = replace(bundle, ops=tuple(bundle.ops[:1]))
        original(self, bundle, now_ms)

    return [(Replica, "take", take)]


PATCHES = {
    "holes": (_holes, "a clock with holes"),
    "onebirth": (_one_birth, "an edit names one birth instead of all"),
    "eager": (_eager, "bodies are dropped on approval, before the seal"),
    "skewrelay": (_skew_on_relay, "a future stamp is refused on relay too"),
    "rowlevel": (_rows_from_level, "a Level is counted as a claim"),
    "newest": (_newest_policy, "the verdict goes by the newest policy"),
    "norelay": (_no_relay, "nothing is fetched that was not pushed"),
    "nodeadline": (_no_deadline, "a session with a lost source waits"),
    "hash": (_hello_hash, "unequal groups of a clock are taken for equal"),
    "requester": (_requester_votes, "the requester's own vote counts"),
    "laxest": (_laxest_policy, "the laxest of concurrent policies counts"),
    "cutbundle": (_late_push, "a bundle is applied in part"),
}

NAMES = (*IN_WORLD, *PATCHES)


def meaning(name: str) -> str:
    """What the control breaks."""
    return IN_WORLD[name] if name in IN_WORLD else PATCHES[name][1]


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Run with one rule broken."""
    saved = []
    if name in PATCHES:
        for owner, attribute, value in PATCHES[name][0]():
            saved.append((owner, attribute, getattr(owner, attribute)))
            setattr(owner, attribute, value)
    try:
        yield
    finally:
        for owner, attribute, value in reversed(saved):
            setattr(owner, attribute, value)
