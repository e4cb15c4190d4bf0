"""Where a memory comes from, and what came of it.

Law: a walk along the links that say so, breadth first, each memory once; so cycles end it and
the depth told is the smallest. What the caller may not see is left out, and nothing is reached
through it. At most `NODES_MAX` memories are told.
"""

from dataclasses import dataclass
from typing import Any, Final

from node.contracts import Caller, Held
from node.links.link import DERIVATIONS
from node.links.links import Links
from node.memory.problems import InvalidField
from node.memory.record import content_id
from node.memory.rules import one_of

DIRECTIONS: Final = ("ancestors", "descendants")
DEPTH_DEFAULT: Final = 5
NODES_MAX: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One memory of a lineage.

    Attributes:
        id: of the memory.
        cid: content hash, see `node.memory.record.content_id`.
        relation: of the link over which it was reached first.
        depth: how many links lie between it and the root.
        parent: the memory from which it was reached.
    """

    id: str
    cid: str
    relation: str
    depth: int
    parent: str

    def shown(self) -> dict[str, Any]:
        """The node of the API."""
        return {
            "id": self.id,
            "cid": self.cid,
            "relation": self.relation,
            "depth": self.depth,
            "from": self.parent,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The memories found; `truncated` when there were more than are told."""

    nodes: list[Node]
    truncated: bool


def direction_of(text: str | None) -> str:
    """Which way a request wants to go.

    Raises:
        InvalidField: neither of the two.
    """
    try:
        return one_of("direction", text or DIRECTIONS[0], DIRECTIONS)
    except InvalidField as error:
        raise InvalidField("direction", "expected ancestors or descendants") from error


async def lineage(
    links: Links, root: Held, viewer: Caller, *, direction: str, max_depth: int = DEPTH_DEFAULT
) -> Lineage:
    """The memories that a memory comes from, or that came of it, nearest first.

    Args:
        links: what is linked.
        root: the memory.
        viewer: who asks.
        direction: one of `DIRECTIONS`.
        max_depth: how many links away to look.
    """
    outward = direction == DIRECTIONS[0]
    nodes: list[Node] = []
    seen = {root.id}
    level = [root.id]
    for depth in range(1, max_depth + 1):
        following: list[str] = []
        for parent in level:
            async for link, held in links.neighbours(parent, viewer, outward=outward):
                if link.relation not in DERIVATIONS or held.id in seen:
                    continue
                if len(nodes) >= NODES_MAX:
                    return Lineage(nodes=nodes, truncated=True)
                seen.add(held.id)
                following.append(held.id)
                nodes.append(
                    Node(
                        id=held.id,
                        cid=content_id(held),
                        relation=link.relation,
                        depth=depth,
                        parent=parent,
                    )
                )
        if not following:
            break
        level = following
    return Lineage(nodes=nodes, truncated=False)
