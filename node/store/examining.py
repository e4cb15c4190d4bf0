"""What of a received snapshot its authors signed: governance, from the founding on.

Law: it only reads. What it finds is found before anything of the snapshot is joined, and with
the own governance beneath it, which was verified when it came. A snapshot of another founding
is of another mesh.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crdt.clock import Clock
from crdt.dot import Actor
from crdt.genesis import decode_standing
from crdt.governance import Genesis
from crdt.governance_state import GovernanceState
from crdt.header import peek
from crdt.identity import Self
from crdt.proving import Proof, UnprovenError
from crdt.state import ActorRow
from node.store.incoming import Incoming
from node.store.rows import decode_entry
from node.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A snapshot whose governance is proven.

    Attributes:
        clock: what it covers.
        state: what governance says, the own and what came with it together.
    """

    clock: Clock
    state: GovernanceState


def examine(own: Store, incoming: Incoming, genesis: Genesis, me: Self) -> Examined:
    """Prove the governance of a complete snapshot. Slow: for a thread of its own.

    Args:
        own: the live store.
        incoming: the snapshot.
        genesis: the founding that this node belongs to.
        me: verifies signatures, and bounds bundles.

    Raises:
        UnprovenError: it is of another founding, or holds what nobody signed.
        JoinRefused, CorruptRecord: rows are missing or damaged.
    """
    incoming.promised  # noqa: B018 - it raises when rows are missing
    standing = decode_standing(incoming.genesis)
    if standing is not None and standing.genesis != genesis:
        raise UnprovenError("founding", "it stems from another founding")
    rows, theirs = incoming.actors(), list(_governance(incoming))
    proof = Proof(genesis, me.verify, me.ops_max)
    proof.trust(own.load().governance)
    proof.take(theirs)
    proof.only(theirs, rows)
    proof.covers(rows)
    return Examined(clock=_clock(rows), state=proof.governance.now)


def _clock(rows: Mapping[Actor, ActorRow]) -> Clock:
    return {actor: row.seq for actor, row in rows.items()}


def _governance(incoming: Incoming) -> Iterator[bytes]:
    """The bundles in the order in which the source says that they came to it."""
    for at, value in incoming.environment.walk("log_governance"):
        entry = decode_entry("log_governance", at, value)
        if (entry.actor, entry.first, entry.last) != _place(entry.data):
            raise UnprovenError("place", "a bundle of governance stands under another's name")
        yield entry.data


def _place(data: bytes) -> tuple[Actor, int, int] | None:
    header = peek(data)
    return None if header is None else (header.actor, header.first, header.last)
