"""Everything that can be done with memories after they were made, in one value.

Law: composition only.
"""

from dataclasses import dataclass

from node.lifecycle.archive import Archive
from node.lifecycle.consolidation import Consolidation
from node.lifecycle.forgetting import Forgetting
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
    """

    memories: Memories
    index: LinkIndex
    rules: SweepRules

    @property
    def archive(self) -> Archive:
        """What is kept and shown nowhere else."""
        return Archive(self.memories)

    @property
    def forgetting(self) -> Forgetting:
        """Erases memories."""
        return Forgetting(self.memories, self.index, self.archive)

    @property
    def consolidation(self) -> Consolidation:
        """Makes one memory of several."""
        return Consolidation(self.memories, self.index)

    @property
    def sweeping(self) -> Sweeping:
        """Ends what is over."""
        return Sweeping(self.memories, self.rules)
