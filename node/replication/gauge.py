"""Whether this node may serve now, and why not.

Law: one place decides; every refusal names one stable reason. Reads and writes are refused
before the store has caught up once; writes alone while a store is swapped, until a restored one
has pulled, while the node drains, while the disk is full, and while the local clock cannot be
trusted.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node import errors

if TYPE_CHECKING:
    from node.replication.engine import Engine


@dataclass(slots=True)
class Readiness:
    """What stands in the way.

    Attributes:
        engine: whose state is judged.
        draining: a shutdown began.
        full: the disk has no room.
        failed: the disk reported an error; nothing is acknowledged any more.
        recovering: the store was restored, and has not pulled from the mesh yet.
    """

    engine: "Engine"
    draining: bool = False
    full: bool = False
    failed: bool = False
    recovering: bool = False

    def reason(self) -> str | None:
        """None when reads and writes are served, else the stable reason."""
        if self.failed:
            return "disk_error"
        if self.draining:
            return "draining"
        replica = self.engine.replica
        if not replica.joined and (replica.must_join or len(replica.governance)):
            return "joining"
        return None

    def check_writable(self) -> None:
        """Let a write pass.

        Raises:
            node.errors.Unavailable: with the reason.
        """
        reason = self.reason()
        if reason == "joining":
            raise errors.Joining(
                "this node is still catching up with its mesh", fix="Retry soon, or elsewhere"
            )
        if reason == "draining":
            raise errors.Draining("this node is shutting down", fix="Use another node")
        if self.failed:
            raise errors.Unavailable("the disk of this node failed", fix="Use another node")
        if self.full:
            raise errors.DiskFull(
                "the disk is full", why="nothing was written", fix="Free space on the node's disk"
            )
        if self.engine.exchange.catchup.joining:
            raise errors.Recovering(
                "this node is putting a joined store in place", fix="Retry in a moment"
            )
        if self.recovering:
            raise errors.Recovering(
                "this node was restored and has not pulled from its mesh yet",
                why="what others acknowledged since its backup may be missing here",
                fix="Use another node, or retry when this one is linked to a member that has it",
            )
        heartbeat = self.engine.exchange.heartbeat
        if not heartbeat.trusted:
            raise errors.ClockSkew(
                f"the clock of this node is off by {heartbeat.skew_ms() / 1000:.1f} s",
                why="its stamps would put writes into the wrong order",
                fix="Set the clock of this machine",
            )
