"""Who was a member and is none any more, by whom and when.

Law: read off the governance history, which every member shares and which nothing ever leaves;
read again only when that history has grown.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crdt.dot import Dot, NodeId, node_of
from crdt.governance import Governance
from crdt.hlc import millis
from crdt.op import Kind, Op


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaver:
    """A node that was removed.

    Attributes:
        node_id: which.
        name: what people called it.
        url: where it was reached.
        dot: the operation that removed it.
        heads: the governance heads which that operation saw.
        by_node: name of the member through which that happened, else its id as hex.
        by_agent: the agent that asked; empty when none was named.
        at_ms: when, by the stamp of the operation; milliseconds since the epoch.
    """

    node_id: NodeId
    name: str
    url: str
    dot: Dot
    heads: tuple[Dot, ...]
    by_node: str
    by_agent: str
    at_ms: int


@dataclass(slots=True)
class Leavers:
    """Reads them off a history, once for each state of it."""

    _seen: tuple[Dot, ...] | None = None
    _found: dict[NodeId, Leaver] = field(default_factory=dict)

    def of(self, governance: Governance) -> Mapping[NodeId, Leaver]:
        """Those who left and did not come back."""
        if self._seen != governance.heads:
            self._found = leavers_of(governance.history(), governance.now.members.keys())
            self._seen = governance.heads
        return self._found


def leavers_of(history: Iterable[Op], members: Iterable[NodeId]) -> dict[NodeId, Leaver]:
    """Those whom the history has added and removed, and who are no members now."""
    adds: dict[Dot, Op] = {}
    removals: dict[NodeId, Op] = {}
    names: dict[NodeId, str] = {}
    for op in history:
        if op.kind in {Kind.FOUND, Kind.ADD} and isinstance(op.set.get("node"), bytes):
            adds[op.dot] = op
            names[op.set["node"]] = str(op.set.get("name", ""))
        elif op.kind is Kind.REMOVE:
            for dot in op.supersedes & adds.keys():
                removals[adds[dot].set["node"]] = op
    present = set(members)
    latest = {add.set["node"]: add for add in adds.values()}
    return {
        node: Leaver(
            node_id=node,
            name=names[node],
            url=str(latest[node].set.get("url", "")),
            dot=op.dot,
            heads=op.heads,
            by_node=names.get(node_of(op.dot.actor)) or node_of(op.dot.actor).hex(),
            by_agent=op.agent,
            at_ms=millis(op.hlc),
        )
        for node, op in removals.items()
        if node not in present
    }
