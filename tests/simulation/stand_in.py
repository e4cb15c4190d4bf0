"""What stands for the replica in a mesh of hundreds: bundles in order, and nothing inside them.

Law: it answers what the exchange asks of a replica and a disk as they would, for one fixed
membership. The exchange above it is the one that ships. A bundle has the real header, so its
bytes count, but its operations are padding: what a mesh costs is messages and bytes.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from crdt.admission import Fit
from crdt.clock import Clock
from crdt.dot import DATA, GOVERNANCE, Actor, Dot, NodeId, new_actor
from crdt.governance_state import GovernanceState, Member
from crdt.header import peek
from crdt.op import NO_DOTS, Kind
from crdt.state import ActorRow, LoggedBundle, Page

_ZEROS = bytes(32)
HEAD = Dot(new_actor(GOVERNANCE, 1, bytes(8), _ZEROS), 1)


def node_id(number: int) -> NodeId:
    """The name of a node, somewhere on the ring."""
    return hashlib.sha256(b"node %d" % number).digest()


def members(count: int) -> GovernanceState:
    """Everybody is a member and ready."""
    ids = [node_id(number) for number in range(count)]
    held = {
        node: Member(node_id=node, name=str(n), url="", key=b"", adds=frozenset([HEAD]), ready=True)
        for n, node in enumerate(ids)
    }
    return GovernanceState(
        members=held, unbound=frozenset(), policies={}, agents={}, ready=frozenset(ids)
    )


class Governance:
    """A history that never moves."""

    heads = (HEAD,)

    def __init__(self, now: GovernanceState) -> None:
        self.now = now
        self.keys: dict[NodeId, bytes] = {}

    def knows(self, heads: tuple[Dot, ...]) -> bool:
        """Everything that anybody refers to."""
        del heads
        return True

    def __len__(self) -> int:
        return 1

    def state(self, heads: tuple[Dot, ...]) -> GovernanceState:
        """Below any heads the same."""
        del heads
        return self.now


class Padding(NamedTuple):
    """An operation that says nothing and depends on nothing, minted long ago."""

    dot: Dot
    kind: Kind = Kind.CREATE
    hlc: int = 0
    set: Mapping[str, Any] = MappingProxyType({})
    heads: tuple[Dot, ...] = ()
    births: frozenset[Dot] = NO_DOTS
    supersedes: frozenset[Dot] = NO_DOTS
    target: Dot | None = None


class Sealed(NamedTuple):
    """A bundle, as far as the exchange looks into it."""

    actor: Actor
    first: int
    last: int
    data: bytes

    @property
    def ops(self) -> tuple[Padding, ...]:
        """All it holds."""
        return (Padding(Dot(self.actor, self.first)),)

    signed = b""
    signature = b""


class Batch(NamedTuple):
    """What goes to the disk at once."""

    bundles: tuple[LoggedBundle, ...]
    actors: Mapping[Actor, ActorRow]
    digest: int


@dataclass
class Me:
    """Who the process is."""

    node_id: NodeId
    claim: str = ""
    joins: bool = False

    def verify(self, key: bytes, message: bytes, signature: bytes) -> bool:
        """Nobody forges here."""
        del key, message, signature
        return True


class StandIn:
    """The replica of one node, and its disk."""

    joined = True
    must_join = False
    genesis = None

    def __init__(self, me: NodeId, governance: Governance) -> None:
        self.me = Me(me)
        self.governance = governance
        self.clock: Clock = {}
        self.actors: dict[Actor, ActorRow] = {}
        self.own: dict[bytes, Actor] = {}
        self.digest = 0
        self.state = self
        self.log: list[LoggedBundle] = []
        self._open: list[LoggedBundle] = []

    @property
    def dirty(self) -> bool:
        """Whether anything waits for the disk."""
        return bool(self._open)

    # --- minting -----------------------------------------------------------------

    def mint(self, size_bytes: int) -> Sealed:
        """One bundle of this node."""
        actor = self.own.get(DATA)
        if actor is None:
            actor = self.own[DATA] = new_actor(DATA, 1, self.me.node_id[:8], self.me.node_id)
        first = self.clock.get(actor, 0) + 1
        row = [1, actor, first, 1, _ZEROS, bytes(size_bytes), bytes(64)]
        bundle = Sealed(actor, first, first, msgpack.packb(row))
        self.take(bundle, 0)
        return bundle

    def own_tail(self, actor: Actor, after: int, limit_bytes: int) -> list[bytes]:
        """Own bundles after a sequence number, on disk or not."""
        del limit_bytes
        return [b.data for b in (*self.log, *self._open) if b.actor == actor and b.last > after]

    def tail(self, actor: Actor, after: int, limit_bytes: int) -> list[bytes]:
        """Bundles on disk of one actor after a sequence number."""
        del limit_bytes
        return [b.data for b in self.log if b.actor == actor and b.last > after]

    # --- what comes --------------------------------------------------------------

    def read_bundle(self, data: bytes) -> Sealed:
        """No more than the header is looked at."""
        header = peek(data)
        assert header is not None
        return Sealed(header.actor, header.first, header.last, data)

    def fit(self, bundle: Sealed) -> Fit:
        """In order, once."""
        seq = self.clock.get(bundle.actor, 0)
        if bundle.last <= seq:
            return Fit.KNOWN
        return Fit.NEXT if bundle.first == seq + 1 else Fit.BEHIND

    def take(self, bundle: Sealed, now_ms: int) -> None:
        """Apply a bundle that fits."""
        del now_ms
        self.clock[bundle.actor] = bundle.last
        self.actors[bundle.actor] = ActorRow(bundle.last, _ZEROS, (HEAD,))
        self._open.append(LoggedBundle(bundle.actor, bundle.first, bundle.last, bundle.data, ()))
        self.digest ^= hash((bundle.actor, bundle.last)) & (2**64 - 1)

    # --- the disk ----------------------------------------------------------------

    def take_batch(self) -> Batch:
        """Everything that is not on its way to the disk yet."""
        taken, self._open = tuple(self._open), []
        self.log += taken
        return Batch(taken, {b.actor: self.actors[b.actor] for b in taken}, self.digest)

    def committed(self, batch: Batch) -> None:
        """It is on disk."""

    def page(self, clock: Mapping[Actor, int], limit_bytes: int) -> Page:
        """Bundles beyond a clock, in order of arrival."""
        out: list[bytes] = []
        size = 0
        get = clock.get
        for bundle in self.log:
            if bundle.last > get(bundle.actor, 0):
                if size > limit_bytes:
                    return Page(out, complete=False)
                out.append(bundle.data)
                size += len(bundle.data)
        return Page(out, complete=True)
