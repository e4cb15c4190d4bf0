"""Everything that can be done with memories after they were made, in one value.

Law: composition only.
"""

from dataclasses import dataclass

from crdt.hlc import stamp_of
from node.contracts import Governing
from node.lifecycle.archive import Archive
from node.lifecycle.consolidation import Consolidation
from node.lifecycle.forgetting import Forgetting
from node.lifecycle.gathering import Gathering
from node.lifecycle.ledger import Ledger
from node.lifecycle.origins import Origins
from node.lifecycle.sweeping import Sweeping, SweepRules
from node.links.index import LinkIndex
from node.memory.memories import Memories


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Archive, forgetting, consolidation and the end of what is over.

    Attributes:
        memories: the memories.
        index: which links end where.
        rules: what the operator wants of expired and archived memories.
        ledger: what was begun to be forgotten.
        governing: what waits for approval.
        origins: which consolidations have words of what.
    """

    memories: Memories
    index: LinkIndex
    rules: SweepRules
    ledger: Ledger
    governing: Governing
    origins: Origins

    @property
    def archive(self) -> Archive:
        """What is kept and shown nowhere else."""
        return Archive(self.memories)

    @property
    def forgetting(self) -> Forgetting:
        """Erases memories."""
        return Forgetting(self.memories, self.gathering, self.ledger, self.waiting)

    @property
    def gathering(self) -> Gathering:
        """Finds what goes with memories."""
        return Gathering(self.memories, self.index, self.origins)

    def waiting(self) -> frozenset[bytes]:
        """The keys of records about which something waits for approval."""
        now = stamp_of(self.memories.now_ms())
        return frozenset(
            one.key
            for one in self.governing.pendings().values()
            if not (one.approved() or one.rejected() or 0 < one.expires <= now)
        )

    @property
    def consolidation(self) -> Consolidation:
        """Makes one memory of several."""
        return Consolidation(self.memories, self.index)

    @property
    def sweeping(self) -> Sweeping:
        """Ends what is over."""
        return Sweeping(self.memories, self.rules)
