"""How namespaces nest, and how many memories lie in each.

Law: made of the counts that the store keeps, less what the caller may not see; nothing is
scanned. Depth and limit leave namespaces out of the tree, never out of a sum: the
`subtree_count` of every node told is whole. Of many the fullest are told.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crdt.roles import within
from node.contracts import Caller, Reader
from node.limits import Limits
from node.memory.census import Hidden
from node.memory.query import number
from node.memory.rules import namespace

LIMIT_DEFAULT: Final = 1000
LIMIT_MAX: Final = 10_000
_MARK: Final = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxonomyWish:
    """Which part of the tree a request wants: below `root` (empty for all), so deep, so much."""

    root: str
    depth: int
    limit: int


@dataclass(slots=True, kw_only=True)
class Branch:
    """One namespace: its own memories, those with all below it, and what lies below."""

    namespace: str
    count: int
    subtree_count: int
    children: list["Branch"] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """The node of the API."""
        return {
            "namespace": self.namespace,
            "name": self.namespace.rpartition(_MARK)[2],
            "count": self.count,
            "subtree_count": self.subtree_count,
            "children": [child.shown() for child in self.children],
        }


def read_taxonomy(params: Mapping[str, str], limits: Limits) -> TaxonomyWish:
    """Which part of the tree a request wants.

    Raises:
        node.memory.problems.InvalidField: a parameter cannot mean what it must.
    """
    name = "prefix" if params.get("prefix") else "root"
    root = params.get(name, "").rstrip(_MARK)
    deepest = limits.namespace_segments_max
    limit = number("limit", params.get("limit"), LIMIT_DEFAULT)
    return TaxonomyWish(
        root=namespace(name, root, limits) if root else "",
        depth=min(number("depth", params.get("depth"), deepest), deepest),
        limit=max(1, min(limit, LIMIT_MAX)),
    )


def visible_counts(reader: Reader, hidden: Hidden, viewer: Caller) -> Counter[str]:
    """Memories by namespace, without what the caller may not see."""
    counts: Counter[str] = Counter()
    for (space, tier), held in reader.counts().items():
        count = held - hidden.counts[space, tier]
        if count > 0 and (viewer.namespaces is None or within(space, viewer.namespaces)):
            counts[space] += count
    return counts


def taxonomy(counts: Mapping[str, int], wish: TaxonomyWish) -> tuple[Branch, bool]:
    """The tree below a root, and whether the limit left anything out.

    Args:
        counts: memories by namespace.
        wish: which part of the tree is wanted.
    """
    sums: Counter[str] = Counter()
    for space, count in counts.items():
        for above in _upwards(space, wish.root):
            sums[above] += count
    root = Branch(
        namespace=wish.root, count=counts.get(wish.root, 0), subtree_count=sums[wish.root]
    )
    # A namespace is never fuller than the one above it, so the fullest stand on told ones.
    base = _depth(wish.root)
    ranked = sorted(
        (space for space in sums if space != wish.root and _depth(space) - base <= wish.depth),
        key=lambda space: (-sums[space], _depth(space), space),
    )
    told = {wish.root: root}
    for space in ranked[: wish.limit]:
        branch = Branch(namespace=space, count=counts.get(space, 0), subtree_count=sums[space])
        told[space] = branch
        told[_above(space)].children.append(branch)
    return root, len(ranked) > wish.limit


def _upwards(space: str, root: str) -> list[str]:
    """A namespace and those above it, up to the root; none when it lies elsewhere."""
    if root and not within(space, (root,)):
        return []
    out = []
    while space != root:
        out.append(space)
        space = _above(space)
    return [*out, root]


def _above(space: str) -> str:
    return space.rpartition(_MARK)[0]


def _depth(space: str) -> int:
    return space.count(_MARK) + 1 if space else 0
