"""May this bundle be applied now?

Law: it is the next of its actor, it chains to the last one, everything it refers to is known,
its author names no governance older than before, and its signature is genuine. The checks
are cheap first; none of them changes anything.
"""

import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum

from crdt.bundle import NO_PREV, Bundle
from crdt.dot import GOVERNANCE, Actor, Dot, lane_of, node_of
from crdt.governance import Governance
from crdt.identity import Verify
from crdt.op import Kind
from crdt.state import ActorRow


class Fit(Enum):
    """What to do with a bundle."""

    NEXT = "next"
    KNOWN = "known"
    BEHIND = "behind"
    FORK = "fork"
    BAD = "bad"


def fit(
    bundle: Bundle,
    actors: Mapping[Actor, ActorRow],
    clock: Mapping[Actor, int],
    governance: Governance,
    verify: Verify,
) -> Fit:
    """What to do with a bundle, given what has been applied."""
    row = actors.get(bundle.actor)
    seq, head = (row.seq, row.hash) if row else (0, NO_PREV)
    if bundle.last <= seq:
        same = bundle.last != seq or bundle.hash == head
        return Fit.KNOWN if same else Fit.FORK
    if bundle.first > seq + 1:
        return Fit.BEHIND
    if bundle.first <= seq or bundle.prev != head:
        return Fit.FORK
    if missing(bundle, clock, governance) is not None:
        return Fit.BEHIND
    if not _heads_advance(bundle, row, governance) or not proves(bundle, governance, verify):
        return Fit.BAD
    return Fit.NEXT


def missing(bundle: Bundle, clock: Mapping[Actor, int], governance: Governance) -> Dot | None:
    """The first thing the bundle refers to that is unknown here; None when all is known."""
    actor, get, knows = bundle.actor, clock.get, governance.knows
    governs = lane_of(actor) == GOVERNANCE
    heads: tuple[Dot, ...] = ()
    dot: Dot
    for op in bundle.ops:
        if not governs and op.heads is not heads:
            if not knows(op.heads):
                return _unknown(op.heads, governance)
            heads = op.heads
        below = op.dot.seq
        if op.births or op.supersedes or op.target:
            for dot in (*op.births, *op.supersedes, *((op.target,) if op.target else ())):
                inside = dot.actor == actor and dot.seq < below
                if not inside and get(dot.actor, 0) < dot.seq:
                    return dot
        if governs:
            own = [d for d in op.heads if d.actor == actor and d.seq >= bundle.first]
            late = [d for d in own if d.seq >= below]
            if late:
                return late[0]
            others = [d for d in op.heads if d not in own]
            if not knows(others):
                return _unknown(others, governance)
    return None


def _unknown(dots: Iterable[Dot], governance: Governance) -> Dot:
    return next(dot for dot in dots if not governance.knows((dot,)))


def _heads_advance(bundle: Bundle, row: ActorRow | None, governance: Governance) -> bool:
    """An author may not name governance older than it named before."""
    if lane_of(bundle.actor) == GOVERNANCE:
        return True
    last = row.heads if row else ()
    for op in bundle.ops:
        if op.heads != last:
            if not governance.dominates(op.heads, last):
                return False
            last = op.heads
    return True


def proves(bundle: Bundle, governance: Governance, verify: Verify) -> bool | None:
    """Whether its author signed a bundle; None when no key of that author is known here."""
    key = governance.keys.get(node_of(bundle.actor)) or _introduces(bundle)
    return None if key is None else verify(key, bundle.signed, bundle.signature)


def _introduces(bundle: Bundle) -> bytes | None:
    """The key that a founder's first operation carries; it proves itself by its hash."""
    first = bundle.ops[0]
    key = first.set.get("key")
    if first.kind is not Kind.FOUND or not isinstance(key, bytes):
        return None
    return key if hashlib.sha256(key).digest() == node_of(bundle.actor) else None
