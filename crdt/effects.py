"""What the exchange asks of the process around it.

Law: the core decides, the process does. Messages wait in each peer's outbox; everything else
that needs a disk, a socket or an operator is one of these, in order.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Close:
    """End this link."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class Freeze:
    """Freeze a copy of the durable state and answer with `CatchUp.frozen`."""

    link: int
    number: int


@dataclass(frozen=True, slots=True)
class Serve:
    """Read rows of a frozen copy and answer with `CatchUp.served`."""

    link: int
    number: int
    snapshot: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class Stage:
    """Keep these rows of an incoming snapshot and answer with `CatchUp.staged`."""

    link: int
    number: int
    snapshot: bytes
    rows: bytes
    following: bytes


@dataclass(frozen=True, slots=True)
class Examine:
    """The snapshot is complete: prove its governance, answer with `CatchUp.examined`.

    What is not proven is told with `CatchUp.unproven`.
    """

    link: int
    number: int
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask another member what it has in place of the rows; answer with `CatchUp.confirmed`."""

    link: int
    number: int
    snapshot: bytes
    witness: int


@dataclass(frozen=True, slots=True)
class Discard:
    """This snapshot is of no use any more: take it from the disk."""

    link: int
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class BuildJoin:
    """The snapshot may be believed: drain the disk, join, swap, answer with `Exchange.swapped`."""

    link: int
    snapshot: bytes


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something an operator must know; `name` is one of a fixed few."""

    name: str
    link: int
    detail: str


@dataclass(frozen=True, slots=True)
class Heard:
    """A peer said something that is not for the core."""

    link: int
    node_id: bytes
    topic: str
    data: bytes


SnapshotEffect = Freeze | Serve | Stage | Examine | Confirm | Discard | BuildJoin
"""What needs copies of a state, given or taken."""

Effect = Heard | Close | Alarm | SnapshotEffect
