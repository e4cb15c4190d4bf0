"""Version vectors without holes.

Law: `clock[a] == n` means that exactly the operations 1..n of actor a have had their effect
here, and that n is the end of a bundle. An absent actor is at 0; entries are never dropped
(Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", 1983).
"""

import hashlib
from collections.abc import Iterable, Mapping

from crdt.dot import GOVERNANCE, PRIVATE, Actor, Dot, group_of

Clock = dict[Actor, int]
"""{actor: last sequence number applied}."""


def covers(clock: Mapping[Actor, int], dot: Dot) -> bool:
    """Whether the operation named by the dot has had its effect."""
    return clock.get(dot[0], 0) >= dot[1]


def covers_all(clock: Mapping[Actor, int], dots: Iterable[Dot]) -> bool:
    """Whether every dot is covered."""
    get = clock.get
    return all(get(actor, 0) >= seq for actor, seq in dots)


def ahead(left: Mapping[Actor, int], right: Mapping[Actor, int]) -> bool:
    """Whether `left` has seen anything that `right` has not."""
    get = right.get
    return any(get(actor, 0) < seq for actor, seq in left.items())


def merge(left: Mapping[Actor, int], right: Mapping[Actor, int]) -> Clock:
    """The least clock that covers both (the join of the lattice)."""
    out = dict(left)
    for actor, seq in right.items():
        if seq > out.get(actor, 0):
            out[actor] = seq
    return out


def beyond(left: Mapping[Actor, int], right: Mapping[Actor, int]) -> Clock:
    """The entries of `left` that `right` does not have in that very place."""
    get = right.get
    return {actor: seq for actor, seq in left.items() if get(actor) != seq}


def shared(clock: Mapping[Actor, int]) -> Clock:
    """The entries that may leave this node: all but the private lane's."""
    return {actor: seq for actor, seq in clock.items() if actor[:1] != PRIVATE}


def governance(clock: Mapping[Actor, int]) -> Clock:
    """The entries of the governance lane."""
    return {actor: seq for actor, seq in clock.items() if actor[:1] == GOVERNANCE}


def grouped(clock: Mapping[Actor, int]) -> dict[int, Clock]:
    """The entries by thirty-day group of birth, so that old ones travel as one hash."""
    out: dict[int, Clock] = {}
    for actor, seq in clock.items():
        out.setdefault(group_of(actor), {})[actor] = seq
    return out


def group_hash(entries: Mapping[Actor, int]) -> bytes:
    """16 bytes that stand for one group of a clock, whatever the order of its entries."""
    state = hashlib.blake2b(digest_size=16)
    for actor in sorted(entries):
        state.update(actor)
        state.update(entries[actor].to_bytes(8, "big"))
    return state.digest()
