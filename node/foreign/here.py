"""What the exchange with foreign peers is given of this node.

Law: composition only; everything is asked anew at each use.
"""

from collections.abc import Callable
from dataclasses import dataclass

from node.contracts import Caller, Funnel, Governing
from node.documents.pen import Pen
from node.foreign.memory import Memory
from node.foreign.sight import Sight
from node.foreign.writing import Sender
from node.governing.pending import PendingActions
from node.governing.standards import Standards
from node.memory.memories import Memories


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """This node, as the exchange sees it.

    Attributes:
        memories: rules of drafts, and the funnel.
        governing: what holds, and what waits for approval.
        standards: policies of namespaces.
        pendings: decisions about what waits.
        sight: records with the operations that carry them.
        memory: what was exchanged.
        bound: whether an agent has bound a key here.
        now_ms: wall clock, milliseconds since the epoch.
    """

    memories: Memories
    governing: Governing
    standards: Standards
    pendings: PendingActions
    sight: Sight
    memory: Memory
    bound: Callable[[str], bool]
    now_ms: Callable[[], int]

    @property
    def pen(self) -> Pen | None:
        """What writes into documents."""
        documents = self.memories.rules.documents
        return documents if isinstance(documents, Pen) else None

    @property
    def funnel(self) -> Funnel:
        """The one way to change anything."""
        return self.memories.funnel

    def caller(self, agent: str, sender: Sender) -> Caller:
        """Who acts for an item: the agent it names, else the peer itself.

        An agent that has bound a key here speaks through signatures alone, which a peer cannot
        bring, and an administrator of this mesh not through others; then the peer acts, and the
        record still belongs to whom it declares.
        """
        itself = bool(agent) and not self.bound(agent)
        if itself and agent not in self.governing.state().admins:
            return Caller(agent=agent)
        return Caller(agent=sender.name)
