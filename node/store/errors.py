"""How keeping state can go wrong, typed by what has to happen next.

Law: an error of the store says whether trying again can help (`NoRoom`, `QueueFull`), whether
one stored value is damaged (`CorruptRecord`), whether the whole store must be set aside
(`StoreDamaged`), or whether nothing written from now on may be believed (`DiskError`).

    NodeError
    |- IntegrityError (5)
    |  |- CorruptRecord   one value is not what was written
    |  |- StoreDamaged    the file cannot be opened or its head cannot be read
    |  '- JoinRefused     what was received does not add up; nothing was swapped
    |- StoreTooOld (4)    a version wrote it whose tables were others
    |- BelowFloor         the log no longer reaches back that far: send a snapshot
    |- StoreBusy          something reads all of it just now
    |- NoRoom             the disk is full: the same batch again when there is room
    '- QueueFull          more bytes wait for the disk than are allowed
"""

# ruff: noqa: N818 -- the names say what happened; "Error" would only repeat the base class

from crdt.dot import Actor, actor_text
from crdt.state import BelowFloorError
from node.errors import DiskFull, IntegrityError, NodeError, Overloaded, Refused


class CorruptRecord(IntegrityError):
    """One stored value does not match its checksum.

    Args:
        table: the table it stands in.
        key: the key it stands under.
        why: what does not hold.
    """

    code = "record_damaged"
    http_status = 503

    def __init__(self, table: str, key: bytes, why: str = "its checksum does not hold") -> None:
        super().__init__(
            f"a stored value in table {table} under key {key[:80]!r} is damaged",
            why=why,
            fix="It is made whole from a peer, or else from a backup: mnemesh scrub --repair; if "
            "it comes again, the disk or the memory of this machine is failing",
        )
        self.table = table
        self.key = key


class StoreDamaged(IntegrityError):
    """The store cannot be opened at all."""

    code = "store_damaged"


class StoreTooOld(Refused):
    """The store was written by a version whose tables were others; it was left untouched."""

    code = "store_too_old"


class JoinRefused(IntegrityError):
    """A received snapshot, or the join with it, does not add up."""

    code = "join_refused"


class BelowFloor(NodeError, BelowFloorError):
    """Bundles that a peer lacks are no longer in the log.

    Args:
        actor: whose line is cut.
        wanted: the sequence number after which the peer asked.
    """

    code = "below_floor"

    def __init__(self, actor: Actor, wanted: int) -> None:
        super().__init__(
            f"the log no longer holds what follows {wanted} of actor {actor_text(actor)}",
            fix="Send a snapshot instead of a page",
        )
        self.actor = actor
        self.wanted = wanted


class NoRoom(DiskFull):
    """The transaction was undone because the disk is full; nothing is lost."""


class StoreBusy(Overloaded):
    """The whole store is being read, or rewritten, just now."""


class QueueFull(Overloaded):
    """Too many bytes wait for the disk."""
