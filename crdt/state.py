"""The seam between the pure core and whatever keeps its state.

Law: the core reads durable state through `State`, and changes it only through `Batch`, which
is committed in one transaction or not at all. A claim about a dot is made only after the
batch that holds it is on disk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from crdt.dot import Actor, Dot
from crdt.record import Record
from crdt.view import NOTHING_APPROVED, Approved


class BelowFloorError(LookupError):
    """The log no longer reaches back to what was asked for: a snapshot is needed."""


@dataclass(frozen=True, slots=True)
class ActorRow:
    """What is kept per actor.

    Attributes:
        seq: last operation applied; the end of a bundle.
        hash: 32 bytes, the chain hash of its last bundle.
        heads: the governance heads its last operation named.
        floor: bundles up to here may be gone from the log.
    """

    seq: int
    hash: bytes
    heads: tuple[Dot, ...]
    floor: int = 0


class IdempotencyRow(NamedTuple):
    """A remembered request: hash of its body, and the dots it made."""

    body: bytes
    dots: tuple[Dot, ...]


class LoggedBundle(NamedTuple):
    """A bundle as it goes into the log, byte for byte as its author signed it."""

    actor: Actor
    first: int
    last: int
    data: bytes
    keys: tuple[bytes, ...]


class Change(NamedTuple):
    """What a batch does to one record.

    Attributes:
        before: the record as last committed.
        after: the record now.
        data: its canonical bytes; None when it is gone.
        weight: its share of the digest, which is also its stored checksum.
        approved_before: what showed of `before` although it was held for approval.
        approved_after: what shows of `after`.
    """

    before: Record | None
    after: Record | None
    data: bytes | None
    weight: int
    approved_before: Approved = NOTHING_APPROVED
    approved_after: Approved = NOTHING_APPROVED


class Batch(NamedTuple):
    """Everything one transaction writes.

    `genesis` is what the core keeps about its mesh, when that changed; None leaves it.
    """

    number: int
    bundles: tuple[LoggedBundle, ...]
    actors: Mapping[Actor, ActorRow]
    records: Mapping[bytes, Change]
    pending: Mapping[Dot, bytes | None]
    idempotency: Mapping[bytes, IdempotencyRow]
    digest: int
    now_ms: int
    genesis: bytes | None = None

    def size_bytes(self) -> int:
        """How much it weighs in a queue."""
        logged = sum(len(bundle.data) for bundle in self.bundles)
        return logged + sum(len(change.data or b"") for change in self.records.values())


class Page(NamedTuple):
    """A page of the log for a peer: bundles it lacks, and whether these are the last."""

    bundles: Sequence[bytes]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a store gives back when it opens.

    Attributes:
        actors: a row per actor ever seen.
        governance: every governance bundle, in order of arrival.
        pending: the pending rows as the core encoded them.
        digest: of the durable state.
        arrivals: how many bundles ever arrived.
        genesis: what the core stored about the mesh it belongs to; empty when none.
    """

    actors: Mapping[Actor, ActorRow]
    governance: Sequence[bytes]
    pending: Mapping[Dot, bytes]
    digest: int
    arrivals: int
    genesis: bytes


class State(Protocol):
    """What the core reads of the durable state. All calls return at once."""

    def record(self, key: bytes) -> bytes | None:
        """The stored bytes of a record, checksum verified."""
        ...

    def page(self, clock: Mapping[Actor, int], limit_bytes: int) -> Page:
        """Bundles beyond a clock: governance first, then in order of arrival, never private.

        Holds at least one bundle when any is missing, and stops once past the limit.

        Raises:
            BelowFloorError: the log was cut below what the clock lacks.
        """
        ...

    def tail(self, actor: Actor, after: int, limit_bytes: int) -> Sequence[bytes]:
        """Bundles of one actor after a sequence number, in order.

        Raises:
            BelowFloorError: the log was cut above that place.
        """
        ...

    def idempotent(self, scope: bytes) -> IdempotencyRow | None:
        """The remembered request of a scope."""
        ...
